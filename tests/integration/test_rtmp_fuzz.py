"""Random, truncated and mutated input against the live server: it answers or closes, and nothing is left."""

import asyncio
import logging
import random
from contextlib import suppress

import pytest

from ingest.protocols.rtmp import RtmpLimits, RtmpServer
from ingest.protocols.rtmp.handshake import PACKET_BYTES
from tools.recording_sessions import KEY, RecordingHandler
from tools.rtmp_client import publish, recorded_publication

CONNECTIONS = 300
AT_ONCE = 30
SEED = 20261122
LIMITS = RtmpLimits(
    handshake_seconds=0.3,
    publish_seconds=0.3,
    idle_media_seconds=0.3,
    linger_seconds=0.3,
    unpublished_connections_per_address=2 * AT_ONCE,
)
RECORDING = recorded_publication(KEY)
HANDSHAKE_BYTES = 1 + 2 * PACKET_BYTES


def _random_bytes(source: random.Random) -> bytes:
    return source.randbytes(source.randrange(5_000))


def _after_a_handshake(source: random.Random) -> bytes:
    return RECORDING[:HANDSHAKE_BYTES] + source.randbytes(source.randrange(5_000))


def _truncated(source: random.Random) -> bytes:
    return RECORDING[: source.randrange(len(RECORDING))]


def _mutated(source: random.Random) -> bytes:
    mutated = bytearray(RECORDING)
    for _ in range(source.randrange(1, 20)):
        mutated[source.randrange(HANDSHAKE_BYTES, len(mutated))] = source.randrange(256)
    return bytes(mutated)


def _shortened_within(source: random.Random) -> bytes:
    start = source.randrange(HANDSHAKE_BYTES, len(RECORDING))
    return RECORDING[:start] + RECORDING[start + source.randrange(1, 50) :]


KINDS = (_random_bytes, _after_a_handshake, _truncated, _mutated, _shortened_within)


async def _attack(address: tuple[str, int], data: bytes, source: random.Random) -> None:
    reader, writer = await asyncio.open_connection(*address)
    with suppress(ConnectionError):
        cut = source.randrange(1, 2_000)
        for start in range(0, len(data), cut):
            writer.write(data[start : start + cut])
            await writer.drain()
        # A third goes away at once, the others wait to be sent away.
        if source.randrange(3):
            await reader.read()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_server_outlives_whatever_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    source = random.Random(SEED)
    handler = RecordingHandler()
    before = asyncio.all_tasks()
    caplog.set_level(logging.DEBUG)
    async with RtmpServer(handler, LIMITS) as server:
        await server.start("127.0.0.1", 0)
        for _ in range(CONNECTIONS // AT_ONCE):
            attacks = [_attack(server.address, source.choice(KINDS)(source), source) for _ in range(AT_ONCE)]
            async with asyncio.timeout(10):
                await asyncio.gather(*attacks)
        assert len(handler.sessions) > CONNECTIONS // 10, "the input does not get far enough"
        async with asyncio.timeout(10):
            await asyncio.gather(*(session.closed.wait() for session in handler.sessions))
            await publish(server.address, KEY, [])
            while server.connections:
                await asyncio.wait(asyncio.all_tasks() - before - {asyncio.current_task()}, timeout=0.05)
    assert [len(session.reasons) for session in handler.sessions] == [1] * len(handler.sessions)
    assert asyncio.all_tasks() == before
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert KEY not in "".join(str(record.__dict__) for record in caplog.records)
