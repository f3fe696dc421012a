"""Compressed time: every clock and timer runs as many times as fast."""

import asyncio
import time
from datetime import timedelta

from fault_storm.compressed_time import EPOCH, CompressedTime

FACTOR = 200.0


def test_the_clock_begins_at_the_epoch_and_goes_faster() -> None:
    clock = CompressedTime(factor=FACTOR)
    before = time.monotonic()
    clock.sleep(4)
    passed = time.monotonic() - before
    assert passed >= 4 / FACTOR
    assert clock.now() - EPOCH >= timedelta(seconds=4)
    assert clock.seconds() <= (time.monotonic() - clock.began) * FACTOR


def test_two_processes_that_are_told_the_same_see_the_same_time() -> None:
    clock = CompressedTime(factor=FACTOR)
    other = CompressedTime(factor=FACTOR, began=clock.began)
    assert clock.now() <= other.now() <= clock.now()


def test_what_waits_in_the_loop_waits_in_compressed_time() -> None:
    clock = CompressedTime(factor=FACTOR)

    async def main() -> tuple[float, float]:
        loop, real = asyncio.get_running_loop(), time.monotonic()
        began = loop.time()
        await asyncio.sleep(60)
        return loop.time() - began, time.monotonic() - real

    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        compressed, real = runner.run(main())
    assert compressed >= 60
    assert 60 / FACTOR <= real < 30


def test_a_timeout_is_in_compressed_time_too() -> None:
    clock = CompressedTime(factor=FACTOR)

    async def main() -> bool:
        try:
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        except TimeoutError:
            return clock.seconds() >= 60
        return False

    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        assert runner.run(main())
