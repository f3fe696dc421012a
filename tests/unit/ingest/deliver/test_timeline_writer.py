"""The timeline in the bucket follows what was uploaded, and the publisher is woken for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from bucketcast.errors import Unavailable
from bucketcast.objects import NewObject, ObjectFacts
from bucketcast.records import decode_record
from bucketcast.stream.identifiers import BroadcastNumber, EncoderId, RungName, SegmentIndex, SessionNumber
from bucketcast.stream.object_names import timeline_name
from bucketcast.stream.session_record import FrameRate, SessionRecord
from bucketcast.stream.timeline import TIMELINE_SEGMENTS, Timeline, UploadedSegment
from fakes import EPOCH, Fate, FaultyBucket, InlineExecutor, LoopClock, SlowExecutor
from ingest.deliver.ledger import DecidedSegment
from ingest.deliver.timeline_writer import PAUSE, TimelineWriter
from ingest.metrics import Metrics, StreamMetrics
from stream_world import STREAM, encoded_rung
from tools.virtual_time import virtual_time

HIGH, LOW = RungName("720p"), RungName("360p")
SEGMENT = timedelta(seconds=2)
FACT = UploadedSegment(size=4, crc32c="AAAAAA==")


RECORD = SessionRecord(
    stream=STREAM,
    session=SessionNumber(1),
    broadcast=BroadcastNumber(1),
    encoder=EncoderId("e"),
    start=EPOCH,
    segment_duration=SEGMENT,
    frame_rate=FrameRate(numerator=30),
    rungs=(encoded_rung(HIGH), encoded_rung(LOW)),
)


@dataclass
class Writing:
    """A writer with a bucket and a publisher of its own."""

    fate: Callable[[NewObject], Fate] = lambda _: Fate.DONE
    executor: Executor = field(default_factory=InlineExecutor)
    wake: Callable[["Writing"], None] = lambda _: None
    wake_seconds: float = 0.0
    woken: list[tuple[float, ObjectFacts]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bucket = FaultyBucket(LoopClock(), self.fate)
        self.registry = CollectorRegistry()
        self.writer = TimelineWriter(
            self.bucket,
            RECORD,
            executor=self.executor,
            wake=self._wake,
            now=LoopClock().now,
            metrics=StreamMetrics(Metrics(self.registry), STREAM),
        )
        self.loop = asyncio.get_running_loop()
        self.running = asyncio.create_task(self.writer.run())

    async def _wake(self, facts: ObjectFacts) -> None:
        self.woken.append((self.loop.time(), facts))
        await asyncio.sleep(self.wake_seconds)
        self.wake(self)

    async def decide(self, index: int, *rungs: RungName) -> None:
        """Let segment *index* be verified in *rungs*, or in all of them."""
        for rung in rungs or (HIGH, LOW):
            self.writer.cut(SegmentIndex(index))
            await self.writer.decided(
                DecidedSegment(
                    rung=rung, index=SegmentIndex(index), start=index * SEGMENT, duration=SEGMENT, fact=FACT
                )
            )

    async def end(self) -> None:
        self.writer.end()
        await self.running

    @property
    def is_woken_for_the_newest(self) -> bool:
        """Whether the publisher was told of what is in the bucket now."""
        facts = self.woken[-1][1]
        return self.bucket.facts(facts.name) == facts

    @property
    def visible(self) -> float:
        """How many segments were noted as visible."""
        return self.registry.get_sample_value("bucketcast_visible_seconds_count", {"stream": STREAM}) or 0

    def written(self) -> list[tuple[float, Timeline]]:
        """Every timeline that is or was in the bucket, with the second of its write."""
        return [
            ((at - EPOCH).total_seconds(), decode_record(Timeline, new.content)) for at, new in self.bucket.log
        ]


def indices(timeline: Timeline) -> list[int]:
    return [segment.index for segment in timeline.segments]


def first_meets(fate: Fate, *, times: int = 1) -> Callable[[NewObject], Fate]:
    """Let the first *times* writes meet *fate*."""
    fates = [fate] * times
    return lambda _: fates.pop() if fates else Fate.DONE


def raises(error: Exception, *, times: int) -> Callable[[Writing], None]:
    left = [error] * times

    def wake(_: Writing) -> None:
        if left:
            raise left.pop()

    return wake


@virtual_time
async def test_a_complete_segment_is_written_and_woken_for_at_once() -> None:
    writing = Writing()
    await asyncio.sleep(5)
    await writing.decide(0)
    await asyncio.sleep(0.01)
    ((at, timeline),) = writing.written()
    assert (at, indices(timeline), timeline.ended) == (5.0, [0], False)
    assert [facts.name for _, facts in writing.woken] == [
        timeline_name(STREAM, timeline.session, EncoderId("e"))
    ]
    await writing.end()


@virtual_time
async def test_a_straggler_is_waited_for_250_ms() -> None:
    writing = Writing()
    await writing.decide(0, HIGH)
    await asyncio.sleep(3)
    await writing.decide(0, LOW)
    await writing.end()
    times = [(at, set(timeline.segments[0].rungs)) for at, timeline in writing.written()[:2]]
    assert times == [(0.25, {HIGH}), (3.0, {HIGH, LOW})]


@virtual_time
async def test_the_end_is_written_last_and_the_writer_returns_after_its_wake_up() -> None:
    writing = Writing(wake_seconds=0.5)
    await writing.decide(0)
    await asyncio.sleep(0.01)
    await writing.decide(1)
    writing.writer.end()
    await writing.running
    ended = [timeline.ended for _, timeline in writing.written()]
    assert ended == [False, True]
    assert indices(writing.written()[-1][1]) == [0, 1]
    assert writing.is_woken_for_the_newest
    assert writing.loop.time() == pytest.approx(writing.written()[-1][0] + 0.5)


@virtual_time
async def test_a_session_without_a_segment_ends_with_an_empty_timeline() -> None:
    writing = Writing()
    await asyncio.sleep(1)
    await writing.end()
    ((at, timeline),) = writing.written()
    assert (at, timeline.ended, timeline.segments) == (1.0, True, ())


@virtual_time
async def test_the_timeline_says_when_media_came_last() -> None:
    writing = Writing()
    at = datetime.fromisoformat("2026-02-03T04:05:06+00:00")
    writing.writer.media_received(at)
    await writing.end()
    assert writing.written()[-1][1].media_at == at


@virtual_time
async def test_media_that_comes_is_a_sign_of_life_while_nothing_is_decided() -> None:
    """A bug: an encoder or a bucket that was ten seconds late was taken for a broadcaster who had left."""
    writing = Writing()
    await writing.decide(0)
    for _ in range(8):
        await asyncio.sleep(1)
        writing.writer.media_received(LoopClock().now())
    alive = [at for at, timeline in writing.written() if len(timeline.segments) == 1]
    assert len(alive) >= 2
    assert all(later - earlier <= 4 for earlier, later in pairwise(alive))
    await asyncio.sleep(30)
    assert len(writing.written()) <= len(alive) + 1  # no media, no sign of life
    await writing.end()


@pytest.mark.parametrize("fate", [Fate.UNAVAILABLE, Fate.ANSWER_LOST, Fate.TOO_MANY, Fate.BROKEN])
@pytest.mark.parametrize("times", [1, 5])
def test_a_write_that_fails_is_made_good_with_all_that_was_decided_since(fate: Fate, times: int) -> None:
    """BROKEN is a bug that was: an error that nobody had heard of ended the writer, and so the stream."""

    @virtual_time
    async def story() -> None:
        writing = Writing(fate=first_meets(fate, times=times))
        await writing.decide(0)
        await asyncio.sleep(0.1)
        await writing.decide(1)
        await asyncio.sleep(10)
        assert indices(writing.written()[-1][1]) == [0, 1]
        assert writing.is_woken_for_the_newest
        await writing.end()
        assert writing.written()[-1][1].ended

    story()


@virtual_time
async def test_an_own_write_whose_answer_was_lost_is_taken_as_done() -> None:
    writing = Writing(fate=first_meets(Fate.ANSWER_LOST))
    await writing.decide(0)
    await asyncio.sleep(5)
    assert len(writing.written()) == len(writing.woken) == 1
    await writing.end()


@virtual_time
async def test_a_timeline_that_vanished_is_written_anew() -> None:
    """A bug: it was tried on with the generation that was gone, for ever."""
    writing = Writing()
    await writing.decide(0)
    await asyncio.sleep(2)
    writing.bucket.objects.clear()  # as whoever tidies up the wrong bucket does
    await writing.decide(1)
    await asyncio.sleep(5)
    assert indices(writing.written()[-1][1]) == [0, 1]
    await writing.end()


@virtual_time
async def test_a_write_that_failed_is_not_woken_for() -> None:
    writing = Writing(fate=first_meets(Fate.UNAVAILABLE))
    await writing.decide(0)
    await asyncio.sleep(PAUSE / 2)
    assert writing.woken == []
    await writing.end()


@virtual_time
async def test_a_slow_write_is_not_followed_within_a_second_of_its_end() -> None:
    """A bug: the second was counted from the beginning of the write, and the next one met 429."""
    writing = Writing(executor=(executor := SlowExecutor(0.7)))
    await writing.decide(0)
    await asyncio.sleep(0.1)
    executor.seconds = 0.0
    await writing.decide(1)
    await asyncio.sleep(5)
    assert [at for at, _ in writing.written()] == pytest.approx([0.7, 1.75])
    assert len(writing.bucket.tries) == 2
    await writing.end()


@virtual_time
async def test_what_is_decided_during_a_write_is_in_the_next_one() -> None:
    writing = Writing(executor=SlowExecutor(0.3))
    await writing.decide(0)
    await asyncio.sleep(0.1)
    await writing.decide(1)
    await asyncio.sleep(5)
    assert [indices(timeline) for _, timeline in writing.written()] == [[0], [0, 1]]
    await writing.end()


@pytest.mark.parametrize("error", [Unavailable("503"), RuntimeError("of a library")])
def test_a_failed_wake_up_is_tried_once_more_and_never_stops_the_writer(error: Exception) -> None:
    """A bug: an error that nobody had heard of ended all wake-ups of the session."""

    @virtual_time
    async def story() -> None:
        writing = Writing(wake=raises(error, times=3))
        for index in range(3):
            await writing.decide(index)
            await asyncio.sleep(2)
        # Two tries for the first timeline fail, and the first one for the second.
        assert [facts.generation for _, facts in writing.woken] == [1, 1, 2, 2, 3]
        await writing.end()
        assert [facts.generation for _, facts in writing.woken][-1] == 4

    story()


@virtual_time
async def test_wake_ups_go_one_at_a_time_and_the_newest_timeline_wins() -> None:
    writing = Writing(wake_seconds=5)
    for index in range(4):
        await writing.decide(index)
        await asyncio.sleep(1.1)
    await asyncio.sleep(20)
    assert [facts.generation for _, facts in writing.woken] == [1, 4]
    await writing.end()


@virtual_time
async def test_only_what_the_woken_timeline_held_counts_as_visible() -> None:
    """A bug: what was decided between a write and its wake-up was counted with it."""
    writing = Writing(wake_seconds=2)
    await writing.decide(0)
    await asyncio.sleep(0.5)
    await writing.decide(1)
    await asyncio.sleep(1)
    await writing.decide(2)  # behind the write of 1, and before its wake-up
    await asyncio.sleep(2.6)
    assert [at for at, _ in writing.woken] == [0.0, 2.0, 4.0]
    assert writing.visible == 2
    await writing.end()
    assert writing.visible == 3


@virtual_time
async def test_what_never_becomes_visible_is_not_remembered_for_ever() -> None:
    """A bug: with a publisher that is only ever woken by events, every segment's time was kept."""
    writing = Writing(wake=raises(Unavailable("503"), times=10_000))
    for index in range(3 * TIMELINE_SEGMENTS):
        await writing.decide(index)
    await asyncio.sleep(10)
    assert len(writing.writer._cut_at) <= TIMELINE_SEGMENTS
    await writing.end()


@virtual_time
async def test_a_writer_that_is_cancelled_leaves_no_wake_up_behind() -> None:
    writing = Writing(wake_seconds=60)
    await writing.decide(0)
    await asyncio.sleep(1)
    writing.running.cancel()
    await asyncio.wait([writing.running])
    await asyncio.sleep(0)


@given(st.data())
def test_the_last_timeline_holds_everything_whatever_the_bucket_does(data: st.DataObject) -> None:
    """And the publisher was woken for it; no write came within a second of the one before."""

    @virtual_time
    async def story() -> None:
        fates = data.draw(st.lists(st.sampled_from(list(Fate)), max_size=30))
        pauses = data.draw(st.lists(st.floats(0, 3), min_size=5, max_size=5))
        writing = Writing(
            fate=lambda _: fates.pop() if fates else Fate.DONE,
            executor=SlowExecutor(data.draw(st.floats(0, 2))),
        )
        for index, pause in enumerate(pauses):
            await writing.decide(index)
            await asyncio.sleep(pause)
        await writing.end()
        times, timelines = zip(*writing.written(), strict=True)
        assert timelines[-1].ended
        assert indices(timelines[-1]) == list(range(5))
        assert writing.is_woken_for_the_newest
        assert all(later - earlier >= 1.0 for earlier, later in pairwise(times))

    story()
