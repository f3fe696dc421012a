"""AAC's header is read, and silence is silent to a decoder."""

import av
import pytest
from av.audio.codeccontext import AudioCodecContext

from bucketcast.codecs.aac import AudioSpecificConfig, parse_audio_specific_config, silent_frame
from bucketcast.codecs.bits import InvalidBits


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


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("1190", (2, 48_000, 2, False)),
        ("1208", (2, 44_100, 1, False)),
        ("11b0", (2, 48_000, 6, False)),
        ("11b8", (2, 48_000, 8, False)),
        ("1180", (2, 48_000, 0, False)),
        ("1194", (2, 48_000, 2, True)),
        ("2b11", (5, 24_000, 2, False)),
        ("17805dc010", (2, 48_000, 2, False)),
    ],
    ids=["48 kHz stereo", "44.1 kHz mono", "5.1", "7.1", "in the frames", "960 samples", "HE-AAC", "spelt out"],
)
def test_a_configuration_is_read(data: str, found: tuple[int, int, int, bool]) -> None:
    object_type, sample_rate, channels, short = found
    assert parse_audio_specific_config(bytes.fromhex(data)) == AudioSpecificConfig(
        object_type=object_type, sample_rate=sample_rate, channels=channels, has_short_frames=short
    )


@pytest.mark.parametrize("data", ["", "11", "1690", "11c0", "1780000010"])
def test_what_cannot_be_read_is_refused(data: str) -> None:
    with pytest.raises(InvalidBits):
        parse_audio_specific_config(bytes.fromhex(data))
