"""A recording is as long as was asked for and has no seam; its figures say per hour, and how they grow."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark import finalizing
from benchmark.figures import Charge, Figure, Outcome
from benchmark.finalizing import Finalized, Made, read_result, write_heads
from benchmark.recorded_media import LAP, LEAD, SEGMENT, SEGMENTS_PER_PART, parts, read_source, repeated
from benchmark.recording import (
    LENGTHS,
    Converting,
    converting_figures,
    finalize_figures,
    header_figures,
    operation_figures,
)
from benchmark.recording_runs import Checked, HeaderRun, Run
from bucketcast.recording.names import parse_part
from bucketcast.recording.samples import (
    AUDIO_FRAME_TICKS,
    OTHER_SAMPLE,
    SYNC_SAMPLE,
    Samples,
    SampleTable,
    SegmentSamples,
    table,
    ticks,
)
from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.silence import CLOCK_START
from ingest.deliver.part_writer import PART_DURATION
from local_cloud.operations import CountedOperation, PriceClass
from tools.frame_strip import Clip, make_clip
from unit.bucketcast.recording.made_segments import FORMAT

STREAM, SESSION, RUNG = StreamId("bench"), SessionNumber(1), RungName("144p")
FRAME = 3_000
COMPOSE = CountedOperation(PriceClass.STORAGE_A, "storage.objects.compose", "recording")
HEAD = CountedOperation(PriceClass.STORAGE_B, "storage.objects.get", "recording")
RIGHT = Checked(frames_missing=0, frames_off=0.1, bytes_off=0, last_wrong=0)


def samples(times: Sequence[int], duration: int) -> Samples:
    count = len(times)
    return Samples(
        table=SampleTable(
            decode_time=times[0],
            durations=table([duration] * count),
            sizes=table([1] * count),
            composition_offsets=table([0] * count),
            flags=table([SYNC_SAMPLE, *[OTHER_SAMPLE] * (count - 1)]),
        ),
        media=bytes(count),
    )


def encoded(index: int) -> SegmentSamples:
    """Segment *index* of a session: 60 pictures, and the frames of sound that begin in it."""
    begin, end = (ticks(CLOCK_START + number * SEGMENT) for number in (index, index + 1))
    first = -(-begin // AUDIO_FRAME_TICKS) * AUDIO_FRAME_TICKS
    return SegmentSamples(
        index=SegmentIndex(index),
        video_format=FORMAT,
        video=samples(range(begin, end, FRAME), FRAME),
        audio=samples(range(first, end, AUDIO_FRAME_TICKS), AUDIO_FRAME_TICKS),
    )


ONE_LAP = [encoded(LEAD // SEGMENT + number) for number in range(LAP // SEGMENT)]


@given(st.integers(1, 70))
def test_a_session_of_laps_is_one_that_was_encoded_in_one_go(count: int) -> None:
    assert list(repeated(ONE_LAP, count * SEGMENT)) == [encoded(index) for index in range(count)]


def test_parts_are_those_that_the_recorder_makes_of_such_segments() -> None:
    assert SEGMENTS_PER_PART * SEGMENT == PART_DURATION
    made = [
        parse_part(new.name, size=len(new.content), metadata=new.metadata)
        for new in parts(STREAM, SESSION, RUNG, repeated(ONE_LAP, 24 * SEGMENT))
    ]
    assert [part.first for part in made] == [0, 5, 10, 15, 20]
    assert [part.last for part in made] == [4, 9, 14, 19, 23]
    assert all(earlier.last + 1 == later.first for earlier, later in pairwise(made))


def test_a_header_is_made_of_heads_alone(tmp_path: Path) -> None:
    length = timedelta(minutes=5)
    made_of = list(parts(STREAM, SESSION, RUNG, repeated(ONE_LAP, length)))
    count, size = write_heads(made_of, tmp_path / "heads")
    assert (count, size) == (len(made_of), sum(len(part.content) for part in made_of))
    finalizing.main([str(tmp_path / "heads"), str(tmp_path / "result"), "--heads", "--traced"])
    result = read_result(tmp_path / "result")
    assert result.made.size == len(result.made.header) + size
    assert result.made.frames == 30 * length.total_seconds()
    assert timedelta(0) <= result.made.duration - length < timedelta(milliseconds=22)
    assert result.traced * 2**20 > len(result.made.header)
    assert result.peak >= result.resident > 0


def finalized(*, cpu: float = 1.0, peak: float = 0.0, traced: float = 0.0, size: int = 0) -> Finalized:
    return Finalized(
        made=Made(size=size, duration=timedelta(0), frames=0, header=bytes(24)),
        seconds=2 * cpu,
        cpu=cpu,
        resident=100.0,
        peak=100 + peak,
        traced=traced,
    )


def run(length: timedelta, *, cpu: float, mebibytes: float, checked: Checked = RIGHT) -> Run:
    """A recording for which *cpu* seconds and so many *mebibytes* were taken by the minute."""
    minutes = length / timedelta(minutes=1)
    return Run(
        length=length,
        timed=finalized(cpu=cpu * minutes, peak=mebibytes * minutes, size=round(30_000 * minutes)),
        traced=finalized(traced=mebibytes * minutes),
        operations={COMPOSE: 2 * minutes, HEAD: minutes},
        recorded={HEAD: 3 * minutes},
        parts_size=round(10_000 * minutes),
        checked=checked,
        machine=0.25,
    )


def named(outcomes: list[Outcome], name: str) -> Figure:
    [figure] = [one for one in outcomes if isinstance(one, Figure) and one.name == name]
    return figure


def test_what_grows_with_the_length_is_told_by_the_hour() -> None:
    found = finalize_figures(30, [run(length, cpu=0.1, mebibytes=0.1) for length in LENGTHS])
    for name, value in (
        ("wall per hour of recording", 12),
        ("CPU per hour of recording", 6),
        ("resident per hour of recording", 6),
        ("Python's memory per hour of recording", 6),
        ("header per hour of recording", 1.2),
        ("CPU, growth over that of the length", 1),
        ("Python's memory, growth over that of the length", 1),
    ):
        assert named(found, f"30 fps: {name}").value == pytest.approx(value), name
    assert all(one.is_met is not False for one in found if isinstance(one, Figure))


def test_more_memory_than_twelve_hours_have_is_missed() -> None:
    found = finalize_figures(60, [run(length, cpu=0.1, mebibytes=0.2) for length in LENGTHS])
    assert named(found, "60 fps: resident per hour of recording").is_met is False
    assert named(found, "60 fps: Python's memory per hour of recording").is_met is False


def test_minutes_do_not_judge_the_memory_of_an_hour() -> None:
    found = finalize_figures(60, [run(length / 10, cpu=0.1, mebibytes=0.2) for length in LENGTHS])
    assert named(found, "60 fps: resident per hour of recording").is_met is None


def test_what_grows_faster_than_the_length_is_missed() -> None:
    squared = [run(length, cpu=length / LENGTHS[0], mebibytes=0.1) for length in LENGTHS]
    growth = named(finalize_figures(30, squared), "30 fps: CPU, growth over that of the length")
    assert growth.value == pytest.approx(16)
    assert growth.is_met is False


def test_the_worst_file_is_told() -> None:
    wrong = Checked(frames_missing=3, frames_off=3.0, bytes_off=7, last_wrong=1)
    runs = [
        run(length, cpu=0.1, mebibytes=0.1, checked=checked)
        for length, checked in zip(LENGTHS, (RIGHT, wrong, RIGHT), strict=True)
    ]
    found = finalize_figures(30, runs)
    for name, value in (
        ("pictures missing", 3),
        ("pictures of the last segment wrong", 1),
        ("duration off by", 3),
        ("size off by", 7),
    ):
        figure = named(found, f"30 fps: {name}")
        assert (figure.value, figure.count, figure.is_met) == (value, 3, False)


def test_operations_are_those_of_an_hour_of_recording() -> None:
    found = operation_figures(run(LENGTHS[-1], cpu=0.1, mebibytes=0.1))
    charged = [one for one in found if isinstance(one, Charge)]
    [composed] = [one for one in charged if one.name == "storage.objects.compose, recording"]
    assert composed.count == pytest.approx(120)
    assert composed.dollars == pytest.approx(120 * 0.005 / 1000)
    finalizing_hour, recording_hour = (one for one in charged if one.name == "an hour of recording")
    assert finalizing_hour.dollars == pytest.approx((120 * 0.005 + 60 * 0.0004) / 1000)
    assert recording_hour.dollars == pytest.approx(180 * 0.0004 / 1000)


def test_of_a_header_alone_the_memory_since_it_began_is_told() -> None:
    twelve = HeaderRun(
        length=timedelta(hours=12),
        parts=4320,
        timed=finalized(peak=60),
        traced=finalized(traced=48),
        checked=Checked(frames_missing=0, frames_off=0.0, bytes_off=0, last_wrong=None),
    )
    found = header_figures(60, twelve)
    assert named(found, "60 fps, 12 h: resident since it began, per hour").value == pytest.approx(5)
    assert named(found, "60 fps, 12 h: Python's memory per hour").value == pytest.approx(4)
    assert not [one for one in found if "last segment" in one.name], "there are no pictures to look at"


def test_converting_is_told_by_the_second_of_media() -> None:
    converting = Converting(
        what="source", media=timedelta(seconds=20), size=12_500_000, seconds=(0.2, 9.0, 0.4)
    )
    [figure] = converting_figures(30, converting)
    assert isinstance(figure, Figure)
    assert figure.name == "recorder of the source at 30 fps, 5.0 Mb/s: converting"
    assert figure.value == pytest.approx(0.02)
    assert figure.is_met


def test_a_source_is_cut_into_parts_that_hold_all_of_it() -> None:
    clip = Clip(width=64, height=64, duration=timedelta(seconds=21), keyframe_interval=timedelta(seconds=1))
    source = read_source(make_clip(clip), frame_rate=clip.frame_rate)
    found = list(source.parts())
    assert [(part.first, part.last) for part in found] == [(0, 4), (5, 9), (10, 10)]
    assert [frame for part in found for frame in part.frames] == source.frames
