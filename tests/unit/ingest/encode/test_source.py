from contextlib import suppress
from dataclasses import dataclass, field
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


@dataclass
class Bits:
    """Writes what a parameter set consists of (ITU-T H.264, 7.2 and 9.1)."""

    bits: str = ""

    def u(self, count: int, value: int) -> "Bits":
        self.bits += f"{value:0{count}b}"
        return self

    def ue(self, *values: int) -> "Bits":
        for value in values:
            code = f"{value + 1:b}"
            self.bits += "0" * (len(code) - 1) + code
        return self

    def se(self, *values: int) -> "Bits":
        return self.ue(*(2 * value - 1 if value > 0 else -2 * value for value in values))

    def unit(self) -> bytes:
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        payload = int(bits, 2).to_bytes(len(bits) // 8)
        escaped = bytearray()
        zeros = 0
        for byte in payload:
            if zeros == 2 and byte <= 3:
                escaped.append(3)
                zeros = 0
            escaped.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\x67" + escaped


@dataclass(kw_only=True)
class ParameterSet:
    """A sequence parameter set, with what a test does not care about at its plainest."""

    profile: int = 77
    chroma: Bits | None = None
    order: Bits = field(default_factory=lambda: Bits().ue(0, 4))
    width: int = 120
    map_units: int = 68
    interlaced: bool = False
    crop: tuple[int, int, int, int] | None = None
    usability: Bits | None = None

    def unit(self) -> bytes:
        bits = Bits().u(8, self.profile).u(8, 0).u(8, 40).ue(0)
        bits.bits += self.chroma.bits if self.chroma else ""
        bits.ue(0)
        bits.bits += self.order.bits
        bits.ue(1).u(1, 0).ue(self.width - 1, self.map_units - 1)
        bits.bits += "00" if self.interlaced else "1"
        bits.u(1, 1)
        bits.u(1, int(self.crop is not None)).ue(*(self.crop or ()))
        bits.u(1, int(self.usability is not None))
        bits.bits += self.usability.bits if self.usability else ""
        return bits.unit()

    def parse(self) -> VideoSource:
        return parse_video(avc(self.unit()))


def avc(unit: bytes) -> CodecConfiguration:
    data = bytes((1, 0, 0, 0, 0xFF, 0xE1)) + len(unit).to_bytes(2) + unit + b"\x01\x00\x01\x68"
    return CodecConfiguration(codec=VideoCodec.H264, data=data)


def aac(data: str) -> CodecConfiguration:
    return CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex(data))


def usability(
    *,
    ratio: Bits | None = None,
    overscan: bool = False,
    signal: Bits | None = None,
    chroma: bool = False,
    timing: tuple[int, int] | None = None,
) -> Bits:
    bits = Bits().u(1, int(ratio is not None))
    bits.bits += ratio.bits if ratio else ""
    bits.bits += "11" if overscan else "0"
    bits.u(1, int(signal is not None))
    bits.bits += signal.bits if signal else ""
    bits.u(1, int(chroma)).ue(*((1, 1) if chroma else ()))
    bits.u(1, int(timing is not None))
    if timing:
        bits.u(32, timing[0]).u(32, timing[1])
    return bits


def test_the_picture_is_what_is_left_after_cropping() -> None:
    """1080 lines are coded as 68 macroblocks of 16, of which 8 lines are cropped: 4 pairs in 4:2:0."""
    source = ParameterSet(crop=(0, 0, 0, 4)).parse()
    assert (source.width, source.height, source.profile, source.level) == (1920, 1080, 77, 40)
    assert source.sample_aspect_ratio == 1
    assert source.declared_rate is None


FLAT = Bits().ue(0, 0).u(1, 0).u(1, 0)


@pytest.mark.parametrize(
    ("chroma", "size"),
    [
        (Bits(Bits().ue(0).bits + FLAT.bits), (1919, 1087)),
        (Bits(Bits().ue(1).bits + FLAT.bits), (1918, 1086)),
        (Bits(Bits().ue(2).bits + FLAT.bits), (1918, 1087)),
        (Bits(Bits().ue(3).u(1, 0).bits + FLAT.bits), (1919, 1087)),
    ],
    ids=["4:0:0", "4:2:0", "4:2:2", "4:4:4"],
)
def test_cropping_counts_in_chroma_samples(chroma: Bits, size: tuple[int, int]) -> None:
    source = ParameterSet(profile=244, chroma=chroma, crop=(1, 0, 1, 0)).parse()
    assert (source.width, source.height) == size


def test_an_interlaced_picture_counts_its_lines_in_both_fields() -> None:
    source = ParameterSet(map_units=34, interlaced=True, crop=(0, 0, 0, 2)).parse()
    assert (source.width, source.height) == (1920, 1080)


@pytest.mark.parametrize(("format_", "lists"), [(1, 8), (3, 12)])
def test_scaling_lists_are_skipped(format_: int, lists: int) -> None:
    """One list is spelt out, one ends at a zero, the rest are not there."""
    chroma = Bits().ue(format_)
    if format_ == 3:
        chroma.u(1, 0)
    chroma.ue(0, 0).u(1, 0).u(1, 1)
    chroma.u(1, 1).se(*([1] * 16)).u(1, 1).se(-8)
    chroma.u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(1, 1).se(*([0] * 64)).u(lists - 7, 0)
    assert ParameterSet(profile=100, chroma=chroma).parse().width == 1920


@pytest.mark.parametrize(
    "order",
    [Bits().ue(0, 4), Bits().ue(1).u(1, 0).se(-1, 1).ue(2).se(3, -3), Bits().ue(2)],
    ids=["type 0", "type 1", "type 2"],
)
def test_every_kind_of_picture_order_is_skipped(order: Bits) -> None:
    assert ParameterSet(order=order).parse().width == 1920


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (Bits().u(8, 1), Fraction(1)),
        (Bits().u(8, 14), Fraction(4, 3)),
        (Bits().u(8, 255).u(16, 64).u(16, 45), Fraction(64, 45)),
        (Bits().u(8, 255).u(16, 0).u(16, 45), Fraction(1)),
        (Bits().u(8, 99), Fraction(1)),
    ],
    ids=["square", "by index", "spelt out", "unspecified", "reserved"],
)
def test_the_shape_of_samples_is_read(ratio: Bits, expected: Fraction) -> None:
    assert ParameterSet(usability=usability(ratio=ratio)).parse().sample_aspect_ratio == expected


@pytest.mark.parametrize(
    ("timing", "rate"),
    [
        ((1001, 60_000), Fraction(30000, 1001)),
        ((1, 50), Fraction(25)),
        ((0, 50), None),
        ((1, 0), None),
        (None, None),
    ],
)
def test_the_frame_rate_is_half_the_rate_of_ticks(
    timing: tuple[int, int] | None, rate: Fraction | None
) -> None:
    assert ParameterSet(usability=usability(timing=timing)).parse().declared_rate == rate


@pytest.mark.parametrize("signal", [None, Bits().u(4, 5).u(1, 0), Bits().u(4, 5).u(1, 1).u(24, 0x010101)])
def test_what_stands_before_the_timing_is_skipped(signal: Bits | None) -> None:
    bits = usability(overscan=True, signal=signal, chroma=True, timing=(1, 60))
    assert ParameterSet(usability=bits).parse().declared_rate == 30


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


@pytest.mark.parametrize(("width", "height"), [(1, 68), (257, 144), (16_384, 16_384)])
def test_a_picture_too_small_or_too_large_is_refused_with_its_size(width: int, height: int) -> None:
    with pytest.raises(UnusableSource, match=f"{16 * width}x{16 * height}"):
        ParameterSet(width=width, map_units=height).parse()


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
