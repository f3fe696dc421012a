import subprocess
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.frame_strip import Clip, StampedFrame, make_clip
from tools.lip_sync import PITCHES, SOURCE, Chime, Sound, find_chimes, offsets, read_offsets

RATE = 48_000
CLIP = Clip(
    width=160,
    height=96,
    frame_rate=Fraction(25),
    duration=timedelta(seconds=5),
    video_bitrate=200_000,
    b_frames=0,
    audio=False,
)
MILLISECOND = timedelta(milliseconds=1)


def chiming(seconds: int, *, late: float, loudness: float = 0.4) -> Sound:
    """Chimes that begin *late* seconds after each full second, in a sound that begins at -1 s."""
    time = np.arange(-RATE, (seconds + 1) * RATE) / RATE - late
    second = np.floor(time)
    pitch = 1000 + 250 * np.mod(second, PITCHES)
    is_on = (time - second < 0.05) & (second >= 0) & (second < seconds)
    samples = loudness * np.sin(2 * np.pi * pitch * time) * is_on
    return Sound(samples=samples.astype(np.float32), rate=RATE, begins=Fraction(-1))


@settings(max_examples=20)
@given(late=st.floats(-0.4, 0.4), loudness=st.floats(0.05, 0.9))
def test_every_chime_is_found_where_it_begins(late: float, loudness: float) -> None:
    chimes = find_chimes(chiming(10, late=late, loudness=loudness))
    assert [chime.pitch for chime in chimes] == [second % PITCHES for second in range(10)]
    for second, chime in enumerate(chimes):
        assert abs(float(chime.time) - second - late) < 0.001


@pytest.mark.parametrize("late", [-3.9, -1, -0.1, 0, 0.001, 1, 3.9])
def test_sound_that_is_late_by_a_second_is_not_on_time(late: float) -> None:
    frames = [StampedFrame(number, Fraction(number, 25)) for number in range(60 * 25)]
    chimes = [Chime(pitch=second % PITCHES, time=Fraction(second) + Fraction(late)) for second in range(5, 55)]
    found = offsets(frames, chimes, frame_rate=Fraction(25))
    assert [each.second for each in found] == list(range(5, 55))
    assert {round(each.sound_is_late_by / MILLISECOND) for each in found} == {round(1000 * late)}


def test_of_a_frame_that_is_shown_twice_the_first_one_counts() -> None:
    frames = [
        StampedFrame(25, Fraction(1)),
        StampedFrame(25, Fraction(26, 25)),
        StampedFrame(None, Fraction(2)),
    ]
    chimes = [Chime(pitch=1, time=Fraction(1))]
    (found,) = offsets(frames, chimes, frame_rate=Fraction(25))
    assert found.sound_is_late_by == timedelta(0)


def test_silence_another_sound_and_a_missing_frame_are_told_apart_from_being_together() -> None:
    silent = Sound(samples=np.zeros(RATE, np.float32), rate=RATE, begins=Fraction(0))
    with pytest.raises(ValueError, match="no chime"):
        find_chimes(silent)
    humming = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE) * (np.arange(RATE) > RATE // 2)
    with pytest.raises(ValueError, match="440 Hz"):
        find_chimes(Sound(samples=humming.astype(np.float32), rate=RATE, begins=Fraction(0)))
    with pytest.raises(ValueError, match="no frame"):
        offsets([], [Chime(pitch=0, time=Fraction(0))], frame_rate=Fraction(25))


@pytest.mark.parametrize("late", [timedelta(0), timedelta(milliseconds=100), timedelta(milliseconds=-60)])
def test_a_file_s_offset_is_measured(late: timedelta, tmp_path: Path) -> None:
    """With sound that is not compressed, so that no codec delays it."""
    media = tmp_path / "clip.mkv"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostdin"]
    command += ["-i", str(make_clip(CLIP)), "-itsoffset", str(late.total_seconds())]
    command += ["-f", "lavfi", "-i", f"aevalsrc='{SOURCE}':s=48000:d=5", "-c:v", "copy", "-c:a", "pcm_s16le"]
    subprocess.run([*command, str(media)], check=True)
    found = read_offsets(media.read_bytes(), frame_rate=CLIP.frame_rate)
    assert {1, 2, 3, 4} <= {each.second for each in found}
    for each in found:
        assert abs(each.sound_is_late_by - late) <= 2 * MILLISECOND
