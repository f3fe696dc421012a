"""Parameter sets state the picture's size, and are stated in a configuration record."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.codecs.sequence_parameter_set import MAX_PARAMETER_SET_BYTES
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.parameter_sets import MAX_CONFIGURATION_BYTES, configured_format, video_format
from unit.bucketcast.recording.made_segments import FORMAT, PICTURE_SET, SEQUENCE_SET


class BitWriter:
    def __init__(self) -> None:
        self.bits = ""

    def put(self, value: int, count: int) -> None:
        self.bits += f"{value:0{count}b}"

    def unsigned(self, value: int) -> None:
        code = f"{value + 1:b}"
        self.bits += "0" * (len(code) - 1) + code

    def signed(self, value: int) -> None:
        self.unsigned(2 * value - 1 if value > 0 else -2 * value)

    def unit(self) -> bytes:
        bits = self.bits + "1"
        payload = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
        # ITU-T H.264, 7.4.1.1: no three bytes look like a start code.
        escaped, zeros = b"", 0
        for byte in payload:
            if zeros >= 2 and byte <= 3:
                escaped, zeros = escaped + b"\x03", 0
            escaped += bytes((byte,))
            zeros = 0 if byte else zeros + 1
        return b"\x67" + escaped


@st.composite
def sequence_sets(draw: st.DrawFn) -> tuple[bytes, int, int]:
    """A sequence parameter set, and the size that it states."""
    bits = BitWriter()
    profile = draw(st.sampled_from([66, 77, 88, 100, 110, 122, 244]))
    for value in (profile, draw(st.integers(0, 255)), 40):
        bits.put(value, 8)
    bits.unsigned(draw(st.integers(0, 31)))
    chroma = 1
    if profile >= 100:
        chroma = draw(st.integers(0, 3))
        bits.unsigned(chroma)
        if chroma == 3:
            bits.put(0, 1)
        bits.unsigned(draw(st.integers(0, 6)))
        bits.unsigned(draw(st.integers(0, 6)))
        bits.put(0, 1)
        scaled = draw(st.booleans())
        bits.put(scaled, 1)
        if scaled:
            for number in range(12 if chroma == 3 else 8):
                listed = draw(st.booleans())
                bits.put(listed, 1)
                if listed:
                    put_scaling_list(draw, bits, 16 if number < 6 else 64)
    bits.unsigned(draw(st.integers(0, 12)))
    put_picture_order(draw, bits)
    bits.unsigned(draw(st.integers(0, 16)))
    bits.put(0, 1)
    width, height = put_size(draw, bits, chroma)
    return bits.unit(), width, height


def put_scaling_list(draw: st.DrawFn, bits: BitWriter, size: int) -> None:
    last = 8
    for _ in range(size):
        delta = draw(st.sampled_from([1, -1, -8]))
        bits.signed(delta)
        last = (last + delta) % 256
        if last == 0:
            return


def put_picture_order(draw: st.DrawFn, bits: BitWriter) -> None:
    kind = draw(st.integers(0, 2))
    bits.unsigned(kind)
    if kind == 0:
        bits.unsigned(draw(st.integers(0, 12)))
    if kind == 1:
        bits.put(0, 1)
        bits.signed(draw(st.integers(-9, 9)))
        bits.signed(draw(st.integers(-9, 9)))
        cycle = draw(st.lists(st.integers(-9, 9), max_size=4))
        bits.unsigned(len(cycle))
        for offset in cycle:
            bits.signed(offset)


def put_size(draw: st.DrawFn, bits: BitWriter, chroma: int) -> tuple[int, int]:
    columns, rows = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    progressive = draw(st.booleans())
    bits.unsigned(columns - 1)
    bits.unsigned(rows - 1)
    bits.put(progressive, 1)
    if not progressive:
        bits.put(0, 1)
    bits.put(1, 1)
    fields = 1 if progressive else 2
    width, height = 16 * columns, 16 * rows * fields
    cropped = draw(st.booleans())
    bits.put(cropped, 1)
    if cropped:
        crops = [draw(st.integers(0, 1)) for _ in range(4)]
        for crop in crops:
            bits.unsigned(crop)
        width -= (crops[0] + crops[1]) * (2 if chroma in (1, 2) else 1)
        height -= (crops[2] + crops[3]) * (2 if chroma == 1 else 1) * fields
    bits.put(0, 1)  # without VUI
    return width, height


@given(sequence_sets())
def test_the_size_is_that_of_the_picture_that_is_shown(made: tuple[bytes, int, int]) -> None:
    unit, width, height = made
    found = video_format([unit], [PICTURE_SET])
    assert (found.width, found.height) == (width, height)


def test_the_configuration_record_holds_the_sets() -> None:
    """ISO/IEC 14496-15, 5.3.3.1.2."""
    assert (FORMAT.width, FORMAT.height) == (320, 180)
    assert FORMAT.configuration == b"".join(
        (
            bytes((1, 100, 0, 30, 0xFF, 0xE1, 0, len(SEQUENCE_SET))),
            SEQUENCE_SET,
            bytes((1, 0, len(PICTURE_SET))),
            PICTURE_SET,
            bytes((0xFD, 0xF8, 0xF8, 0)),
        )
    )


def test_the_record_of_a_simple_profile_says_nothing_of_colour() -> None:
    baseline = bytes.fromhex("6742c01ed9005005bb0110000003001000000303c0f1429960")
    assert video_format([baseline], [PICTURE_SET]).configuration.endswith(PICTURE_SET)


def test_a_source_s_own_record_is_kept_as_it_is() -> None:
    assert configured_format(FORMAT.configuration, in_band=False) == FORMAT
    assert configured_format(FORMAT.configuration, in_band=True) == replace(FORMAT, in_band=True)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        FORMAT.configuration[:20],
        b"\x02" + FORMAT.configuration[1:],
        FORMAT.configuration[:5] + b"\xe0" + FORMAT.configuration[6:],
        FORMAT.configuration[:8] + b"\x68" + FORMAT.configuration[9:],
        FORMAT.configuration + bytes(MAX_CONFIGURATION_BYTES),
    ],
    ids=["nothing", "cut short", "another version", "no set", "no sequence's set", "too large"],
)
def test_a_record_that_cannot_be_read_is_refused(record: bytes) -> None:
    with pytest.raises(InvalidMedia):
        configured_format(record, in_band=False)


# A set up to its samples, in the high profile: id 0, then what follows, bit by bit.
HIGH = "01100100" + "00000000" + "00101000" + "1"


def from_bits(bits: str) -> bytes:
    writer = BitWriter()
    writer.bits = bits
    return writer.unit()


@pytest.mark.parametrize(
    ("sequences", "pictures", "reason"),
    [
        ([], [PICTURE_SET], "no sequence parameter set"),
        ([SEQUENCE_SET] * 32, [PICTURE_SET], "too many"),
        ([SEQUENCE_SET], [], "no picture parameter set"),
        ([SEQUENCE_SET], [PICTURE_SET] * 256, "too many"),
        ([SEQUENCE_SET], [bytes(MAX_PARAMETER_SET_BYTES + 1)], "too large"),
        ([b""], [PICTURE_SET], "no H.264 sequence parameter set"),
        ([SEQUENCE_SET[:6]], [PICTURE_SET], "cut short"),
        ([SEQUENCE_SET[:4] + bytes(40)], [PICTURE_SET], "impossible number"),
        # chroma_format_idc 4; bit_depth_luma_minus8 7.
        ([from_bits(HIGH + "00101")], [PICTURE_SET], "cut short"),
        ([from_bits(HIGH + "00101" + "1" * 9)], [PICTURE_SET], "impossible samples"),
        ([from_bits(HIGH + "010" + "0001000" + "1" * 9)], [PICTURE_SET], "impossible samples"),
    ],
)
def test_sets_that_no_encoder_writes_are_refused(
    sequences: list[bytes], pictures: list[bytes], reason: str
) -> None:
    with pytest.raises(InvalidMedia, match=reason):
        video_format(sequences, pictures)


@pytest.mark.parametrize("columns", [0, 4096])
def test_an_impossible_size_is_refused(columns: int) -> None:
    bits = BitWriter()
    for value in (66, 0, 40):
        bits.put(value, 8)
    for value in (0, 0, 2, 1):
        bits.unsigned(value)
    bits.put(0, 1)
    bits.unsigned(columns)
    bits.unsigned(0)
    bits.put(0b111, 3)
    for _ in range(4):
        bits.unsigned(20)
    with pytest.raises(InvalidMedia, match="impossible picture size"):
        video_format([bits.unit()], [PICTURE_SET])


@given(st.binary(max_size=60))
def test_no_bytes_do_harm(data: bytes) -> None:
    try:
        found = video_format([data], [data])
    except InvalidMedia:
        return
    assert found.width > 0
    assert found.height > 0
