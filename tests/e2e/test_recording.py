"""From a broadcaster to a file: the recording that is made when a broadcast is over."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from local_system.system import RECORDING_BUCKET, System
from tools.auditor.collect import collect
from tools.broadcasts import publish, wait_for_state
from tools.frame_strip import Clip, make_clip, read_frame_numbers

CLIP = Clip(width=320, height=180, duration=timedelta(seconds=25), video_bitrate=400_000)
RUNGS: Final = ({"name": "180p", "video_kbps": 400}, {"name": "144p", "video_kbps": 200})
FINALIZED_WITHIN: Final = 60.0


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
    response = requests.get(f"{system.media_url}/{name}", timeout=30)
    assert response.ok
    assert response.headers["Content-Type"] == "video/mp4"
    return response.content


def test_a_broadcast_that_ended_is_one_file_with_every_frame(system: System, ffmpeg: Path) -> None:
    stream = system.create_stream("recorded", rungs=RUNGS)
    sender = publish(ffmpeg, make_clip(CLIP), system, stream)
    assert sender.wait(60) == 0
    wait_for_state(system, "recorded", "interrupted")
    system.api("POST", "streams/recorded/end")
    [file] = finalized(system, "recorded")["files"]
    own, newest = (content(system, name) for name in (file["name"], "recorded/recording/full_stream.mp4"))
    assert own == newest
    assert (len(own), file["frames"], file["gaps"]) == (file["bytes"], CLIP.frames, [])
    assert file["seconds"] == pytest.approx(CLIP.duration.total_seconds(), abs=0.1)
    assert [frame.number for frame in read_frame_numbers(own)] == list(range(CLIP.frames))
    journal = collect(system.url, RECORDING_BUCKET)
    assert journal
    assert all(item.deleted for item in journal)
