"""Recordings on the whole system: waited for, compared with what was uploaded, and given to FFmpeg's tools."""

import io
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import requests
from PIL import Image

from bucketcast.stream.identifiers import RungName
from local_system.system import MEDIA_BUCKET, Ports, System, free_ports
from tools.auditor.collect import collect
from tools.frame_strip import StampedFrame, read_frame_numbers, read_strip

FINALIZED_WITHIN: Final = 60.0
# A reconnect window of a minute takes two seconds.
FAST_FORWARD: Final = 30


@contextmanager
def system_in_a_hurry(logs: Path, *, ports: Ports | None = None) -> Iterator[System]:
    """The whole system, whose workflows sleep less; pytest shows its logs where a test fails."""
    with System(
        ports=ports or free_ports(), admin_token="a token for tests", logs=logs, fast_forward=FAST_FORWARD
    ) as running:
        yield running
    for name in ("cloud", "ingest"):
        print(f"--- {name}\n{running.log(name)}")


def finalized(system: System, stream: str, broadcast: int = 1) -> dict[str, Any]:
    """The recording of *broadcast*, once it is finalized."""

    def is_finalized() -> dict[str, Any] | None:
        found: list[dict[str, Any]] = system.api("GET", f"streams/{stream}/recordings")["recordings"]
        own = [recording for recording in found if recording["broadcast"] == broadcast]
        assert not own or own[0]["state"] != "failed", own
        return own[0] if own and own[0]["state"] == "finalized" else None

    deadline = time.monotonic() + FINALIZED_WITHIN
    while (recording := is_finalized()) is None:
        assert time.monotonic() < deadline, system.log("cloud")[-3000:]
        time.sleep(0.2)
    return recording


def content(system: System, name: str) -> bytes:
    """The recording's file under *name* in the media bucket."""
    response = requests.get(f"{system.media_url}/{name}", timeout=30)
    assert response.ok
    assert response.headers["Content-Type"] == "video/mp4"
    return response.content


@dataclass(frozen=True, slots=True)
class UploadedSegment:
    """A segment in the media bucket that is no gap, and the numbers of its frames."""

    session: int
    index: int
    numbers: tuple[int | None, ...]


def uploaded_segments(system: System, stream: str, rung: RungName) -> list[UploadedSegment]:
    """All that was ever uploaded of *rung*, gaps excepted, in the order in which it plays."""
    journal = collect(system.url, MEDIA_BUCKET, stream=stream)
    segments = {
        item.name: item.metadata
        for item in journal
        if f"/{rung}/segment_" in item.name and item.metadata.get("gap") != "true"
    }
    return [
        UploadedSegment(
            session=int(metadata["session"]),
            index=int(metadata["index"]),
            numbers=tuple(
                frame.number
                for frame in read_frame_numbers(requests.get(f"{system.media_url}/{name}", timeout=10).content)
            ),
        )
        for name, metadata in sorted(segments.items())
    ]


def numbers_of(segments: Sequence[UploadedSegment]) -> list[int | None]:
    """The numbers of all frames of *segments*."""
    return [number for segment in segments for number in segment.numbers]


def said_by_ffmpeg(ffmpeg: Path, file: Path) -> str:
    """What *ffmpeg* has to say about *file* while it decodes all of it: nothing, where nothing is wrong."""
    command = [str(ffmpeg), "-nostdin", "-v", "error", "-i", str(file), "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return done.stderr


def probed(ffprobe: str, file: Path) -> dict[str, dict[str, Any]]:
    """What *ffprobe* finds in *file*, by kind of stream; whatever it says of errors is one."""
    entries = "stream=codec_type,nb_frames,nb_read_packets,width,height,duration"
    command = [ffprobe, "-v", "error", "-count_packets", "-show_entries", entries, "-of", "json", str(file)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert done.stderr == ""
    return {stream["codec_type"]: stream for stream in json.loads(done.stdout)["streams"]}


def number_after_seek(ffmpeg: Path, file: Path, seconds: float) -> int | None:
    """The number of the first picture that *ffmpeg* shows after it went to *seconds* of *file*."""
    command = [str(ffmpeg), "-nostdin", "-v", "error", "-ss", f"{seconds:.6f}", "-i", str(file)]
    command += ["-frames:v", "1", "-f", "image2pipe", "-c:v", "pgm", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b""
    with Image.open(io.BytesIO(done.stdout)) as picture:
        return read_strip(np.asarray(picture.convert("L")))


def check_seeking(ffmpeg: Path, file: Path, frames: Sequence[StampedFrame]) -> None:
    """A few places, at the ends, in the middle and at each pause, are found, *frames* being all there are."""
    pauses = [later for earlier, later in pairwise(frames) if later.time - earlier.time > 0.5]
    some = [*frames[:: max(1, len(frames) // 5)], frames[-1], *pauses[:3]]
    # Half a millisecond before a picture it is the next to be shown.
    shown = [number_after_seek(ffmpeg, file, max(0.0, float(frame.time) - 0.0005)) for frame in some]
    assert shown == [frame.number for frame in some]
