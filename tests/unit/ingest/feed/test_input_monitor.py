"""What is wrong with a broadcaster's input is named, and what is usual is not."""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.encoder_report import InputFault
from ingest.feed import EncodedFrame, Track
from ingest.feed.input_monitor import LONG_KEYFRAME_INTERVAL, MAX_FRAMES, NO_VIDEO_AFTER, InputMonitor

FRAME = timedelta(milliseconds=40)
KEYFRAMES = 50  # frames


def picture(time: timedelta, *, keyframe: bool = False) -> EncodedFrame:
    return EncodedFrame(
        track=Track.VIDEO, decode_time=time, presentation_time=time, keyframe=keyframe, data=b"picture"
    )


def sound(time: timedelta) -> EncodedFrame:
    return EncodedFrame(
        track=Track.AUDIO, decode_time=time, presentation_time=time, keyframe=True, data=b"sound"
    )


def hear(monitor: InputMonitor, begin: timedelta, seconds: float) -> None:
    """Let sound come for *seconds* from *begin* on, all at once: only its own times count."""
    for number in range(round(seconds * 10) + 1):
        monitor.observe(sound(begin + number * timedelta(milliseconds=100)), arrived=0.0)


def watched(
    frames: Iterable[int],
    *,
    keyframes: int = KEYFRAMES,
    pace: float = 1.0,
    has_audio: bool = True,
) -> InputMonitor:
    """A monitor after the frames of these numbers came, each *pace* times its interval after the other."""
    monitor = InputMonitor(has_audio=has_audio)
    for number in frames:
        frame = picture(number * FRAME, keyframe=number % keyframes == 0)
        monitor.observe(frame, arrived=number * FRAME.total_seconds() * pace)
    return monitor


def test_a_steady_source_has_no_faults() -> None:
    assert watched(range(1000)).faults() == ()


def test_nothing_is_said_before_anything_came() -> None:
    assert InputMonitor(has_audio=True).faults() == ()


def test_missing_sound_is_named() -> None:
    assert watched(range(100), has_audio=False).faults() == (InputFault.NO_AUDIO,)


def test_a_long_keyframe_interval_is_named_and_forgotten_when_it_is_mended() -> None:
    monitor = watched(range(300), keyframes=150)
    assert monitor.faults() == (InputFault.LONG_KEYFRAME_INTERVAL,)
    for number in range(300, 400):
        monitor.observe(picture(number * FRAME, keyframe=number % 25 == 0), arrived=number * 0.04)
    assert monitor.faults() == ()


def test_a_keyframe_interval_of_four_seconds_is_no_fault() -> None:
    assert watched(range(400), keyframes=LONG_KEYFRAME_INTERVAL // FRAME).faults() == ()


def test_a_keyframe_that_never_comes_again_is_named() -> None:
    """A bug: only the interval between two keyframes was looked at."""
    assert (
        watched(range(1, 150), keyframes=10_000).faults() == ()
    )  # none has come yet: the opening waits for it
    assert watched(range(150), keyframes=10_000).faults() == (InputFault.LONG_KEYFRAME_INTERVAL,)


def test_media_that_comes_more_slowly_than_it_plays_is_named() -> None:
    assert InputFault.SLOWER_THAN_REAL_TIME in watched(range(300), pace=1.2).faults()


@pytest.mark.parametrize("pace", [0.5, 1.0, 1.02])
def test_media_in_time_or_ahead_of_it_is_not_slow(pace: float) -> None:
    assert watched(range(300), pace=pace).faults() == ()


def test_the_first_seconds_say_nothing_about_speed() -> None:
    assert watched(range(100), pace=2.0).faults() == ()


def test_many_missing_frames_are_a_variable_frame_rate() -> None:
    frames = [number for number in range(250) if number % 50 not in {20, 21, 22}]
    assert watched(frames).faults() == (InputFault.VARIABLE_FRAME_RATE,)


def test_a_frame_left_out_now_and_then_is_no_variable_frame_rate() -> None:
    assert watched(number for number in range(250) if number % 25 != 7).faults() == ()


@pytest.mark.parametrize("ahead", [-10, 0, 10])
def test_sound_between_pictures_says_nothing_however_far_from_them_its_times_are(ahead: int) -> None:
    monitor = watched(range(100))
    for number in range(100, 300):
        monitor.observe(picture(number * FRAME, keyframe=number % KEYFRAMES == 0), arrived=number * 0.04)
        monitor.observe(sound(number * FRAME + timedelta(seconds=ahead)), arrived=number * 0.04)
    assert monitor.faults() == ()


@pytest.mark.parametrize("pictures", [0, 100])
def test_sound_that_goes_on_without_pictures_is_named(pictures: int) -> None:
    """From the beginning or after some; a pause of two seconds is not named yet."""
    monitor, end = watched(range(pictures)), pictures * FRAME
    hear(monitor, end, NO_VIDEO_AFTER.total_seconds())
    assert monitor.faults() == ()
    hear(monitor, end + NO_VIDEO_AFTER, 0.1)
    assert monitor.faults() == (InputFault.NO_VIDEO,)


def test_missing_pictures_are_forgotten_when_one_comes() -> None:
    monitor = watched(range(100))
    hear(monitor, 100 * FRAME, 3.0)
    assert monitor.faults() == (InputFault.NO_VIDEO,)
    monitor.observe(picture(175 * FRAME), arrived=7.0)
    assert InputFault.NO_VIDEO not in monitor.faults()


def test_a_flood_whose_times_stand_still_is_not_kept() -> None:
    """A bug: without time going on, every frame of a session was remembered."""
    monitor = InputMonitor(has_audio=True)
    for _ in range(3 * MAX_FRAMES):
        monitor.observe(picture(timedelta(0)), arrived=0.0)
    assert len(monitor._frames) <= MAX_FRAMES


@given(st.lists(st.tuples(st.integers(-10_000, 10_000), st.sampled_from("KPS"), st.floats(0, 1)), max_size=60))
def test_no_times_are_too_strange_to_be_looked_at(frames: list[tuple[int, str, float]]) -> None:
    """Of keyframes, other pictures and sound."""
    monitor, arrived = InputMonitor(has_audio=True), 0.0
    for milliseconds, kind, pause in frames:
        arrived += pause
        time = timedelta(milliseconds=milliseconds)
        monitor.observe(sound(time) if kind == "S" else picture(time, keyframe=kind == "K"), arrived=arrived)
        assert set(monitor.faults()) <= set(InputFault)


def test_an_adaptive_source_may_be_uneven() -> None:
    """A browser drops pictures where its network is slow: nobody could change that."""
    monitor = InputMonitor(has_audio=True, adaptive=True)
    for number in range(250):
        if number % 50 not in {20, 21, 22}:
            monitor.observe(picture(number * FRAME, keyframe=number % 50 == 0), arrived=number / 25)
    assert monitor.faults() == ()
