import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.storage.errors import RangeNotSatisfiable
from local_cloud.storage.media import parse_range


@pytest.mark.parametrize(
    ("header", "size", "part"),
    [
        ("bytes=0-0", 10, range(1)),
        ("bytes=2-5", 10, range(2, 6)),
        ("bytes=2-", 10, range(2, 10)),
        ("bytes=2-99", 10, range(2, 10)),
        ("bytes=-3", 10, range(7, 10)),
        ("bytes=-30", 10, range(10)),
        (None, 10, None),
        ("bytes=-", 10, None),
        ("bytes=5-2", 10, None),
        ("bytes=0-1,4-5", 10, None),
        ("lines=0-1", 10, None),
        ("bytes=a-b", 10, None),
    ],
)
def test_what_a_range_header_asks_for(header: str | None, size: int, part: range | None) -> None:
    assert parse_range(header, size) == part


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=0-", 0), ("bytes=-0", 10), ("bytes=-5", 0)]
)
def test_a_range_without_a_byte_cannot_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, size)


@given(st.text(alphabet="bytes=0123456789-,", max_size=24), st.integers(0, 1000))
def test_a_part_lies_within_the_content(header: str, size: int) -> None:
    try:
        part = parse_range(header, size)
    except RangeNotSatisfiable:
        return
    assert part is None or 0 <= part.start < part.stop <= size
