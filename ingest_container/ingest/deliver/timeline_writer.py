"""The timeline's writer: what was uploaded becomes the timeline, and a wake-up for the publisher."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from bucketcast.errors import BucketcastError, PreconditionFailed, TooManyWrites, Unavailable
from bucketcast.gcp.storage import crc32c
from bucketcast.objects import ABSENT, Generation, NewObject, ObjectFacts
from bucketcast.ports import Bucket
from bucketcast.records import JSON, PRIVATE_RECORD, encode_record
from bucketcast.stream.identifiers import SegmentIndex
from bucketcast.stream.object_names import timeline_name
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.timeline import TIMELINE_SEGMENTS, Timeline
from ingest.deliver.ledger import DecidedSegment, Ledger
from ingest.metrics import StreamMetrics

_log = logging.getLogger(__name__)

# The pause after a write that failed in passing; the next one carries everything anew.
PAUSE: Final = 0.2
# How much later than usual a segment may be decided before the timeline says that media comes all the same.
LATENESS: Final = timedelta(seconds=1)
# A wake-up that failed is tried once more; after that the storage event, on its way all the time, has to do.
WAKE_TRIES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A timeline that is in the bucket, and what it holds."""

    facts: ObjectFacts
    indices: frozenset[SegmentIndex]


class TimelineWriter:
    """The single writer of one encoder's timeline for one session."""

    def __init__(
        self,
        ingest: Bucket,
        record: SessionRecord,
        *,
        executor: Executor,
        wake: Callable[[ObjectFacts], Awaitable[None]],
        now: Callable[[], datetime],
        metrics: StreamMetrics,
    ) -> None:
        """Write to *ingest* in threads of *executor*; *wake* publishes what was written."""
        self._ingest = ingest
        self._record = record
        self._executor = executor
        self._wake = wake
        self._metrics = metrics
        self._name = timeline_name(record.stream, record.session, record.encoder)
        self._generation: Generation = ABSENT
        self._ledger = Ledger(rungs=frozenset(rung.name for rung in record.rungs))
        self._media_at = self._written_media_at = now()
        self._ending = self._continues = False
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._cut_at: dict[SegmentIndex, float] = {}  # of segments that are not visible yet
        self._written: _Written | None = None  # what nobody was woken for yet
        self._waking: asyncio.Task[None] | None = None

    def cut(self, index: SegmentIndex) -> None:
        """Note that the encoder closed segment *index* in one more rung."""
        self._cut_at[index] = self._loop.time()
        self._cut_at.pop(SegmentIndex(index - TIMELINE_SEGMENTS), None)  # no timeline will hold it any more

    def media_received(self, at: datetime) -> None:
        """Note when the broadcaster last sent media."""
        if self._media_at == self._written_media_at:
            self._changed.set()  # whoever waits for a change waits for a time from now on
        self._media_at = at

    async def decided(self, segment: DecidedSegment) -> None:
        """Take *segment* into the timeline."""
        self._ledger = self._ledger.with_segment(segment, now=self._loop.time())
        self._changed.set()

    def end(self, *, continues: bool = False) -> None:
        """Let the next timeline be the last one; *continues* if the broadcaster's next session follows."""
        self._ending, self._continues = True, continues
        self._changed.set()

    async def run(self) -> None:
        """Write the timeline as it changes; return once its end is written and the publisher was woken."""
        try:
            await self._write_until_ended()
            if self._waking is not None:
                await self._waking
        finally:
            if self._waking is not None:
                self._waking.cancel()

    async def _write_until_ended(self) -> None:
        while True:
            due = self._ledger.write_at(ending=self._ending)
            due = self._sign_of_life_at() if due is None else due
            delay = None if due is None else due - self._loop.time()
            if delay is None or delay > 0:
                await self._change(within=delay)
            elif await self._write(ended=(ended := self._ending)):
                self._wake_soon()
                if ended:
                    return

    def _sign_of_life_at(self) -> float | None:
        """When to write although nothing was decided: media comes, and only its encoding or upload is late.

        Without it the publisher would take a slow encoder for a broadcaster who left.
        """
        if self._ledger.written_at is None or self._media_at == self._written_media_at:
            return None
        return self._ledger.written_at + (self._record.segment_duration + LATENESS).total_seconds()

    async def _change(self, *, within: float | None) -> None:
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), within)
        except TimeoutError:
            return

    async def _write(self, *, ended: bool) -> bool:
        """Write what the ledger holds; say whether it is there now."""
        taken, media_at = self._ledger, self._media_at
        self._ledger = taken.written(at=self._loop.time())
        content = encode_record(self._timeline(taken, ended=ended))
        try:
            facts = await self._replace(content)
        except TooManyWrites:
            self._put_back(taken)
            return False
        except Unavailable:
            self._put_back(taken)
            await asyncio.sleep(PAUSE)
            return False
        except Exception:  # noqa: BLE001 - see below
            # Whatever a library may raise: a timeline that is written no more would stop the stream for good.
            _log.exception("timeline failed unexpectedly", extra={"stream": self._record.stream})
            self._put_back(taken)
            await asyncio.sleep(PAUSE)
            return False
        self._generation = facts.generation
        self._written_media_at = media_at
        # The bucket counts from when the write was done, which may be long after it began.
        self._ledger = replace(self._ledger, written_at=self._loop.time())
        self._written = _Written(facts=facts, indices=frozenset(s.index for s in taken.segments))
        return True

    def _put_back(self, taken: Ledger) -> None:
        """Note that *taken* is not written."""
        since = self._loop.time() if taken.unwritten_since is None else taken.unwritten_since
        self._ledger = replace(self._ledger, unwritten_since=since)

    async def _replace(self, content: bytes) -> ObjectFacts:
        new = NewObject(name=self._name, content=content, content_type=JSON, cache_control=PRIVATE_RECORD)
        write = partial(self._ingest.write, new, if_generation=self._generation)
        try:
            return await self._loop.run_in_executor(self._executor, write)
        except PreconditionFailed:
            # Nobody else writes here: this is our own write whose answer was lost.
            there = await self._loop.run_in_executor(self._executor, self._ingest.facts, self._name)
            if there is None:
                self._generation = ABSENT
                raise Unavailable("the timeline was there and is gone") from None
            if there.crc32c == crc32c(content):
                return there
            self._generation = there.generation
            raise Unavailable("an earlier write of the timeline came through late") from None

    def _timeline(self, ledger: Ledger, *, ended: bool) -> Timeline:
        return ledger.timeline(
            stream=self._record.stream,
            session=self._record.session,
            encoder=self._record.encoder,
            media_at=self._media_at,
            ended=ended,
            continues=ended and self._continues,
        )

    def _wake_soon(self) -> None:
        if self._waking is None:
            self._waking = asyncio.create_task(self._wake_until_done())

    async def _wake_until_done(self) -> None:
        """Wake the publisher for the newest timeline, one wake-up at a time."""
        while (written := self._written) is not None:
            self._written = None
            for _ in range(WAKE_TRIES):
                try:
                    await self._wake(written.facts)
                except BucketcastError as error:
                    _log.warning(
                        "the publisher was not woken",
                        extra={"stream": self._record.stream, "reason": str(error)},
                    )
                except Exception:  # noqa: BLE001 - whatever a library may raise, the next timeline wakes again
                    _log.exception("wake-up failed unexpectedly", extra={"stream": self._record.stream})
                else:
                    self._note_visible(written.indices)
                    break
        self._waking = None

    def _note_visible(self, listed: frozenset[SegmentIndex]) -> None:
        now = self._loop.time()
        for index in sorted(self._cut_at.keys() & listed):
            self._metrics.visible(seconds=now - self._cut_at.pop(index))
