"""Cloud Scheduler: timers that post to an address at an interval."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from local_cloud.outbound import NoAnswer, request

ATTEMPT_DEADLINE: Final = timedelta(seconds=180)  # Cloud Scheduler's default for HTTP targets

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """Post to *url* every *interval*; never a second time while the first is unanswered."""

    url: str
    interval: timedelta


class Scheduler:
    """Runs timers from `start` to `close`; a post that fails is logged, and the next comes on time."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, timers: Sequence[Timer]) -> None:
        self._tasks += [asyncio.create_task(_run(timer), name=f"timer {timer.url}") for timer in timers]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _run(timer: Timer) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due = max(due + timer.interval.total_seconds(), loop.time())
        await asyncio.sleep(due - loop.time())
        try:
            headers = {"x-cloudscheduler": "true", "content-type": "application/json"}
            status = await request("POST", timer.url, headers=headers, body=b"{}", timeout=ATTEMPT_DEADLINE)
        except NoAnswer as error:
            log.warning("timer not delivered", extra={"url": timer.url, "error": str(error)})
            continue
        if not 200 <= status < 300:
            log.warning("timer not accepted", extra={"url": timer.url, "status": status})
