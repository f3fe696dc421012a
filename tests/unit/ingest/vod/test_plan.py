from datetime import timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bucketcast.records import decode_record, encode_record
from bucketcast.stream.identifiers import SegmentIndex
from ingest.vod.plan import VodPlan, is_encoded, missing_segments, task_segments
from ingest.vod.source import Recording
from unit.ingest.vod.vod_plans import FULL, HIGH, LOW, NAMES, plan_of, recording, source_of

rates = st.builds(Fraction, st.sampled_from([10_000, 24_000, 25_000, 60_000]), st.sampled_from([1000, 1001]))
durations = st.fractions(Fraction(1, 10), 12 * 3600, max_denominator=1000)
recordings = st.builds(
    lambda size, rate, duration, has_audio: recording(
        width=size[0], height=size[1], frame_rate=rate, duration=duration, has_audio=has_audio
    ),
    st.sampled_from([(1920, 1080), (1280, 720), (720, 1280), (360, 640), (200, 120)]),
    rates,
    st.fractions(Fraction(1, 50), 60, max_denominator=1000),
    st.booleans(),
)
UPRIGHT = recording(width=360, height=640, frame_rate=Fraction(25), duration=Fraction(7), has_audio=False)


def test_rungs_are_the_streams_own_that_are_not_larger_than_the_recording() -> None:
    plan = plan_of(recording())
    (source,) = plan.sources
    assert [(rung.name, rung.width, rung.height) for rung in source.rungs] == [
        (HIGH, 1280, 720),
        (LOW, 640, 360),
    ]
    assert plan.slots == (HIGH, LOW)


def test_a_recording_smaller_than_every_rung_keeps_its_size() -> None:
    (rung,) = source_of(recording(width=256, height=144)).rungs
    assert (rung.name, rung.width, rung.height) == (LOW, 256, 144)


def test_rungs_are_named_by_the_short_side_and_portrait_stays_portrait() -> None:
    source = source_of(recording(width=720, height=1280))
    assert [(rung.name, rung.width, rung.height) for rung in source.rungs] == [
        (HIGH, 720, 1280),
        (LOW, 360, 640),
    ]


def test_pixels_become_square() -> None:
    source = source_of(recording(width=960, height=720, sample_aspect_ratio=Fraction(4, 3)))
    assert not source.square_pixels
    assert [(rung.width, rung.height) for rung in source.rungs] == [(640, 360)]


def test_codecs_name_sound_only_where_there_is_some() -> None:
    for has_audio, codecs in ((True, "avc1.64001f,mp4a.40.2"), (False, "avc1.64001f")):
        plan = plan_of(recording(has_audio=has_audio))
        assert plan.codecs(HIGH) == codecs


def test_a_plan_survives_being_stored() -> None:
    plan = plan_of(recording(frame_rate=Fraction(30000, 1001), start=Fraction(1, 3)), UPRIGHT)
    assert decode_record(VodPlan, encode_record(plan)) == plan


@given(rates, durations)
def test_segments_have_every_picture_once(rate: Fraction, duration: Fraction) -> None:
    plan = source_of(recording(frame_rate=rate, duration=duration))
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
    plan = plan_of(*data.draw(st.lists(recordings, min_size=1, max_size=3)))
    every = [(rung.name, index) for source in plan.sources for index in source.indexes for rung in source.rungs]
    there = data.draw(st.sets(st.sampled_from(every)))
    start = data.draw(st.integers(0, plan.segments))
    wanted = range(start, data.draw(st.integers(start, plan.segments)))
    names = {NAMES.segment(rung, SegmentIndex(index)) for rung, index in there}
    missing = missing_segments(plan, NAMES, wanted, names)
    lacking = sorted(index for rung, index in every if index in wanted and (rung, index) not in there)
    assert missing == range(lacking[0] if lacking else wanted.stop, wanted.stop)
    assert is_encoded(plan, NAMES, names) == (len(there) == len(every))


def test_the_last_segment_is_as_long_as_what_is_left() -> None:
    plan = source_of(recording(duration=Fraction(20)))
    assert plan.segments == 4
    assert plan.frames_of(range(3, 4)) == 60
    assert plan.duration == timedelta(seconds=20)
    assert [plan.duration_of(SegmentIndex(index)).total_seconds() for index in range(4)] == [6, 6, 6, 2]


@given(st.lists(recordings, min_size=1, max_size=4))
def test_segments_of_all_files_are_numbered_without_a_hole_in_the_order_they_play(
    files: list[Recording],
) -> None:
    plan = plan_of(*files)
    assert [index for source in plan.sources for index in source.indexes] == list(range(plan.segments))
    for source in plan.sources:
        assert all(plan.source_of(SegmentIndex(index)) is source for index in source.indexes)
    assert [source.frames for source in plan.sources] == [file.frames for file in files]
    assert plan.frames == sum(file.frames for file in files)
    assert plan.duration == sum((source.duration for source in plan.sources), timedelta(0))


@given(files=st.lists(recordings, min_size=1, max_size=4), tasks=st.integers(1, 10))
def test_tasks_encode_every_segment_of_every_file_once_and_in_order(files: list[Recording], tasks: int) -> None:
    plan = plan_of(*files)
    encoded = [
        (source.name, index)
        for task in range(tasks)
        for source, segments in plan.parts(task_segments(plan.segments, task=task, tasks=tasks))
        for index in segments
    ]
    assert encoded == [(source.name, index) for source in plan.sources for index in range(source.segments)]


def test_a_share_that_crosses_the_end_of_a_file_has_a_part_of_both() -> None:
    plan = plan_of(recording(), UPRIGHT)
    parts = [(source.name[-17:], segments) for source, segments in plan.parts(range(3, 6))]
    assert parts == [("7/full_stream.mp4", range(3, 4)), ("full_stream_2.mp4", range(2))]
    assert list(plan.parts(range(4, 4))) == []


@given(st.lists(recordings, min_size=1, max_size=4))
def test_every_slot_is_filled_by_every_file_and_none_is_upscaled(files: list[Recording]) -> None:
    plan = plan_of(*files)
    assert list(plan.slots) == [slot for slot in (FULL, HIGH, LOW) if slot in plan.slots]
    for slot in plan.slots:
        assert any(slot == rung.name for source in plan.sources for rung in source.rungs)
        for source, file in zip(plan.sources, files, strict=True):
            rung = source.in_slot(slot)
            assert rung in source.rungs
            assert (rung.name == slot) == (slot in [each.name for each in source.rungs])
            assert rung.width <= file.width
            assert rung.height <= file.height
            assert (rung.width > rung.height) == (file.width > file.height)
            assert plan.video_codec(slot) >= rung.video_codec


def test_a_slot_that_a_file_lacks_shows_the_nearest_rung_below_else_above() -> None:
    plan = plan_of(recording(width=1920, height=1080), UPRIGHT, recording())
    shown = [[source.in_slot(slot).name for source in plan.sources] for slot in plan.slots]
    assert shown == [[FULL, LOW, HIGH], [HIGH, LOW, HIGH], [LOW, LOW, LOW]]
    without_low = structs.replace(plan.sources[0], rungs=plan.sources[0].rungs[:2])
    assert without_low.in_slot(LOW).name == HIGH


def test_all_have_sound_if_one_has() -> None:
    for has_audio in (True, False):
        plan = plan_of(UPRIGHT, recording(has_audio=has_audio))
        assert [source.with_audio for source in plan.sources] == [has_audio, has_audio]
        assert plan.codecs(LOW).endswith(",mp4a.40.2") == has_audio


def test_what_is_declared_once_suits_every_file() -> None:
    """A decoder for the highest level, the highest rate, and the shape that is seen longest."""
    fast = recording(width=720, height=1280, frame_rate=Fraction(60), duration=Fraction(10))
    plan = plan_of(recording(), fast)
    assert [source.in_slot(HIGH).video_codec for source in plan.sources] == ["avc1.64001f", "avc1.640020"]
    assert plan.codecs(HIGH) == "avc1.640020,mp4a.40.2"
    assert plan.rate == 60
    assert plan.longest is plan.sources[0]
