"""Recordings of what a real FFmpeg encoded, as players see them: whole, in order, in step, and easy to search.

Two sessions. The first was encoded by two encoders that overlap; of the second two segments are missing in the
middle. The movie's header is made from the parts' heads alone.
"""

import asyncio
import io
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from bucketcast.recording.movie import Movie, Piece, write_movie
from bucketcast.recording.movie_tracks import Pause
from bucketcast.recording.names import PartFacts, parse_part, part_metadata, part_name
from bucketcast.recording.part import Part, write_part
from bucketcast.recording.part_head import read_head
from bucketcast.recording.plan import RecordingPlan, SealedSession, groups, plan_recording
from bucketcast.recording.samples import SegmentSamples
from bucketcast.recording.segment_samples import read_segment
from bucketcast.stream.configuration import RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, RungName, SegmentIndex, SessionNumber, StreamId
from ingest.encode import CutSegment, Opening, SessionEncoder, find_ffmpeg, plan_encoding
from tools.browser import Browser, chromium
from tools.clip_feed import read_feed
from tools.frame_strip import Clip, make_clip, read_frame_numbers, read_strip
from tools.recording_players import FAST, check_found_by_vlc, check_in_chromium, check_in_vlc, opened_in

STREAM, RUNG = StreamId("demo"), RungName("180p")
FIRST, SECOND = SessionNumber(1), SessionNumber(2)
RATE = 30
CLIP = Clip(
    width=320,
    height=180,
    frame_rate=Fraction(RATE),
    duration=timedelta(seconds=15),
    keyframe_interval=timedelta(seconds=1),
    video_bitrate=400_000,
)
CONFIGURATION = StreamConfiguration(
    rungs=(RungConfiguration(name=RUNG, video_bitrate=BitsPerSecond(400_000)),),
    segment_duration=timedelta(seconds=1),
    pass_through=True,
)
SECONDS = 15
# Of the second session these segments are missing.
LOST = range(7, 9)
FRAME = 1 / RATE


def encode(*, first: int = 0, copied: bool = False) -> list[SegmentSamples]:
    """The segments of the clip, from *first* on, as a session's encoder cuts them, or as they came in."""

    async def run() -> None:
        opening = Opening(pass_through=CONFIGURATION if copied else None)
        items = read_feed(make_clip(CLIP))
        number, opened = next(
            (number, opened)
            for number, item in enumerate(items, 1)
            if (opened := opening.add(item)) is not None
        )

        async def deliver(segment: CutSegment) -> None:
            cut.append(segment)

        encoder = SessionEncoder(
            plan_encoding(CONFIGURATION, opened.source, source_delay=opened.source_delay),
            origin=opened.origin,
            ffmpeg=find_ffmpeg(),
            on_segment=deliver,
            first=SegmentIndex(first),
            stall_timeout=timedelta(seconds=20),
        )
        await encoder.start(opened.items)
        try:
            for item in items[number:]:
                await encoder.write(item)
            await encoder.finish()
        finally:
            await encoder.abort()

    cut: list[CutSegment] = []
    asyncio.run(run())
    return [
        read_segment(segment.data, index=segment.index, start=segment.start, duration=segment.duration)
        for segment in cut
    ]


def parts_of(segments: Sequence[SegmentSamples], length: int = 4) -> Iterator[Part]:
    for begin in range(0, len(segments), length):
        yield write_part(segments[begin : begin + length])


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What was recorded, and the file that came of it."""

    plan: RecordingPlan
    movie: Movie
    content: bytes
    part: Part
    path: Path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    whole, replacement = encode(), encode(first=6)
    contents: dict[str, Part] = {}
    facts: list[PartFacts] = []
    for session, segments in (
        (FIRST, whole[:10]),
        (FIRST, replacement),
        (SECOND, whole[: LOST.start]),
        (SECOND, whole[LOST.stop :]),
    ):
        for part in parts_of(segments):
            name = part_name(STREAM, session, part.first)
            assert part.video_format is not None
            metadata = part_metadata(
                first=part.first,
                last=part.last,
                head_bytes=part.head_bytes,
                rung=RUNG,
                media_format=part.fingerprint,
            )
            contents[name] = part
            facts.append(parse_part(name, size=len(part.content), metadata=metadata))
    indexes = [segment.index for segment in whole]
    plan = plan_recording(
        [
            SealedSession(session=FIRST, rung=RUNG, last=SECONDS - 1, segments=indexes),
            SealedSession(
                session=SECOND,
                rung=RUNG,
                last=SECONDS - 1,
                segments=[index for index in indexes if index not in LOST],
            ),
        ],
        reversed(facts),
    )
    (taken,) = groups(plan.taken)
    movie = write_movie(
        Piece(
            session=one.part.session,
            first=one.first,
            last=one.last,
            head=read_head(contents[one.part.name].content[: one.part.head_bytes], size=one.part.size),
        )
        for one in taken
    )
    content = b"".join((*movie.header, *(contents[one.part.name].content for one in taken)))
    folder = tmp_path_factory.mktemp("recording")
    path = folder / "full_stream.mp4"
    path.write_bytes(content)
    part = next(write_part(whole[begin : begin + 4]) for begin in (4,))
    (folder / "part.mp4").write_bytes(part.content)
    return Recording(plan=plan, movie=movie, content=content, part=part, path=path)


def second_session(recording: Recording) -> float:
    """When the second session begins, by the pause that is in it."""
    (pause,) = recording.movie.pauses
    return pause.at.total_seconds() - LOST.start


def expected_frames(recording: Recording) -> list[tuple[int, float]]:
    """Every frame's number and time."""
    begin = second_session(recording)
    frames = [(number, number / RATE) for number in range(CLIP.frames)]
    kept = (number for number in range(CLIP.frames) if number // RATE not in LOST)
    return [*frames, *((number, begin + number / RATE) for number in kept)]


def ffmpegs() -> list[str]:
    installed = shutil.which("ffmpeg")
    return [imageio_ffmpeg.get_ffmpeg_exe(), *([installed] if installed else [])]


def test_the_plan_takes_what_reaches_furthest_and_knows_what_is_missing(recording: Recording) -> None:
    assert recording.plan.holes == ()
    assert [(one.session, one.first, one.last) for one in recording.plan.missing] == [(SECOND, 7, 8)]
    assert [(one.part.session, one.first, one.last) for one in recording.plan.taken] == [
        *((FIRST, 0, 3), (FIRST, 4, 7), (FIRST, 8, 9), (FIRST, 10, 13), (FIRST, 14, 14)),
        *((SECOND, 0, 3), (SECOND, 4, 6), (SECOND, 9, 12), (SECOND, 13, 14)),
    ]


def test_the_movie_says_how_long_it_is(recording: Recording) -> None:
    movie = recording.movie
    assert len(recording.content) == movie.size
    assert movie.frames == 2 * CLIP.frames - len(LOST) * RATE
    # The second session begins when the sound of the first is over, which outlasts its pictures a little.
    assert SECONDS <= second_session(recording) < SECONDS + 0.1
    assert movie.pauses == (Pause(at=movie.pauses[0].at, duration=timedelta(seconds=len(LOST))),)
    assert 2 * SECONDS <= movie.duration.total_seconds() < 2 * SECONDS + 0.2


def test_ffprobe_finds_the_frames_and_the_duration_that_the_movie_states(recording: Recording) -> None:
    if (ffprobe := shutil.which("ffprobe")) is None:
        pytest.skip("ffprobe is not installed")
    entries = "format=duration:stream=codec_type,nb_frames,nb_read_packets,duration,start_time"
    command = [ffprobe, "-v", "warning", "-count_packets", "-show_entries", entries, "-of", "json"]
    done = subprocess.run([*command, recording.path], capture_output=True, check=True, text=True)
    assert done.stderr == ""
    said = json.loads(done.stdout)
    video, audio = said["streams"]
    assert int(video["nb_frames"]) == int(video["nb_read_packets"]) == recording.movie.frames
    assert audio["nb_frames"] == audio["nb_read_packets"]
    assert float(video["start_time"]) == float(audio["start_time"]) == 0
    seconds = recording.movie.duration.total_seconds()
    assert float(said["format"]["duration"]) == pytest.approx(seconds, abs=1e-5)
    assert float(video["duration"]) == pytest.approx(second_session(recording) + SECONDS, abs=1e-3)


@pytest.mark.parametrize("ffmpeg", ffmpegs(), ids=lambda path: Path(path).name)
@pytest.mark.parametrize("name", ["full_stream.mp4", "part.mp4"])
def test_ffmpeg_decodes_everything_without_a_word(recording: Recording, ffmpeg: str, name: str) -> None:
    media = str(recording.path.with_name(name))
    command = [ffmpeg, "-nostdin", "-v", "warning", "-xerror", "-i", media]
    done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_frame_is_there_once_in_order_and_at_its_time(recording: Recording) -> None:
    seen = read_frame_numbers(recording.content)
    expected = expected_frames(recording)
    assert [frame.number for frame in seen] == [number for number, _ in expected]
    for frame, (_, shown) in zip(seen, expected, strict=True):
        assert float(frame.time) == pytest.approx(shown, abs=1e-4)


def test_a_source_that_is_passed_through_is_recorded_as_it_came() -> None:
    segments = encode(copied=True)
    reordered = [max(one.video.table.composition_offsets) for one in segments if one.video]
    assert max(reordered) > 2 * 90_000 / RATE, "the source has more pictures out of order than what we encode"
    part = write_part(segments)
    head = read_head(part.content[: part.head_bytes], size=len(part.content))
    movie = write_movie([Piece(session=FIRST, first=part.first, last=part.last, head=head)])
    seen = read_frame_numbers(b"".join((*movie.header, part.content)))
    assert [frame.number for frame in seen] == list(range(CLIP.frames))
    assert [float(frame.time) for frame in seen] == pytest.approx(
        [number / RATE for number in range(CLIP.frames)], abs=1e-3
    )


def test_a_part_plays_by_itself(recording: Recording) -> None:
    assert [frame.number for frame in read_frame_numbers(recording.part.content)] == list(
        range(4 * RATE, 8 * RATE)
    )


def test_sound_and_pictures_are_in_step_in_every_session(recording: Recording) -> None:
    """The clip beeps at the beginning of each second."""
    heard = beeps(recording.content)
    begin = second_session(recording)
    expected = [*range(SECONDS), *(begin + second for second in range(SECONDS) if second not in LOST)]
    assert len(heard) == len(expected)
    for begun, second in zip(heard, expected, strict=True):
        # Half a frame of sound, and what the beep's beginning is blurred by.
        assert begun == pytest.approx(second, abs=0.0107 + 0.01)


def beeps(media: bytes) -> list[float]:
    """When tones of 2 kHz begin in *media*."""
    with av.open(io.BytesIO(media), mode="r") as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=48_000)
        decoded = [
            (float(frame.time or 0), frame.to_ndarray()[0])
            for original in container.decode(audio=0)
            for frame in resampler.resample(original)
        ]
    assert all(
        later == pytest.approx(earlier + len(samples) / 48_000, abs=1e-4)
        for (earlier, samples), (later, _) in pairwise(decoded)
    ), "the sound has no hole"
    samples = np.concatenate([samples for _, samples in decoded])
    window = 48 * 4
    usable = samples[: len(samples) // window * window].reshape(-1, window)
    tone = np.exp(2j * np.pi * 2000 * np.arange(window) / 48_000)
    loud = np.abs(usable @ tone) > 0.1 * window / 2
    starts = np.flatnonzero(loud & ~np.concatenate(([False], loud[:-1])))
    return [decoded[0][0] + start * window / 48_000 for start in starts]


@pytest.mark.parametrize("position", [0.0, 3.5, 14.9, 15.5, 20.02, 23.5, 25.0, 29.5])
def test_seeking_shows_the_frame_of_that_time(recording: Recording, position: float) -> None:
    with av.open(io.BytesIO(recording.content), mode="r") as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        container.seek(int(position / stream.time_base), stream=stream)
        shown = None
        for frame in container.decode(stream):
            assert frame.time is not None
            if frame.time > position + 1e-6:
                break
            shown = read_strip(frame.reformat(format="gray").to_ndarray().astype(np.uint8))
    assert shown == number_at(recording, position)


def number_at(recording: Recording, position: float) -> int:
    """Which frame is shown at *position*."""
    return next(number for number, time in reversed(expected_frames(recording)) if time <= position + 1e-6)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_chromium_plays_over_a_pause_as_it_comes(recording: Recording, browser: Browser) -> None:
    with opened_in(browser, recording.path) as video:
        video.play(begin=recording.movie.pauses[0].at.total_seconds() - 0.5)
        length = timedelta(seconds=len(LOST) + 1)
        seen = browser.play_for(length)
        assert seen.played >= length
        assert seen.stalls == 0
        assert video.failure is None


def test_chromium_plays_from_the_beginning_to_the_end(recording: Recording, browser: Browser) -> None:
    check_in_chromium(
        browser,
        recording.path,
        frames=read_frame_numbers(recording.content),
        seconds=recording.movie.duration.total_seconds(),
    )


def test_chromium_plays_a_part(recording: Recording, browser: Browser) -> None:
    with opened_in(browser, recording.path.with_name("part.mp4")) as video:
        video.play(rate=FAST)
        video.wait_for_end()
        assert browser.console() == ()


@pytest.mark.parametrize("position", [3.51, 14.91, 15.6, 23.5, 25.02])
def test_chromium_seeks_to_the_frame_of_that_time(
    recording: Recording, browser: Browser, position: float
) -> None:
    with opened_in(browser, recording.path) as video:
        assert video.number_at(position) == number_at(recording, position)
        assert video.failure is None


@pytest.mark.parametrize(("name", "seconds"), [("full_stream.mp4", 2 * SECONDS), ("part.mp4", 4)])
def test_vlc_plays_to_the_end(recording: Recording, name: str, seconds: float) -> None:
    check_in_vlc(recording.path.with_name(name), seconds=seconds)


@pytest.mark.parametrize("name", ["full_stream.mp4", "part.mp4"])
def test_vlc_finds_all_pictures_and_all_sound(recording: Recording, name: str) -> None:
    check_found_by_vlc(recording.path.with_name(name))
