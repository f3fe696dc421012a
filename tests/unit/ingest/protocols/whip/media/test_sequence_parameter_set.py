import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.whip.media.picture import PictureSize
from ingest.protocols.whip.media.rtp import InvalidRtp
from ingest.protocols.whip.media.sequence_parameter_set import parse_sequence_parameter_set
from tools.rtp_streams import BitWriter, sequence_set


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
    assert parsed.unit == unit


def _head(profile: int = 66) -> BitWriter:
    return BitWriter().write(profile, 8).write(0, 8).write(31, 8).unsigned(0)


def _tail(bits: BitWriter, *, columns: int = 79, rows: int = 44) -> bytes:
    """Frames of 1280x720, without cropping, unless said otherwise."""
    bits.unsigned(1).write(0, 1).unsigned(columns, rows).write(0b11, 2).write(0, 1)
    return b"\x67" + bits.write(0, 1).payload()


def test_444_with_scaling_lists_is_read() -> None:
    bits = _head(244).unsigned(3).write(0, 1).unsigned(2, 1).write(0, 1).write(1, 1)
    for number in range(12):
        bits.write(int(number in {0, 7}), 1)
        if number == 0:
            bits.signed(*[1] * 16)
        if number == 7:
            bits.signed(1, -9)  # back to nothing: the rest of the list is the default's
    unit = _tail(bits.unsigned(0, 0, 0))
    parsed = parse_sequence_parameter_set(unit)
    assert (parsed.chroma_format, parsed.luma_depth, parsed.chroma_depth) == (3, 10, 9)
    assert parsed.size == PictureSize(1280, 720)


def test_444_is_cropped_by_single_pixels() -> None:
    bits = _head(244).unsigned(3).write(0, 1).unsigned(0, 0).write(0, 2).unsigned(0, 2, 1).write(0, 1)
    bits.unsigned(0, 0).write(0b11, 2).write(1, 1).unsigned(1, 2, 3, 4).write(0, 1)
    assert parse_sequence_parameter_set(b"\x67" + bits.payload()).size == PictureSize(13, 9)


def test_pictures_ordered_by_a_cycle_are_read() -> None:
    bits = _head().unsigned(0, 1).write(0, 1).signed(-1, 2).unsigned(2).signed(3, -4)
    assert parse_sequence_parameter_set(_tail(bits)).size == PictureSize(1280, 720)


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(b"\x67", id="empty"),
        pytest.param(sequence_set(1280, 720)[:6], id="cut"),
        pytest.param(b"\x67" + BitWriter().write(66, 24).unsigned(32).payload(), id="id"),
        pytest.param(b"\x67\x42\x00\x1f" + b"\x00\x00\x03" * 8, id="endless number"),
        pytest.param(_tail(_head(100).unsigned(4, 0, 0).write(0, 2).unsigned(0, 2)), id="chroma format"),
        pytest.param(_tail(_head(100).unsigned(1, 7, 0).write(0, 2).unsigned(0, 2)), id="depth"),
        pytest.param(_tail(_head().unsigned(0, 2), columns=1056), id="too wide"),
        pytest.param(_tail(_head().unsigned(0, 2), rows=1056), id="too high"),
        pytest.param(
            b"\x67"
            + _head()
            .unsigned(0, 2, 1)
            .write(0, 1)
            .unsigned(0, 0)
            .write(0b111, 3)
            .unsigned(8, 8, 0, 0)
            .payload(),
            id="nothing left of the picture",
        ),
    ],
)
def test_what_describes_no_picture_is_refused(unit: bytes) -> None:
    with pytest.raises(InvalidRtp):
        parse_sequence_parameter_set(unit)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        size = parse_sequence_parameter_set(b"\x67" + data).size
    except InvalidRtp:
        return
    assert min(size) > 0
    assert max(size) <= 1056 * 16
