"""Sending an HTTP request: one connection for each, every part of it bounded."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import httptools

from local_cloud.workflows.errors import Tag, raised
from local_cloud.workflows.host import HttpRequest, HttpResponse
from local_cloud.workflows.limits import MAX_RESPONSE_BYTES

_READ_BYTES: Final = 64 * 1024
# Far above what the headers of Google's services take; uvicorn, too, ends at 64 KiB.
_MAX_HEAD_BYTES: Final = 64 * 1024


async def exchange(request: HttpRequest) -> HttpResponse:
    """The response to *request*.

    Raises a WorkflowError: ConnectionFailedError, ConnectionError, TimeoutError or ResourceLimitError.
    """
    try:
        async with asyncio.timeout(request.timeout.total_seconds()):
            return await _exchange(request)
    except TimeoutError:
        raise raised(Tag.TIMEOUT_ERROR, f"no response within {request.timeout.total_seconds():g} s") from None


async def _exchange(request: HttpRequest) -> HttpResponse:
    address = urlsplit(request.url)
    secure = address.scheme == "https"
    try:
        reader, writer = await asyncio.open_connection(
            address.hostname,
            address.port or (443 if secure else 80),
            ssl=ssl.create_default_context() if secure else None,
        )
    except OSError as error:
        raise raised(Tag.CONNECTION_FAILED_ERROR, f"no connection: {error}") from None
    try:
        writer.write(_message(request))
        await writer.drain()
        return await _read(reader)
    except (OSError, httptools.HttpParserError) as error:
        raise raised(Tag.CONNECTION_ERROR, f"connection broken: {error}") from None
    finally:
        # Nothing more is wanted of this connection, least of all to wait for a peer that does not read.
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def _message(request: HttpRequest) -> bytes:
    address = urlsplit(request.url)
    target = f"{address.path or '/'}{'?' + address.query if address.query else ''}"
    own = {"host": address.netloc.rpartition("@")[2], "connection": "close"}
    if request.body or request.method not in ("GET", "DELETE"):
        own["content-length"] = str(len(request.body))
    headers = {**dict(request.headers), **own}
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + request.body


async def _read(reader: asyncio.StreamReader) -> HttpResponse:
    response = _Response()
    parser = httptools.HttpResponseParser(response)
    received = 0
    while not response.complete and (content := await reader.read(_READ_BYTES)):
        received += len(content)
        parser.feed_data(content)
        if len(response.body) > MAX_RESPONSE_BYTES or received > MAX_RESPONSE_BYTES + _MAX_HEAD_BYTES:
            raise raised(Tag.RESOURCE_LIMIT_ERROR, f"the response has more than {MAX_RESPONSE_BYTES} bytes")
    if not response.complete and not response.ends_with_connection:
        raise ConnectionError("closed before the response was complete")
    return HttpResponse(
        status=parser.get_status_code(), headers=tuple(response.headers.items()), body=bytes(response.body)
    )


class _Response:
    """What the parser calls."""

    def __init__(self) -> None:
        self.complete = False
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self._has_head = False

    @property
    def ends_with_connection(self) -> bool:
        """Whether the body is what comes until the connection is closed (RFC 9112, section 6.3)."""
        return self._has_head and not self.headers.keys() & {"content-length", "transfer-encoding"}

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._has_head = True

    def on_body(self, content: bytes) -> None:
        self.body += content

    def on_message_complete(self) -> None:
        self.complete = True
