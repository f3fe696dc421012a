from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.codecs.bits import InvalidBits
from bucketcast.codecs.picture_size import PictureSize
from bucketcast.codecs.sequence_parameter_set import (
    MAX_PARAMETER_SET_BYTES,
    SequenceParameterSet,
    parse_sequence_parameter_set,
)
from tools.rtp_streams import BitWriter, sequence_set


@dataclass(kw_only=True)
class Described:
    """A set with what a test does not care about at its plainest; *columns* by *rows* are macroblocks."""

    profile: int = 77
    set_id: int = 0
    chroma: BitWriter = field(default_factory=BitWriter)
    order: BitWriter = field(default_factory=lambda: BitWriter().unsigned(0, 4))
    columns: int = 120
    rows: int = 68
    interlaced: bool = False
    crop: tuple[int, int, int, int] | None = None
    usability: BitWriter | None = None

    def unit(self) -> bytes:
        bits = BitWriter().write(self.profile, 8).write(0xC0, 8).write(40, 8).unsigned(self.set_id)
        bits.append(self.chroma).unsigned(0).append(self.order).unsigned(1).write(0, 1)
        bits.unsigned(self.columns - 1, self.rows - 1)
        bits.write(0, 2) if self.interlaced else bits.write(1, 1)
        bits.write(1, 1).write(int(self.crop is not None), 1).unsigned(*(self.crop or ()))
        bits.write(int(self.usability is not None), 1)
        return b"\x67" + bits.append(self.usability or BitWriter()).payload()

    def parse(self) -> SequenceParameterSet:
        return parse_sequence_parameter_set(self.unit())


def samples(chroma: int, luma: int = 0, colour: int = 0) -> BitWriter:
    """Of a high profile, without a scaling matrix."""
    return _format(chroma).unsigned(luma, colour).write(0, 2)


def _format(chroma: int) -> BitWriter:
    bits = BitWriter().unsigned(chroma)
    return bits.write(0, 1) if chroma == 3 else bits


def usability(
    *,
    ratio: BitWriter | None = None,
    overscan: bool = False,
    signal: BitWriter | None = None,
    chroma: bool = False,
    timing: tuple[int, int] | None = None,
) -> BitWriter:
    bits = BitWriter().write(int(ratio is not None), 1).append(ratio or BitWriter())
    bits.write(*((0b11, 2) if overscan else (0, 1)))
    bits.write(int(signal is not None), 1).append(signal or BitWriter())
    bits.write(int(chroma), 1).unsigned(*((1, 1) if chroma else ()))
    bits.write(int(timing is not None), 1)
    for value in timing or ():
        bits.write(value, 32)
    return bits


@given(
    st.integers(1, 2048).map(lambda half: 2 * half),
    st.integers(1, 540).map(lambda quarter: 4 * quarter),
    st.integers(0, 31),
    st.sampled_from([66, 77, 100]),
    st.booleans(),
)
def test_size_and_id_are_read(
    width: int,
    height: int,
    set_id: int,
    profile: int,
    interlaced: bool,  # noqa: FBT001 (hypothesis passes it by position)
) -> None:
    unit = sequence_set(width, height, set_id=set_id, profile=profile, interlaced=interlaced)
    parsed = parse_sequence_parameter_set(unit)
    assert (parsed.size, parsed.set_id, parsed.profile) == (PictureSize(width, height), set_id, profile)
    assert (parsed.chroma_format, parsed.luma_depth, parsed.chroma_depth) == (1, 8, 8)
    assert parsed.progressive is not interlaced
    assert parsed.unit == unit


def test_the_picture_is_what_is_left_after_cropping() -> None:
    """1080 lines are coded as 68 macroblocks of 16, of which 8 lines are cropped: 4 pairs in 4:2:0."""
    parsed = Described(crop=(0, 0, 0, 4)).parse()
    assert (parsed.size, parsed.profile, parsed.constraints, parsed.level) == ((1920, 1080), 77, 0xC0, 40)
    assert (parsed.sample_aspect_ratio, parsed.frame_rate, parsed.progressive) == (Fraction(1), None, True)


@pytest.mark.parametrize(
    ("chroma", "size"),
    [(0, (1919, 1087)), (1, (1918, 1086)), (2, (1918, 1087)), (3, (1919, 1087))],
    ids=["4:0:0", "4:2:0", "4:2:2", "4:4:4"],
)
def test_cropping_counts_in_chroma_samples(chroma: int, size: tuple[int, int]) -> None:
    parsed = Described(profile=244, chroma=samples(chroma), crop=(1, 0, 1, 0)).parse()
    assert (parsed.chroma_format, parsed.size) == (chroma, size)


def test_an_interlaced_picture_counts_its_lines_in_both_fields() -> None:
    assert Described(rows=34, interlaced=True, crop=(0, 0, 0, 2)).parse().size == (1920, 1080)


@pytest.mark.parametrize(("chroma", "lists"), [(1, 8), (3, 12)])
def test_scaling_lists_are_skipped(chroma: int, lists: int) -> None:
    """Two lists are spelt out, one goes back to nothing and so ends, the rest are not there."""
    bits = _format(chroma).unsigned(2, 1).write(0, 1).write(1, 1)
    bits.write(1, 1).signed(*[1] * 16).write(1, 1).signed(1, -9).write(0, 4)
    bits.write(1, 1).signed(*[0] * 64).write(0, lists - 7)
    parsed = Described(profile=100, chroma=bits).parse()
    assert (parsed.luma_depth, parsed.chroma_depth, parsed.size.width) == (10, 9, 1920)


@pytest.mark.parametrize(
    "order",
    [
        BitWriter().unsigned(0, 4),
        BitWriter().unsigned(1).write(0, 1).signed(-1, 2).unsigned(2).signed(3, -4),
        BitWriter().unsigned(2),
    ],
    ids=["type 0", "type 1", "type 2"],
)
def test_every_kind_of_picture_order_is_skipped(order: BitWriter) -> None:
    assert Described(order=order).parse().size.width == 1920


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (BitWriter().write(1, 8), Fraction(1)),
        (BitWriter().write(14, 8), Fraction(4, 3)),
        (BitWriter().write(255, 8).write(64, 16).write(45, 16), Fraction(64, 45)),
        (BitWriter().write(255, 8).write(0, 16).write(45, 16), Fraction(1)),
        (BitWriter().write(99, 8), Fraction(1)),
    ],
    ids=["square", "by index", "spelt out", "unspecified", "reserved"],
)
def test_the_shape_of_samples_is_read(ratio: BitWriter, expected: Fraction) -> None:
    assert Described(usability=usability(ratio=ratio)).parse().sample_aspect_ratio == expected


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
    assert Described(usability=usability(timing=timing)).parse().frame_rate == rate


@pytest.mark.parametrize(
    "signal",
    [None, BitWriter().write(5, 4).write(0, 1), BitWriter().write(5, 4).write(1, 1).write(0x010101, 24)],
)
def test_what_stands_before_the_timing_is_skipped(signal: BitWriter | None) -> None:
    bits = usability(overscan=True, signal=signal, chroma=True, timing=(1, 60))
    assert Described(usability=bits).parse().frame_rate == 30


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x68\xce", id="another unit"),
        pytest.param(b"\x67", id="empty"),
        pytest.param(Described().unit()[:6], id="cut"),
        pytest.param(Described().unit() + bytes(MAX_PARAMETER_SET_BYTES), id="too large"),
        pytest.param(Described(set_id=32).unit(), id="id"),
        pytest.param(b"\x67\x42\x00\x1f" + b"\x00\x00\x03" * 8, id="endless number"),
        pytest.param(Described(profile=100, chroma=samples(4)).unit(), id="chroma format"),
        pytest.param(Described(profile=100, chroma=samples(1, luma=7)).unit(), id="depth"),
        pytest.param(Described(columns=1057).unit(), id="too wide"),
        pytest.param(Described(rows=1057).unit(), id="too high"),
        pytest.param(Described(rows=529, interlaced=True).unit(), id="too high in two fields"),
        pytest.param(Described(columns=1, rows=1, crop=(8, 0, 0, 0)).unit(), id="nothing left of the width"),
        pytest.param(Described(columns=1, rows=1, crop=(0, 0, 0, 8)).unit(), id="nothing left of the height"),
    ],
)
def test_what_describes_no_picture_is_refused(unit: bytes) -> None:
    with pytest.raises(InvalidBits):
        parse_sequence_parameter_set(unit)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        size = parse_sequence_parameter_set(b"\x67" + data).size
    except InvalidBits:
        return
    assert min(size) > 0
    assert max(size) <= 1056 * 16
