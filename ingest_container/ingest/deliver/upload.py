"""Uploads: segments become media objects, each created once and verified."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from bucketcast.errors import PreconditionFailed, TooManyWrites, Unavailable
from bucketcast.objects import ABSENT, NewObject, ObjectFacts
from bucketcast.ports import Bucket
from bucketcast.stream.document import ListedAs
from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.media_object import gap_object, listed_as, segment_object
from bucketcast.stream.timeline import TIMELINE_SEGMENTS, GapSegment, UploadedSegment
from ingest.deliver.ledger import DecidedSegment, WritableTime, is_given_up
from ingest.encode.session_encoder import CutSegment
from ingest.metrics import StreamMetrics

_log = logging.getLogger(__name__)

# What waits for the bucket: half a minute of a 10 Mb/s ladder, or all of a 2 s segment at 4K many times over.
MAX_PENDING_BYTES: Final = 48 * 1024 * 1024
# Segments of a rung that wait, given up or not, counted back from the newest. What is older could be announced
# by no timeline any more. With fewer the stream would stand still after an outage: the publisher goes on behind
# a hole once a whole timeline lies there.
MAX_UNDECIDED: Final = TIMELINE_SEGMENTS
# Pauses between tries: short enough for a second try within the segment's own duration, and growing, so that
# an outage is not answered with a storm. The longest is multiplied by how many segments wait: each comes with
# megabytes, and whichever comes through first wakes the others.
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 1.0

_Place = tuple[RungName, SegmentIndex]


@dataclass(slots=True, kw_only=True)
class _Pending:
    segment: CutSegment  # without its data, which must not be held once it was given up
    content: bytes | None = field(repr=False)  # None once it was given up
    pause: float = FIRST_PAUSE
    overtaken_at: timedelta | None = None  # when a later one of its rung was verified, in writable time


class SegmentUploader:
    """Uploads the segments of one session, and says what became of them."""

    def __init__(
        self,
        media: Bucket,
        *,
        stream: StreamId,
        session: SessionNumber,
        start: datetime,
        segment_duration: timedelta,
        executor: Executor,
        metrics: StreamMetrics,
        on_decided: Callable[[DecidedSegment], Awaitable[None]],
    ) -> None:
        """Upload to *media* in threads of *executor*; *start* is the program date time of the grid's origin."""
        self._media = media
        self._stream = stream
        self._session = session
        self._start = start
        self._segment_duration = segment_duration
        self._executor = executor
        self._metrics = metrics
        self._on_decided = on_decided
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[_Place, asyncio.Task[None]] = {}
        self._waiting: dict[_Place, _Pending] = {}
        self._writable = WritableTime()
        self._succeeded = asyncio.Event()  # a new one after each success

    def upload(self, segment: CutSegment) -> None:
        """Take *segment* to be uploaded; one that holds nothing was never made, and becomes a gap.

        Beyond MAX_PENDING_BYTES the oldest segment that waits is given up. One that is MAX_UNDECIDED older than
        *segment* is left behind: not even a gap is made of it, and nobody is told.
        """
        pending = _Pending(segment=replace(segment, data=b""), content=segment.data or None)
        place = segment.rung, segment.index
        self._leave_behind(segment)
        self._waiting[place] = pending
        self._keep_bound()
        self._tasks[place] = task = asyncio.create_task(self._decide(pending))
        task.add_done_callback(lambda _: self._tasks.pop(place))

    async def drain(self) -> None:
        """Return once every segment that was taken is decided or left behind."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    def cancel(self) -> None:
        """Stop trying; what is not decided stays open."""
        for task in self._tasks.values():
            task.cancel()

    def _leave_behind(self, newest: CutSegment) -> None:
        """Stop trying what no timeline will reach any more."""
        oldest = newest.index - MAX_UNDECIDED + 1
        stale = [place for place in self._waiting if place[0] == newest.rung and place[1] < oldest]
        for place in stale:
            self._tasks[place].cancel()
            pending = self._waiting.pop(place)
            pending.content = None  # the threads' queue may still hold it
            self._note_lost(pending.segment, "segment left behind")

    def _keep_bound(self) -> None:
        excess = sum(len(p.content) for p in self._waiting.values() if p.content) - MAX_PENDING_BYTES
        for pending in self._waiting.values():
            if excess <= 0:
                break
            excess -= len(pending.content or b"")
            pending.content = None

    async def _decide(self, pending: _Pending) -> None:
        segment = pending.segment
        began = self._loop.time()
        fact = await self._try_until_decided(pending)
        del self._waiting[segment.rung, segment.index]
        self._note_success()
        if isinstance(fact, UploadedSegment):
            self._overtake(segment)
            self._metrics.uploaded(seconds=self._loop.time() - began)
        else:
            self._note_lost(segment, "segment given up")
        await self._on_decided(
            DecidedSegment(
                rung=segment.rung,
                index=segment.index,
                start=segment.start,
                duration=segment.duration,
                fact=fact,
            )
        )

    async def _try_until_decided(self, pending: _Pending) -> UploadedSegment | GapSegment:
        while True:
            self._give_up_if_hopeless(pending)
            try:
                facts = await self._loop.run_in_executor(self._executor, self._create, pending)
            except (Unavailable, TooManyWrites):
                await self._pause(pending)
            except Exception:  # noqa: BLE001 - see below
                # Whatever a library may raise: a segment that is never decided would stop its rung for good.
                _log.exception("upload failed unexpectedly", extra={"stream": self._stream})
                await self._pause(pending)
            else:
                return _fact(facts)

    async def _pause(self, pending: _Pending) -> None:
        self._metrics.retried()
        with suppress(TimeoutError):
            async with asyncio.timeout(pending.pause):
                await self._succeeded.wait()
        pending.pause = min(2 * pending.pause, LONGEST_PAUSE * len(self._waiting))

    def _give_up_if_hopeless(self, pending: _Pending) -> None:
        if is_given_up(
            overtaken_at=pending.overtaken_at,
            now=self._writable.elapsed,
            segment_duration=self._segment_duration,
        ):
            pending.content = None

    def _note_success(self) -> None:
        self._writable = self._writable.after_success(
            at=self._loop.time(), segment_duration=self._segment_duration
        )
        self._succeeded.set()
        self._succeeded = asyncio.Event()

    def _note_lost(self, segment: CutSegment, message: str) -> None:
        self._metrics.lost()
        _log.warning(
            message,
            extra={
                "stream": self._stream,
                "session": self._session,
                "rung": segment.rung,
                "index": segment.index,
            },
        )

    def _overtake(self, verified: CutSegment) -> None:
        """Note in the older segments of its rung that *verified* was quicker."""
        for (rung, index), pending in self._waiting.items():
            if rung == verified.rung and index < verified.index and pending.overtaken_at is None:
                pending.overtaken_at = self._writable.elapsed

    def _create(self, pending: _Pending) -> ObjectFacts:
        """Create the media object, or the gap's, in a thread; whoever was there first has decided."""
        # Only now: what is given up while it waits for a thread must not be held by that queue.
        new = self._object(pending.segment, pending.content)
        try:
            return self._media.write(new, if_generation=ABSENT)
        except PreconditionFailed:
            if (there := self._media.facts(new.name)) is None:
                raise Unavailable(f"{new.name} was there and is gone") from None
            return there

    def _object(self, segment: CutSegment, content: bytes | None) -> NewObject:
        name = self._stream, segment.rung, self._session, segment.index
        date = self._start + segment.start
        if content is None:
            return gap_object(*name, start=segment.start, duration=segment.duration, date=date)
        return segment_object(*name, duration=segment.duration, date=date, content=content)


def _fact(facts: ObjectFacts) -> UploadedSegment | GapSegment:
    if listed_as(facts) is ListedAs.GAP:
        return GapSegment()
    return UploadedSegment(size=facts.size, crc32c=facts.crc32c)
