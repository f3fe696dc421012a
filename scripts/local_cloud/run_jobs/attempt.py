"""One attempt at a task: a process, as a container would be."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from local_cloud.run_jobs.execution import Task

# Cloud Run waits as long between SIGTERM and SIGKILL.
GRACE: Final = timedelta(seconds=10)
# A shell's words for a command that cannot be run.
NOT_RUNNABLE: Final = 127
# Longer lines are cut: a log is for people.
MAX_LINE_BYTES: Final = 4096


async def run_attempt(
    task: Task,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    limit: timedelta,
    told_to_stop: asyncio.Event,
    grace: timedelta,
) -> int:
    """Run *command* for *task* and return its exit code; negative is the signal that ended it.

    After *limit*, or when it is *told_to_stop*, the process gets SIGTERM, and SIGKILL after *grace*. Whatever
    it started ends with it, as with a container. Where it cannot be started it is NOT_RUNNABLE.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            process_group=0,
            limit=MAX_LINE_BYTES,
        )
    except OSError as error:
        task.log.append(f"{command[0]}: {error.strerror}")
        return NOT_RUNNABLE
    task.pid = process.pid
    reading = asyncio.create_task(_read_log(process, task))
    try:
        return await _wait(process, limit, told_to_stop, grace)
    finally:
        task.pid = None
        _signal_all(process, signal.SIGKILL)
        await reading


async def _wait(process: Process, limit: timedelta, told_to_stop: asyncio.Event, grace: timedelta) -> int:
    ended = asyncio.create_task(process.wait())
    stopped = asyncio.create_task(told_to_stop.wait())
    try:
        await asyncio.wait({ended, stopped}, timeout=limit.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait({ended}, timeout=grace.total_seconds())
        if not ended.done():
            _signal_all(process, signal.SIGKILL)
        return await ended
    finally:
        stopped.cancel()


def _signal_all(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


async def _read_log(process: Process, task: Task) -> None:
    assert process.stdout is not None
    while True:
        try:
            line = await process.stdout.readuntil()
        except asyncio.LimitOverrunError as error:
            line = await process.stdout.readexactly(error.consumed)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                task.log.append(_text(error.partial))
            return
        task.log.append(_text(line))


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip()
