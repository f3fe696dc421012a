import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.storage.errors import InvalidRequest
from local_cloud.storage.multipart import (
    MAX_HEAD_BYTES,
    content_end,
    parse_boundary,
    parse_head,
    parse_json_object,
)

BOUNDARY = b"frontier"


def body(metadata: bytes, content: bytes) -> bytes:
    return (
        b"--frontier\r\ncontent-type: application/json\r\n\r\n"
        + metadata
        + b"\r\n--frontier\r\nContent-Type: video/mp2t\r\n\r\n"
        + content
        + b"\r\n--frontier--"
    )


@given(st.binary(max_size=200), st.dictionaries(st.text(max_size=5), st.text(max_size=5)), st.data())
def test_metadata_and_content_are_taken_apart_wherever_the_body_is_cut(
    content: bytes, metadata: dict[str, str], data: st.DataObject
) -> None:
    whole = body(json.dumps(metadata).encode(), content)
    cut = data.draw(st.integers(0, len(whole)))
    head = parse_head(whole[:cut], BOUNDARY)
    if head is None:
        head = parse_head(whole, BOUNDARY)
    assert head is not None
    assert (head.metadata, head.content_type) == (metadata, "video/mp2t")
    assert whole[head.offset : content_end(whole, BOUNDARY, head)] == content


@given(st.binary(max_size=300))
def test_any_bytes_are_a_head_incomplete_or_refused(received: bytes) -> None:
    with suppress(InvalidRequest):
        parse_head(received, BOUNDARY)


def test_a_body_that_is_cut_off_is_refused() -> None:
    whole = body(b"{}", b"content")[:-4]
    head = parse_head(whole, BOUNDARY)
    assert head is not None
    with pytest.raises(InvalidRequest, match="does not end"):
        content_end(whole, BOUNDARY, head)


def test_a_head_without_end_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="too long"):
        parse_head(b"--frontier\r\n\r\n" + b"x" * MAX_HEAD_BYTES, BOUNDARY)


@pytest.mark.parametrize("metadata", [b"[1]", b"{", b'"text"', b"\xff"])
def test_metadata_must_be_a_json_object(metadata: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_json_object(metadata)


@pytest.mark.parametrize(
    "content_type", ["", "multipart/related", "multipart/form-data; boundary=x", "application/json"]
)
def test_a_content_type_without_a_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_boundary(content_type)


def test_a_boundary_may_be_quoted() -> None:
    assert parse_boundary('multipart/related; boundary="==a b=="') == b"==a b=="
    assert parse_boundary("Multipart/Related; boundary=ab") == b"ab"
