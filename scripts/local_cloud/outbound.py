"""Requests that the local cloud itself makes: events, timers and health checks, without blocking its loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

import httptools

_READ_BYTES: Final = 64 * 1024


class NoAnswer(Exception):
    """The server could not be reached, or did not answer in time or in HTTP."""


async def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: timedelta,  # noqa: ASYNC109 - one bound for the connection and the whole exchange
) -> int:
    """The status with which the server at *url* (plain http) answers; raises NoAnswer."""
    address = urlsplit(url)
    head = [
        f"{method} {address.path or '/'}{'?' + address.query if address.query else ''} HTTP/1.1",
        f"host: {address.netloc}",
        "connection: close",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    message = "\r\n".join([*head, "", ""]).encode("ascii") + body
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            return await _exchange(address.hostname or "", address.port or 80, message)
    except (OSError, TimeoutError, httptools.HttpParserError) as error:
        raise NoAnswer(f"{method} {url}: {type(error).__name__} {error}") from error


class _Answer:
    complete = False

    def on_message_complete(self) -> None:
        self.complete = True


async def _exchange(host: str, port: int, message: bytes) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(message)
        await writer.drain()
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.complete and (received := await reader.read(_READ_BYTES)):
            parser.feed_data(received)
        status: int = parser.get_status_code()
        if not answer.complete and not status:
            raise ConnectionError("closed without an answer")
        return status
    finally:
        # Nothing more is wanted of this connection, least of all to wait for a peer that does not read.
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
