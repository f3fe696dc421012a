from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from bucketcast.errors import InvalidRecord
from bucketcast.records import MAX_RECORD_BYTES, decode_record, encode_record
from bucketcast.stream.session_record import FrameRate
from bucketcast.stream.stream_record import StreamRecord


class Note(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    at: datetime
    marks: dict[str, int] = {}


@given(st.datetimes(timezones=st.just(UTC)), st.dictionaries(st.text(), st.integers(-(2**63), 2**63)))
def test_a_record_is_read_as_it_was_written(at: datetime, marks: dict[str, int]) -> None:
    note = Note(at=at, marks=marks)
    assert decode_record(Note, encode_record(note)) == note


@given(st.permutations(["a", "b", "c", "d"]))
def test_equal_records_are_the_same_bytes(order: list[str]) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    note = Note(at=at, marks=dict.fromkeys(order, 1))
    assert encode_record(note) == encode_record(Note(at=at, marks=dict.fromkeys("abcd", 1)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a Note"),
        (b"{", "not a Note"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field `at`"),
        (b'{"at": "yesterday"}', r"\$.at"),
        (b'{"at": "2026-01-01T00:00:00Z", "more": 1}', "more"),
        (b'{"at": "2026-01-01T00:00:00Z", "marks": {"\xff": 1}}', "utf-8"),
        (b" " * (MAX_RECORD_BYTES + 1), "over the 1000000 allowed"),
    ],
)
def test_what_is_no_record_is_refused_with_what_is_wrong(content: bytes, words: str) -> None:
    with pytest.raises(InvalidRecord, match=words):
        decode_record(Note, content)


def test_a_value_outside_its_bounds_is_no_record_either() -> None:
    """Stored bytes are never the fault of whoever asks for them now."""
    with pytest.raises(InvalidRecord, match="not a FrameRate: a frame rate is"):
        decode_record(FrameRate, b'{"numerator": 0}')


@given(st.binary(max_size=200))
def test_no_bytes_lead_to_anything_but_a_record_or_its_refusal(content: bytes) -> None:
    with pytest.raises(InvalidRecord):
        decode_record(StreamRecord, content)
