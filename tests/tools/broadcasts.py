"""A broadcast on the whole system: sent, waited for, and read back frame by frame."""

import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

import requests

from bucketcast.stream.identifiers import RungName
from local_system.system import CreatedStream, System
from tools.auditor import ObjectGeneration
from tools.frame_strip import read_frame_numbers

# For what takes a few seconds on a busy machine.
SOON: Final = timedelta(seconds=30)


def publish(ffmpeg: Path, clip: Path, system: System, stream: CreatedStream) -> subprocess.Popen[bytes]:
    """Send *clip* as it is, in real time."""
    address = f"{system.rtmp_url}/{stream.stream_key}"
    return subprocess.Popen(
        [ffmpeg, "-nostdin", "-v", "error", "-re", "-i", clip, "-c", "copy", "-f", "flv", address],
        stdin=subprocess.DEVNULL,
    )


def wait_for_state(system: System, stream: str, state: str) -> None:
    """Return when *stream* is in *state*."""
    deadline = time.monotonic() + SOON.total_seconds()
    while (now := system.api("GET", f"streams/{stream}")["state"]) != state:
        assert time.monotonic() < deadline, f"{stream} is {now}, not {state}"
        time.sleep(0.1)


def wait_for_endlist(system: System, stream: str) -> None:
    """Return when the last object that an end is written to says so: `state.json` comes after the playlists."""
    deadline = time.monotonic() + SOON.total_seconds()
    while requests.get(f"{system.media_url}/{stream}/state.json", timeout=10).json()["state"] != "ended":
        assert time.monotonic() < deadline, f"{stream} has not ended"
        time.sleep(0.1)


def segment_contents(system: System, journal: list[ObjectGeneration], rung: RungName) -> list[bytes]:
    """The segments of *rung* in the order in which they play, which is that of their names."""
    names = sorted(item.name for item in journal if f"/{rung}/segment_" in item.name)
    return [requests.get(f"{system.media_url}/{name}", timeout=10).content for name in names]


def frame_numbers(system: System, journal: list[ObjectGeneration], rung: RungName) -> list[int | None]:
    """The numbers of all frames of *rung*, segment after segment; every segment starts with a keyframe."""
    contents = segment_contents(system, journal, rung)
    return [frame.number for content in contents for frame in read_frame_numbers(content)]
