"""Finalizing in a process of its own, which measures itself and nothing else.

`python -m benchmark.finalizing STREAM RESULT [--traced]` finalizes the first broadcast of STREAM as the
functions do, in their environment and wired as they are; `... --heads FILE RESULT [--traced]` makes the header
alone, of the heads that FILE holds. What it took is written to the file RESULT.
"""

import argparse
import os
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from benchmark.processes import peak_resident_mebibytes, resident_mebibytes
from bucketcast.bootstrap import handlers
from bucketcast.objects import NewObject
from bucketcast.recording.document import begun
from bucketcast.recording.movie import Piece, write_movie
from bucketcast.recording.names import HEAD_BYTES_KEY, header_name
from bucketcast.recording.part_head import read_head
from bucketcast.stream.identifiers import BroadcastNumber, SessionNumber, StreamId, parse_stream_id
from bucketcast.system_clock import SystemClock

BROADCAST: Final = BroadcastNumber(1)
SESSION: Final = SessionNumber(1)
_LENGTH_BYTES: Final = 8
# proc(5): makes what is in RAM now the most that ever was.
_FORGET_PEAK: Final = "5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The file that came of it; its name is empty where the header alone was made."""

    name: str = ""
    size: int
    duration: timedelta
    frames: int
    header: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized:
    """What it took to have *made*: seconds, and MiB.

    *resident* were in RAM before, *peak* at most; of Python's own memory *traced* was taken at most, which is 0
    where that was not traced: it takes time and memory itself.
    """

    made: Made
    seconds: float
    cpu: float
    resident: float
    peak: float
    traced: float


def write_heads(parts: Iterable[NewObject], file: Path) -> tuple[int, int]:
    """Write the heads of *parts* to *file*, for `--heads`; return how many parts there are, and their bytes."""
    count = total = 0
    with file.open("wb") as heads:
        for part in parts:
            head_bytes = int(part.metadata[HEAD_BYTES_KEY])
            for number in (head_bytes, len(part.content)):
                heads.write(number.to_bytes(_LENGTH_BYTES))
            heads.write(part.content[:head_bytes])
            count += 1
            total += len(part.content)
    return count, total


def read_result(file: Path) -> Finalized:
    """Return what a process has written to *file*."""
    return msgspec.json.decode(file.read_bytes(), type=Finalized)


def _pieces(file: Path) -> Iterator[Piece]:
    with file.open("rb") as heads:
        while length := heads.read(_LENGTH_BYTES):
            size = int.from_bytes(heads.read(_LENGTH_BYTES))
            head = read_head(heads.read(int.from_bytes(length)), size=size)
            first, last = head.segments[0].index, head.segments[-1].index
            yield Piece(session=SESSION, first=first, last=last, head=head)


def _made_of_heads(file: Path) -> Made:
    """Make the header as the finalizer does: it is named by what it holds, and joined to be written."""
    movie = write_movie(_pieces(file))
    header_name(StreamId("bench"), BROADCAST, (bytes(buffer) for buffer in movie.header))
    header = b"".join(movie.header)
    return Made(size=movie.size, duration=movie.duration, frames=movie.frames, header=header)


def _finalizing(stream: StreamId) -> Callable[[], Made]:
    """Wire the finalizer and begin a recording, if need be anew; return what finalizes it."""
    finalizer = handlers().workflow_steps.finalizer
    document = begun(None, stream, BROADCAST, now=SystemClock().now())
    assert document is not None
    if (stored := finalizer.documents.read(stream, BROADCAST)) is None:
        finalizer.documents.create(document)
    else:
        finalizer.documents.replace(document, version=stored.version)

    def finalize() -> Made:
        (file,) = finalizer.finalize(stream, BROADCAST).files
        return Made(name=file.name, size=file.size, duration=file.duration, frames=file.frames)

    return finalize


def _taken(work: Callable[[], Made], *, traced: bool) -> Finalized:
    pid = os.getpid()
    if traced:
        tracemalloc.start()
    Path("/proc/self/clear_refs").write_text(_FORGET_PEAK)
    resident = resident_mebibytes(pid)
    began, cpu = time.monotonic(), time.process_time()
    made = work()
    return Finalized(
        made=made,
        seconds=time.monotonic() - began,
        cpu=time.process_time() - cpu,
        resident=resident,
        peak=peak_resident_mebibytes(pid),
        traced=tracemalloc.get_traced_memory()[1] / 2**20,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmark.finalizing", description=__doc__)
    parser.add_argument("stream")
    parser.add_argument("result", type=Path)
    parser.add_argument("--heads", action="store_true", help="STREAM is a file of heads")
    parser.add_argument("--traced", action="store_true")
    chosen = parser.parse_args(arguments)
    work = (
        partial(_made_of_heads, Path(chosen.stream))
        if chosen.heads
        else _finalizing(parse_stream_id(chosen.stream))
    )
    chosen.result.write_bytes(msgspec.json.encode(_taken(work, traced=chosen.traced)))


if __name__ == "__main__":
    main()
