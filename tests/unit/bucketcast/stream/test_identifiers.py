import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.errors import InvalidName
from bucketcast.stream.identifiers import (
    RESERVED_STREAM_IDS,
    parse_encoder_id,
    parse_rung_name,
    parse_stream_id,
)


@pytest.mark.parametrize("text", ["a", "0", "demo", "my-stream-1", "a" * 63])
def test_a_stream_id_is_a_label_of_lower_case_letters_digits_and_hyphens(text: str) -> None:
    assert parse_stream_id(text) == text


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a_b", "a/b", "a.b", "é", "a\n", "a" * 64, "..", "a b"])
def test_what_is_no_label_is_no_stream_id(text: str) -> None:
    with pytest.raises(InvalidName, match="a stream id has"):
        parse_stream_id(text)


@pytest.mark.parametrize("text", sorted(RESERVED_STREAM_IDS))
def test_the_folders_beside_the_streams_are_no_streams(text: str) -> None:
    with pytest.raises(InvalidName, match="reserved"):
        parse_stream_id(text)


@pytest.mark.parametrize("text", ["10p", "360p", "1080p", "2160p"])
def test_a_rung_is_named_by_its_short_side(text: str) -> None:
    assert parse_rung_name(text) == text


@pytest.mark.parametrize("text", ["", "p", "9p", "0360p", "10000p", "360", "360P", "360p60", "-360p", "360p\n"])
def test_what_is_no_short_side_is_no_rung_name(text: str) -> None:
    with pytest.raises(InvalidName, match="such as 720p"):
        parse_rung_name(text)


@pytest.mark.parametrize("text", ["a", "0123456789abcdef0123456789abcdef", "a-", "a" * 63])
def test_an_encoder_id_is_a_word_that_fits_a_name(text: str) -> None:
    assert parse_encoder_id(text) == text


@given(
    st.text().filter(
        lambda text: not set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") or len(text) > 63
    )
)
def test_what_does_not_fit_a_name_is_no_encoder_id(text: str) -> None:
    with pytest.raises(InvalidName, match="an encoder id has"):
        parse_encoder_id(text)
