"""The recorder: the session's best rung, as viewers get it, in parts of some seconds in the recording bucket.

It works beside the delivery and holds nobody up. A part that is lost with its process, or given up, is made of
the live segments when the recording is finalized: nothing that was verified for viewers is lost to it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from bucketcast.errors import PreconditionFailed, TooManyWrites, Unavailable
from bucketcast.objects import ABSENT
from bucketcast.ports import Bucket
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.part_object import part_objects
from bucketcast.recording.segment_samples import read_segment
from bucketcast.stream.identifiers import RungName
from bucketcast.stream.session_record import SessionRecord
from ingest.encode.session_encoder import CutSegment
from ingest.metrics import StreamMetrics

_log = logging.getLogger(__name__)

# Each part is a write, and some seconds that may have to be made again: 360 an hour cost a fifth of a cent.
PART_DURATION: Final = timedelta(seconds=10)
# What waits to be written: a minute of a 1080p rung. Delivery has its own bound.
MAX_WAITING_BYTES: Final = 48 * 1024 * 1024
# The recording bucket is nobody's bottleneck: an outage is waited out, not stormed.
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    segments: Sequence[CutSegment] = field(repr=False)

    @property
    def size(self) -> int:
        return sum(len(segment.data) for segment in self.segments)


class Recorder:
    """Records one session."""

    def __init__(
        self, bucket: Bucket, record: SessionRecord, *, executor: Executor, metrics: StreamMetrics
    ) -> None:
        """Record the session of *record* to *bucket*, in threads of *executor*."""
        self._bucket = bucket
        self._record = record
        self._rung: RungName = record.rungs[0].name
        self._per_part = max(1, round(PART_DURATION / record.segment_duration))
        self._executor = executor
        self._metrics = metrics
        self._open: list[CutSegment] = []
        self._waiting: deque[_Waiting] = deque()
        self._has_more = asyncio.Event()
        self._finished = False
        self._writing = asyncio.create_task(self._run(), name="recorder")

    def take(self, segment: CutSegment) -> None:
        """Record *segment*, if it is the best rung's and was made."""
        if segment.rung != self._rung or not segment.data:
            return
        if self._open and (
            segment.index != self._open[-1].index + 1
            or segment.index // self._per_part != self._open[0].index // self._per_part
        ):
            self._close_part()
        self._open.append(segment)
        self._keep_bound()

    async def finish(self, *, within: float) -> None:
        """Write what is left; what cannot be written in *within* seconds stays unwritten."""
        self._close_part()
        self._finished = True
        self._has_more.set()
        _, late = await asyncio.wait({self._writing}, timeout=within)
        if late:
            self._writing.cancel()
            await asyncio.wait(late)
            _log.warning("the end of a recording was not written", extra={"stream": self._record.stream})

    def _close_part(self) -> None:
        if self._open:
            self._waiting.append(_Waiting(tuple(self._open)))
            self._open = []
            self._has_more.set()

    def _keep_bound(self) -> None:
        excess = _Waiting(self._open).size + sum(part.size for part in self._waiting) - MAX_WAITING_BYTES
        while excess > 0 and self._waiting:
            excess -= self._waiting[0].size
            self._lose(self._waiting.popleft(), "the bucket takes no writes")

    async def _run(self) -> None:
        while not self._finished or self._waiting:
            if not self._waiting:
                self._has_more.clear()
                await self._has_more.wait()
                continue
            part = self._waiting.popleft()
            await self._record_part(part)

    async def _record_part(self, part: _Waiting) -> None:
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        while True:
            try:
                await loop.run_in_executor(self._executor, self._write, part)
            except (Unavailable, TooManyWrites):
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            except InvalidMedia as error:
                self._lose(part, str(error))
                return
            except Exception:  # noqa: BLE001 - whatever a library may raise: the next part is another matter
                _log.exception("a part failed unexpectedly", extra={"stream": self._record.stream})
                self._lose(part, "see the error before")
                return
            else:
                self._metrics.recorded()
                return

    def _write(self, part: _Waiting) -> None:
        """Make the objects of *part*, one unless its format changes, each created once."""
        samples = (
            read_segment(segment.data, index=segment.index, start=segment.start, duration=segment.duration)
            for segment in part.segments
        )
        for new in part_objects(self._record.stream, self._record.session, self._rung, samples):
            with suppress(PreconditionFailed):  # written before, or by another encoder of the same segments
                self._bucket.write(new, if_generation=ABSENT)

    def _lose(self, part: _Waiting, reason: str) -> None:
        self._metrics.part_lost()
        _log.warning(
            "a part of the recording is left to be made from its segments",
            extra={
                "stream": self._record.stream,
                "session": self._record.session,
                "first": part.segments[0].index,
                "reason": reason,
            },
        )
