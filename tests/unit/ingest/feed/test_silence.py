from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.codecs.opus import silent_packet
from ingest.encode.source import parse_audio
from ingest.feed import AudioCodec, EncodedFrame, Track
from ingest.feed.silence import (
    DISTANCE,
    FIRST_PATIENCE,
    PATIENCE,
    SILENT_CHANNELS,
    SILENT_CONFIGURATION,
    SILENT_SAMPLE_RATE,
    UNCORRECTED,
    SilenceFiller,
    sound_of,
)

FRAME = timedelta(seconds=1024) / 48_000
AAC = sound_of(AudioCodec.AAC, sample_rate=48_000, channels=2)
OPUS = sound_of(AudioCodec.OPUS, sample_rate=48_000, channels=2)
PACKET = silent_packet(2)[:1] + b"sound"  # of 20 ms


def audio(time: timedelta) -> EncodedFrame:
    return EncodedFrame(
        track=Track.AUDIO, decode_time=time, presentation_time=time, keyframe=True, data=b"sound"
    )


def test_the_silent_configuration_says_what_its_constants_say() -> None:
    source = parse_audio(SILENT_CONFIGURATION)
    assert (source.sample_rate, source.channels) == (SILENT_SAMPLE_RATE, SILENT_CHANNELS)


def test_a_source_without_sound_is_silent_from_its_first_picture_on() -> None:
    filler = SilenceFiller(AAC, origin=timedelta(0), absent=True)
    assert list(filler.fill(timedelta(seconds=5))) == []
    frames = list(filler.fill(timedelta(seconds=6)))
    assert frames[0].decode_time == timedelta(seconds=5)
    assert frames[-1].decode_time <= timedelta(seconds=6) < frames[-1].decode_time + FRAME
    assert len(frames) == 47


def test_sound_that_comes_a_little_late_is_waited_for() -> None:
    filler = SilenceFiller(AAC, origin=timedelta(0), absent=False)
    assert filler.join(audio(timedelta(0)))
    assert list(filler.fill(FRAME + PATIENCE)) == []


def test_silence_that_has_begun_goes_on_a_little_behind_the_pictures_until_sound_returns() -> None:
    filler = SilenceFiller(AAC, origin=timedelta(0), absent=False)
    assert filler.join(audio(timedelta(0)))
    list(filler.fill(timedelta(seconds=2)))
    (*_, last) = filler.fill(timedelta(seconds=2.5))
    assert timedelta(0) <= timedelta(seconds=2.5) - DISTANCE - last.decode_time < FRAME
    assert filler.join(audio(timedelta(seconds=2.4)))
    assert list(filler.fill(timedelta(seconds=2.4) + PATIENCE)) == []


@pytest.mark.parametrize("channels", [1, 2])
def test_opus_is_filled_with_packets_of_20_ms_behind_the_end_of_the_last_one_heard(channels: int) -> None:
    opus = sound_of(AudioCodec.OPUS, sample_rate=48_000, channels=channels)
    filler = SilenceFiller(opus, origin=timedelta(seconds=-1), absent=False)
    three_frames = replace(audio(timedelta(0)), data=b"\xfb\x03")  # 60 ms
    assert filler.join(three_frames)
    frames = list(filler.fill(timedelta(seconds=2)))
    assert frames[0].decode_time == timedelta(milliseconds=60)
    assert {frame.data for frame in frames} == {silent_packet(channels)}
    times = [frame.decode_time for frame in frames]
    assert {after - before for before, after in pairwise(times)} == {timedelta(milliseconds=20)}
    assert not filler.join(audio(times[-2]))


def test_a_hole_is_filled_without_overlap_and_late_sound_in_it_is_refused() -> None:
    filler = SilenceFiller(AAC, origin=timedelta(0), absent=False)
    assert filler.join(audio(timedelta(0)))
    until = FRAME + PATIENCE + timedelta(milliseconds=1)
    frames = list(filler.fill(until))
    times = [frame.decode_time for frame in frames]
    assert times[0] == FRAME
    assert {after - before for before, after in pairwise(times)} == {FRAME}
    assert not filler.join(audio(times[-2]))
    assert filler.join(audio(times[-1] + FRAME))


MICROSECONDS = st.integers(-200_000, 200_000).map(lambda number: timedelta(microseconds=number))


def packet(time: timedelta) -> EncodedFrame:
    return replace(audio(time), data=PACKET)


def end(frame: EncodedFrame) -> timedelta:
    return frame.decode_time + OPUS.duration(frame.data)


@given(MICROSECONDS)
def test_the_first_sound_is_corrected_by_ffmpeg_or_silence_ends_exactly_where_it_begins(
    begins: timedelta,
) -> None:
    """A bug: sound that began 12 ms after its session was early by 12 ms from then on."""
    filler = SilenceFiller(OPUS, origin=timedelta(0), absent=False)
    assert list(filler.fill(timedelta(0))) == []
    heard = filler.join(packet(begins))
    assert heard[-1] == packet(begins)
    assert abs(heard[0].decode_time) > UNCORRECTED
    assert all(end(before) == after.decode_time for before, after in pairwise(heard))
    assert filler.join(packet(begins + timedelta(milliseconds=20))) == [
        packet(begins + timedelta(milliseconds=20))
    ]


def test_of_aac_a_decoder_has_to_see_the_first_frame_itself() -> None:
    """It learns from it what the configuration need not say (SBR, which doubles the rate)."""
    filler = SilenceFiller(AAC, origin=timedelta(0), absent=False)
    assert list(filler.fill(timedelta(0))) == []
    assert filler.join(audio(timedelta(milliseconds=12))) == [audio(timedelta(milliseconds=12))]


@given(MICROSECONDS)
def test_where_sound_returns_silence_meets_it_as_exactly_as_opus_allows(later: timedelta) -> None:
    """A bug: they overlapped by up to 20 ms, by which sound was late from then on."""
    filler = SilenceFiller(OPUS, origin=timedelta(0), absent=False)
    filler.join(packet(timedelta(0)))
    silence = list(filler.fill(timedelta(seconds=3)))
    begins = end(silence[-1]) + later
    heard = next(
        heard
        for number in range(12)
        if (heard := filler.join(packet(begins + number * timedelta(milliseconds=20))))
    )
    times = [*silence[-1:], *heard]
    assert all(end(before) == after.decode_time for before, after in pairwise(times[:-1]))
    assert abs(times[-1].decode_time - end(times[-2])) <= timedelta(milliseconds=1.25)
    assert end(silence[-1]) - times[-1].decode_time <= timedelta(milliseconds=1.25), "nothing is refused twice"
    if later > timedelta(0):
        assert times[-1].decode_time == begins, "nor what has a place"


@given(st.floats(-0.2, 0.2))
def test_where_sound_returns_silence_of_aac_is_off_by_half_a_frame_at_most(later: float) -> None:
    filler = SilenceFiller(AAC, origin=timedelta(0), absent=False)
    filler.join(audio(timedelta(0)))
    silence = list(filler.fill(timedelta(seconds=3)))
    begins = silence[-1].decode_time + timedelta(seconds=later)
    heard = next(heard for number in range(12) if (heard := filler.join(audio(begins + number * FRAME))))
    times = [frame.decode_time for frame in (silence[-1], *heard)]
    assert all(after - before == FRAME for before, after in pairwise(times[:-1]))
    assert abs(times[-1] - times[-2] - FRAME) <= FRAME / 2


def test_the_first_sound_is_waited_for_for_longer() -> None:
    """A bug: of WebRTC, whose first frames are held back, the first second was silence."""
    filler = SilenceFiller(OPUS, origin=timedelta(0), absent=False)
    assert list(filler.fill(timedelta(0))) == []
    assert list(filler.fill(FIRST_PATIENCE)) == []
    begins = timedelta(milliseconds=100)
    assert filler.join(packet(begins)) == [packet(begins)]
    assert list(filler.fill(begins + timedelta(milliseconds=20) + PATIENCE)) == []
    assert list(filler.fill(begins + timedelta(milliseconds=21) + PATIENCE)) != []
