"""Sound that a recording can hold, as its codec's header describes it, and what is refused."""

import av
import pytest
from av.audio.codeccontext import AudioCodecContext

from bucketcast.recording.audio_format import (
    ENCODED_SOUND,
    MAX_CONFIGURATION_BYTES,
    AudioCoding,
    aac_format,
    opus_format,
    opus_head_format,
)
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.movie_tracks import SILENCE_BYTES, SILENT_FRAMES
from bucketcast.stream.silence import AUDIO_FRAME_SAMPLES, AUDIO_SAMPLE_RATE


def opus_head(channels: int, *, family: int = 0) -> bytes:
    return b"OpusHead\x01" + bytes((channels,)) + b"\x38\x01\x44\xac\x00\x00\x00\x00" + bytes((family,))


def test_what_encoders_write_is_that_of_transport_streams() -> None:
    assert (ENCODED_SOUND.sample_rate, ENCODED_SOUND.frame_samples) == (AUDIO_SAMPLE_RATE, AUDIO_FRAME_SAMPLES)


@pytest.mark.parametrize(
    ("configuration", "rate", "channels"),
    [("1190", 48_000, 2), ("1208", 44_100, 1), ("11b0", 48_000, 6), ("121056e500", 44_100, 2)],
    ids=["as encoded", "44.1 kHz mono", "5.1", "with an extension"],
)
def test_aac_lc_is_described_by_its_own_configuration(configuration: str, rate: int, channels: int) -> None:
    found = aac_format(bytes.fromhex(configuration))
    assert found.coding is AudioCoding.AAC
    assert (found.sample_rate, found.channels, found.frame_samples) == (rate, channels, 1024)
    assert found.configuration.hex() == configuration


@pytest.mark.parametrize(
    "configuration",
    ["", "2b118800", "1194", "1180", "11b8", "1010", "1190" + "00" * MAX_CONFIGURATION_BYTES],
    ids=["nothing", "HE-AAC", "960 samples", "channels in frames", "7.1", "96 kHz", "too large"],
)
def test_other_aac_is_refused(configuration: str) -> None:
    with pytest.raises(InvalidMedia):
        aac_format(bytes.fromhex(configuration))


@pytest.mark.parametrize("channels", [1, 2])
def test_opus_begins_without_a_pre_skip_at_the_rate_of_its_decoder(channels: int) -> None:
    found = opus_head_format(opus_head(channels))
    assert (found.coding, found.sample_rate, found.frame_samples) == (AudioCoding.OPUS, 48_000, 960)
    assert found.configuration == bytes.fromhex(f"00 0{channels} 0000 0000bb80 0000 00")
    assert opus_format(found.configuration) == found


@pytest.mark.parametrize(
    "head",
    [b"", b"OpusHead", b"OpusTags" + opus_head(2)[8:], opus_head(0), opus_head(3), opus_head(2, family=1)],
    ids=["nothing", "cut short", "no head", "no channel", "three channels", "surround"],
)
def test_other_opus_is_refused(head: bytes) -> None:
    with pytest.raises(InvalidMedia):
        opus_head_format(head)


@pytest.mark.parametrize("configuration", [b"", b"\x00\x02", bytes.fromhex("01 02 0000 0000bb80 0000 00")])
def test_what_is_no_recording_s_dops_is_refused(configuration: bytes) -> None:
    with pytest.raises(InvalidMedia):
        opus_format(configuration)


def test_every_format_s_silence_has_room_at_a_movie_s_beginning() -> None:
    formats = [aac_format((0x1180 | channels << 3).to_bytes(2)) for channels in range(1, 7)]
    formats += [opus_head_format(opus_head(channels)) for channels in (1, 2)]
    assert max(len(one.silence) for one in formats) * SILENT_FRAMES == SILENCE_BYTES


@pytest.mark.parametrize("channels", [1, 2])
def test_opus_s_silence_is_silent_and_as_long_as_a_packet(channels: int) -> None:
    found = opus_head_format(opus_head(channels))
    decoder = av.CodecContext.create("opus", "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.extradata = opus_head(channels)[:10] + bytes(2) + opus_head(channels)[12:]  # without a pre-skip
    frames = decoder.decode(av.Packet(found.silence))
    assert sum(frame.samples for frame in frames) == found.frame_samples
    assert not any(frame.to_ndarray().any() for frame in frames)
