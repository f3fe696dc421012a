"""The checksum of what is joined follows from those of its parts."""

from hypothesis import given
from hypothesis import strategies as st

from bucketcast.gcp.storage import crc32c
from bucketcast.recording.checksum import joined_crc32c


@given(st.lists(st.binary(max_size=300)))
def test_parts_have_the_checksum_of_their_bytes_together(parts: list[bytes]) -> None:
    assert joined_crc32c((crc32c(part), len(part)) for part in parts) == crc32c(b"".join(parts))


def test_parts_of_many_bytes_do_too() -> None:
    parts = [bytes([7]) * 3_000_001, b"x", bytes(5_000_000)]
    assert joined_crc32c((crc32c(part), len(part)) for part in parts) == crc32c(b"".join(parts))


def test_sizes_of_days_take_no_time() -> None:
    """A recording has terabytes at most; each doubling is one map more."""
    assert joined_crc32c([(crc32c(b"a"), 1), (crc32c(b""), 0)]) == crc32c(b"a")
    huge = joined_crc32c([(crc32c(b"a"), 1), (crc32c(b"b"), 2**45)])
    assert huge != crc32c(b"ab")
