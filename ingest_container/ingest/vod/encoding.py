"""One FFmpeg process encodes a range of segments; they are handed on as they are cut."""

import asyncio
import contextlib
import logging
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from bucketcast.stream.identifiers import RungName, SegmentIndex
from bucketcast.stream.silence import CLOCK_START
from ingest.encode.ffmpeg import printable
from ingest.encode.process import CHANGE_OF_SIZE
from ingest.encode.transport_stream import InvalidTransportStream, MediaSegment, SegmentCutter
from ingest.vod.ffmpeg import ffmpeg_arguments
from ingest.vod.plan import SourcePlan
from ingest.vod.running import FfmpegFailed

_log = logging.getLogger(__name__)

_READ_BYTES: Final = 2**16
# FFmpeg ends at the first SIGTERM; what has not ended then is hung, and Cloud Run gives us ten seconds in all.
_STOP_PATIENCE: Final = timedelta(seconds=2)
# A broken recording can make FFmpeg complain at every picture; the log is not the place for all of it.
_MAX_LOGGED_LINES: Final = 100
_MAX_LINE_BYTES: Final = 500

TakeSegment = Callable[[RungName, MediaSegment], Awaitable[None]]


async def encode(ffmpeg: Path, plan: SourcePlan, segments: range, *, url: str, take: TakeSegment) -> None:
    """Encode *segments* of the file at *url*, and let *take* have each, rung by rung in order.

    Each rung has one segment that is being taken and one that is being made; FFmpeg waits where that is not
    enough. Raises FfmpegFailed, and what *take* raises; FFmpeg never outlives the call.
    """
    process, outputs = await _start(ffmpeg, plan, segments, url)
    readers = [
        asyncio.create_task(_take_rung(plan, rung.name, segments, output, take))
        for rung, output in zip(plan.rungs, outputs, strict=True)
    ]
    logging_messages = asyncio.create_task(_log_messages(process))
    try:
        await asyncio.gather(*readers)
        status = await process.wait()
    except InvalidTransportStream as error:
        raise FfmpegFailed(f"FFmpeg's output cannot be cut: {error}") from error
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        await _stop(process)
        await logging_messages
    if status:
        raise FfmpegFailed(f"FFmpeg ended with status {status}")


async def _start(
    ffmpeg: Path, plan: SourcePlan, segments: range, url: str
) -> tuple[Process, list[asyncio.StreamReader]]:
    with contextlib.ExitStack() as writes:
        descriptors, readers = [], []
        for _ in plan.rungs:
            read, write = os.pipe()
            # FFmpeg has its own copy; while ours is open, the pipe would not end with FFmpeg.
            writes.callback(os.close, write)
            descriptors.append(write)
            readers.append(await _connect(read))
        arguments = ffmpeg_arguments(plan, segments, url=url, outputs=descriptors)
        process = await asyncio.create_subprocess_exec(
            ffmpeg,
            *arguments,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            pass_fds=descriptors,
            # A signal to our group is for us to pass on.
            process_group=0,
        )
    files = dict(zip(descriptors, (f"{rung.name}.ts" for rung in plan.rungs), strict=True))
    command = printable(ffmpeg, arguments, feed="/dev/null", outputs=files)
    _log.info("FFmpeg started", extra={"pid": process.pid, "segment": segments.start, "command": command})
    return process, readers


async def _connect(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=_READ_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    return reader


async def _take_rung(
    plan: SourcePlan, rung: RungName, segments: range, output: asyncio.StreamReader, take: TakeSegment
) -> None:
    taking: asyncio.Task[None] | None = None
    expected = segments.start
    try:
        async for segment in _cut(plan, segments, output):
            if taking is not None:
                await taking
            # FFmpeg takes a connection that breaks for the recording's end, and calls that a success.
            if segment.index != expected or segment.duration != plan.duration_of(segment.index):
                raise FfmpegFailed(
                    f"FFmpeg made {segment.duration} of segment {segment.index} of {rung}"
                    f" where {plan.duration_of(SegmentIndex(expected))} of {expected} was due"
                )
            expected += 1
            taking = asyncio.create_task(_awaited(take(rung, segment)))
        if taking is not None:
            await taking
    finally:
        if taking is not None:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
    if expected != segments.stop:
        raise FfmpegFailed(f"FFmpeg made {rung} up to segment {expected} instead of {segments.stop}")


async def _awaited(awaitable: Awaitable[None]) -> None:
    await awaitable


async def _cut(plan: SourcePlan, segments: range, output: asyncio.StreamReader) -> AsyncGenerator[MediaSegment]:
    cutter = SegmentCutter(plan.grid, first=SegmentIndex(segments.start), clock_start=CLOCK_START)
    while data := await output.read(_READ_BYTES):
        for segment in cutter.feed(data):
            yield segment
    # Elsewhere the keyframe behind the range has ended its last segment, and is itself of no use.
    if segments.stop == plan.segments and (last := cutter.finish()) is not None:
        yield last


async def _log_messages(process: Process) -> None:
    assert process.stderr is not None
    count, rest = 0, b""
    while data := await process.stderr.read(_READ_BYTES):
        *lines, rest = (rest + data).replace(b"\r", b"\n").split(b"\n")
        for line in filter(None, lines):
            text = line[:_MAX_LINE_BYTES].decode(errors="replace")
            if any(expected in text for expected in CHANGE_OF_SIZE):
                continue
            count += 1
            if count <= _MAX_LOGGED_LINES:
                _log.warning("FFmpeg message", extra={"pid": process.pid, "line": text})
        rest = rest[:_MAX_LINE_BYTES]
    if count > _MAX_LOGGED_LINES:
        _log.warning("FFmpeg said more than is logged", extra={"pid": process.pid, "lines": count})


async def _stop(process: Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_PATIENCE.total_seconds())
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
