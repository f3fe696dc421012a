"""Requests on real sockets: what a server may do to its client."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from local_cloud.workflows.errors import WorkflowError
from local_cloud.workflows.exchange import exchange
from local_cloud.workflows.host import HttpRequest, HttpResponse
from local_cloud.workflows.limits import MAX_RESPONSE_BYTES


def request(port: int, *, method: str = "POST", body: bytes = b"hello", seconds: float = 20) -> HttpRequest:
    return HttpRequest(
        method=method,
        url=f"http://127.0.0.1:{port}/a?b=1",
        headers=(("x-own", "1"),),
        body=body,
        timeout=timedelta(seconds=seconds),
    )


@contextlib.asynccontextmanager
async def answering(
    *parts: bytes, received: list[bytes] | None = None, stay: bool = False
) -> AsyncIterator[int]:
    """The port of a server that answers each request with *parts*, and then hangs up unless it is to *stay*."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0"
        )
        body = await reader.readexactly(int(length.partition(b":")[2]))
        if received is not None:
            received.append(head + body)
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
            if stay:
                await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def tags_of(sent: HttpRequest) -> Any:
    with pytest.raises(WorkflowError) as raised:
        await exchange(sent)
    assert isinstance(raised.value.value, dict)
    return raised.value.value["tags"]


async def test_request_arrives_and_its_response_comes_back() -> None:
    received: list[bytes] = []
    answer = b"HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
    async with answering(answer, received=received, stay=True) as port:
        response = await exchange(request(port))
    assert response == HttpResponse(
        status=201, headers=(("content-type", "text/plain"), ("content-length", "2")), body=b"ok"
    )
    assert received == [
        (
            f"POST /a?b=1 HTTP/1.1\r\nx-own: 1\r\nhost: 127.0.0.1:{port}\r\n"
            "connection: close\r\ncontent-length: 5\r\n\r\nhello"
        ).encode()
    ]


async def test_request_without_a_body_says_nothing_of_its_length() -> None:
    received: list[bytes] = []
    async with answering(b"HTTP/1.1 204 No Content\r\n\r\n", received=received) as port:
        assert (await exchange(request(port, method="GET", body=b""))).body == b""
    assert b"content-length" not in received[0]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nabc",
    ],
    ids=["chunked", "until the end"],
)
async def test_body_may_be_chunked_or_last_until_the_connection_ends(answer: bytes) -> None:
    async with answering(*(answer[at : at + 1] for at in range(len(answer)))) as port:
        assert (await exchange(request(port))).body == b"abc"


async def test_nobody_listens() -> None:
    async with answering() as port:
        pass
    assert await tags_of(request(port)) == ["ConnectionFailedError"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
)
async def test_response_that_breaks_off_or_is_none_is_a_connection_error(answer: bytes) -> None:
    async with answering(answer) as port:
        assert await tags_of(request(port)) == ["ConnectionError"]


async def test_response_that_does_not_come_in_time_is_a_timeout_error() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n", stay=True) as port:
        assert await tags_of(request(port, seconds=0.05)) == ["TimeoutError"]


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
async def test_response_has_at_most_so_many_bytes(more: int, *, fits: bool) -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * (MAX_RESPONSE_BYTES + more)) as port:
        if fits:
            assert len((await exchange(request(port))).body) == MAX_RESPONSE_BYTES
        else:
            assert await tags_of(request(port)) == ["ResourceLimitError"]


async def test_headers_without_end_are_cut_off() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n", *[b"x-a: " + b"y" * 60_000 + b"\r\n"] * 60) as port:
        assert await tags_of(request(port)) in (["ResourceLimitError"], ["ConnectionError"])
