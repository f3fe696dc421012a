import asyncio
import socket
import struct
from collections.abc import Iterator

import pytest

from ingest.protocols.rtmp.socket_reader import DeadlinePassed, SocketReader


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected TCP sockets, of which the first does not block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = socket.create_connection(listener.getsockname())
        here, _ = listener.accept()
    with here, there:
        here.setblocking(False)
        yield here, there


def _soon() -> float:
    return asyncio.get_running_loop().time() + 5


async def test_pieces_come_in_order_and_then_the_end(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=2)
    there.sendall(b"abc")
    assert [await reader.read(_soon()), await reader.read(_soon())] == [b"ab", b"c"]
    there.close()
    assert [await reader.read(_soon()), await reader.read(_soon())] == [b"", b""]
    reader.close()


async def test_waits_for_what_comes_later(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=10)
    asyncio.get_running_loop().call_later(0.02, there.sendall, b"abc")
    assert await reader.read(_soon()) == b"abc"
    reader.close()


async def test_deadline_passes_and_nothing_is_lost(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=10)
    with pytest.raises(DeadlinePassed):
        await reader.read(asyncio.get_running_loop().time() + 0.02)
    there.sendall(b"abc")
    assert await reader.read(_soon()) == b"abc"
    reader.close()


async def test_deadline_that_has_passed_counts_though_something_came(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=10)
    there.sendall(b"abc")
    with pytest.raises(DeadlinePassed):
        await reader.read(asyncio.get_running_loop().time() - 1)
    assert await reader.read(_soon()) == b"abc"
    reader.close()


async def test_reads_one_piece_ahead_and_no_more(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=1)
    there.sendall(b"abcdef")
    assert await reader.read(_soon()) == b"a"
    for _ in range(10):
        await asyncio.sleep(0)
    assert reader.has_more
    assert here.recv(10, socket.MSG_PEEK) == b"cdef"
    assert b"".join([await reader.read(_soon()) for _ in range(5)]) == b"bcdef"
    assert not reader.has_more
    reader.close()


async def test_what_came_before_a_reset_is_read_before_it_is_raised(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=2)
    there.sendall(b"abc")
    there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    there.close()
    assert [await reader.read(_soon()), await reader.read(_soon())] == [b"ab", b"c"]
    with pytest.raises(ConnectionResetError):
        await reader.read(_soon())
    assert not reader.has_more
    reader.close()


async def test_cancelled_read_loses_nothing(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=10)
    reading = asyncio.create_task(reader.read(_soon()))
    await asyncio.sleep(0)
    there.sendall(b"abc")
    reading.cancel()
    await asyncio.wait([reading])
    assert await reader.read(_soon()) == b"abc"
    reader.close()


async def test_few_bytes_wait_for_more(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=100)
    reader.wait_for(10)
    reading = asyncio.create_task(reader.read(_soon()))
    there.sendall(b"few")
    await asyncio.sleep(0.02)
    assert not reading.done()
    there.sendall(b" and more")
    assert await reading == b"few and more"
    reader.close()


async def test_few_bytes_do_not_wait_for_ever(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=100)
    reader.wait_for(10)
    there.sendall(b"few")
    assert await reader.read(_soon()) == b"few"
    reader.wait_for(1)
    there.sendall(b"few")
    assert await reader.read(_soon()) == b"few"
    reader.close()


async def test_few_bytes_wait_for_nothing_when_the_peer_has_ended(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=100)
    reader.wait_for(10)
    there.sendall(b"few")
    there.close()
    began = asyncio.get_running_loop().time()
    assert [await reader.read(_soon()), await reader.read(_soon())] == [b"few", b""]
    assert asyncio.get_running_loop().time() - began < 0.1
    reader.close()


async def test_deadline_passes_also_where_few_bytes_wait(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=100)
    reader.wait_for(10)
    there.sendall(b"few")
    with pytest.raises(DeadlinePassed):
        await reader.read(asyncio.get_running_loop().time() + 0.02)
    assert await reader.read(_soon()) == b"few"
    reader.close()


async def test_deadline_that_is_nearer_than_the_one_before_passes_in_time(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=10)
    there.sendall(b"abc")
    await asyncio.sleep(0.02)
    assert await reader.read(_soon()) == b"abc"
    began = asyncio.get_running_loop().time()
    with pytest.raises(DeadlinePassed):
        await reader.read(began + 0.02)
    assert asyncio.get_running_loop().time() - began < 1
    reader.close()


async def test_deadline_that_is_put_off_passes_when_it_should(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    here, there = ends
    reader = SocketReader(here, piece_bytes=10)
    loop = asyncio.get_running_loop()
    loop.call_later(0.01, there.sendall, b"abc")
    assert await reader.read(loop.time() + 0.03) == b"abc"
    late = loop.time() + 0.06
    with pytest.raises(DeadlinePassed):
        await reader.read(late)
    assert loop.time() >= late - 0.001
    reader.close()
