"""A session from its offer to its end, over real sockets with real DTLS; what is behind it only remembers."""

import asyncio
import gc
import re
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from bucketcast.stream.identifiers import BitsPerSecond
from ingest.feed import AudioCodec, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.publishing import CloseReason, PublishRefused, PublishRequest, RefusalReason, StreamKey
from ingest.protocols.whip.endpoint import OpenSession
from ingest.protocols.whip.limits import WhipLimits
from ingest.protocols.whip.media import MediaReceiver, Poll
from ingest.protocols.whip.negotiation import negotiate
from ingest.protocols.whip.sdp import parse_offer
from ingest.protocols.whip.server import WhipServer
from ingest.protocols.whip.session_status import SessionState
from tools import whip_offers
from tools.recording_sessions import KEY, RecordingHandler, RecordingSession
from tools.rtp_streams import RtpSource, h264_frames, h264_packets, opus_packet
from tools.webrtc_publisher import WebRtcPublisher

LOOPBACK = "127.0.0.1"
AUDIO_BITRATE = BitsPerSecond(128_000)
MAX_BITRATE = BitsPerSecond(6_000_000)
DECLARED = SourceMetadata(width=1280, height=720, adaptive=True)
PICTURES = h264_frames(4, keyframe_every=2)


@dataclass(frozen=True)
class Answered:
    """What a publisher reads in our answer."""

    session_id: str
    sdp: str

    def attribute(self, name: str) -> str:
        """The first value of attribute *name*."""
        found = re.search(rf"^a={name}:(.*?)\r?$", self.sdp, re.MULTILINE)
        assert found is not None
        return found[1]

    @property
    def fingerprints(self) -> list[tuple[str, str]]:
        """As a publisher needs them."""
        function, _, value = self.attribute("fingerprint").partition(" ")
        return [(function, value)]


@asynccontextmanager
async def serving(handler: RecordingHandler, limits: WhipLimits | None = None) -> AsyncIterator[WhipServer]:
    server = WhipServer(handler, limits or WhipLimits())
    await server.start((LOOPBACK,), 0)
    try:
        yield server
    finally:
        await server.close()


async def offered(
    server: WhipServer, publisher: WebRtcPublisher, *, key: str = KEY, setup: str = "actpass"
) -> Answered:
    ours = "a=fingerprint:{} {}\r".format(*publisher.fingerprint)
    text = re.sub(r"a=fingerprint:.*?\r", ours, whip_offers.simple(setup=setup))
    offer = parse_offer(text)
    opened = await server.open(
        OpenSession(
            offer=offer,
            negotiated=negotiate(offer, audio_bitrate=AUDIO_BITRATE),
            stream_key=StreamKey(key),
            metadata=DECLARED,
            max_bitrate=MAX_BITRATE,
        ),
        peer_address=LOOPBACK,
    )
    return Answered(opened.session_id, opened.answer)


@asynccontextmanager
async def publishing(server: WhipServer) -> AsyncIterator[tuple[WebRtcPublisher, Answered]]:
    publisher = await WebRtcPublisher().open((LOOPBACK, server.udp_port))
    try:
        answered = await offered(server, publisher)
        await publisher.check(answered.attribute("ice-ufrag"), answered.attribute("ice-pwd"))
        assert await publisher.shake_hands(answered.fingerprints)
        yield publisher, answered
    finally:
        await publisher.close(goodbye=False)


async def send_media(publisher: WebRtcPublisher) -> None:
    sound = RtpSource(ssrc=2, payload_type=111)
    for number in range(4):
        await publisher.send(sound.packet(opus_packet(), timestamp=960 * number))
    for packet in h264_packets(PICTURES, RtpSource(ssrc=1)):
        await publisher.send(packet)


async def only(handler: RecordingHandler) -> RecordingSession:
    (session,) = handler.sessions
    return session


class Counting(RecordingHandler):
    """Knows when so many frames came."""

    def __init__(self, count: int) -> None:
        self.full = asyncio.Event()
        self._left = count
        super().__init__(self._count)

    def _count(self, item: FeedItem) -> None:
        self._left -= isinstance(item, EncodedFrame)
        if self._left <= 0:
            self.full.set()


async def test_what_is_sent_comes_out_as_a_feed() -> None:
    handler = Counting(8)
    async with serving(handler) as server, publishing(server) as (publisher, answered):
        await send_media(publisher)
        await handler.full.wait()
        session = await only(handler)
        assert session.said == [DECLARED]
        assert {item.codec for item in session.items if not isinstance(item, EncodedFrame)} == {
            VideoCodec.H264,
            AudioCodec.OPUS,
        }
        pictures = [frame for frame in session.frames if frame.track is Track.VIDEO]
        assert [frame.keyframe for frame in pictures] == [frame.keyframe for frame in PICTURES]
        status = server.status(answered.session_id)
        assert status is not None
        assert status.state is SessionState.LIVE
        assert server.end(answered.session_id)
        await session.closed.wait()
        assert session.reasons == [CloseReason.UNPUBLISHED]
    ended = server.status(answered.session_id)
    assert ended is not None
    assert (ended.state, ended.reason) == (SessionState.ENDED, CloseReason.UNPUBLISHED)
    facts = server.facts(answered.session_id)
    assert facts is not None
    assert facts.has_ended
    assert not server.end(answered.session_id)
    assert server.status("another") is None
    assert server.facts("another") is None


async def test_what_is_on_its_way_when_the_publisher_ends_still_comes_out() -> None:
    """A bug: packets that left before the DELETE, and came after it, were lost."""
    handler = RecordingHandler()
    async with serving(handler) as server, publishing(server) as (publisher, answered):
        packets = h264_packets(PICTURES, RtpSource(ssrc=1))
        await publisher.send(packets[0])
        await publisher.rtcp.get()  # a report: it came
        server.end(answered.session_id)
        for packet in packets[1:]:
            await publisher.send(packet)
        session = await only(handler)
        await session.closed.wait()
    assert len(session.frames) == len(PICTURES)


async def test_the_publisher_may_insist_on_being_the_dtls_server() -> None:
    """FFmpeg's default: then we are the first to send, once there is a path."""
    handler = Counting(4)
    async with serving(handler) as server:
        publisher = await WebRtcPublisher().open((LOOPBACK, server.udp_port))
        answered = await offered(server, publisher, setup="passive")
        assert answered.attribute("setup") == "active"
        publisher.be_dtls_server()
        await publisher.check(answered.attribute("ice-ufrag"), answered.attribute("ice-pwd"))
        assert await publisher.shake_hands(answered.fingerprints)
        await send_media(publisher)
        await handler.full.wait()
        await publisher.close()


async def test_a_publisher_that_says_goodbye_is_disconnected_at_once() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server, publishing(server) as (publisher, _):
        await publisher.close()
        session = await only(handler)
        await session.closed.wait()
    assert session.reasons == [CloseReason.DISCONNECTED]


async def test_a_publisher_that_falls_silent_is_let_go() -> None:
    handler = RecordingHandler()
    limits = WhipLimits(idle_media_seconds=0.2)
    async with serving(handler, limits) as server, publishing(server) as (publisher, _):
        await send_media(publisher)
        session = await only(handler)
        await session.closed.wait()
    assert session.reasons == [CloseReason.TIMED_OUT]


async def test_a_publisher_that_never_connects_is_let_go() -> None:
    handler = RecordingHandler()
    async with serving(handler, WhipLimits(connect_seconds=0.1)) as server:
        publisher = await WebRtcPublisher().open((LOOPBACK, server.udp_port))
        await offered(server, publisher)
        session = await only(handler)
        await session.closed.wait()
        await publisher.close()
    assert session.reasons == [CloseReason.TIMED_OUT]


async def test_a_certificate_that_was_not_offered_is_not_let_in() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server:
        publisher, other = await WebRtcPublisher().open((LOOPBACK, server.udp_port)), WebRtcPublisher()
        answered = await offered(server, other)
        await publisher.check(answered.attribute("ice-ufrag"), answered.attribute("ice-pwd"))
        await publisher.shake_hands(answered.fingerprints)
        session = await only(handler)
        await session.closed.wait()
        await publisher.close()
    assert session.reasons == [CloseReason.PROTOCOL_ERROR]


async def test_who_may_not_publish_leaves_nothing() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server:
        with pytest.raises(PublishRefused) as refused:
            await offered(server, WebRtcPublisher(), key="wrong")
        assert refused.value.reason is RefusalReason.KEY
        assert server.sessions == ()


async def test_sessions_are_bounded() -> None:
    handler = RecordingHandler()
    async with serving(handler, WhipLimits(sessions=1)) as server:
        publisher = WebRtcPublisher()
        await offered(server, publisher)
        with pytest.raises(PublishRefused) as refused:
            await offered(server, publisher)
        assert refused.value.reason is RefusalReason.UNAVAILABLE
        assert len(handler.sessions) == 1


async def test_a_key_that_cannot_be_looked_up_in_time_is_for_another_moment() -> None:
    class Hanging(RecordingHandler):
        async def authorize(self, request: PublishRequest) -> RecordingSession:
            await asyncio.Event().wait()
            return await super().authorize(request)

    async with serving(Hanging(), WhipLimits(authorize_seconds=0.05)) as server:
        with pytest.raises(PublishRefused) as refused:
            await offered(server, WebRtcPublisher())
        assert refused.value.reason is RefusalReason.UNAVAILABLE
        assert server.sessions == ()


async def test_a_fault_of_ours_ends_the_session_instead_of_leaving_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug: a session whose feedback failed stayed for ever, without any."""

    def poll(_receiver: MediaReceiver, *, now: float) -> Poll:
        raise RuntimeError(f"bug at {now}")

    monkeypatch.setattr(MediaReceiver, "poll", poll)
    handler = RecordingHandler()
    async with serving(handler) as server, publishing(server):
        session = await only(handler)
        await session.closed.wait()
    assert session.reasons == [CloseReason.SESSION_FAILED]


async def test_a_packet_that_is_a_fault_of_ours_is_not_taken_for_a_goodbye(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def receive(_receiver: MediaReceiver, _data: bytes, *, arrived: float) -> list[FeedItem]:
        raise RuntimeError(f"bug at {arrived}")

    monkeypatch.setattr(MediaReceiver, "receive_rtp", receive)
    handler = RecordingHandler()
    async with serving(handler) as server, publishing(server) as (publisher, _):
        await publisher.send(RtpSource().packet(b"media", timestamp=0))
        session = await only(handler)
        await session.closed.wait()
    assert session.reasons == [CloseReason.SESSION_FAILED]


async def test_whoever_takes_an_item_at_the_end_comes_to_an_end_with_it() -> None:
    """A bug: an end in the middle of a change of source cancelled the delivery of what came before it."""
    handler = RecordingHandler()
    async with serving(handler) as server, publishing(server) as (publisher, answered):
        session = await only(handler)
        session.gate.clear()
        await send_media(publisher)
        await session.began.wait()
        server.end(answered.session_id)
        await asyncio.sleep(0.3)  # for nothing to happen
        assert not session.closed.is_set()
        session.gate.set()
        await session.closed.wait()
    assert len([frame for frame in session.frames if frame.track is Track.VIDEO]) == len(PICTURES)


async def test_a_publisher_without_any_keyframe_is_told_to_change_that() -> None:
    handler = RecordingHandler()
    limits = WhipLimits(picture_seconds=0.3)
    async with serving(handler, limits) as server, publishing(server) as (publisher, answered):
        for packet in h264_packets(h264_frames(20)[1:], RtpSource(ssrc=1)):
            await publisher.send(packet)
        session = await only(handler)
        await session.closed.wait()
    assert session.reasons == [CloseReason.REFUSED]
    ended = server.status(answered.session_id)
    assert ended is not None
    assert "keyframe" in ended.detail


async def test_a_server_that_closes_lets_nobody_in() -> None:
    """A bug: an encoder that was thrown out came back, and was cut off with all that it had sent."""
    handler = RecordingHandler()
    async with serving(handler) as server:
        await server.close()
        with pytest.raises(PublishRefused) as refused:
            await offered(server, WebRtcPublisher())
        assert refused.value.reason is RefusalReason.UNAVAILABLE
    assert handler.sessions == []


async def test_who_is_let_in_while_the_server_closes_is_closed_at_once() -> None:
    class Closing(RecordingHandler):
        async def authorize(self, request: PublishRequest) -> RecordingSession:
            await server.close()
            return await super().authorize(request)

    handler = Closing()
    async with serving(handler) as server:
        with pytest.raises(PublishRefused):
            await offered(server, WebRtcPublisher())
    assert (await only(handler)).reasons == [CloseReason.SHUTTING_DOWN]


async def test_offers_that_are_being_judged_count_as_sessions() -> None:
    class Slow(RecordingHandler):
        async def authorize(self, request: PublishRequest) -> RecordingSession:
            await asyncio.sleep(0.01)
            return await super().authorize(request)

    handler = Slow()
    async with serving(handler, WhipLimits(sessions=2)) as server:
        six = [offered(server, WebRtcPublisher()) for _ in range(6)]
        results = await asyncio.gather(*six, return_exceptions=True)
        assert sum(isinstance(result, PublishRefused) for result in results) == 4
        assert len(server.sessions) == 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PublishRefused(RefusalReason.SOURCE, "Too big."), CloseReason.REFUSED),
        (RuntimeError("bug"), CloseReason.SESSION_FAILED),
    ],
)
async def test_a_session_that_cannot_go_on_ends_its_publisher(error: Exception, reason: CloseReason) -> None:
    def on_item(_item: FeedItem) -> None:
        raise error

    handler = RecordingHandler(on_item)
    async with serving(handler) as server, publishing(server) as (publisher, _):
        await send_media(publisher)
        session = await only(handler)
        await session.closed.wait()
    assert session.reasons == [reason]


async def test_a_session_may_be_ended_while_it_waits_and_before_it_connects() -> None:
    class Ending(RecordingHandler):
        async def authorize(self, request: PublishRequest) -> RecordingSession:
            request.connection.close(CloseReason.REPLACED, "Another one came.")
            request.connection.close(CloseReason.ENDED, "Too late.")
            return await super().authorize(request)

    handler = Ending()
    async with serving(handler) as server:
        await offered(server, WebRtcPublisher())
        session = await only(handler)
        await session.closed.wait()
    assert session.reasons == [CloseReason.REPLACED]


async def test_a_server_that_ends_closes_every_session() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server, publishing(server):
        pass
    session = await only(handler)
    assert session.reasons == [CloseReason.SHUTTING_DOWN]


async def test_another_address_than_the_bound_one_may_be_announced() -> None:
    handler = RecordingHandler()
    server = WhipServer(handler)
    await server.start((LOOPBACK,), 0, announced=("203.0.113.7",))
    answered = await offered(server, WebRtcPublisher())
    assert f"203.0.113.7 {server.udp_port} typ host" in answered.sdp
    assert LOOPBACK not in "".join(line for line in answered.sdp.splitlines() if "candidate" in line)
    assert "a=ice-lite" in answered.sdp.splitlines()
    await server.close()


async def test_an_address_that_cannot_be_bound_is_not_announced() -> None:
    server = WhipServer(RecordingHandler())
    await server.start(("192.0.2.1", LOOPBACK), 0)
    answered = await offered(server, WebRtcPublisher())
    candidates = [line for line in answered.sdp.splitlines() if line.startswith("a=candidate")]
    assert len(candidates) == 1
    assert LOOPBACK in candidates[0]
    await server.close()


async def test_a_session_that_ended_waits_for_no_garbage_collector() -> None:
    """A bug: cycles of references kept OpenSSL's memory, some hundred sessions of it."""
    handler = RecordingHandler()
    async with serving(handler) as server:
        gc.collect()
        gc.disable()
        try:
            async with publishing(server) as (publisher, answered):
                await send_media(publisher)
                (open_one,) = server.sessions
                ended = weakref.ref(open_one)
                del open_one
                server.end(answered.session_id)
                await handler.sessions[-1].closed.wait()
                handler.requests.clear()  # they hold the connection
            for _ in range(5):  # what ended is let go with the loop's next turns
                await asyncio.sleep(0.01)
            assert ended() is None
        finally:
            gc.enable()


async def test_nothing_is_left_of_sessions_that_ended() -> None:
    handler = RecordingHandler()
    async with serving(handler) as server:
        before = len(asyncio.all_tasks())
        for _ in range(10):
            async with publishing(server) as (publisher, answered):
                await send_media(publisher)
                server.end(answered.session_id)
                await handler.sessions[-1].closed.wait()
        if ending := [task for task in asyncio.all_tasks() if task.get_name() == "whip-session"]:
            await asyncio.wait(ending)
        await asyncio.sleep(0)  # what was cancelled ends with the loop's next turn
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == before
