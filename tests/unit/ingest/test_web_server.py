"""Connections of strangers: bounded in time and number, and in nobody's way."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ingest import web_server
from ingest.web_server import MAX_CONNECTIONS, REQUEST_SECONDS

REQUEST = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
HALF_A_BODY = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf "
BRIEFLY = 0.2


class Connection:
    """A client's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> bytes:
        """The next answer's status line."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        await self.reader.readexactly(len(b"hello"))
        return head.split(b"\r\n")[0]

    async def closed(self) -> bytes:
        """What comes until the server closes the connection, sooner than for want of a request alone."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS / 2):
                return await self.reader.read()
        except ConnectionResetError:
            return b""


class Served:
    """A server on loopback."""

    def __init__(self, address: tuple[str, int], stack: AsyncExitStack) -> None:
        self._address = address
        self._stack = stack
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def connect(self) -> Connection:
        """Connect, and send nothing."""
        reader, writer = await asyncio.open_connection(*self._address)
        self._stack.callback(writer.close)
        return Connection(reader, writer)


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    async def hello(_request: Request) -> Response:
        await served.may_answer.wait()
        return PlainTextResponse("hello")

    async def body(request: Request) -> Response:
        with suppress(ClientDisconnect):
            await request.body()
        return PlainTextResponse("hello")

    routes = [Route("/hello", hello), Route("/body", body, methods=["POST"])]
    async with AsyncExitStack() as stack:
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        server = web_server.web_server(Starlette(routes=routes))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        served = Served(listener.getsockname(), stack)
        yield served
        served.may_answer.set()
        server.should_exit = True
        await stack.aclose()
        await running
        listener.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests have to come soon."""
    monkeypatch.setattr(web_server, "REQUEST_SECONDS", BRIEFLY)


@pytest.mark.parametrize("half", [b"", REQUEST[:-2], HALF_A_BODY])
async def test_who_asks_is_answered_beside_any_number_of_connections_that_do_not(half: bytes) -> None:
    """A bug: what never sent a whole request stayed for ever, until the process had no file left."""
    async with serving() as served:
        silent = [await served.connect() for _ in range(300)]
        for connection in silent:
            connection.writer.write(half)
        healthy = await served.connect()
        healthy.writer.write(REQUEST)
        assert await healthy.answer() == b"HTTP/1.1 200 OK"
        # Those that have waited longest are gone, so that with the healthy one there are no more than may be.
        gone = silent[: len(silent) + 1 - MAX_CONNECTIONS]
        assert [await connection.closed() for connection in gone] == [b""] * len(gone)
        silent[-1].writer.write(HALF_A_BODY[-5:] if half == HALF_A_BODY else REQUEST.removeprefix(half))
        assert await silent[-1].answer() == b"HTTP/1.1 200 OK"


async def test_who_is_being_answered_is_not_let_go_for_newcomers() -> None:
    async with serving() as served:
        served.may_answer.clear()
        healthy = await served.connect()
        healthy.writer.write(REQUEST)
        silent = [await served.connect() for _ in range(MAX_CONNECTIONS + 1)]
        assert await silent[0].closed() == b""
        served.may_answer.set()
        assert await healthy.answer() == b"HTTP/1.1 200 OK"


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("half", [b"", b"G", REQUEST[:-2], HALF_A_BODY])
async def test_a_request_that_does_not_come_is_not_waited_for(half: bytes) -> None:
    async with serving() as served:
        connection = await served.connect()
        connection.writer.write(half)
        assert await connection.closed() == b""


@pytest.mark.usefixtures("hurried")
async def test_a_request_that_comes_by_single_bytes_has_no_more_time_than_another() -> None:
    async with serving() as served:
        connection = await served.connect()

        async def drip() -> None:
            connection.writer.write(b"GET /hello HTTP/1.1\r\n")
            while not connection.writer.is_closing():
                connection.writer.write(b"A: b\r\n")
                await asyncio.sleep(BRIEFLY / 4)

        dripping = asyncio.create_task(drip())
        assert await connection.closed() == b""
        dripping.cancel()


@pytest.mark.usefixtures("hurried")
async def test_an_answer_may_take_its_time_and_the_next_request_has_all_of_its_own() -> None:
    async with serving() as served:
        served.may_answer.clear()
        connection = await served.connect()
        connection.writer.write(REQUEST)
        await asyncio.sleep(2 * BRIEFLY)
        served.may_answer.set()
        assert await connection.answer() == b"HTTP/1.1 200 OK"
        connection.writer.write(REQUEST + REQUEST)  # pipelined
        assert await connection.answer() == b"HTTP/1.1 200 OK"
        assert await connection.answer() == b"HTTP/1.1 200 OK"
        connection.writer.write(REQUEST[:-2])  # with which uvicorn's own patience with idle connections ends
        assert await connection.closed() == b""


@pytest.mark.usefixtures("hurried")
async def test_a_body_that_never_ends_holds_no_connection_after_its_answer() -> None:
    async with serving() as served:
        connection = await served.connect()
        connection.writer.write(REQUEST[:-2] + b"Content-Length: 1000\r\n\r\nx")
        assert await connection.answer() == b"HTTP/1.1 200 OK"
        connection.writer.write(b"x")
        assert await connection.closed() == b""
