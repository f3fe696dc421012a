"""From a broadcaster to a file: the recording that is made when a broadcast is over."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from local_system.system import RECORDING_BUCKET, System
from tools.auditor.collect import collect
from tools.broadcasts import publish, wait_for_state
from tools.frame_strip import Clip, make_clip, read_frame_numbers
from tools.recordings import content, finalized, system_in_a_hurry

# More than what one part of a recording holds.
CLIP: Final = Clip(width=320, height=180, duration=timedelta(seconds=14), video_bitrate=400_000)
RUNGS: Final = ({"name": "180p", "video_kbps": 400}, {"name": "144p", "video_kbps": 200})


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with system_in_a_hurry(tmp_path / "logs") as running:
        yield running


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
