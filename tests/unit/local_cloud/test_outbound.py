import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

from local_cloud.outbound import NoAnswer, request

SECOND = timedelta(seconds=1)


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[str]:
    """A server that reads a request's head, answers and closes; with None it never answers."""
    served: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
            writer.close()
            await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(serve(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"
    await asyncio.gather(*served)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200),
        (b"HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 503),
        (b"HTTP/1.0 404 Not Found\r\n\r\nuntil the end", 404),
    ],
)
async def test_the_status_of_the_answer(answer: bytes, status: int) -> None:
    async with answering(answer) as url:
        assert await request("POST", f"{url}/a?b=c", body=b"x", timeout=SECOND) == status


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n"])
async def test_what_is_not_an_answer(answer: bytes) -> None:
    async with answering(answer) as url:
        with pytest.raises(NoAnswer):
            await request("GET", url, timeout=SECOND)


async def test_an_answer_that_does_not_come_in_time() -> None:
    async with answering(None) as url:
        with pytest.raises(NoAnswer, match="TimeoutError"):
            await request("GET", url, timeout=timedelta(seconds=0.05))


async def test_a_server_that_is_not_there() -> None:
    async with answering(b"") as url:
        gone = url
    with pytest.raises(NoAnswer):
        await request("GET", gone, timeout=SECOND)
