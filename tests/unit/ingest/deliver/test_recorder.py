"""The best rung is recorded in parts, whatever the bucket does, and nobody waits for it."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from bucketcast.objects import Generation, NewObject, ObjectFacts
from bucketcast.recording.names import SOURCE, PartFacts, parse_part
from bucketcast.stream.identifiers import (
    BroadcastNumber,
    RungName,
    SegmentIndex,
    SessionNumber,
    StreamId,
)
from bucketcast.stream.session_record import SessionRecord
from fakes import EPOCH, FakeBucket, Fate, FaultyBucket, InlineExecutor, LoopClock
from ingest.deliver import part_writer as module
from ingest.deliver.part_writer import PartWriter
from ingest.deliver.recorder import Recorder, RungRecorder
from ingest.deliver.source_parts import FRAME_OVERHEAD, SourceFormat
from ingest.deliver.source_recorder import SourceRecorder
from ingest.encode import CutSegment
from ingest.feed import CodecConfiguration, EncodedFrame, Track, VideoCodec
from ingest.metrics import Metrics, StreamMetrics
from stream_world import SLOTS, THIRTY, A, encoded_rung
from tools.virtual_time import virtual_time
from unit.bucketcast.recording.made_segments import FORMAT, SEQUENCE_SET
from unit.bucketcast.recording.made_streams import LARGER_SEQUENCE_SET, made_stream

STREAM, SESSION = StreamId("demo"), SessionNumber(3)
TOP = SLOTS[0]
SEGMENT = timedelta(seconds=2)


def cut(
    index: int, *, rung: RungName = TOP, data: bytes | None = None, sequence_set: bytes = SEQUENCE_SET
) -> CutSegment:
    made = made_stream(SESSION, index, duration=SEGMENT, sequence_set=sequence_set)
    return CutSegment(
        rung=rung,
        index=SegmentIndex(index),
        start=index * SEGMENT,
        duration=SEGMENT,
        data=made if data is None else data,
    )


class Recording:
    """A recorder with a bucket of its own."""

    def __init__(self, bucket: FakeBucket, *, segment_duration: timedelta = SEGMENT) -> None:
        self.bucket = bucket
        self.registry = CollectorRegistry()
        record = SessionRecord(
            stream=STREAM,
            session=SESSION,
            broadcast=BroadcastNumber(1),
            encoder=A,
            start=EPOCH,
            segment_duration=segment_duration,
            frame_rate=THIRTY,
            rungs=tuple(map(encoded_rung, SLOTS)),
        )
        metrics = StreamMetrics(Metrics(self.registry), STREAM)
        self.record = record
        self.writer = PartWriter(bucket, record, executor=InlineExecutor(), metrics=metrics)
        self.recorder: Recorder = RungRecorder(record, self.writer)

    def take(self, segments: Iterable[CutSegment]) -> None:
        for segment in segments:
            self.recorder.take(segment)

    @property
    def parts(self) -> list[PartFacts]:
        facts = self.bucket.listed(f"{STREAM}/")
        return [parse_part(one.name, size=one.size, metadata=one.metadata) for one in facts]

    @property
    def ranges(self) -> list[tuple[int, int]]:
        return [(part.first, part.last) for part in self.parts]

    def count(self, name: str) -> float:
        return self.registry.get_sample_value(f"bucketcast_{name}_total", {"stream": STREAM}) or 0


def fine() -> FaultyBucket:
    return FaultyBucket(LoopClock())


@virtual_time
async def test_ten_seconds_are_a_part_cut_on_the_session_s_grid() -> None:
    recording = Recording(fine())
    recording.take(cut(index) for index in range(3, 14))
    await recording.recorder.finish(within=60)
    assert recording.ranges == [(3, 4), (5, 9), (10, 13)]
    assert {part.rung for part in recording.parts} == {TOP}
    assert recording.count("recording_parts_written") == 3


@virtual_time
async def test_only_what_was_made_of_the_best_rung_is_recorded() -> None:
    recording = Recording(fine())
    recording.take([cut(0), cut(0, rung=SLOTS[1]), cut(1, data=b""), cut(2)])
    await recording.recorder.finish(within=60)
    assert recording.ranges == [(0, 0), (2, 2)]


@virtual_time
async def test_a_part_is_written_while_the_session_goes_on() -> None:
    recording = Recording(written := WatchedBucket(LoopClock()))
    recording.take(cut(index) for index in range(6))
    await written.first.wait()
    assert recording.ranges == [(0, 4)]
    await recording.recorder.finish(within=60)


class WatchedBucket(FakeBucket):
    """Says when something is written for the first time."""

    def __init__(self, clock: LoopClock) -> None:
        super().__init__(clock)
        self.first = asyncio.Event()

    def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
        facts = super().write(new, if_generation=if_generation)
        self.first.set()
        return facts


@pytest.mark.parametrize(("seconds", "first_last"), [(1, 9), (6, 1)])
def test_a_part_is_about_ten_seconds_whatever_a_segment_is(seconds: int, first_last: int) -> None:
    @virtual_time
    async def run() -> None:
        recording = Recording(fine(), segment_duration=timedelta(seconds=seconds))
        recording.take(cut(index) for index in range(12))
        await recording.recorder.finish(within=60)
        assert recording.ranges[0] == (0, first_last)

    run()


@virtual_time
async def test_a_part_that_another_encoder_recorded_is_left_as_it_is() -> None:
    bucket = fine()
    one, other = Recording(bucket), Recording(bucket)
    for recording in (one, other):
        recording.take(cut(index) for index in range(5))
        await recording.recorder.finish(within=60)
    assert one.ranges == [(0, 4)]
    assert other.count("recording_parts_lost") == 0


@virtual_time
async def test_pictures_of_another_format_are_another_part() -> None:
    recording = Recording(fine())
    recording.take([cut(0), cut(1), cut(2, sequence_set=LARGER_SEQUENCE_SET), cut(3)])
    await recording.recorder.finish(within=60)
    assert recording.ranges == [(0, 1), (2, 2), (3, 3)]


@virtual_time
async def test_an_outage_is_waited_out() -> None:
    clock = LoopClock()
    bucket = FaultyBucket(
        clock, lambda _: Fate.UNAVAILABLE if (clock.now() - EPOCH).total_seconds() < 25 else Fate.DONE
    )
    recording = Recording(bucket)
    recording.take(cut(index) for index in range(10))
    await recording.recorder.finish(within=60)
    assert recording.ranges == [(0, 4), (5, 9)]
    assert recording.count("recording_parts_lost") == 0


@virtual_time
async def test_what_waits_is_bounded_and_what_is_lost_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """P8. The lost part is made of its segments when the recording is finalized."""
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 12 * len(cut(0).data))
    recording = Recording(FaultyBucket(LoopClock(), lambda _: Fate.UNAVAILABLE))
    with caplog.at_level(logging.WARNING):
        recording.take(cut(index) for index in range(40))
    lost = recording.count("recording_parts_lost")
    assert lost == 6
    assert [record.__dict__["first"] for record in caplog.records] == [0, 5, 10, 15, 20, 25]
    await recording.recorder.finish(within=1)


@virtual_time
async def test_a_segment_that_cannot_be_read_costs_its_part_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recording = Recording(fine())
    with caplog.at_level(logging.WARNING):
        recording.take(cut(index, data=b"no media" if index == 2 else None) for index in range(10))
        await recording.recorder.finish(within=60)
    assert recording.ranges == [(5, 9)]
    assert recording.count("recording_parts_lost") == 1


@virtual_time
async def test_what_nobody_has_heard_of_costs_its_part_and_no_other() -> None:
    fates = iter([Fate.BROKEN])
    recording = Recording(FaultyBucket(LoopClock(), lambda _: next(fates, Fate.DONE)))
    recording.take(cut(index) for index in range(10))
    await recording.recorder.finish(within=60)
    assert recording.ranges == [(5, 9)]
    assert recording.count("recording_parts_lost") == 1


@virtual_time
async def test_a_session_that_is_cut_off_leaves_no_task() -> None:
    recording = Recording(FaultyBucket(LoopClock(), lambda _: Fate.UNAVAILABLE))
    recording.take([cut(0)])
    await recording.recorder.finish(within=1)


class SourceRecording(Recording):
    """The recording of a source whose keyframes come every *interval* seconds."""

    def __init__(self, bucket: FakeBucket, *, interval: int = 2) -> None:
        super().__init__(bucket)
        self.interval = interval
        self.recorder = SourceRecorder(
            self.record, self.writer, SourceFormat(video=FORMAT, audio=None), origin=BEGIN
        )

    def receive(self, seconds: Iterable[int]) -> None:
        """Send two pictures of each of *seconds*."""
        for number in (2 * second + half for second in seconds for half in (0, 1)):
            time = BEGIN + timedelta(seconds=number / 2)
            self.recorder.receive(
                EncodedFrame(
                    track=Track.VIDEO,
                    decode_time=time,
                    presentation_time=time,
                    keyframe=number % (2 * self.interval) == 0,
                    data=b"a picture",
                )
            )


BEGIN = timedelta(hours=1)
CONFIGURATION = CodecConfiguration(codec=VideoCodec.H264, data=FORMAT.configuration)


@virtual_time
async def test_the_source_is_recorded_in_parts_of_its_own_as_far_as_the_segments_reach() -> None:
    recording = SourceRecording(fine())
    recording.recorder.receive(CONFIGURATION)
    recording.receive(range(23))
    recording.take([cut(11), cut(12, rung=SLOTS[1])])
    await recording.recorder.finish(within=60)
    assert recording.ranges == [(0, 4), (5, 9), (10, 12)]
    assert {part.rung for part in recording.parts} == {SOURCE}
    assert recording.count("recording_parts_written") == 3


@virtual_time
async def test_a_source_without_keyframes_is_let_go_and_taken_up_at_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """P8. What is let go is made of the best rung's segments when the recording is finalized."""
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 60 * (FRAME_OVERHEAD + len(b"a picture")))
    recording = SourceRecording(fine(), interval=60)
    with caplog.at_level(logging.WARNING):
        recording.receive(range(62))
    assert [record.__dict__["reason"] for record in caplog.records] == [
        "it is too large up to its next keyframe"
    ]
    await recording.recorder.finish(within=60)
    assert recording.ranges == [(30, 30)]
    assert recording.count("recording_parts_lost") == 1


@virtual_time
async def test_a_source_that_never_began_leaves_nothing() -> None:
    recording = SourceRecording(fine())
    await recording.recorder.finish(within=60)
    assert recording.parts == []


@virtual_time
async def test_what_is_being_written_counts_for_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """P8. While a part waits for its bucket, others have less room."""
    size = len(cut(0).data)
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 12 * size)
    recording = Recording(FaultyBucket(LoopClock(), lambda _: Fate.UNAVAILABLE))
    recording.take(cut(index) for index in range(6))
    await asyncio.sleep(1)
    assert recording.writer.has_room(7 * size)
    assert not recording.writer.has_room(8 * size)
    await recording.recorder.finish(within=1)


@virtual_time
async def test_a_bucket_that_does_not_answer_is_told_once_for_each_part(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = LoopClock()
    bucket = FaultyBucket(
        clock, lambda _: Fate.UNAVAILABLE if (clock.now() - EPOCH).total_seconds() < 25 else Fate.DONE
    )
    recording = Recording(bucket)
    with caplog.at_level(logging.WARNING):
        recording.take(cut(index) for index in range(10))
        await recording.recorder.finish(within=60)
    [warning] = caplog.records
    assert warning.getMessage() == "a part of the recording waits for its bucket"
    assert (warning.__dict__["session"], warning.__dict__["first"]) == (SESSION, 0)


@virtual_time
async def test_a_source_of_which_no_part_can_be_made_is_told() -> None:
    recording = SourceRecording(fine())
    assert not recording.recorder.lacks_source
    time = BEGIN - timedelta(seconds=11)  # before all clocks
    recording.recorder.receive(
        EncodedFrame(track=Track.VIDEO, decode_time=time, presentation_time=time, keyframe=True, data=b"1")
    )
    await recording.recorder.finish(within=60)
    assert recording.recorder.lacks_source
    assert recording.count("recording_parts_lost") == 1
