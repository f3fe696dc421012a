"""Whoever is killed while a broadcast is on air: its recording has every frame that was uploaded."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Final

import pytest

from bucketcast.stream.identifiers import RungName
from local_system.system import RECORDING_BUCKET, System
from tools.auditor.collect import collect
from tools.broadcasts import publish, wait_for_state
from tools.frame_strip import Clip, make_clip, read_frame_numbers
from tools.recordings import (
    UploadedSegment,
    check_seeking,
    content,
    finalized,
    numbers_of,
    probed,
    said_by_ffmpeg,
    system_in_a_hurry,
    uploaded_segments,
)
from tools.returning_broadcaster import ReturningBroadcaster

SEED: Final = int(os.environ.get("BUCKETCAST_TEST_SEED", "5"))
TOP: Final = RungName("180p")
RUNGS: Final = ({"name": TOP, "video_kbps": 300}, {"name": "144p", "video_kbps": 150})
FFMPEG_KILLS: Final = 14
INGEST_KILLS: Final = 6
SOON: Final = 30.0
RECORDING: Final = "full_stream.mp4"


def clip(seconds: float) -> Clip:
    return Clip(
        width=320,
        height=180,
        duration=timedelta(seconds=seconds),
        keyframe_interval=timedelta(seconds=1),
        video_bitrate=400_000,
    )


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with system_in_a_hurry(tmp_path / "logs") as running:
        yield running


@pytest.fixture
def random() -> Random:
    print(f"seed {SEED} (BUCKETCAST_TEST_SEED)")
    return Random(SEED)


def encoder_pid(system: System, *, other_than: int | None) -> int:
    """The FFmpeg that the ingest has started last, once that is not *other_than*."""
    deadline = time.monotonic() + SOON
    while True:
        started = [line for line in system.log("ingest").splitlines() if '"FFmpeg started"' in line]
        pid = int(json.loads(started[-1])["pid"]) if started else None
        if pid is not None and pid != other_than:
            return pid
        assert time.monotonic() < deadline, "FFmpeg was not started"
        time.sleep(0.02)


def check_recording(system: System, stream: str, ffmpeg: Path, tmp_path: Path) -> list[UploadedSegment]:
    """The one file of *stream* has every frame that was uploaded, and is sound; return what was uploaded."""
    parts = len(collect(system.url, RECORDING_BUCKET))
    system.api("POST", f"streams/{stream}/end")
    [file] = finalized(system, stream)["files"]
    media = content(system, file["name"])
    uploaded = uploaded_segments(system, stream, TOP)
    frames = read_frame_numbers(media)
    assert [frame.number for frame in frames] == numbers_of(uploaded)
    assert None not in {frame.number for frame in frames}
    assert file["frames"] == len(frames)
    assert file["sessions"] == sorted({segment.session for segment in uploaded})
    assert all(item.deleted for item in collect(system.url, RECORDING_BUCKET))
    path = tmp_path / RECORDING
    path.write_bytes(media)
    assert said_by_ffmpeg(ffmpeg, path) == ""
    check_seeking(ffmpeg, path, frames)
    print(
        f"{parts} parts, {len(uploaded)} segments in {len(file['sessions'])} sessions, {len(frames)} frames,"
        f" {file['seconds']:.2f} s, gaps {file['gaps']}"
    )
    return uploaded


def check_with_ffprobe(recording: Path, frames: int) -> None:
    """FFprobe finds all *frames*, and nothing wrong."""
    if (ffprobe := shutil.which("ffprobe")) is None:
        pytest.skip("ffprobe is not installed")
    found = probed(ffprobe, recording)
    assert int(found["video"]["nb_frames"]) == int(found["video"]["nb_read_packets"]) == frames
    assert found["audio"]["nb_frames"] == found["audio"]["nb_read_packets"]


def test_ffmpeg_killed_again_and_again_costs_no_frame(
    system: System, ffmpeg: Path, random: Random, tmp_path: Path
) -> None:
    sent = clip(36)
    stream = system.create_stream("killed", rungs=RUNGS, segment_seconds=1)
    sender = publish(ffmpeg, make_clip(sent), system, stream)
    killed = None
    try:
        for _ in range(FFMPEG_KILLS):
            killed = encoder_pid(system, other_than=killed)
            time.sleep(random.uniform(0.3, 2.6))
            os.kill(killed, signal.SIGKILL)
        assert sender.wait(60) == 0
    finally:
        sender.kill()
    wait_for_state(system, "killed", "interrupted")
    assert numbers_of(check_recording(system, "killed", ffmpeg, tmp_path)) == list(range(sent.frames))
    check_with_ffprobe(tmp_path / RECORDING, sent.frames)


def test_an_ingest_killed_again_and_again_costs_nothing_that_was_uploaded(
    system: System, ffmpeg: Path, random: Random, tmp_path: Path
) -> None:
    """The broadcaster goes on: each time it comes back begins another session of the same broadcast."""
    sent = clip(90)
    stream = system.create_stream("killed", rungs=RUNGS, segment_seconds=1)
    with ReturningBroadcaster(ffmpeg, make_clip(sent), sent.duration, system, stream) as sender:
        for _ in range(INGEST_KILLS):
            # Up to where whole parts of the recording were written.
            time.sleep(random.uniform(0.3, 11.0))
            system.processes["ingest"].kill()
            system.processes["ingest"].wait()
            system.spawn("ingest", [sys.executable, "-m", "ingest"])
            system.wait_for(f"{system.metrics_url}/healthz", "the ingest")
        time.sleep(random.uniform(3.0, 5.0))
        sender.leave()
    wait_for_state(system, "killed", "interrupted")
    uploaded = check_recording(system, "killed", ffmpeg, tmp_path)
    assert len({segment.session for segment in uploaded}) > INGEST_KILLS // 2
    check_with_ffprobe(tmp_path / RECORDING, len(numbers_of(uploaded)))
