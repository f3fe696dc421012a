import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.recording.boxes import (
    MAX_BOXES,
    big_endian,
    box,
    descend,
    full_box,
    media_data_header,
    numbers,
    read_boxes,
)
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.samples import table

kinds = st.sampled_from([b"free", b"moov", b"trak"])


@given(st.lists(st.tuples(kinds, st.binary(max_size=20))))
def test_what_is_written_is_read(contents: list[tuple[bytes, bytes]]) -> None:
    data = b"".join(bytes(box(kind, content)) for kind, content in contents)
    found = list(read_boxes(data))
    assert [(one.kind, bytes(one.content)) for one in found] == contents
    assert all(data[one.begin + 4 : one.begin + 8] == one.kind for one in found)


def test_boxes_lie_within_boxes_and_say_their_sizes() -> None:
    outer = box(b"moov", box(b"free", b"abc"), b"d", full_box(b"mvhd", b"e", version=1, flags=0x10203))
    expected = b"\0\0\0\x21moov\0\0\0\x0bfreeabcd\0\0\0\x0dmvhd\x01\x01\x02\x03e"
    assert (bytes(outer), outer.size) == (expected, len(expected))


def test_media_of_any_size_have_a_header_of_one_size() -> None:
    assert media_data_header(2**40) == b"\0\0\0\x01mdat" + (2**40 + 16).to_bytes(8)


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_numbers_have_the_order_of_bytes_that_files_have(values: list[int]) -> None:
    content = b"".join(value.to_bytes(4) for value in values)
    assert bytes(big_endian(table(values))) == content
    assert list(numbers(content)) == values


def test_the_way_to_a_box_is_by_types() -> None:
    data = bytes(box(b"moov", box(b"free"), box(b"trak", box(b"mdia", b"x"))))
    assert bytes(descend(data, [b"moov", b"trak", b"mdia"])) == b"x"
    for path in ([b"trak"], [b"moov", b"mdia"]):
        with pytest.raises(InvalidMedia, match="not one box of type"):
            descend(data, path)
    with pytest.raises(InvalidMedia, match="not one box of type free"):
        descend(bytes(box(b"free")) * 2, [b"free"])


@pytest.mark.parametrize(
    "data", [b"\0", b"\0\0\0\x09free", b"\0\0\0\x07free", bytes(box(b"free")) + b"\0", bytes(8)]
)
def test_what_is_no_whole_box_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidMedia):
        list(read_boxes(data))


def test_boxes_are_limited_in_number() -> None:
    data = bytes(box(b"free"))
    assert len(list(read_boxes(data * MAX_BOXES))) == MAX_BOXES
    with pytest.raises(InvalidMedia):
        list(read_boxes(data * (MAX_BOXES + 1)))
