from datetime import timedelta

import av
import pytest
from av.audio.codeccontext import AudioCodecContext
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.codecs.bits import InvalidBits
from bucketcast.codecs.opus import OpusHead, packet_duration, parse_opus_head, silent_packet


def head(channels: int, *, version: int = 1, mapping: int = 0) -> bytes:
    return b"OpusHead" + bytes((version, channels)) + bytes.fromhex("0000 80bb0000 0000") + bytes((mapping,))


@pytest.mark.parametrize(
    ("data", "channels", "mapping"),
    [(head(1), 1, 0), (head(2, version=15) + b"more", 2, 0), (head(6, mapping=1), 6, 1)],
)
def test_a_head_says_how_many_channels_there_are_and_how_they_are_mapped(
    data: bytes, channels: int, mapping: int
) -> None:
    assert parse_opus_head(data) == OpusHead(channels=channels, mapping=mapping)


def test_one_stream_of_one_channel_or_two_is_plain() -> None:
    heads = [(channels, mapping) for channels in range(9) for mapping in (0, 1, 255)]
    plain = [
        (channels, mapping)
        for channels, mapping in heads
        if OpusHead(channels=channels, mapping=mapping).is_plain
    ]
    assert plain == [(1, 0), (2, 0)]


@pytest.mark.parametrize("data", [b"", head(2)[:-1], b"OpusTags" + head(2)[8:], head(2, version=16)])
def test_what_is_no_head_or_of_a_version_that_nobody_knows_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidBits, match="not an OpusHead"):
        parse_opus_head(data)


@pytest.mark.parametrize("decoder_name", ["opus", "libopus"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("packet_channels", [1, 2])
@pytest.mark.parametrize("milliseconds", [20, 10, 5, 2.5])
def test_a_silent_packet_decodes_to_as_many_zeros_as_it_says(
    decoder_name: str, channels: int, packet_channels: int, milliseconds: float
) -> None:
    decoder = av.CodecContext.create(decoder_name, "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.extradata = head(channels)
    for _ in range(3):
        packet = silent_packet(packet_channels, milliseconds)
        assert packet_duration(packet) == timedelta(milliseconds=milliseconds)
        (frame,) = decoder.decode(av.Packet(packet))
        assert frame.layout.nb_channels == channels
        assert (frame.samples, frame.sample_rate) == (48 * milliseconds, 48_000)
        assert not frame.to_ndarray().any()


@pytest.mark.parametrize(
    ("packet", "milliseconds"),
    [
        ("f8", 20),
        ("08", 20),
        ("18", 60),
        ("e0", 2.5),
        ("70", 10),
        ("f9", 40),
        ("fa", 40),
        ("fb03", 60),
        ("fb3f", 120),
        ("fb", 0),
        ("", 0),
    ],
)
def test_a_packet_says_how_long_it_sounds(packet: str, milliseconds: float) -> None:
    assert packet_duration(bytes.fromhex(packet)) == timedelta(milliseconds=milliseconds)


@given(st.binary(max_size=10))
def test_no_packet_sounds_for_longer_than_120_ms(packet: bytes) -> None:
    assert timedelta(0) <= packet_duration(packet) <= timedelta(milliseconds=120)
