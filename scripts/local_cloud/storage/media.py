"""Answers that carry an object's content: ranges (RFC 9110 section 14) and Cloud Storage's headers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Final

from starlette.responses import Response, StreamingResponse

from local_cloud.storage.contents import PIECE_BYTES, Content
from local_cloud.storage.errors import RangeNotSatisfiable
from local_cloud.storage.objects import StoredObject

# https://cloud.google.com/storage/docs/metadata#cache-control: for objects that everyone may read
DEFAULT_PUBLIC_CACHE_CONTROL: Final = "public, max-age=3600"
PRIVATE_CACHE_CONTROL: Final = "private, max-age=0, no-transform"
DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"
_RANGE: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


def parse_range(header: str | None, size: int) -> range | None:
    """The bytes that a Range *header* asks for of *size*; None means all of them.

    Several ranges and malformed ones are answered in full, as Cloud Storage does. Raises
    RangeNotSatisfiable.
    """
    match = _RANGE.fullmatch(header) if header else None
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return None
    if start >= stop:
        raise RangeNotSatisfiable(size)
    return range(start, stop)


def object_headers(stored: StoredObject, *, etag: str, default_cache_control: str) -> dict[str, str]:
    """The headers that describe *stored*, whatever part of its content follows."""
    attributes = stored.attributes
    hashes = [f"crc32c={stored.checksums.crc32c}"]
    if stored.checksums.md5 is not None:
        hashes.append(f"md5={stored.checksums.md5}")
    headers = {
        "content-type": attributes.content_type or DEFAULT_CONTENT_TYPE,
        "cache-control": attributes.cache_control or default_cache_control,
        "etag": etag,
        "last-modified": format_datetime(stored.updated.replace(microsecond=0), usegmt=True),
        "accept-ranges": "bytes",
        "x-goog-generation": str(stored.generation),
        "x-goog-metageneration": str(stored.metageneration),
        "x-goog-hash": ",".join(hashes),
        "x-goog-storage-class": "STANDARD",
        "x-goog-stored-content-encoding": "identity",
        "x-goog-stored-content-length": str(stored.size),
    }
    if attributes.content_disposition:
        headers["content-disposition"] = attributes.content_disposition
    if attributes.content_language:
        headers["content-language"] = attributes.content_language
    return headers


def media_response(
    stored: StoredObject,
    content: Content,
    headers: dict[str, str],
    range_header: str | None,
    *,
    body: bool = True,
) -> Response:
    """The content of *stored*, or the part that *range_header* asks for; no content when *body* is false.

    Raises RangeNotSatisfiable.
    """
    try:
        part = parse_range(range_header, stored.size)
    except RangeNotSatisfiable:
        content.close()
        raise
    wanted = range(stored.size) if part is None else part
    headers["content-length"] = str(len(wanted))
    if part is not None:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{stored.size}"
    status = 200 if part is None else 206
    if not body:
        content.close()
        return Response(status_code=status, headers=headers)
    if len(wanted) <= PIECE_BYTES:
        return Response(
            b"".join(content.pieces(wanted.start, wanted.stop)), status_code=status, headers=headers
        )
    return StreamingResponse(_stream(content, wanted), status_code=status, headers=headers)


async def _stream(content: Content, wanted: range) -> AsyncIterator[bytes]:
    for piece in content.pieces(wanted.start, wanted.stop):
        yield piece
