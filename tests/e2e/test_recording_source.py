"""A recording of the source itself: the very frames that the broadcaster sent, whatever viewers got of them."""

import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import av
import pytest

from bucketcast.stream.identifiers import RungName
from local_system.system import RECORDING_BUCKET, CreatedStream, System
from tools.auditor.collect import collect
from tools.broadcasts import SOON, publish, wait_for_state
from tools.browser import chromium
from tools.frame_strip import Clip, StampedFrame, make_clip, read_frame_numbers
from tools.recording_players import check_found_by_vlc, check_in_chromium, check_in_vlc
from tools.recordings import (
    UploadedSegment,
    check_seeking,
    content,
    finalized,
    numbers_of,
    said_by_ffmpeg,
    system_in_a_hurry,
    uploaded_segments,
)

# Larger than the best rung, with keyframes beside every grid, and longer than a part.
CLIP: Final = Clip(
    width=480,
    height=270,
    duration=timedelta(seconds=12),
    keyframe_interval=timedelta(seconds=1.7),
    video_bitrate=600_000,
)
BEST: Final = RungName("180p")
RUNGS: Final = ({"name": BEST, "video_kbps": 300}, {"name": "144p", "video_kbps": 150})
WHIP_SECONDS: Final = 4


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with system_in_a_hurry(tmp_path / "logs") as running:
        yield running


@pytest.fixture
def clip(ffmpeg: Path, tmp_path: Path) -> Path:
    """CLIP with a sound that no rung has: mono, at 44.1 kHz."""
    path = tmp_path / "clip.flv"
    command: list[str | Path] = [ffmpeg, "-nostdin", "-v", "error", "-i", make_clip(CLIP), "-c:v", "copy"]
    command += ["-c:a", "aac", "-ar", "44100", "-ac", "1", path]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def packets(path: Path, kind: str) -> list[bytes]:
    """The packets of the track of *kind* in the media file at *path*, as they are stored."""
    with av.open(str(path), mode="r") as container:
        [stream] = [each for each in container.streams if each.type == kind]
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def send_over_whip(ffmpeg: Path, clip: Path, system: System, stream: CreatedStream) -> None:
    command: list[str | Path] = [ffmpeg, "-nostdin", "-v", "error", "-re", "-i", clip, "-t", str(WHIP_SECONDS)]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "45", "-b:v", "600k"]
    command += ["-c:a", "libopus", "-ar", "48000", "-ac", "2"]
    command += ["-f", "whip", "-authorization", stream.stream_key, system.whip_url]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)


def send_until_the_ingest_is_killed(ffmpeg: Path, clip: Path, system: System, stream: CreatedStream) -> None:
    """Of what is sent some segments are uploaded, and no part of the source is written."""
    sender = publish(ffmpeg, clip, system, stream)
    deadline = time.monotonic() + SOON.total_seconds()
    while max((one.session for one in uploaded(system)), default=0) < 3:
        assert time.monotonic() < deadline, "nothing is uploaded"
        time.sleep(0.1)
    system.processes["ingest"].kill()
    sender.wait(60)


def uploaded(system: System) -> list[UploadedSegment]:
    return uploaded_segments(system, "original", BEST)


def check_plays(ffmpeg: Path, path: Path, file: dict[str, Any]) -> list[StampedFrame]:
    """FFmpeg, Chromium and VLC play *file*, which is at *path*; returns its frames."""
    frames = read_frame_numbers(path)
    assert len(frames) == file["frames"]
    assert said_by_ffmpeg(ffmpeg, path) == ""
    check_seeking(ffmpeg, path, frames)
    with chromium() as browser:
        check_in_chromium(browser, path, frames=frames, seconds=file["seconds"])
    check_in_vlc(path, seconds=file["seconds"])
    return frames


def test_the_source_is_recorded_bit_by_bit_and_where_it_was_lost_what_viewers_got(
    system: System, ffmpeg: Path, clip: Path, tmp_path: Path
) -> None:
    """RTMP with B-frames, then WHIP with Opus, then an ingest that dies before it has written a part."""
    stream = system.create_stream("original", rungs=RUNGS, segment_seconds=1, recording="source")
    assert publish(ffmpeg, clip, system, stream).wait(60) == 0
    wait_for_state(system, "original", "interrupted")
    send_over_whip(ffmpeg, clip, system, stream)
    wait_for_state(system, "original", "interrupted")
    send_until_the_ingest_is_killed(ffmpeg, clip, system, stream)
    wait_for_state(system, "original", "interrupted")
    system.api("POST", "streams/original/end")
    recording = finalized(system, "original")
    assert recording["missing"] == []
    files = recording["files"]
    assert [file["sessions"] for file in files] == [[1], [2], [3]]
    paths = [tmp_path / f"{number}.mp4" for number in range(3)]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(content(system, file["name"]))
    over_rtmp, over_whip, of_viewers = (
        [frame.number for frame in check_plays(ffmpeg, path, file)]
        for path, file in zip(paths, files, strict=True)
    )
    for path in (paths[0], paths[2]):  # VLC 3 copies no Opus into a transport stream
        check_found_by_vlc(path)
    assert packets(paths[0], "video") == packets(clip, "video")
    assert over_rtmp == list(range(CLIP.frames))
    # The first frame is the coder's priming: it is heard before the first picture is shown.
    sent = packets(clip, "audio")[1:]
    heard = packets(paths[0], "audio")
    assert heard[heard.index(sent[0]) :] == sent
    # FFmpeg sends its first picture twice.
    assert over_whip[1:] == list(range(len(over_whip) - 1))
    assert len(over_whip) == WHIP_SECONDS * CLIP.frame_rate
    assert of_viewers == numbers_of([one for one in uploaded(system) if one.session == 3])
    assert all(item.deleted for item in collect(system.url, RECORDING_BUCKET))
