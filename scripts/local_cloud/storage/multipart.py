"""`multipart/related` bodies of exactly two parts, metadata and content (RFC 2387), as uploads send them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.message import Message
from typing import Final

from local_cloud.storage.errors import InvalidRequest, ParseError
from local_cloud.storage.resources import Json

MAX_HEAD_BYTES: Final = 64 * 1024  # 8 KiB of custom metadata, escaped, and both parts' headers fit well
_BLANK_LINE: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartHead:
    """What stands before the content: the metadata, the content's type and the *offset* where it begins."""

    metadata: Json
    content_type: str | None
    offset: int


def parse_boundary(content_type: str) -> bytes:
    """The boundary in a `multipart/related` Content-Type; raises InvalidRequest."""
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/related" or not isinstance(boundary, str) or not boundary:
        raise InvalidRequest("A multipart upload needs the Content-Type multipart/related with a boundary.")
    return boundary.encode()


def parse_head(received: bytes | bytearray, boundary: bytes) -> MultipartHead | None:
    """The head of a body of which *received* has come, or None while more of it is needed.

    Raises InvalidRequest for a head that is malformed or longer than MAX_HEAD_BYTES.
    """
    metadata_start = received.find(_BLANK_LINE, 0, MAX_HEAD_BYTES)
    headers_start = received.find(b"\r\n--" + boundary + b"\r\n", max(metadata_start, 0), MAX_HEAD_BYTES)
    headers_end = received.find(_BLANK_LINE, max(headers_start, 0), MAX_HEAD_BYTES)
    if min(metadata_start, headers_start, headers_end) < 0:
        if len(received) >= MAX_HEAD_BYTES:
            raise InvalidRequest("The metadata part of the multipart upload is too long.")
        return None
    if not received.lstrip(b"\r\n").startswith(b"--" + boundary):
        raise InvalidRequest("The multipart upload does not begin with its boundary.")
    return MultipartHead(
        metadata=parse_json_object(bytes(received[metadata_start + len(_BLANK_LINE) : headers_start])),
        content_type=_content_type(bytes(received[headers_start:headers_end])),
        offset=headers_end + len(_BLANK_LINE),
    )


def content_end(received: bytes | bytearray, boundary: bytes, head: MultipartHead) -> int:
    """Where the content of the whole body *received* ends; raises InvalidRequest when the body is cut off."""
    end = received.find(b"\r\n--" + boundary + b"--", head.offset - 2)
    if end < 0:
        raise InvalidRequest("The multipart upload does not end with its boundary.")
    return max(end, head.offset)


def parse_json_object(text: bytes) -> Json:
    """The JSON object *text*, empty for none; raises ParseError."""
    try:
        value = json.loads(text or b"{}")
    except ValueError:
        raise ParseError("Parse Error") from None
    if not isinstance(value, dict):
        raise ParseError("Parse Error")
    return value


def _content_type(headers: bytes) -> str | None:
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-type":
            return value.strip().decode("latin-1")
    return None
