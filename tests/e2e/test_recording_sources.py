"""Sessions whose sources differ: one file where pictures have one format, else files of their own."""

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from local_system.system import RECORDING_BUCKET, System
from tools.auditor.collect import collect
from tools.broadcasts import publish, wait_for_state
from tools.frame_strip import Clip, make_clip, read_frame_numbers
from tools.recordings import content, finalized, probed, said_by_ffmpeg, system_in_a_hurry

LANDSCAPE: Final = Clip(width=320, height=180, duration=timedelta(seconds=4), video_bitrate=400_000)
SILENT: Final = replace(LANDSCAPE, audio=False, duration=timedelta(seconds=3))
PORTRAIT: Final = replace(LANDSCAPE, width=180, height=320, duration=timedelta(seconds=2))
RUNGS: Final = ({"name": "180p", "video_kbps": 300}, {"name": "144p", "video_kbps": 150})
SESSIONS: Final = (LANDSCAPE, SILENT, PORTRAIT, LANDSCAPE)
FILES: Final = ((1, 2), (3,), (4,))
"""The sessions of each file: what lies between them keeps two of one format apart."""


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with system_in_a_hurry(tmp_path / "logs") as running:
        yield running


def loudness(media: bytes) -> NDArray[np.float32]:
    """How loud each hundredth of a second of *media* is at most."""
    with av.open(io.BytesIO(media), mode="r") as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=48_000)
        decoded = [
            resampled.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for resampled in resampler.resample(frame)
        ]
    samples = np.concatenate(decoded)
    loudest: NDArray[np.float32] = np.abs(samples[: len(samples) // 480 * 480].reshape(-1, 480)).max(axis=1)
    return loudest


def test_sessions_of_one_format_are_one_file_and_others_have_files_of_their_own(
    system: System, ffmpeg: Path, tmp_path: Path
) -> None:
    stream = system.create_stream("sources", rungs=RUNGS, segment_seconds=1)
    for clip in SESSIONS:
        assert publish(ffmpeg, make_clip(clip), system, stream).wait(60) == 0
    wait_for_state(system, "sources", "interrupted")
    system.api("POST", "streams/sources/end")
    files = finalized(system, "sources")["files"]
    assert [file["name"] for file in files] == [
        f"sources/recording/00000001/full_stream{suffix}.mp4" for suffix in ("", "_2", "_3")
    ]
    assert [tuple(file["sessions"]) for file in files] == list(FILES)
    for number, (file, sessions) in enumerate(zip(files, FILES, strict=True), 1):
        clips = [SESSIONS[session - 1] for session in sessions]
        media = content(system, file["name"])
        newest = f"sources/recording/full_stream{'' if number == 1 else f'_{number}'}.mp4"
        assert content(system, newest) == media
        frames = read_frame_numbers(media)
        assert [frame.number for frame in frames] == [n for clip in clips for n in range(clip.frames)]
        assert (file["bytes"], file["frames"], file["gaps"]) == (len(media), len(frames), [])
        assert file["seconds"] == pytest.approx(
            sum(clip.duration.total_seconds() for clip in clips), abs=0.1 * len(clips)
        )
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(media)
        assert said_by_ffmpeg(ffmpeg, path) == ""
        sound = loudness(media)
        assert len(sound) / 100 == pytest.approx(file["seconds"], abs=0.1)
        for clip, begin in zip(clips, _beginnings(clips), strict=True):
            # Away from the seams, where the coder still hears the session before.
            inner = sound[round(100 * begin) + 20 : round(100 * (begin + clip.duration.total_seconds())) - 20]
            assert (inner > 0.05).all() if clip.audio else (inner < 0.001).all()
        if (ffprobe := shutil.which("ffprobe")) is not None:
            video = probed(ffprobe, path)["video"]
            assert video["width"] == clips[0].width
            assert video["height"] == clips[0].height
    assert all(item.deleted for item in collect(system.url, RECORDING_BUCKET))


def _beginnings(clips: list[Clip]) -> list[float]:
    """When each of *clips* begins, played one after the other."""
    durations = [clip.duration.total_seconds() for clip in clips]
    return [sum(durations[:number]) for number in range(len(clips))]
