from datetime import timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bucketcast.records import decode_record, encode_record
from bucketcast.stream.identifiers import SegmentIndex
from ingest.vod.plan import VodPlan, is_encoded, missing_segments, task_segments
from unit.ingest.vod.vod_plans import HIGH, LOW, NAMES, plan_of, recording

rates = st.builds(Fraction, st.sampled_from([10_000, 24_000, 25_000, 60_000]), st.sampled_from([1000, 1001]))
durations = st.fractions(Fraction(1, 10), 12 * 3600, max_denominator=1000)


def test_rungs_are_the_streams_own_that_are_not_larger_than_the_recording() -> None:
    plan = plan_of(recording())
    assert [(rung.name, rung.width, rung.height) for rung in plan.rungs] == [(HIGH, 1280, 720), (LOW, 640, 360)]


def test_a_recording_smaller_than_every_rung_keeps_its_size() -> None:
    (rung,) = plan_of(recording(width=256, height=144)).rungs
    assert (rung.name, rung.width, rung.height) == (LOW, 256, 144)


def test_rungs_are_named_by_the_short_side_and_portrait_stays_portrait() -> None:
    plan = plan_of(recording(width=720, height=1280))
    assert [(rung.name, rung.width, rung.height) for rung in plan.rungs] == [(HIGH, 720, 1280), (LOW, 360, 640)]


def test_pixels_become_square() -> None:
    plan = plan_of(recording(width=960, height=720, sample_aspect_ratio=Fraction(4, 3)))
    assert not plan.square_pixels
    assert [(rung.width, rung.height) for rung in plan.rungs] == [(640, 360)]


def test_codecs_name_sound_only_where_there_is_some() -> None:
    for has_audio, codecs in ((True, "avc1.64001f,mp4a.40.2"), (False, "avc1.64001f")):
        plan = plan_of(recording(has_audio=has_audio))
        assert plan.codecs(plan.rungs[0]) == codecs


def test_a_plan_survives_being_stored() -> None:
    plan = plan_of(recording(frame_rate=Fraction(30000, 1001), start=Fraction(1, 3)))
    assert decode_record(VodPlan, encode_record(plan)) == plan


@given(rates, durations)
def test_segments_have_every_picture_once(rate: Fraction, duration: Fraction) -> None:
    plan = plan_of(recording(frame_rate=rate, duration=duration))
    assert plan.frames >= 1
    assert abs(plan.duration.total_seconds() - duration) <= 1 / rate
    lengths = [plan.frames_of(range(index, index + 1)) for index in range(min(plan.segments, 50))]
    assert all(0 < length <= plan.grid.frames_per_segment + 1 for length in lengths)
    assert plan.frames_of(range(plan.segments)) == plan.frames
    assert plan.frames_of(range(plan.segments - 1, plan.segments)) >= 1
    assert plan.grid.first_frame(SegmentIndex(plan.segments)) >= plan.frames


@given(segments=st.integers(0, 10_000), tasks=st.integers(1, 100))
def test_tasks_share_all_segments_in_order_and_evenly(segments: int, tasks: int) -> None:
    ranges = [task_segments(segments, task=task, tasks=tasks) for task in range(tasks)]
    assert ranges[0].start == 0
    assert ranges[-1].stop == segments
    assert all(before.stop == after.start for before, after in pairwise(ranges))
    lengths = [len(each) for each in ranges]
    assert max(lengths) - min(lengths) <= 1


@given(st.data())
def test_a_task_goes_on_at_its_first_segment_that_lacks_a_rung(data: st.DataObject) -> None:
    plan = plan_of(recording(duration=Fraction(60)))
    every = [(rung.name, index) for index in range(plan.segments) for rung in plan.rungs]
    there = data.draw(st.sets(st.sampled_from(every)))
    start = data.draw(st.integers(0, plan.segments))
    wanted = range(start, data.draw(st.integers(start, plan.segments)))
    names = {NAMES.segment(rung, SegmentIndex(index)) for rung, index in there}
    missing = missing_segments(plan, NAMES, wanted, names)
    lacking = [index for index in wanted for rung in plan.rungs if (rung.name, index) not in there]
    assert missing == range(lacking[0] if lacking else wanted.stop, wanted.stop)
    assert is_encoded(plan, NAMES, names) == (len(there) == len(every))


def test_the_last_segment_is_as_long_as_what_is_left() -> None:
    plan = plan_of(recording(duration=Fraction(20)))
    assert plan.segments == 4
    assert plan.frames_of(range(3, 4)) == 60
    assert plan.duration == timedelta(seconds=20)
    assert [plan.duration_of(SegmentIndex(index)).total_seconds() for index in range(4)] == [6, 6, 6, 2]
