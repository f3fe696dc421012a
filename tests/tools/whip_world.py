"""A WHIP server on loopback with all but an encoder, and publishers that come to it over HTTP, ICE and DTLS."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from socket import create_server
from typing import Final, Self, cast

import requests
from starlette.applications import Starlette

from ingest.feed import EncodedFrame, FeedItem, Track
from ingest.protocols.whip.endpoint import EndpointSettings
from ingest.protocols.whip.http import whip_routes
from ingest.protocols.whip.limits import WhipLimits
from ingest.protocols.whip.server import WhipServer
from ingest.protocols.whip.session import WhipSession
from ingest.web_server import web_server
from tools import whip_offers
from tools.recording_sessions import KEY, RecordingHandler, RecordingSession
from tools.rtp_link import nacked, rtcp_packets
from tools.rtp_streams import RtpSource, VideoFrame, h264_frames, h264_payloads, length_prefixed, opus_packet
from tools.webrtc_publisher import WebRtcPublisher

SOON: Final = 20  # seconds, far above what anything takes here
LOOPBACK: Final = "127.0.0.1"
FEEDBACK: Final = ("a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli")
VIDEO_PARAMETERS: Final = "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
_RTP_CLOCK: Final = 90_000
_GENERIC_NACK: Final = 205

Network = Callable[[], Sequence[float]]
"""What becomes of the next media datagram: how many seconds later each copy of it leaves, if any does."""


def faultless() -> Sequence[float]:
    """One copy, at once."""
    return (0.0,)


class WhipWorld:
    """The server, and what came to each of its sessions."""

    def __init__(self, server: WhipServer, url: str, handler: RecordingHandler) -> None:
        self.server = server
        self.url = url
        self.handler = handler
        self.publishers: list[Publisher] = []
        self.changed = asyncio.Event()
        self._addresses = count(1)

    async def ask(
        self,
        method: str,
        path: str,
        body: str | bytes = "",
        *,
        address: str = "",
        content_type: str = "application/sdp",
    ) -> requests.Response:
        """Make a request from *address*, or one that made none before.

        In a thread: the server runs in this one.
        """
        number = next(self._addresses)
        headers = {
            "Authorization": f"Bearer {KEY}",
            "Content-Type": content_type,
            "X-Forwarded-For": address or f"198.18.{number // 250}.{number % 250 + 1}",
        }
        data = body.encode() if isinstance(body, str) else body
        url = self.url + path
        return await asyncio.to_thread(requests.request, method, url, timeout=20, data=data, headers=headers)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when *condition* holds; it is looked at whenever a session gets something, or ends."""
        async with asyncio.timeout(SOON):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def session(self, session_id: str) -> tuple[WhipSession, RecordingSession]:
        """The session of *session_id*, and what it has handed on."""
        for request, recording in zip(self.handler.requests, self.handler.sessions, strict=True):
            connection = cast("WhipSession", request.connection)
            if connection.session_id == session_id:
                return connection, recording
        raise LookupError(session_id)


@asynccontextmanager
async def whip_world(limits: WhipLimits) -> AsyncIterator[WhipWorld]:
    """Serve on loopback; who stands behind X-Forwarded-For is believed."""

    def changed(_item: FeedItem) -> None:
        world.changed.set()

    handler = RecordingHandler(changed)
    server = WhipServer(handler, limits)
    await server.start((LOOPBACK,), 0)
    listener = create_server((LOOPBACK, 0))
    web = web_server(Starlette(routes=whip_routes(server, EndpointSettings(trusted_proxies=1))))
    serving = asyncio.create_task(web.serve(sockets=[listener]))
    world = WhipWorld(server, f"http://{LOOPBACK}:{listener.getsockname()[1]}", handler)
    try:
        yield world
    finally:
        for publisher in world.publishers:
            await publisher.leave()
        await server.close()
        web.should_exit = True
        await serving
        listener.close()


class _Sender(WebRtcPublisher):
    """Sends media through a network."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def _send(self, datagram: bytes) -> bool:
        # RFC 7983, 7, and RFC 5761, 4: RTP, and no RTCP.
        if datagram[0] < 128 or 192 <= datagram[1] < 224:
            self.send_datagram(datagram)
            return True
        for seconds in self._network():
            if seconds:
                asyncio.get_running_loop().call_later(seconds, self._send_late, datagram)
            else:
                self.send_datagram(datagram)
        return True

    def _send_late(self, datagram: bytes) -> None:
        assert self._udp is not None
        if not self._udp.is_closing():
            self.send_datagram(datagram)


class Publisher:
    """Publishes made-up media in real time; sends again what is asked for, if it *retransmits*."""

    def __init__(self, world: WhipWorld, network: Network = faultless, *, retransmits: bool = True) -> None:
        self.webrtc = _Sender(network)
        self._world = world
        self._retransmits = retransmits
        self._sent: dict[int, bytes] = {}  # of the pictures' source, by sequence number
        self._answering: asyncio.Task[None] | None = None
        self._path = ""

    @property
    def session(self) -> WhipSession:
        """Its session on the server."""
        return self._world.session(self._path.rpartition("/")[2])[0]

    @property
    def recording(self) -> RecordingSession:
        """What its session has handed on."""
        return self._world.session(self._path.rpartition("/")[2])[1]

    @property
    def pictures(self) -> list[bytes]:
        """The pictures that came out."""
        return [frame.data for frame in self.recording.frames if frame.track is Track.VIDEO]

    async def connect(self, *, parameters: str = VIDEO_PARAMETERS) -> Self:
        """Offer H.264 with *parameters*, and Opus; connect."""
        offer = whip_offers.simple(video=("a=rtpmap:96 H264/90000", parameters, *FEEDBACK))
        ours = "a=fingerprint:{} {}\r".format(*self.webrtc.fingerprint)
        answer = await self._world.ask("POST", "/whip", re.sub(r"a=fingerprint:.*?\r", ours, offer))
        assert answer.status_code == 201, answer.text
        self._path = answer.headers["Location"]
        self._world.publishers.append(self)
        said = dict(re.findall(r"^a=(ice-ufrag|ice-pwd|fingerprint):(.*?)\r?$", answer.text, re.MULTILINE))
        await self.webrtc.open((LOOPBACK, self._world.server.udp_port))
        await self.webrtc.check(said["ice-ufrag"], said["ice-pwd"])
        function, _, value = said["fingerprint"].partition(" ")
        assert await self.webrtc.shake_hands([(function, value)])
        self._answering = asyncio.create_task(self._answer(), name="publisher")
        return self

    async def send(self, packets: Iterable[bytes]) -> None:
        """Send *packets* of pictures."""
        for packet in packets:
            self._sent[int.from_bytes(packet[2:4])] = packet
            await self.webrtc.send(packet)

    async def publish(self, frames: Sequence[VideoFrame], source: RtpSource) -> None:
        """Send *frames* as *source*, each when its timestamp says."""
        loop = asyncio.get_running_loop()
        begin = loop.time() - frames[0].timestamp / _RTP_CLOCK
        for frame in frames:
            await asyncio.sleep(begin + frame.timestamp / _RTP_CLOCK - loop.time())
            await self.send(source.packets(h264_payloads(frame.units), timestamp=frame.timestamp))

    async def _answer(self) -> None:
        while True:
            for packet in rtcp_packets(await self.webrtc.rtcp.get()):
                if packet[1] == _GENERIC_NACK and self._retransmits:
                    for number in self._sent.keys() & nacked(packet):
                        await self.webrtc.send(self._sent[number])

    async def end(self) -> None:
        """End the session as publishers do, and wait until it is over."""
        if not self.recording.closed.is_set():
            ended = await self._world.ask("DELETE", self._path)
            assert ended.status_code == 200
            await self.recording.closed.wait()

    async def leave(self) -> None:
        """Be gone, without a word."""
        if self._answering is not None:
            self._answering.cancel()
        await self.webrtc.close(goodbye=False)


class SteadyPublisher(Publisher):
    """Publishes 25 pictures and 50 sounds a second until it is told to end, and knows what has to come out."""

    def __init__(self, world: WhipWorld) -> None:
        super().__init__(world)
        self._frames = h264_frames(
            2500, keyframe_every=25, ticks=3600, bytes_per_frame=200, keyframe_bytes=2000, seed=7
        )
        self._pictures = RtpSource(ssrc=0xA1)
        self._sounds = RtpSource(ssrc=0xA2, payload_type=111)
        self.sounds: list[bytes] = []
        self._sent_frames: list[VideoFrame] = []
        self._publishing: asyncio.Task[None] | None = None

    async def begin(self) -> Self:
        """Connect and publish from now on."""
        await self.connect()
        self._publishing = asyncio.create_task(self._publish(), name="steady publisher")
        return self

    async def _publish(self) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for number, frame in enumerate(self._frames):
            await asyncio.sleep(begin + number / 25 - loop.time())
            self._sent_frames.append(frame)
            await self.send(self._pictures.packets(h264_payloads(frame.units), timestamp=frame.timestamp))
            for half in range(2):
                sound = opus_packet(bytes((half, number // 250, number % 250)))
                self.sounds.append(sound)
                timestamp = 960 * (2 * number + half)
                await self.webrtc.send(self._sounds.packet(sound, timestamp=timestamp))

    async def end(self) -> None:
        """End, and assert that every frame came out, once and in its order."""
        assert self._publishing is not None
        self._publishing.cancel()
        await asyncio.wait({self._publishing})
        assert self._publishing.cancelled()
        await super().end()
        assert self.pictures == [length_prefixed(frame.units) for frame in self._sent_frames]
        sounds: list[EncodedFrame] = [each for each in self.recording.frames if each.track is Track.AUDIO]
        assert [sound.data for sound in sounds] == self.sounds
