"""One FFmpeg process: its pipes, its messages, its end."""

import asyncio
import contextlib
import logging
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

from bucketcast.stream.identifiers import SegmentIndex
from ingest.encode.container import container_of
from ingest.encode.ffmpeg import ffmpeg_arguments, printable
from ingest.encode.ladder import EncodingPlan

# What the feed may be ahead of FFmpeg's reading: a keyframe or two. More waits in the history, where it is
# counted.
_STDIN_BUFFER_BYTES = 2**20
# Half of a Linux pipe's 64 KiB at rest; the reader stops FFmpeg when twice as much is not taken.
_READ_BYTES = 2**16
# FFmpeg finishes its file at the first SIGTERM; what has not ended then is hung.
STOP_PATIENCE = timedelta(seconds=2)
# A broken source can make FFmpeg complain at every picture; the log is not the place for all of it.
MAX_LOGGED_LINES = 100
_MAX_LINE_BYTES = 500
# FFmpeg says this when an adaptive source's pictures change their size, and version 5 at each that has not the
# first one's. The first filter can take it, so it would only hide what else is said.
CHANGE_OF_SIZE = ("Changing video frame properties on the fly", "[warning] filter context - w:")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """FFmpeg's own report: frames encoded so far, and media time per time, averaged since it started."""

    frames: int
    speed: float


class FfmpegProcess:
    """A running FFmpeg with a pipe for the feed, and one for each rung's transport stream."""

    def __init__(
        self,
        process: Process,
        outputs: Sequence[asyncio.StreamReader],
        progress: asyncio.StreamReader,
        transports: Sequence[asyncio.ReadTransport],
    ) -> None:
        """Use FfmpegProcess.start."""
        self._process = process
        self._outputs = outputs
        self._progress = progress
        self._transports = transports
        assert process.stdin is not None
        self._stdin = process.stdin
        self._stdin.transport.set_write_buffer_limits(high=_STDIN_BUFFER_BYTES)

    @classmethod
    async def start(cls, ffmpeg: Path, plan: EncodingPlan, start: SegmentIndex) -> Self:
        """Start *ffmpeg* on *plan* from segment *start* on; raises OSError where it cannot be started."""
        with contextlib.ExitStack() as writes, contextlib.ExitStack() as reads:
            descriptors: list[int] = []
            pipes: list[tuple[asyncio.StreamReader, asyncio.ReadTransport]] = []
            for _ in range(len(plan.rungs) + 1):
                read, write = os.pipe()
                # FFmpeg has its own copy; while ours is open, the pipe would not end with FFmpeg.
                writes.callback(os.close, write)
                descriptors.append(write)
                pipes.append(await _connect(read))
                reads.callback(pipes[-1][1].close)
            arguments = ffmpeg_arguments(plan, start=start, outputs=descriptors[:-1], progress=descriptors[-1])
            process = await asyncio.create_subprocess_exec(
                ffmpeg,
                *arguments,
                stdin=PIPE,
                stdout=DEVNULL,
                stderr=PIPE,
                pass_fds=descriptors,
                # A Ctrl-C at the terminal is for us: FFmpeg ends when its feed does.
                process_group=0,
            )
            reads.pop_all()
        files = [*(f"{rung.name}.ts" for rung in plan.rungs), "progress.txt"]
        command = printable(
            ffmpeg,
            arguments,
            feed=container_of(plan.source).file_name,
            outputs=dict(zip(descriptors, files, strict=True)),
        )
        _log.info("FFmpeg started", extra={"pid": process.pid, "segment": start, "command": command})
        *outputs, progress = (reader for reader, _ in pipes)
        return cls(process, outputs, progress, [transport for _, transport in pipes])

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def write(self, data: bytes) -> None:
        """Hand *data* to FFmpeg, and wait while it is behind; raises OSError when it has gone."""
        self._stdin.write(data)
        await self._stdin.drain()

    def end_input(self) -> None:
        """Tell FFmpeg that the feed has ended: it encodes what it has, and ends."""
        with contextlib.suppress(OSError, RuntimeError):
            self._stdin.write_eof()

    async def output(self, rung: int) -> AsyncGenerator[bytes]:
        """Yield rung number *rung*'s transport stream until FFmpeg closes it."""
        reader = self._outputs[rung]
        while data := await reader.read(_READ_BYTES):
            yield data

    async def progress(self) -> AsyncGenerator[Progress]:
        """Yield FFmpeg's reports until it ends."""
        values: dict[str, str] = {}
        async for line in _lines(self._progress):
            key, _, value = line.partition("=")
            values[key] = value.strip()
            if key == "progress":
                yield Progress(frames=int(_number(values.get("frame"))), speed=_number(values.get("speed")))
                values.clear()

    async def log_messages(self) -> None:
        """Log what FFmpeg says on standard error, MAX_LOGGED_LINES of it, until it ends."""
        assert self._process.stderr is not None
        count = 0
        async for line in _lines(self._process.stderr):
            if any(expected in line for expected in CHANGE_OF_SIZE):
                continue
            count += 1
            if count <= MAX_LOGGED_LINES:
                _log.warning("FFmpeg message", extra={"pid": self.pid, "line": line})
        if count > MAX_LOGGED_LINES:
            _log.warning(
                "FFmpeg said more than is logged",
                extra={"pid": self.pid, "lines": count - MAX_LOGGED_LINES},
            )

    def kill(self) -> None:
        """End FFmpeg at once; `stop` still has to be awaited."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self) -> int:
        """See to it that FFmpeg has ended, politely first; return its exit status. Safe to call again."""
        self._stdin.close()
        # Whoever is in the middle of writing finds the pipe closed, instead of waiting for a reader.
        for transport in self._transports:
            transport.close()
        if self._process.returncode is None:
            await self._terminate()
        status = await self._process.wait()
        with contextlib.suppress(OSError):
            await self._stdin.wait_closed()
        return status

    async def wait(self) -> int:
        """Wait for FFmpeg to end by itself, for STOP_PATIENCE at most; then make it. Return its status."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), STOP_PATIENCE.total_seconds())
        return await self.stop()

    async def _terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_PATIENCE.total_seconds())
        except TimeoutError:
            _log.warning("FFmpeg does not stop and is killed", extra={"pid": self.pid})
        finally:
            # Also where the wait itself was cancelled: nothing outlives the session.
            if self._process.returncode is None:
                self.kill()


async def _connect(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    reader = asyncio.StreamReader(limit=_READ_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    return reader, transport


async def _lines(reader: asyncio.StreamReader) -> AsyncGenerator[str]:
    """Yield lines that are not empty, cut at _MAX_LINE_BYTES, however long they are."""
    rest = b""
    while data := await reader.read(_READ_BYTES):
        *lines, rest = (rest + data).replace(b"\r", b"\n").split(b"\n")
        for line in filter(None, lines):
            yield line[:_MAX_LINE_BYTES].decode(errors="replace")
        rest = rest[:_MAX_LINE_BYTES]


def _number(text: str | None) -> float:
    """The number that FFmpeg reports, such as 1.02x; 0 for N/A and before the first."""
    try:
        return float((text or "0").removesuffix("x"))
    except ValueError:
        return 0.0
