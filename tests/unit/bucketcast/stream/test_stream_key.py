import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.errors import InvalidName
from bucketcast.stream.identifiers import StreamId
from bucketcast.stream.stream_key import (
    SECRET_BYTES,
    key_hash,
    key_matches,
    new_stream_key,
    parse_stream_key,
)

secrets = st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES)
SECRET = "0123456789abcdef" * 3


@given(
    secrets,
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True).filter(lambda s: s != "player"),
)
def test_a_key_is_parsed_as_it_was_revealed(random_bytes: bytes, stream: str) -> None:
    key = new_stream_key(StreamId(stream), random_bytes=random_bytes)
    assert parse_stream_key(key.reveal()) == key


@given(secrets, secrets)
def test_a_key_matches_its_own_hash_only(one: bytes, other: bytes) -> None:
    key = new_stream_key(StreamId("demo"), random_bytes=one)
    stored = key_hash(new_stream_key(StreamId("demo"), random_bytes=other))
    assert key_matches(key, stored) == (one == other)


def test_a_secret_takes_all_its_random_bytes() -> None:
    for size in (0, SECRET_BYTES - 1, SECRET_BYTES + 1):
        with pytest.raises(ValueError, match="24 random bytes"):
            new_stream_key(StreamId("demo"), random_bytes=bytes(size))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "demo",
        f"_{SECRET}",
        f"Demo_{SECRET}",
        f"player_{SECRET}",
        f"demo_{SECRET[:-1]}",
        f"demo_{SECRET}0",
        f"demo_{SECRET.upper()}",
        f"demo__{SECRET}",
        f"demo_{SECRET}\n",
        f"{'a' * 64}_{SECRET}",
        f"demo_{SECRET}" + "x" * 1_000_000,
    ],
)
def test_what_is_no_key_is_refused_in_words_that_do_not_repeat_it(text: str) -> None:
    with pytest.raises(InvalidName) as refused:
        parse_stream_key(text)
    assert SECRET[:-1] not in str(refused.value)


def test_a_secret_shows_in_no_representation() -> None:
    key = parse_stream_key(f"demo_{SECRET}")
    assert SECRET not in f"{key!r} {key}"
