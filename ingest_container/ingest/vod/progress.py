"""How far a task is, for whoever asks while it runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, Protocol

from bucketcast.errors import BucketcastError
from bucketcast.objects import ABSENT, WRITE_INTERVAL, Generation
from bucketcast.ports import Bucket
from bucketcast.recording.vod import TaskProgress
from bucketcast.records import record_object
from ingest.vod.names import VodNames

_log = logging.getLogger(__name__)

# Often enough for a bar that moves, and far below one write a second to a name.
REPORT_INTERVAL: Final = timedelta(seconds=5)


class Progress(Protocol):
    """Whoever wants to know how far a task is."""

    async def report(self, done: int, total: int) -> None:
        """Take notice; it is never worth an error."""


class BucketProgress:
    """Writes an object of TaskProgress, at most every REPORT_INTERVAL, and whenever all is done."""

    def __init__(
        self,
        recording: Bucket,
        names: VodNames,
        *,
        task: int,
        tasks: int,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Report for number *task* of *tasks* in the bucket *recording*."""
        self._recording = recording
        self._names = names
        self._task, self._tasks = task, tasks
        self._monotonic = monotonic
        self._sleep = sleep
        self._generation: Generation | None = None
        self._reported = float("-inf")

    async def report(self, done: int, total: int) -> None:
        """See Progress.report."""
        since = self._monotonic() - self._reported
        if done < total and since < REPORT_INTERVAL.total_seconds():
            return
        # The last report has to land, however soon it follows the one before.
        if (early := WRITE_INTERVAL.total_seconds() - since) > 0:
            await self._sleep(early)
        self._reported = self._monotonic()
        known = TaskProgress(task=self._task, tasks=self._tasks, done=done, total=total)
        try:
            await asyncio.to_thread(self._write, known)
        except BucketcastError as error:
            # The next report says more, and the segments themselves say all.
            self._generation = None
            _log.warning("progress was not written", extra={"reason": str(error)})

    def _write(self, known: TaskProgress) -> None:
        new = record_object(self._names.progress(self._task), known)
        if self._generation is None:
            facts = self._recording.facts(new.name)
            self._generation = ABSENT if facts is None else facts.generation
        self._generation = self._recording.write(new, if_generation=self._generation).generation
