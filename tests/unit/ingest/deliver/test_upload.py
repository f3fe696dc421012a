"""Segments reach the bucket once each, or become gaps: whatever the bucket does."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from bucketcast.errors import PreconditionFailed
from bucketcast.objects import ABSENT, Generation, NewObject, ObjectFacts
from bucketcast.stream.document import ListedAs
from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.media_object import GAP_KEY, gap_object, listed_as, segment_object
from bucketcast.stream.object_names import segment_name
from bucketcast.stream.timeline import TIMELINE_SEGMENTS, GapSegment, UploadedSegment
from fakes import EPOCH, FakeBucket, Fate, FaultyBucket, InlineExecutor, LoopClock, SlowExecutor
from ingest.deliver import upload
from ingest.deliver.ledger import DecidedSegment, Ledger
from ingest.deliver.upload import LONGEST_PAUSE, MAX_UNDECIDED, SegmentUploader
from ingest.encode import CutSegment
from ingest.metrics import Metrics, StreamMetrics
from tools.virtual_time import virtual_time

STREAM, SESSION = StreamId("demo"), SessionNumber(3)
HIGH, LOW = RungName("720p"), RungName("360p")
SEGMENT = timedelta(seconds=2)


def cut(index: int, rung: RungName = HIGH, data: bytes | None = None) -> CutSegment:
    return CutSegment(
        rung=rung,
        index=SegmentIndex(index),
        start=index * SEGMENT,
        duration=SEGMENT,
        data=f"{rung} {index}".encode() if data is None else data,
    )


def name(index: int, rung: RungName = HIGH) -> str:
    return segment_name(STREAM, rung, SESSION, SegmentIndex(index))


def is_gap(new: NewObject) -> bool:
    return GAP_KEY in new.metadata


@dataclass
class Uploads:
    """An uploader with a bucket of its own."""

    media: FakeBucket
    executor: Executor = field(default_factory=InlineExecutor)
    decided: list[DecidedSegment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metrics = StreamMetrics(Metrics(CollectorRegistry()), STREAM)
        self.uploader = SegmentUploader(
            self.media,
            stream=STREAM,
            session=SESSION,
            start=EPOCH,
            segment_duration=SEGMENT,
            executor=self.executor,
            metrics=self.metrics,
            on_decided=self._decide,
        )

    async def _decide(self, segment: DecidedSegment) -> None:
        self.decided.append(segment)

    async def send(self, *indices: int, rung: RungName = HIGH) -> None:
        """Take segments as an encoder cuts them: one a segment duration."""
        for index in indices:
            self.uploader.upload(cut(index, rung))
            await asyncio.sleep(SEGMENT.total_seconds())

    @property
    def held_bytes(self) -> int:
        """What is held of segments that are not decided."""
        waiting = self.uploader._waiting.values()
        return sum(len(pending.segment.data) + len(pending.content or b"") for pending in waiting)

    @property
    def facts(self) -> dict[int, UploadedSegment | GapSegment]:
        return {segment.index: segment.fact for segment in self.decided}

    @property
    def gaps(self) -> set[int]:
        return {index for index, fact in self.facts.items() if isinstance(fact, GapSegment)}


def failing(fate: Fate, *, times: int) -> Callable[[NewObject], Fate]:
    """Let the first *times* writes of each name meet *fate*."""
    left: dict[str, int] = {}

    def choose(new: NewObject) -> Fate:
        left[new.name] = left.get(new.name, times) - 1
        return fate if left[new.name] >= 0 else Fate.DONE

    return choose


@virtual_time
async def test_a_segment_becomes_its_object_and_its_facts() -> None:
    uploads = Uploads(FakeBucket(LoopClock()))
    uploads.uploader.upload(cut(4))
    await uploads.uploader.drain()
    new, facts = uploads.media.objects[name(4)]
    assert new == segment_object(
        STREAM,
        HIGH,
        SESSION,
        SegmentIndex(4),
        duration=SEGMENT,
        date=EPOCH + 4 * SEGMENT,
        content=b"720p 4",
    )
    assert uploads.facts == {4: UploadedSegment(size=6, crc32c=facts.crc32c)}
    assert (uploads.metrics.segments_uploaded, uploads.metrics.segments_retried) == (1, 0)


@pytest.mark.parametrize("fate", [Fate.UNAVAILABLE, Fate.TOO_MANY, Fate.BROKEN, Fate.ANSWER_LOST])
def test_what_fails_is_tried_again_and_created_once(fate: Fate) -> None:
    """Also where the object was made and the answer was lost: our own object is our own success."""

    @virtual_time
    async def story() -> None:
        uploads = Uploads(FaultyBucket(LoopClock(), failing(fate, times=1)))
        uploads.uploader.upload(cut(0))
        await uploads.uploader.drain()
        assert isinstance(uploads.facts[0], UploadedSegment)
        assert [new.name for _, new in uploads.media.log] == [name(0)]
        assert (uploads.metrics.segments_retried, uploads.metrics.segments_lost) == (1, 0)

    story()


@virtual_time
async def test_the_pauses_between_tries_grow_up_to_their_bound() -> None:
    media = FaultyBucket(LoopClock(), failing(Fate.UNAVAILABLE, times=8))
    uploads = Uploads(media)
    uploads.uploader.upload(cut(0))
    await uploads.uploader.drain()
    times = [time for time, _ in media.tries]
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1])
    assert max(pauses) == LONGEST_PAUSE


@virtual_time
async def test_another_encoder_s_object_counts_with_its_own_facts() -> None:
    media = FakeBucket(LoopClock())
    other = segment_object(
        STREAM,
        HIGH,
        SESSION,
        SegmentIndex(0),
        duration=SEGMENT,
        date=EPOCH,
        content=b"another's, and as good",
    )
    facts = media.write(other, if_generation=ABSENT)
    uploads = Uploads(media)
    uploads.uploader.upload(cut(0))
    await uploads.uploader.drain()
    assert uploads.facts == {0: UploadedSegment(size=facts.size, crc32c=facts.crc32c)}
    assert media.read(name(0)) == b"another's, and as good"


@virtual_time
async def test_an_upload_that_meets_a_gap_is_counted_as_lost() -> None:
    media = FakeBucket(LoopClock())
    gap = gap_object(STREAM, HIGH, SESSION, SegmentIndex(0), start=timedelta(0), duration=SEGMENT, date=EPOCH)
    media.write(gap, if_generation=ABSENT)
    uploads = Uploads(media)
    uploads.uploader.upload(cut(0))
    await uploads.uploader.drain()
    assert uploads.facts == {0: GapSegment()}
    assert (uploads.metrics.segments_uploaded, uploads.metrics.segments_lost) == (0, 1)


@virtual_time
async def test_a_segment_that_was_never_made_becomes_a_gap() -> None:
    uploads = Uploads(FakeBucket(LoopClock()))
    uploads.uploader.upload(cut(0, data=b""))
    await uploads.uploader.drain()
    assert uploads.facts == {0: GapSegment()}
    assert listed_as(uploads.media.objects[name(0)][1]) is ListedAs.GAP


def stuck(index: int) -> Callable[[NewObject], Fate]:
    """The media of segment *index* never comes through; a gap in its place does."""
    return lambda new: Fate.UNAVAILABLE if new.name == name(index) and not is_gap(new) else Fate.DONE


@virtual_time
async def test_a_segment_that_later_ones_overtook_is_given_up_after_one_segment_duration() -> None:
    """A bug: every later segment used to begin its patience anew, so that a stuck one was never given up."""
    uploads = Uploads(FaultyBucket(LoopClock(), stuck(1)))
    await uploads.send(0, 1, 2)
    assert uploads.gaps == set()
    await uploads.send(3, 4)
    assert uploads.gaps == {1}
    assert set(uploads.facts) == {0, 1, 2, 3, 4}


@virtual_time
async def test_a_segment_of_one_rung_does_not_overtake_another_rung_s() -> None:
    uploads = Uploads(FaultyBucket(LoopClock(), stuck(0)))
    uploads.uploader.upload(cut(0))
    await uploads.send(0, 1, 2, 3, 4, rung=LOW)
    assert uploads.gaps == set()
    uploads.uploader.cancel()
    await asyncio.sleep(0)


@virtual_time
async def test_the_last_segment_is_tried_for_as_long_as_it_may() -> None:
    uploads = Uploads(FaultyBucket(LoopClock(), stuck(1)))
    await uploads.send(0, 1)
    await asyncio.sleep(600)
    assert set(uploads.facts) == {0}
    uploads.uploader.cancel()
    await asyncio.sleep(0)


@virtual_time
async def test_an_outage_makes_no_gaps() -> None:
    """What was overtaken before it is tried on behind it: such time does not count."""
    loop = asyncio.get_running_loop()
    media = FaultyBucket(LoopClock())

    def fate(new: NewObject) -> Fate:
        if 3.0 <= loop.time() < 64.0:
            return Fate.UNAVAILABLE
        return Fate.UNAVAILABLE if new.name == name(1) and loop.time() < 3.0 and not is_gap(new) else Fate.DONE

    # Segment 1 fails and is overtaken by its neighbour, then nothing at all comes through for a minute.
    media.fate = fate
    uploads = Uploads(media)
    uploads.uploader.upload(cut(0))
    uploads.uploader.upload(cut(1))
    await asyncio.sleep(1.9)
    await uploads.send(*range(2, 40))
    await uploads.uploader.drain()
    assert uploads.gaps == set()
    assert set(uploads.facts) == set(range(40))


@virtual_time
async def test_beyond_the_memory_bound_the_oldest_becomes_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MAX_PENDING_BYTES", 20)
    loop = asyncio.get_running_loop()
    uploads = Uploads(FaultyBucket(LoopClock(), lambda _: Fate.UNAVAILABLE if loop.time() < 60 else Fate.DONE))
    await uploads.send(*range(6))  # of six bytes each: three of them fit
    await uploads.uploader.drain()
    assert uploads.gaps == {0, 1, 2}
    assert set(uploads.facts) == set(range(6))


@virtual_time
async def test_what_was_given_up_is_held_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug: the data of a segment that was given up stayed until its gap could be written."""
    monkeypatch.setattr(upload, "MAX_PENDING_BYTES", 1_000)
    uploads = Uploads(FaultyBucket(LoopClock(), lambda _: Fate.UNAVAILABLE))
    for index in range(100):
        uploads.uploader.upload(cut(index, data=bytes(300)))
    await asyncio.sleep(3)
    assert uploads.held_bytes <= 1_000
    uploads.uploader.cancel()
    await asyncio.sleep(0)


@virtual_time
async def test_what_is_given_up_while_it_waits_for_a_thread_is_held_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug: where the bucket hung, the queue of the threads held all that was ever to be tried."""
    monkeypatch.setattr(upload, "MAX_PENDING_BYTES", 0)
    media = FaultyBucket(LoopClock())
    uploads = Uploads(media, executor=SlowExecutor(10.0))
    uploads.uploader.upload(cut(0))
    await asyncio.sleep(1)  # it is in the queue
    uploads.uploader.upload(cut(1))
    await uploads.uploader.drain()
    assert [is_gap(new) for _, new in media.tries] == [True, True]


def failing_until(seconds: float) -> Callable[[NewObject], Fate]:
    """Nothing at all comes through before this time of the loop."""
    loop = asyncio.get_running_loop()
    return lambda _: Fate.UNAVAILABLE if loop.time() < seconds else Fate.DONE


@virtual_time
async def test_after_a_long_outage_the_timeline_holds_the_newest_segments_without_a_hole() -> None:
    """A bug: every segment of the outage was tried on, with a task of its own, and made a gap afterwards.

    The publisher goes on behind the hole because the whole timeline lies there.
    """
    count = 500
    uploads = Uploads(FaultyBucket(LoopClock(), failing_until((count - 1) * SEGMENT.total_seconds())))
    for index in range(count):
        uploads.uploader.upload(cut(index, HIGH))
        uploads.uploader.upload(cut(index, LOW))
        await asyncio.sleep(SEGMENT.total_seconds())
        assert len(uploads.uploader._tasks) <= 2 * MAX_UNDECIDED
    await uploads.uploader.drain()
    ledger = Ledger(rungs=frozenset({HIGH, LOW}))
    for segment in uploads.decided:
        ledger = ledger.with_segment(segment, now=0.0)
    assert [segment.index for segment in ledger.segments] == list(range(count - TIMELINE_SEGMENTS, count))
    assert all(segment.rungs.keys() == {HIGH, LOW} for segment in ledger.segments)
    assert uploads.metrics.segments_lost == 2 * (count - TIMELINE_SEGMENTS)


@virtual_time
async def test_an_outage_is_not_answered_with_a_storm() -> None:
    """A bug: each of the segments that waited was tried once a second, megabytes each."""
    media = FaultyBucket(LoopClock(), failing_until(400))
    uploads = Uploads(media)
    for index in range(200):
        uploads.uploader.upload(cut(index, HIGH))
        uploads.uploader.upload(cut(index, LOW))
        await asyncio.sleep(SEGMENT.total_seconds())
    tries = Counter(new.name for _, new in media.tries)
    assert max(tries.values()) <= 12
    await uploads.uploader.drain()


@virtual_time
async def test_the_first_success_after_an_outage_wakes_all_that_wait() -> None:
    loop = asyncio.get_running_loop()
    uploads = Uploads(FaultyBucket(LoopClock(), failing_until(60)))
    await uploads.send(*range(30))  # one a segment duration: they pause for up to half a minute by now
    await uploads.send(30)
    assert set(uploads.facts) == set(range(31))
    assert loop.time() == pytest.approx(62)


@virtual_time
async def test_a_segment_that_is_left_behind_is_tried_no_more_and_nobody_is_told() -> None:
    """Nothing of it ever comes through, not even its gap; the segments behind it are not held up."""
    media = FaultyBucket(LoopClock(), lambda new: Fate.UNAVAILABLE if new.name == name(1) else Fate.DONE)
    uploads = Uploads(media)
    await uploads.send(*range(MAX_UNDECIDED + 1))
    assert len(uploads.uploader._tasks) == 1
    await uploads.send(MAX_UNDECIDED + 1)
    tries = len(media.tries)
    await uploads.uploader.drain()
    assert len(media.tries) == tries
    assert set(uploads.facts) == set(range(MAX_UNDECIDED + 2)) - {1}
    assert uploads.metrics.segments_lost == 1


@virtual_time
async def test_draining_does_not_stumble_over_what_was_left_behind_a_moment_ago() -> None:
    uploads = Uploads(FakeBucket(LoopClock()), executor=SlowExecutor(1.0))
    uploads.uploader.upload(cut(0))
    await asyncio.sleep(0.5)
    uploads.uploader.upload(cut(MAX_UNDECIDED))
    await uploads.uploader.drain()
    assert set(uploads.facts) == {MAX_UNDECIDED}
    await asyncio.sleep(1)  # the answer for what was left behind comes, and nobody waits for it
    assert set(uploads.facts) == {MAX_UNDECIDED}


OUTAGES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 50), st.sets(st.sampled_from([HIGH, LOW]))))


@given(outages=OUTAGES, latency=st.sampled_from([0.0, 0.3, 5.0]), size=st.integers(1, 30))
def test_after_any_outage_every_segment_is_decided_once_or_left_behind(
    outages: list[tuple[int, int, set[RungName]]], latency: float, size: int
) -> None:
    """Outages begin and last for seconds, in some rungs. What is held stays within its bounds all the time."""
    count, bound, undecided = 30, 60, 6

    @virtual_time
    async def story() -> None:
        loop = asyncio.get_running_loop()

        def fate(new: NewObject) -> Fate:
            out = any(
                begin <= loop.time() < begin + seconds and new.name.split("/")[1] in rungs
                for begin, seconds, rungs in outages
            )
            return Fate.UNAVAILABLE if out else Fate.DONE

        media = FaultyBucket(LoopClock(), fate)
        uploads = Uploads(media, executor=SlowExecutor(latency))
        for index in range(count):
            for rung in (HIGH, LOW):
                uploads.uploader.upload(cut(index, rung, bytes(size)))
                assert uploads.held_bytes <= bound
                assert len(uploads.uploader._waiting) <= 2 * undecided
            await asyncio.sleep(SEGMENT.total_seconds())
        await uploads.uploader.drain()
        decided = [(segment.rung, segment.index) for segment in uploads.decided]
        assert len(decided) == len(set(decided))
        newest = {(rung, index) for rung in (HIGH, LOW) for index in range(count - undecided, count)}
        assert newest <= set(decided)
        assert uploads.metrics.segments_uploaded + uploads.metrics.segments_lost == 2 * count
        assert all(
            (segment.fact == GapSegment())
            is (listed_as(media.objects[name(segment.index, segment.rung)][1]) is ListedAs.GAP)
            for segment in uploads.decided
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upload, "MAX_PENDING_BYTES", bound)
        patch.setattr(upload, "MAX_UNDECIDED", undecided)
        story()


@virtual_time
async def test_a_late_upload_that_came_through_after_all_is_a_segment() -> None:
    """Given up, its answer only lost: the bucket has decided, and says so when the gap is created."""
    seen: list[str] = []

    def fate(new: NewObject) -> Fate:
        if new.name != name(0) or is_gap(new):
            return Fate.DONE
        seen.append(new.name)
        return Fate.UNAVAILABLE if len(seen) < 6 else Fate.ANSWER_LOST

    uploads = Uploads(FaultyBucket(LoopClock(), fate))
    await uploads.send(0, 1, 2, 3, 4)
    await uploads.uploader.drain()
    assert uploads.gaps == set()
    assert [new.name for _, new in uploads.media.log].count(name(0)) == 1


@virtual_time
async def test_an_object_that_vanished_is_tried_again() -> None:
    class Vanishing(FaultyBucket):
        def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
            try:
                return super().write(new, if_generation=if_generation)
            except PreconditionFailed:
                gone.append(self.objects.pop(new.name))
                raise

    gone: list[object] = []
    uploads = Uploads(Vanishing(LoopClock(), failing(Fate.ANSWER_LOST, times=1)))
    uploads.uploader.upload(cut(0))
    await uploads.uploader.drain()
    assert isinstance(uploads.facts[0], UploadedSegment)
    assert gone


@virtual_time
async def test_draining_waits_for_what_is_under_way() -> None:
    loop = asyncio.get_running_loop()
    uploads = Uploads(FakeBucket(LoopClock()), executor=SlowExecutor(3.0))
    for index in range(4):
        uploads.uploader.upload(cut(index))
    await uploads.uploader.drain()
    assert set(uploads.facts) == set(range(4))
    assert loop.time() == pytest.approx(3.0)
    await uploads.uploader.drain()


@given(st.data())
def test_whatever_the_bucket_does_every_segment_is_decided_once_as_the_bucket_has_it(
    data: st.DataObject,
) -> None:
    """Facts equal the objects that are there; nothing is written twice; nothing is left open."""

    @virtual_time
    async def story() -> None:
        fates = data.draw(st.lists(st.sampled_from(list(Fate)), max_size=60))
        media = FaultyBucket(LoopClock(), lambda _: fates.pop() if fates else Fate.DONE)
        uploads = Uploads(media)
        await uploads.send(*range(8))
        await uploads.uploader.drain()
        assert sorted(segment.index for segment in uploads.decided) == list(range(8))
        assert len({new.name for _, new in media.log}) == len(media.log) == 8
        for index, fact in uploads.facts.items():
            there = media.facts(name(index))
            assert there is not None
            if isinstance(fact, UploadedSegment):
                assert (fact.size, fact.crc32c) == (there.size, there.crc32c)
            else:
                assert listed_as(there) is ListedAs.GAP
        assert uploads.metrics.segments_uploaded + uploads.metrics.segments_lost == 8

    story()
