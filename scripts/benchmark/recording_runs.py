"""Recordings that are filled in, finalized by a process of its own, and looked at."""

import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice, zip_longest
from pathlib import Path
from typing import Final

import av
import numpy as np
import requests
from av.container import InputContainer
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from benchmark import charges
from benchmark.charges import Counts
from benchmark.finalizing import BROADCAST, SESSION, Finalized, read_result, write_heads
from benchmark.processes import busy_share, machine_ticks
from benchmark.recorded_media import LAP, LEAD, SEGMENT, Media, parts, records, repeated, segments
from bucketcast.bootstrap import PATIENCE
from bucketcast.gcp.storage import CloudStorageBucket
from bucketcast.objects import ABSENT, NewObject
from bucketcast.recording.samples import SegmentSamples
from bucketcast.stream.identifiers import parse_stream_id
from local_system.system import (
    INGEST_BUCKET,
    MEDIA_BUCKET,
    PROJECT,
    RECORDING_BUCKET,
    NotStarted,
    System,
    free_ports,
)
from tools.frame_strip import read_strip

# Far above what it takes: a benchmark must end.
FINALIZE_SECONDS: Final = 600.0
# The clients' pool has ten connections.
WRITERS: Final = 8
# Objects that are held until they are written.
HELD: Final = 64
_TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How what came of a recording differs from what it should be, as libavformat reads it.

    *frames_off* is its duration's difference, in frames; *last_wrong* are the pictures of the last segment that
    are not the right ones, and None where there are no media.
    """

    frames_missing: int
    frames_off: float
    bytes_off: int
    last_wrong: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A recording of *length*, finalized twice; *operations* were counted the first time.

    Its parts have *parts_size* bytes, and took the operations *recorded*. The machine was busy by the share
    *machine*.
    """

    length: timedelta
    timed: Finalized
    traced: Finalized
    operations: Counts
    recorded: Counts
    parts_size: int
    checked: Checked
    machine: float

    @property
    def header_bytes(self) -> int:
        """What is in the file beside the parts."""
        return self.timed.made.size - self.parts_size


@contextmanager
def storage(folder: Path) -> Iterator[System]:
    """Buckets and documents in a process of their own, with nothing that would finalize by itself."""
    folder.mkdir()
    cloud = System(ports=free_ports(), admin_token=secrets.token_hex(16), logs=folder / "logs")
    with ExitStack() as stack:
        stack.callback(cloud.stop)
        ports = ("--port", str(cloud.ports.web), "--firestore-port", str(cloud.ports.firestore))
        state = ("--project", PROJECT, "--data", str(folder / "data"))
        cloud.spawn("cloud", [sys.executable, "-m", "local_cloud", *ports, *state])
        cloud.wait_for(f"{cloud.url}/healthz", "the local cloud")
        yield cloud


def run(cloud: System, encoded: Media, lap: Sequence[SegmentSamples], length: timedelta, folder: Path) -> Run:
    """Finalize a recording of *length* that is made of *lap*, which is of *encoded*; raises NotStarted."""
    stream = parse_stream_id(f"bench-{encoded.frame_rate}-{length // timedelta(minutes=1)}")
    _write(cloud, MEDIA_BUCKET, segments(stream, SESSION, encoded, length))
    _write(cloud, INGEST_BUCKET, records(stream, BROADCAST, SESSION, encoded, length))

    def record() -> int:
        return _write(cloud, RECORDING_BUCKET, parts(stream, SESSION, encoded.rung, repeated(lap, length)))

    before = _counted(cloud)
    parts_size = record()
    recorded, machine = _counted(cloud), machine_ticks()
    timed = finalized(cloud, stream, folder=folder)
    after, busy = _counted(cloud), busy_share(machine, machine_ticks())
    address = f"{cloud.media_url}/{timed.made.name}"
    there = int(requests.head(address, timeout=_TIMEOUT).headers["content-length"])
    checked = _check(address, encoded, length, bytes_off=timed.made.size - there)
    record()
    return Run(
        length=length,
        timed=timed,
        traced=finalized(cloud, stream, "--traced", folder=folder),
        operations=charges.difference(recorded, after),
        recorded=charges.difference(before, recorded),
        parts_size=parts_size,
        checked=checked,
        machine=busy,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRun:
    """The header of a recording of *length*, made twice of the heads of *parts* alone."""

    length: timedelta
    parts: int
    timed: Finalized
    traced: Finalized
    checked: Checked


def header_run(
    cloud: System, encoded: Media, lap: Sequence[SegmentSamples], length: timedelta, folder: Path
) -> HeaderRun:
    """Make the header of a recording of *length*; *cloud* starts the processes and has nothing else to do."""
    heads = folder / "heads"
    recorded = parts(parse_stream_id("bench"), SESSION, encoded.rung, repeated(lap, length))
    count, parts_size = write_heads(recorded, heads)
    timed = finalized(cloud, str(heads), "--heads", folder=folder)
    movie = folder / "header.mp4"
    movie.write_bytes(timed.made.header)
    there = len(timed.made.header) + parts_size
    with movie.open("r+b") as file:
        file.truncate(there)  # a hole: nobody reads the media
    return HeaderRun(
        length=length,
        parts=count,
        timed=timed,
        traced=finalized(cloud, str(heads), "--heads", "--traced", folder=folder),
        checked=_check(str(movie), encoded, length, bytes_off=timed.made.size - there, with_media=False),
    )


def finalized(cloud: System, *arguments: str, folder: Path) -> Finalized:
    """Run the process of `benchmark.finalizing`; raises NotStarted where it fails."""
    result = folder / "result"
    command = [sys.executable, "-m", "benchmark.finalizing", *arguments, str(result)]
    process = cloud.spawn("finalizing", command)
    try:
        code = process.wait(FINALIZE_SECONDS)
    except subprocess.TimeoutExpired:
        raise NotStarted(f"finalizing took more than {FINALIZE_SECONDS:.0f} s") from None
    if code:
        raise NotStarted(f"finalizing failed: {cloud.last_line('finalizing')}")
    return read_result(result)


def _write(cloud: System, bucket: str, objects: Iterable[NewObject]) -> int:
    """Create *objects* in *bucket*, and return how many bytes they have."""
    client = Client(
        project=PROJECT, credentials=AnonymousCredentials(), client_options={"api_endpoint": cloud.url}
    )
    target = CloudStorageBucket(client, bucket, patience=PATIENCE)
    waiting, size = iter(objects), 0
    with ThreadPoolExecutor(WRITERS) as writers:
        while some := list(islice(waiting, HELD)):
            written = writers.map(lambda new: target.write(new, if_generation=ABSENT), some)
            size += sum(facts.size for facts in written)
    return size


def _counted(cloud: System) -> Counts:
    answer = requests.get(f"{cloud.url}/_local/operations", timeout=_TIMEOUT)
    answer.raise_for_status()
    return charges.parse_counts(answer.json())


def _check(
    address: str, encoded: Media, length: timedelta, *, bytes_off: int, with_media: bool = True
) -> Checked:
    """Compare the movie at *address* with what was recorded; raises NotStarted where it cannot be read."""
    segments = length // SEGMENT
    try:
        with av.open(address, mode="r") as movie:
            frames, duration = movie.streams.video[0].frames, _seconds(movie)
            wrong = _wrong(_last_numbers(movie), encoded, segments - 1) if with_media else None
    except av.FFmpegError as error:
        raise NotStarted(f"the recording cannot be read: {error}") from error
    return Checked(
        frames_missing=abs(segments * encoded.frames_per_segment - frames),
        frames_off=abs(length.total_seconds() - duration) * encoded.frame_rate,
        bytes_off=abs(bytes_off),
        last_wrong=wrong,
    )


def _seconds(movie: InputContainer) -> float:
    pictures = movie.streams.video[0]
    return float((pictures.duration or 0) * (pictures.time_base or 0))


def _last_numbers(movie: InputContainer) -> list[int | None]:
    """What the pictures of the last segment of *movie* carry."""
    begin = timedelta(seconds=_seconds(movie)) - SEGMENT
    movie.seek(begin // timedelta(microseconds=1))
    return [
        read_strip(np.asarray(picture.to_ndarray(format="gray"), np.uint8))
        for picture in movie.decode(video=0)
        # Less than a frame: times are rounded.
        if timedelta(seconds=picture.time or 0) >= begin - SEGMENT / 1000
    ]


def _wrong(seen: Sequence[int | None], encoded: Media, index: int) -> int:
    """How many of *seen* are not what segment *index* carries."""
    original = LEAD // SEGMENT + index % (LAP // SEGMENT)
    first = original * encoded.frames_per_segment
    expected = range(first, first + encoded.frames_per_segment)
    return sum(one != other for one, other in zip_longest(seen, expected))
