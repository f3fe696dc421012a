"""The server on loopback: whatever a publisher or a session does, it ends in time, once, and leaves nothing."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest

from ingest.feed.frames import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.publishing import (
    CloseReason,
    PublishHandler,
    PublishRefused,
    PublishRequest,
    RefusalReason,
)
from ingest.protocols.rtmp import RtmpLimits, RtmpServer, messages
from ingest.protocols.rtmp.chunks import Message
from ingest.protocols.rtmp.messages import UserControlType
from tools.recording_sessions import KEY, RecordingHandler, RecordingSession
from tools.rtmp_client import PublishFailed, RtmpPublisher, publish

# Short enough for a test, long enough for a busy machine where a test is not about time.
LIMITS = RtmpLimits(linger_seconds=0.5, shutdown_seconds=2.0)
SHORT = 0.15

AVC: FeedItem = CodecConfiguration(codec=VideoCodec.H264, data=bytes.fromhex("0142c01effe10000"))
AAC: FeedItem = CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex("1210"))


def frame(milliseconds: int, data: bytes = b"picture", *, offset: int = 0) -> EncodedFrame:
    return EncodedFrame(
        track=Track.VIDEO,
        decode_time=timedelta(milliseconds=milliseconds),
        presentation_time=timedelta(milliseconds=milliseconds + offset),
        keyframe=milliseconds == 0,
        data=data,
    )


def sound(milliseconds: int) -> EncodedFrame:
    time = timedelta(milliseconds=milliseconds)
    return EncodedFrame(
        track=Track.AUDIO, decode_time=time, presentation_time=time, keyframe=True, data=b"sound"
    )


# More than after which a source's pictures are known to be large.
LEARNING_PICTURES = 100

ITEMS: list[FeedItem] = [AVC, AAC, frame(0), frame(40, offset=80), frame(80)]


@asynccontextmanager
async def serving(handler: PublishHandler, limits: RtmpLimits = LIMITS) -> AsyncIterator[RtmpServer]:
    """A started server, which leaves no connection and no task."""
    before = asyncio.all_tasks()
    async with RtmpServer(handler, limits) as server:
        await server.start("127.0.0.1", 0)
        yield server
    assert server.connections == 0
    assert asyncio.all_tasks() <= before


async def ended(handler: RecordingHandler) -> RecordingSession:
    (session,) = handler.sessions
    await session.closed.wait()
    return session


async def test_what_is_published_is_received() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server:
        await publish(server.address, KEY, ITEMS)
        session = await ended(handler)
    assert session.items == ITEMS
    assert session.reasons == [CloseReason.UNPUBLISHED]
    (request,) = handler.requests
    assert request.stream_key.secret == KEY
    assert request.peer_address == "127.0.0.1"


class SourceOfLargePictures:
    """A publisher whose pictures are known to be large: its sound may wait for them."""

    def __init__(self, publisher: RtmpPublisher) -> None:
        self.sent: list[FeedItem] = [AVC, AAC, *(frame(40 * n, bytes(5000)) for n in range(LEARNING_PICTURES))]
        self._publisher = publisher
        self._arrived: dict[int, asyncio.Event] = {}

    async def start(self, server: RtmpServer) -> None:
        await self._publisher.publish(server.address, KEY)
        items, self.sent = self.sent, []
        for item in items:
            await self.send(item)
        await self.arrived(items[-1])

    async def send(self, item: FeedItem) -> None:
        self.sent.append(item)
        await self._publisher.send_item(item)

    def take(self, item: FeedItem) -> None:
        self._arrived.setdefault(hash(item), asyncio.Event()).set()

    async def arrived(self, item: FeedItem) -> None:
        await self._arrived.setdefault(hash(item), asyncio.Event()).wait()


async def test_sound_waits_for_a_large_picture() -> None:
    """It does not wake the server up; but the last of it is not forgotten, nor the last command."""
    async with RtmpPublisher() as publisher:
        source = SourceOfLargePictures(publisher)
        handler = RecordingHandler(source.take)
        async with serving(handler) as server:
            await source.start(server)
            (session,) = handler.sessions
            await source.send(sound(4000))
            await asyncio.sleep(0.03)
            assert session.items == source.sent[:-1]
            await source.send(frame(4010, bytes(5000)))
            await source.arrived(source.sent[-1])
            assert session.items == source.sent
            await source.send(sound(4020))
            await publisher.unpublish()
            await ended(handler)
    assert session.items == source.sent
    assert session.reasons == [CloseReason.UNPUBLISHED]


async def test_rest_of_a_picture_waits_for_nothing() -> None:
    """Read in pieces as a network would cut it, of which the last is a small one."""
    pictures = [frame(4000 + 40 * number, bytes(5000)) for number in range(20)]
    async with RtmpPublisher() as publisher:
        source = SourceOfLargePictures(publisher)
        async with serving(RecordingHandler(source.take), replace(LIMITS, read_bytes=1024)) as server:
            await source.start(server)
            began = asyncio.get_running_loop().time()
            for picture in pictures:
                await source.send(picture)
                await source.arrived(picture)
            assert asyncio.get_running_loop().time() - began < 1
            await publisher.unpublish()


async def test_metadata_reaches_the_session() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server, RtmpPublisher() as publisher:
        await publisher.publish(server.address, KEY)
        publisher.send_metadata(encoder="obs", framerate=25.0)
        await publisher.unpublish()
        session = await ended(handler)
    assert session.said == [SourceMetadata(frame_rate=Fraction(25))]


async def test_many_publish_at_once() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server:
        await asyncio.gather(*(publish(server.address, KEY, ITEMS) for _ in range(10)))
        await asyncio.gather(*(session.closed.wait() for session in handler.sessions))
    assert [session.items for session in handler.sessions] == [ITEMS] * 10


async def test_wrong_key_is_refused_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="ingest")
    handler = RecordingHandler()
    async with serving(handler) as server:
        with pytest.raises(PublishFailed, match="wrong") as failed:
            await publish(server.address, "guessed-key", ITEMS)
    assert failed.value.code == "NetStream.Publish.Denied"
    assert handler.sessions == []
    assert caplog.records
    assert "guessed-key" not in "".join(str(record.__dict__) for record in caplog.records)


async def test_other_application_is_refused() -> None:
    async with serving(RecordingHandler()) as server, RtmpPublisher() as publisher:
        with pytest.raises(PublishFailed) as failed:
            await publisher.publish(server.address, KEY, app="other")
    assert failed.value.code == "NetConnection.Connect.Rejected"


async def test_handler_that_fails_is_an_answer_to_try_again(caplog: pytest.LogCaptureFixture) -> None:
    class FailingHandler:
        async def authorize(self, request: PublishRequest) -> RecordingSession:
            raise RuntimeError("no database")

    async with serving(FailingHandler()) as server:
        with pytest.raises(PublishFailed, match="Try again") as failed:
            await publish(server.address, KEY, ITEMS)
    assert failed.value.code == "NetStream.Failed"
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (RuntimeError("bug"), "NetStream.Failed", CloseReason.SESSION_FAILED),
        (TimeoutError(), "NetStream.Failed", CloseReason.SESSION_FAILED),
        (
            PublishRefused(RefusalReason.SOURCE, "Too big."),
            "NetStream.Publish.Rejected",
            CloseReason.REFUSED,
        ),
    ],
)
async def test_session_that_raises_ends_its_connection(
    error: Exception, code: str, reason: CloseReason
) -> None:
    def on_item(_item: FeedItem) -> None:
        raise error

    handler = RecordingHandler(on_item)
    async with serving(handler) as server, RtmpPublisher() as publisher:
        await publisher.publish(server.address, KEY)
        await publisher.send_item(AVC)
        with pytest.raises(PublishFailed) as failed:
            await publisher.wait_until_closed()
        session = await ended(handler)
    assert failed.value.code == code
    assert session.reasons == [reason]


async def test_session_that_fails_to_close_harms_nobody() -> None:
    class FailingSession(RecordingSession):
        async def close(self, reason: CloseReason) -> None:
            await super().close(reason)
            raise RuntimeError("bug")

    class Handler(RecordingHandler):
        async def authorize(self, request: PublishRequest) -> RecordingSession:
            self.sessions.append(FailingSession())
            return self.sessions[-1]

    handler = Handler()
    async with serving(handler) as server:
        await publish(server.address, KEY, ITEMS)
        assert (await ended(handler)).reasons == [CloseReason.UNPUBLISHED]
        await publish(server.address, KEY, ITEMS)


async def test_unsupported_codec_is_refused_by_name() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server, RtmpPublisher() as publisher:
        await publisher.publish(server.address, KEY)
        publisher.send(Message(type_id=9, stream_id=1, timestamp=0, body=b"\x90hvc1"), 4)
        with pytest.raises(PublishFailed, match="HEVC") as failed:
            await publisher.wait_until_closed()
        session = await ended(handler)
    assert failed.value.code == "NetStream.Publish.Rejected"
    assert session.reasons == [CloseReason.REFUSED_CODEC]


async def test_oversized_message_is_refused_while_it_comes() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server, RtmpPublisher() as publisher:
        await publisher.publish(server.address, KEY)
        publisher.send(Message(type_id=8, stream_id=1, timestamp=0, body=bytes(1 << 20)), 4)
        with pytest.raises(PublishFailed, match="1048576 bytes") as failed:
            await publisher.wait_until_closed()
        session = await ended(handler)
    assert failed.value.code == "NetStream.Failed"
    assert session.reasons == [CloseReason.PROTOCOL_ERROR]


async def test_publisher_that_vanishes_is_disconnected() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server:
        async with RtmpPublisher() as publisher:
            await publisher.publish(server.address, KEY)
            for item in ITEMS:
                await publisher.send_item(item)
        session = await ended(handler)
    assert session.items == ITEMS
    assert session.reasons == [CloseReason.DISCONNECTED]


async def _read_until_closed(server: RtmpServer, *sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server.address)
    for data in sent:
        writer.write(data)
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"\x03", b"\x03" + bytes(1536)], ids=["nothing", "C0", "C0 and C1"])
async def test_slow_loris_ends_at_the_handshake(sent: bytes) -> None:
    async with serving(RecordingHandler(), replace(LIMITS, handshake_seconds=SHORT)) as server:
        async with asyncio.timeout(2):
            await _read_until_closed(server, sent)


async def test_garbage_ends_at_once() -> None:
    async with serving(RecordingHandler()) as server, asyncio.timeout(2):
        assert await _read_until_closed(server, b"GET / HTTP/1.1\r\n\r\n") == b""


async def test_peer_that_does_not_publish_in_time_is_told_so() -> None:
    class Stopped(RtmpPublisher):
        async def _answer(self, name: str, *, transaction: float) -> None:
            # Never gets past the answer to connect.
            await super()._answer("never" if transaction == 1 else name, transaction=transaction)

    async with serving(RecordingHandler(), replace(LIMITS, publish_seconds=SHORT)) as server, Stopped() as peer:
        with pytest.raises(PublishFailed) as failed:
            await peer.publish(server.address, KEY)
    assert failed.value.code == "NetConnection.Connect.IdleTimeOut"


async def test_handler_that_takes_too_long_is_cancelled() -> None:
    cancelled = asyncio.Event()

    class SlowHandler:
        async def authorize(self, request: PublishRequest) -> RecordingSession:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            raise AssertionError

    async with serving(SlowHandler(), replace(LIMITS, publish_seconds=SHORT)) as server:
        with pytest.raises(PublishFailed, match="Try again"):
            await publish(server.address, KEY, ITEMS)
    assert cancelled.is_set()


async def test_publisher_without_media_is_timed_out() -> None:
    handler = RecordingHandler()
    async with (
        serving(handler, replace(LIMITS, idle_media_seconds=SHORT)) as server,
        RtmpPublisher() as publisher,
    ):
        await publisher.publish(server.address, KEY)
        with pytest.raises(PublishFailed) as failed:
            await publisher.wait_until_closed()
        session = await ended(handler)
    assert failed.value.code == "NetStream.Publish.Idle"
    assert session.reasons == [CloseReason.TIMED_OUT]


async def test_pings_and_metadata_are_no_media() -> None:
    handler = RecordingHandler()
    ping = messages.user_control(UserControlType.PING_REQUEST, bytes(4))
    async with (
        serving(handler, replace(LIMITS, idle_media_seconds=SHORT)) as server,
        RtmpPublisher() as publisher,
    ):
        await publisher.publish(server.address, KEY)
        with pytest.raises(PublishFailed):  # noqa: PT012 (which of these finds the connection closed is open)
            while True:
                publisher.send(ping, 2)
                publisher.send_metadata(encoder="obs")
                await publisher.send_item(AVC)
                await asyncio.sleep(0.01)
        session = await ended(handler)
    assert session.reasons == [CloseReason.TIMED_OUT]


async def test_slow_session_times_nobody_out() -> None:
    handler = RecordingHandler()
    async with (
        serving(handler, replace(LIMITS, idle_media_seconds=SHORT)) as server,
        RtmpPublisher() as publisher,
    ):
        await publisher.publish(server.address, KEY)
        (session,) = handler.sessions
        session.gate.clear()
        for item in ITEMS:
            await publisher.send_item(item)
        asyncio.get_running_loop().call_later(3 * SHORT, session.gate.set)
        await publisher.unpublish()
        await session.closed.wait()
    assert session.items == ITEMS
    assert session.reasons == [CloseReason.UNPUBLISHED]


async def test_nothing_is_read_while_the_session_waits() -> None:
    """20 MB cannot be sent: more than the kernel buffers is never taken from it."""
    handler = RecordingHandler()
    frames: list[FeedItem] = [frame(40 * number, bytes(100_000)) for number in range(200)]
    async with serving(handler) as server, RtmpPublisher() as publisher:
        await publisher.publish(server.address, KEY)
        (session,) = handler.sessions
        session.gate.clear()

        async def send() -> None:
            for item in (AVC, *frames):
                await publisher.send_item(item)

        sending = asyncio.create_task(send())
        _, waiting = await asyncio.wait([sending], timeout=0.5)
        assert waiting == {sending}
        session.gate.set()
        await sending
        await publisher.unpublish()
        await session.closed.wait()
    assert session.frames == frames


async def test_window_that_is_full_is_acknowledged() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server, RtmpPublisher(window_bytes=10_000) as publisher:
        await publisher.publish(server.address, KEY)
        await publisher.send_item(AVC)
        for number in range(3):
            await publisher.send_item(frame(number, bytes(12_000)))
            await publisher.wait_until_acknowledged()
    assert publisher.acknowledged_bytes > 36_000


async def test_publisher_ahead_of_real_time_is_acknowledged_when_it_falls_silent() -> None:
    handler = RecordingHandler()
    frames: list[FeedItem] = [frame(10_000 * number, bytes(6_000)) for number in range(10)]
    async with serving(handler) as server, RtmpPublisher(window_bytes=10_000) as publisher:
        await publisher.publish(server.address, KEY)
        for item in (AVC, *frames):
            await publisher.send_item(item)
        await publisher.wait_until_acknowledged()
    assert publisher.acknowledged_bytes > 54_000


async def test_tail_is_received_when_the_publisher_sends_fast_and_closes() -> None:
    """No acknowledgement meets the closed socket: its kernel would throw away what it had still to send."""
    handler = RecordingHandler()
    frames: list[FeedItem] = [frame(10_000 * number, bytes(50_000)) for number in range(100)]
    async with serving(handler) as server:
        async with RtmpPublisher(window_bytes=100_000) as publisher:
            await publisher.publish(server.address, KEY)
            for item in (AVC, *frames):
                await publisher.send_item(item)
        session = await ended(handler)
    assert session.frames == frames


async def test_what_came_before_a_reset_is_received() -> None:
    handler = RecordingHandler()
    # Few enough that the server's kernel holds them all, and read in pieces, so that it still does.
    frames: list[FeedItem] = [frame(40 * number, bytes(500)) for number in range(100)]
    async with serving(handler, replace(LIMITS, read_bytes=1024)) as server:
        async with RtmpPublisher(window_bytes=5_000) as publisher:
            await publisher.publish(server.address, KEY)
            (session,) = handler.sessions
            session.gate.clear()
            for item in (AVC, *frames):
                await publisher.send_item(item)
            await session.began.wait()
            publisher.reset()
        session.gate.set()
        await session.closed.wait()
    assert session.frames == frames
    assert session.reasons == [CloseReason.DISCONNECTED]


async def test_session_ends_its_connection() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server, RtmpPublisher() as publisher:
        await publisher.publish(server.address, KEY)
        (request,) = handler.requests
        for _ in range(2):
            request.connection.close(CloseReason.SHUTTING_DOWN, "Replaced.")
        with pytest.raises(PublishFailed, match="Replaced") as failed:
            await publisher.wait_until_closed()
        session = await ended(handler)
        request.connection.close(CloseReason.ENDED, "Too late.")
    assert failed.value.code == "NetConnection.Connect.AppShutdown"
    assert session.reasons == [CloseReason.SHUTTING_DOWN]


async def test_connection_ends_while_its_session_waits() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server, RtmpPublisher() as publisher:
        await publisher.publish(server.address, KEY)
        (request,), (session,) = handler.requests, handler.sessions
        session.gate.clear()
        await publisher.send_item(AVC)
        await session.began.wait()
        request.connection.close(CloseReason.SHUTTING_DOWN, "Ended.")
        with pytest.raises(PublishFailed, match="Ended"):
            await publisher.wait_until_closed()
        await session.closed.wait()
    assert session.reasons == [CloseReason.SHUTTING_DOWN]
    assert session.items == []


async def test_session_ends_its_connection_from_within() -> None:
    def on_item(_item: FeedItem) -> None:
        handler.requests[0].connection.close(CloseReason.SHUTTING_DOWN, "Ended.")

    handler = RecordingHandler(on_item)
    async with serving(handler) as server, RtmpPublisher() as publisher:
        await publisher.publish(server.address, KEY)
        await publisher.send_item(AVC)
        with pytest.raises(PublishFailed, match="Ended"):
            await publisher.wait_until_closed()
        session = await ended(handler)
    assert session.reasons == [CloseReason.SHUTTING_DOWN]


async def test_connection_ended_while_it_is_authorised_does_not_publish() -> None:
    class EndingHandler(RecordingHandler):
        async def authorize(self, request: PublishRequest) -> RecordingSession:
            request.connection.close(CloseReason.SHUTTING_DOWN, "Ended.")
            return await super().authorize(request)

    handler = EndingHandler()
    async with serving(handler) as server, RtmpPublisher() as publisher:
        with pytest.raises(PublishFailed, match="Ended"):  # noqa: PT012 (the start may be seen before the end)
            await publisher.publish(server.address, KEY)
            await publisher.wait_until_closed()
        session = await ended(handler)
    assert session.reasons == [CloseReason.SHUTTING_DOWN]


async def test_server_that_closes_closes_its_sessions() -> None:
    handler = RecordingHandler()
    async with RtmpPublisher() as publisher:
        async with serving(handler) as server:
            await publisher.publish(server.address, KEY)
        with pytest.raises(PublishFailed, match="shutting down") as failed:
            await publisher.wait_until_closed()
    assert failed.value.code == "NetConnection.Connect.AppShutdown"
    assert handler.sessions[0].reasons == [CloseReason.SHUTTING_DOWN]


async def test_server_closes_a_connection_that_has_only_just_come() -> None:
    async with asyncio.timeout(2):
        async with serving(RecordingHandler()) as server:
            _, silent = await asyncio.open_connection(*server.address)
            while not server.connections:  # noqa: ASYNC110 (the server has no event for it)
                await asyncio.sleep(0)
        silent.close()


async def test_server_does_not_wait_for_ever_for_a_session() -> None:
    class StuckSession(RecordingSession):
        async def close(self, reason: CloseReason) -> None:
            await super().close(reason)
            await asyncio.Event().wait()

    class Handler(RecordingHandler):
        async def authorize(self, request: PublishRequest) -> RecordingSession:
            self.sessions.append(StuckSession())
            return self.sessions[-1]

    handler = Handler()
    limits = replace(LIMITS, shutdown_seconds=SHORT)
    async with RtmpPublisher() as publisher, asyncio.timeout(5), serving(handler, limits) as server:
        await publisher.publish(server.address, KEY)
    assert handler.sessions[0].reasons == [CloseReason.SHUTTING_DOWN]


async def test_connections_are_bounded() -> None:
    handler = RecordingHandler()
    async with serving(handler, replace(LIMITS, connections=2)) as server:
        async with RtmpPublisher() as first, RtmpPublisher() as second:
            await first.publish(server.address, KEY)
            await second.publish(server.address, KEY)
            assert await _read_until_closed(server) == b""
            assert server.connections == 2
        for session in handler.sessions:
            await session.closed.wait()
        await publish(server.address, KEY, ITEMS)


async def test_unpublished_connections_of_one_address_are_bounded() -> None:
    handler = RecordingHandler()
    limits = replace(LIMITS, unpublished_connections_per_address=1)
    async with serving(handler, limits) as server, RtmpPublisher() as published:
        await published.publish(server.address, KEY)
        _, silent = await asyncio.open_connection(*server.address)
        assert await _read_until_closed(server) == b""
        silent.close()
        await published.unpublish()


async def test_port_in_use_is_an_error() -> None:
    async with serving(RecordingHandler()) as server:
        with pytest.raises(OSError, match="in use"):
            await RtmpServer(RecordingHandler()).start(*server.address)


async def test_server_that_was_not_started_has_no_address_and_closes() -> None:
    server = RtmpServer(RecordingHandler())
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.address
    await server.close()
