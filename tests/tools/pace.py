"""The pace of a broadcast: a feed that comes in real time, and an FFmpeg that is slower than that."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from ingest.encode import SessionEncoder
from ingest.feed import EncodedFrame, FeedItem

# How long FFmpeg is stopped at least.
_TURN_SECONDS = 0.02
# How long it runs: of a small picture it encodes a few frames in it, on a machine that has nothing else to do.
_RUN_SECONDS = 0.002


async def in_real_time(items: Iterable[FeedItem]) -> AsyncIterator[FeedItem]:
    """Yield *items* at the pace of their decode times."""
    loop = asyncio.get_running_loop()
    start: float | None = None
    for item in items:
        if isinstance(item, EncodedFrame):
            time = item.decode_time.total_seconds()
            start = loop.time() - time if start is None else start
            await asyncio.sleep(max(0.0, start + time - loop.time()))
        yield item


@asynccontextmanager
async def slowed(encoder: SessionEncoder, *, speed: float, after: int = 0) -> AsyncIterator[None]:
    """Within, *encoder*'s FFmpeg runs for so much of the time that it encodes at *speed*.

    It does so *after* so many segments. At the end it runs freely.
    """

    async def stop_and_go() -> None:
        while min(encoder._next.values()) < after:  # noqa: ASYNC110 - of several rungs, none of which has an event
            await asyncio.sleep(_TURN_SECONDS)
        loop = asyncio.get_running_loop()
        begin, first = loop.time(), encoder._encoded
        while True:
            if (encoder._encoded - first).total_seconds() <= speed * (loop.time() - begin):
                send(signal.SIGCONT)
                await asyncio.sleep(_RUN_SECONDS)
            send(signal.SIGSTOP)
            await asyncio.sleep(_TURN_SECONDS)

    def send(number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if encoder.pid is not None:
                os.kill(encoder.pid, number)

    slowing = asyncio.create_task(stop_and_go(), name="slowing")
    try:
        yield
    finally:
        slowing.cancel()
        send(signal.SIGCONT)
