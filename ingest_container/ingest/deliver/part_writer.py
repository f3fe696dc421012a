"""Writes parts of a recording beside the delivery, and holds nobody up.

A part that is lost with its process, or given up, is made of the live segments when the recording is finalized:
nothing that was verified for viewers is lost to it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Executor
from contextlib import suppress
from datetime import timedelta
from typing import Final, Protocol

from bucketcast.errors import PreconditionFailed, TooManyWrites, Unavailable
from bucketcast.objects import ABSENT, NewObject
from bucketcast.ports import Bucket
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.stream.identifiers import SegmentIndex
from bucketcast.stream.session_record import SessionRecord
from ingest.metrics import StreamMetrics

_log = logging.getLogger(__name__)

# Each part is a write, and some seconds that may have to be made again: 360 an hour cost a fifth of a cent.
PART_DURATION: Final = timedelta(seconds=10)
# What waits to be written, or is being written: a minute of a 1080p rung. Delivery has its own bound. While a
# part is built, it is there twice more.
MAX_WAITING_BYTES: Final = 48 * 1024 * 1024
# The recording bucket is nobody's bottleneck: an outage is waited out, not stormed.
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 10.0


class PendingPart(Protocol):
    """Media that is to become a part; *first* is its first segment, *size* is in bytes."""

    @property
    def first(self) -> SegmentIndex: ...
    @property
    def size(self) -> int: ...

    def objects(self) -> Iterable[NewObject]:
        """Return what is to be created, in a thread of its own; raises InvalidMedia."""
        ...


def segments_in_part(record: SessionRecord) -> int:
    """Return how many segments of the session of *record* are a part: parts begin at multiples of this."""
    return max(1, round(PART_DURATION / record.segment_duration))


class PartWriter:
    """Writes one session's parts, one after the other."""

    def __init__(
        self, bucket: Bucket, record: SessionRecord, *, executor: Executor, metrics: StreamMetrics
    ) -> None:
        """Write parts of the session of *record* to *bucket*, in threads of *executor*."""
        self._bucket = bucket
        self._record = record
        self._executor = executor
        self._metrics = metrics
        self._waiting: deque[PendingPart] = deque()
        self._held = 0  # bytes of what waits, and of what is being written
        self._has_more = asyncio.Event()
        self._finished = False
        self._writing = asyncio.create_task(self._run(), name="recorder")
        self.has_refused = False
        """Whether media came of which no part can be made."""

    def put(self, part: PendingPart) -> None:
        """Write *part* when those before it are written."""
        self._waiting.append(part)
        self._held += part.size
        self._has_more.set()

    def has_room(self, open_bytes: int) -> bool:
        """Keep *open_bytes* beside what waits, and lose the oldest parts for them; say if that is enough."""
        while open_bytes + self._held > MAX_WAITING_BYTES and self._waiting:
            lost = self._waiting.popleft()
            self._held -= lost.size
            self.lose(lost.first, "the bucket takes no writes")
        return open_bytes + self._held <= MAX_WAITING_BYTES

    def lose(self, first: SegmentIndex, reason: str) -> None:
        """Note that the part that begins with segment *first* is not written."""
        self._metrics.part_lost()
        self._warn("a part of the recording is left to be made from its segments", first, reason)

    async def finish(self, *, within: float) -> None:
        """Write what is left; what cannot be written in *within* seconds stays unwritten."""
        self._finished = True
        self._has_more.set()
        _, late = await asyncio.wait({self._writing}, timeout=within)
        if late:
            self._writing.cancel()
            await asyncio.wait(late)
            extra = {"stream": self._record.stream, "session": self._record.session}
            _log.warning("the end of a recording was not written", extra=extra)

    async def _run(self) -> None:
        while not self._finished or self._waiting:
            if not self._waiting:
                self._has_more.clear()
                await self._has_more.wait()
                continue
            part = self._waiting.popleft()
            await self._record_part(part)
            self._held -= part.size

    async def _record_part(self, part: PendingPart) -> None:
        pause, is_first_try = FIRST_PAUSE, True
        while True:
            is_over = await self._try_to_record(part, is_first_try=is_first_try)
            if is_over:  # pragma: no branch - coverage does not see where a coroutine goes on
                return
            await asyncio.sleep(pause)
            pause, is_first_try = min(2 * pause, LONGEST_PAUSE), False

    async def _try_to_record(self, part: PendingPart, *, is_first_try: bool) -> bool:
        """Write *part* or lose it; False says to try again."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._write, part)
        except (Unavailable, TooManyWrites) as error:
            if is_first_try:
                self._warn("a part of the recording waits for its bucket", part.first, str(error))
            return False
        except InvalidMedia as error:
            self.has_refused = True
            self.lose(part.first, str(error))
        except Exception:  # noqa: BLE001 - whatever a library may raise: the next part is another matter
            _log.exception("a part failed unexpectedly", extra={"stream": self._record.stream})
            self.lose(part.first, "see the error before")
        else:
            self._metrics.recorded()
        return True

    def _warn(self, message: str, first: SegmentIndex, reason: str) -> None:
        extra = {"stream": self._record.stream, "session": self._record.session}
        _log.warning(message, extra={**extra, "first": first, "reason": reason})

    def _write(self, part: PendingPart) -> None:
        """Create the objects of *part*, each once."""
        for new in part.objects():
            with suppress(PreconditionFailed):  # written before, or by another encoder of the same media
                self._bucket.write(new, if_generation=ABSENT)
