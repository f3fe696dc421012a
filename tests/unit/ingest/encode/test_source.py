from contextlib import suppress
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.encode.source import (
    MAX_FRAME_RATE,
    MIN_FRAME_RATE,
    AudioSource,
    UnusableSource,
    VideoSource,
    decide_adaptive_rate,
    decide_frame_rate,
    measure_rate,
    parse_audio,
    parse_video,
    snap_rate,
)
from ingest.feed import AudioCodec, CodecConfiguration, VideoCodec
from tools.rtp_streams import sequence_set


def avc(unit: bytes) -> CodecConfiguration:
    data = bytes((1, 0, 0, 0, 0xFF, 0xE1)) + len(unit).to_bytes(2) + unit + b"\x01\x00\x01\x68"
    return CodecConfiguration(codec=VideoCodec.H264, data=data)


def aac(data: str) -> CodecConfiguration:
    return CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex(data))


def test_the_picture_is_read_from_its_parameter_set() -> None:
    source = parse_video(avc(sequence_set(1920, 1080, profile=100, interlaced=True)))
    assert source == VideoSource(
        width=1920, height=1080, profile=100, constraints=0xC0, level=31, progressive=False
    )
    assert source.rfc6381_codec == "avc1.64c01f"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01\x42\x00\x0a\xff\xe0\x00\x00",
        avc(b"").data,
        avc(b"\x68\xce").data,
        avc(b"\x67\x42").data,
        avc(b"\x67\x42\x00\x0a" + bytes(40)).data,
    ],
    ids=["nothing", "no set", "an empty set", "another unit", "a set cut short", "a code without end"],
)
def test_an_unreadable_configuration_is_refused(data: bytes) -> None:
    with pytest.raises(UnusableSource):
        parse_video(CodecConfiguration(codec=VideoCodec.H264, data=data))


@pytest.mark.parametrize(("width", "height"), [(16, 1088), (4112, 2304), (16_000, 16_000)])
def test_a_picture_too_small_or_too_large_is_refused_with_its_size(width: int, height: int) -> None:
    with pytest.raises(UnusableSource, match=f"{width}x{height}"):
        parse_video(avc(sequence_set(width, height)))


@given(st.binary(max_size=80))
def test_whatever_bytes_come_they_are_read_or_refused(data: bytes) -> None:
    for configuration in (
        CodecConfiguration(codec=VideoCodec.H264, data=data),
        avc(b"\x67\x64" + data),
    ):
        try:
            source = parse_video(configuration)
        except UnusableSource:
            continue
        assert source.width >= 32
        assert source.height >= 32
    with suppress(UnusableSource):
        assert parse_audio(CodecConfiguration(codec=AudioCodec.AAC, data=data)).channels
    with suppress(UnusableSource):
        assert parse_video(CodecConfiguration(codec=VideoCodec.VP8, data=data)).width >= 32
    with suppress(UnusableSource):
        assert parse_audio(CodecConfiguration(codec=AudioCodec.OPUS, data=b"OpusHead" + data)).channels <= 2


@pytest.mark.parametrize(
    ("data", "source"),
    [
        ("1190", AudioSource(sample_rate=48_000, channels=2)),
        ("1208", AudioSource(sample_rate=44_100, channels=1)),
        ("11b0", AudioSource(sample_rate=48_000, channels=6)),
        ("1180", AudioSource(sample_rate=48_000, channels=2)),
        # HE-AAC: the core runs at half the rate that is heard.
        ("2b118800", AudioSource(sample_rate=24_000, channels=2)),
        # Sampling frequency 15: 24 bits that say 44100.
        ("178056221000", AudioSource(sample_rate=44_100, channels=2)),
    ],
    ids=["48 kHz stereo", "44.1 kHz mono", "5.1", "channels in the frames", "HE-AAC", "spelt out"],
)
def test_the_sound_is_read(data: str, source: AudioSource) -> None:
    assert parse_audio(aac(data)) == source


@pytest.mark.parametrize(
    "data", ["", "11", "0990", "1690", "11b8", "178000001000"],
    ids=["nothing", "cut short", "AAC Main", "reserved rate", "7.1", "impossible rate"],
)  # fmt: skip
def test_unusable_sound_is_refused(data: str) -> None:
    with pytest.raises(UnusableSource):
        parse_audio(aac(data))


def test_a_configuration_of_another_codec_is_refused() -> None:
    with pytest.raises(UnusableSource, match=r"H\.264"):
        parse_video(aac("1190"))
    with pytest.raises(UnusableSource, match="AAC"):
        parse_audio(avc(b"\x67"))


@pytest.mark.parametrize(
    ("rate", "snapped"),
    [
        (Fraction("29.97"), Fraction(30000, 1001)),
        (Fraction("23.976"), Fraction(24000, 1001)),
        (Fraction("59.94"), Fraction(60000, 1001)),
        (Fraction("30.0001"), Fraction(30)),
        (Fraction("24.99"), Fraction(25)),
        (Fraction("17.6"), Fraction(18)),
        (Fraction("0.2"), Fraction(1)),
    ],
)
def test_a_rate_is_snapped_to_what_it_is_meant_to_be(rate: Fraction, snapped: Fraction) -> None:
    assert snap_rate(rate) == snapped


def test_a_rate_is_measured_over_frames_in_any_order() -> None:
    assert measure_rate([timedelta(milliseconds=time) for time in (0, 120, 40, 80, 80)]) == 25
    assert measure_rate([timedelta(0), timedelta(0)]) is None


@pytest.mark.parametrize(
    ("declared", "measured", "rate"),
    [
        ([Fraction(30000, 1001)], Fraction(30), Fraction(30000, 1001)),
        ([None, Fraction("29.97")], Fraction(30), Fraction(30000, 1001)),
        ([Fraction(1000), Fraction(25)], Fraction("24.9"), Fraction(25)),
        ([Fraction(60)], Fraction("30.1"), Fraction(30)),
        ([Fraction(0), None], Fraction("24.9"), Fraction(25)),
        ([Fraction(50)], None, Fraction(50)),
        ([None], None, Fraction(30)),
        ([Fraction(120)], Fraction(120), Fraction(60)),
        ([Fraction(144)], Fraction(144), Fraction(36)),
        ([Fraction(5)], Fraction(5), Fraction(10)),
    ],
    ids=[
        *("parameter set", "metadata", "timebase as rate", "a wrong declaration", "nothing declared"),
        *("nothing measured", "nothing known", "every second frame", "every fourth frame", "slow"),
    ],
)
def test_the_frame_rate_decision(
    declared: list[Fraction | None], measured: Fraction | None, rate: Fraction
) -> None:
    assert decide_frame_rate(declared=declared, measured=measured) == rate


@given(
    declared=st.lists(st.none() | st.fractions(min_value=0, max_value=100_000), max_size=2),
    measured=st.none() | st.fractions(min_value=Fraction(1, 1000), max_value=100_000),
)
def test_the_frame_rate_is_always_within_its_bounds(
    declared: list[Fraction | None], measured: Fraction | None
) -> None:
    assert MIN_FRAME_RATE <= decide_frame_rate(declared=declared, measured=measured) <= MAX_FRAME_RATE


def vp8(data: str) -> CodecConfiguration:
    return CodecConfiguration(codec=VideoCodec.VP8, data=bytes.fromhex(data))


@pytest.mark.parametrize(
    ("data", "size"),
    [
        ("3046019d012ae0010e01", (480, 270)),
        ("1046019d012a80078304", (1920, 1155)),
        # Both scales say that a player may enlarge the picture, which is no part of its size.
        ("1046019d012a00450241", (1280, 258)),
    ],
)
def test_a_vp8_key_frame_says_its_size(data: str, size: tuple[int, int]) -> None:
    source = parse_video(vp8(data))
    assert source == VideoSource(width=size[0], height=size[1], codec=VideoCodec.VP8)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "beginning of a key frame"),
        ("3046019d012ae0010e", "beginning of a key frame"),
        ("3146019d012ae0010e01", "beginning of a key frame"),
        ("3046019d012be0010e01", "beginning of a key frame"),
        ("3046019d012a10001000", "16x16"),
        ("3046019d012aff3fff3f", "16383x16383"),
    ],
    ids=["nothing", "cut short", "an inter frame", "no start code", "too small", "too large"],
)
def test_an_unusable_vp8_configuration_is_refused(data: str, reason: str) -> None:
    with pytest.raises(UnusableSource, match=reason):
        parse_video(vp8(data))


def opus(*, version: int = 1, channels: int = 2, family: int = 0) -> bytes:
    return b"OpusHead" + bytes((version, channels)) + bytes.fromhex("3801 44ac0000 0000") + bytes((family,))


@pytest.mark.parametrize("channels", [1, 2])
def test_opus_is_decoded_at_48_khz_whatever_was_recorded(channels: int) -> None:
    source = parse_audio(CodecConfiguration(codec=AudioCodec.OPUS, data=opus(channels=channels)))
    assert source == AudioSource(sample_rate=48_000, channels=channels, codec=AudioCodec.OPUS)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an OpusHead"),
        (opus()[:-1], "not an OpusHead"),
        (b"OpusTags" + opus()[8:], "not an OpusHead"),
        (opus(version=16), "not an OpusHead"),
        (opus(channels=0), "channels"),
        (opus(channels=6, family=1), "channels"),
        (opus(family=255), "channels"),
    ],
    ids=["nothing", "cut short", "tags", "a later version", "no channel", "5.1", "no arrangement"],
)
def test_unusable_opus_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnusableSource, match=reason):
        parse_audio(CodecConfiguration(codec=AudioCodec.OPUS, data=data))


@pytest.mark.parametrize(
    ("stated", "in_stream", "measured", "rate"),
    [
        (30, None, 5, 30),
        (60, 30, 30, 60),
        (Fraction("29.97"), None, 15, Fraction(30000, 1001)),
        (5, None, 5, 10),
        (120, None, None, 60),
        (None, None, None, 30),
        (None, None, 5, 30),
        (None, None, 15, 30),
        (None, None, 24, 24),
        (None, None, Fraction("25.1"), 25),
        (None, None, 27, 30),
        (None, None, 33, 30),
        (None, None, 40, 60),
        (None, None, Fraction("49.9"), 50),
        (None, None, 120, 60),
        (None, Fraction(30000, 1001), 30, Fraction(30000, 1001)),
        (None, Fraction(24000, 1001), 24, Fraction(24000, 1001)),
        (None, 60, 30, 30),
        (None, 15, 15, 30),
        (None, 30, None, 30),
    ],
)
def test_a_source_that_is_held_back_at_first_is_not_taken_at_its_first_rate(
    stated: Fraction | None, in_stream: Fraction | None, measured: Fraction | None, rate: Fraction
) -> None:
    values = (None if value is None else Fraction(value) for value in (stated, in_stream, measured))
    first, second, third = values
    assert decide_adaptive_rate(stated=first, in_stream=second, measured=third) == rate
