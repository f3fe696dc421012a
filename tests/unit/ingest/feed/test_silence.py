from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import av
import pytest
from av.audio.codeccontext import AudioCodecContext

from ingest.encode.source import parse_audio
from ingest.feed import AudioCodec, EncodedFrame, Track
from ingest.feed.opus import silent_packet
from ingest.feed.silence import (
    DISTANCE,
    PATIENCE,
    SILENT_CHANNELS,
    SILENT_CONFIGURATION,
    SILENT_SAMPLE_RATE,
    SilenceFiller,
    silent_frame,
    sound_of,
)

FRAME = timedelta(seconds=1024) / 48_000
AAC = sound_of(AudioCodec.AAC, sample_rate=48_000, channels=2)


def audio(time: timedelta) -> EncodedFrame:
    return EncodedFrame(
        track=Track.AUDIO, decode_time=time, presentation_time=time, keyframe=True, data=b"sound"
    )


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6])
def test_a_silent_frame_decodes_to_zeros_in_every_arrangement_of_channels(channels: int) -> None:
    decoder = av.CodecContext.create("aac", "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.extradata = (0x1180 | channels << 3).to_bytes(2)
    for _ in range(3):
        (frame,) = decoder.decode(av.Packet(silent_frame(channels)))
        assert frame.layout.nb_channels == channels
        assert frame.samples == 1024
        assert not frame.to_ndarray().any()


def test_the_silent_configuration_says_what_its_constants_say() -> None:
    source = parse_audio(SILENT_CONFIGURATION)
    assert (source.sample_rate, source.channels) == (SILENT_SAMPLE_RATE, SILENT_CHANNELS)


def test_a_source_without_sound_is_silent_from_its_first_picture_on() -> None:
    filler = SilenceFiller(AAC, absent=True)
    assert list(filler.fill(timedelta(seconds=5))) == []
    frames = list(filler.fill(timedelta(seconds=6)))
    assert frames[0].decode_time == timedelta(seconds=5)
    assert frames[-1].decode_time <= timedelta(seconds=6) < frames[-1].decode_time + FRAME
    assert len(frames) == 47


def test_sound_that_comes_a_little_late_is_waited_for() -> None:
    filler = SilenceFiller(AAC, absent=False)
    assert filler.admits(audio(timedelta(0)))
    assert list(filler.fill(FRAME + PATIENCE)) == []


def test_silence_that_has_begun_goes_on_a_little_behind_the_pictures_until_sound_returns() -> None:
    filler = SilenceFiller(AAC, absent=False)
    assert filler.admits(audio(timedelta(0)))
    list(filler.fill(timedelta(seconds=2)))
    (*_, last) = filler.fill(timedelta(seconds=2.5))
    assert timedelta(0) <= timedelta(seconds=2.5) - DISTANCE - last.decode_time < FRAME
    assert filler.admits(audio(timedelta(seconds=2.4)))
    assert list(filler.fill(timedelta(seconds=2.4) + PATIENCE)) == []


@pytest.mark.parametrize("channels", [1, 2])
def test_opus_is_filled_with_packets_of_20_ms_behind_the_end_of_the_last_one_heard(channels: int) -> None:
    filler = SilenceFiller(sound_of(AudioCodec.OPUS, sample_rate=48_000, channels=channels), absent=False)
    three_frames = replace(audio(timedelta(0)), data=b"\xfb\x03")  # 60 ms
    assert filler.admits(three_frames)
    frames = list(filler.fill(timedelta(seconds=2)))
    assert frames[0].decode_time == timedelta(milliseconds=60)
    assert {frame.data for frame in frames} == {silent_packet(channels)}
    times = [frame.decode_time for frame in frames]
    assert {after - before for before, after in pairwise(times)} == {timedelta(milliseconds=20)}
    assert not filler.admits(audio(times[-2]))


def test_a_hole_is_filled_without_overlap_and_late_sound_in_it_is_refused() -> None:
    filler = SilenceFiller(AAC, absent=False)
    assert filler.admits(audio(timedelta(0)))
    until = FRAME + PATIENCE + timedelta(milliseconds=1)
    frames = list(filler.fill(until))
    times = [frame.decode_time for frame in frames]
    assert times[0] == FRAME
    assert {after - before for before, after in pairwise(times)} == {FRAME}
    assert not filler.admits(audio(times[-2]))
    assert filler.admits(audio(times[-1] + FRAME))
