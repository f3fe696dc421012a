"""Whoever is killed while a broadcast is on air: its recording has every frame that was uploaded, and plays."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from bucketcast.stream.identifiers import RungName
from local_system.system import RECORDING_BUCKET, Ports, System
from tools.auditor.collect import collect
from tools.broadcasts import publish, wait_for_state
from tools.browser import chromium
from tools.frame_strip import Clip, StampedFrame, make_clip, read_frame_numbers
from tools.recording_players import check_found_by_vlc, check_in_chromium, check_in_vlc
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
from tools.several_systems import ports_of_systems

SEED: Final = int(os.environ.get("BUCKETCAST_TEST_SEED", "5"))
STREAM: Final = "killed"
TOP: Final = RungName("180p")
RUNGS: Final = ({"name": TOP, "video_kbps": 300}, {"name": "144p", "video_kbps": 150})
FFMPEG_KILLS: Final = 14
# Of each of two broadcasts, in any order: for how many seconds an ingest lives. The stream is refused to the
# broadcaster for the first three of them; the longest is beyond a whole part of the recording.
INGEST_LIVES: Final = ((0.3, 4.0), (4.0, 9.0), (13.5, 15.5))
SOON: Final = 30.0


def clip(seconds: float) -> Clip:
    return Clip(
        width=320,
        height=180,
        duration=timedelta(seconds=seconds),
        keyframe_interval=timedelta(seconds=1),
        video_bitrate=400_000,
    )


WHILE_FFMPEG_IS_KILLED: Final = clip(36)
WHILE_THE_INGEST_IS_KILLED: Final = clip(60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The one file that a broadcast came to, its *facts* by the API, and all that was *uploaded* of it.

    It was made of so many *parts*, and of what an ingest that was killed had not made a part of.
    """

    path: Path
    facts: Mapping[str, Any]
    frames: list[StampedFrame]
    uploaded: list[UploadedSegment]
    parts: int
    parts_left: int


def recording_of(system: System, folder: Path) -> Recording:
    """End the broadcast on *system*, and put its recording into *folder*."""
    wait_for_state(system, STREAM, "interrupted")
    parts = collect(system.url, RECORDING_BUCKET)
    system.api("POST", f"streams/{STREAM}/end")
    [facts] = finalized(system, STREAM)["files"]
    path = folder / "full_stream.mp4"
    path.write_bytes(content(system, facts["name"]))
    made = Recording(
        path=path,
        facts=facts,
        frames=read_frame_numbers(path),
        uploaded=uploaded_segments(system, STREAM, TOP),
        parts=len(parts),
        parts_left=sum(not item.deleted for item in collect(system.url, RECORDING_BUCKET)),
    )
    print(
        f"{made.parts} parts, {len(made.uploaded)} segments in {len(facts['sessions'])} sessions,"
        f" {len(made.frames)} frames, {facts['seconds']:.2f} s, gaps {facts['gaps']}"
    )
    return made


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


def kill_ffmpeg(ffmpeg: Path, random: Random, system: System) -> None:
    """Broadcast on *system*, and kill each FFmpeg at some moment of its life."""
    stream = system.create_stream(STREAM, rungs=RUNGS, segment_seconds=1)
    sender = publish(ffmpeg, make_clip(WHILE_FFMPEG_IS_KILLED), system, stream)
    killed = None
    try:
        for _ in range(FFMPEG_KILLS):
            killed = encoder_pid(system, other_than=killed)
            time.sleep(random.uniform(0.3, 2.6))
            os.kill(killed, signal.SIGKILL)
        assert sender.poll() is None, "each of them is killed while the broadcast is on air"
        assert sender.wait(60) == 0
    finally:
        sender.kill()


def kill_the_ingest(ffmpeg: Path, random: Random, system: System) -> None:
    """Kill the ingest of *system*, whose broadcaster comes back each time, to another session."""
    stream = system.create_stream(STREAM, rungs=RUNGS, segment_seconds=1)
    sent = WHILE_THE_INGEST_IS_KILLED
    with ReturningBroadcaster(ffmpeg, make_clip(sent), sent.duration, system, stream):
        for least, most in random.sample(INGEST_LIVES, len(INGEST_LIVES)):
            time.sleep(random.uniform(least, most))
            system.processes["ingest"].kill()
            system.processes["ingest"].wait()
            system.spawn("ingest", [sys.executable, "-m", "ingest"])
            system.wait_for(f"{system.metrics_url}/healthz", "the ingest")
        time.sleep(random.uniform(3.0, 5.0))


BROADCASTS: Final[Mapping[str, Callable[[Path, Random, System], None]]] = {
    "FFmpeg killed": kill_ffmpeg,
    "ingest killed": kill_the_ingest,
    "ingest killed at other moments": kill_the_ingest,
}


@pytest.fixture(scope="module")
def recordings(
    ffmpeg: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Recording]]]:
    """What comes of each broadcast: they are on air beside each other, each on a system of its own."""
    print(f"seed {SEED} (BUCKETCAST_TEST_SEED)")
    for sent in (WHILE_FFMPEG_IS_KILLED, WHILE_THE_INGEST_IS_KILLED):
        make_clip(sent)  # once, and while nobody is on air

    def broadcast(name: str, ports: Ports, folder: Path) -> Recording:
        with system_in_a_hurry(folder / "logs", ports=ports) as system:
            BROADCASTS[name](ffmpeg, Random(f"{SEED}, {name}"), system)
            return recording_of(system, folder)

    with ThreadPoolExecutor() as pool:
        yield {
            name: pool.submit(broadcast, name, ports, tmp_path_factory.mktemp("recording"))
            for name, ports in zip(BROADCASTS, ports_of_systems(len(BROADCASTS)), strict=True)
        }


@pytest.fixture(scope="module", params=BROADCASTS)
def recording(recordings: Mapping[str, Future[Recording]], request: pytest.FixtureRequest) -> Recording:
    return recordings[request.param].result()


def test_ffmpeg_killed_again_and_again_costs_no_frame(recordings: Mapping[str, Future[Recording]]) -> None:
    uploaded = recordings["FFmpeg killed"].result().uploaded
    assert numbers_of(uploaded) == list(range(WHILE_FFMPEG_IS_KILLED.frames))


def test_an_ingest_that_was_killed_is_followed_by_another_session(
    recordings: Mapping[str, Future[Recording]],
) -> None:
    """Mostly: one that is killed before it could upload a segment leaves none."""
    killed = [recordings[name].result() for name in ("ingest killed", "ingest killed at other moments")]
    assert sum(len(recording.facts["sessions"]) for recording in killed) > len(INGEST_LIVES) + 1
    assert sum(recording.parts for recording in killed) > 0, "one lived until it had written a part"


def test_the_recording_has_every_frame_that_was_uploaded_and_nothing_is_left_of_its_parts(
    recording: Recording,
) -> None:
    numbers = [frame.number for frame in recording.frames]
    assert numbers == numbers_of(recording.uploaded)
    assert None not in numbers
    assert recording.facts["frames"] == len(numbers)
    assert recording.facts["sessions"] == sorted({segment.session for segment in recording.uploaded})
    assert recording.parts_left == 0


def test_ffmpeg_decodes_the_recording_without_a_word_and_finds_places_in_it(
    recording: Recording, ffmpeg: Path
) -> None:
    assert said_by_ffmpeg(ffmpeg, recording.path) == ""
    check_seeking(ffmpeg, recording.path, recording.frames)


def test_ffprobe_finds_every_frame_of_the_recording(recording: Recording) -> None:
    if (ffprobe := shutil.which("ffprobe")) is None:
        pytest.skip("ffprobe is not installed")
    found = probed(ffprobe, recording.path)
    frames = len(recording.frames)
    assert int(found["video"]["nb_frames"]) == int(found["video"]["nb_read_packets"]) == frames
    assert found["audio"]["nb_frames"] == found["audio"]["nb_read_packets"]


def test_chromium_plays_the_recording_to_its_end_and_finds_places_in_it(recording: Recording) -> None:
    with chromium() as browser:
        check_in_chromium(browser, recording.path, frames=recording.frames, seconds=recording.facts["seconds"])


def test_vlc_plays_the_recording_to_its_end_and_finds_all_of_it(recording: Recording) -> None:
    check_in_vlc(recording.path, seconds=recording.facts["seconds"])
    check_found_by_vlc(recording.path)
