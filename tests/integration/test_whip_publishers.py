"""Real WebRTC stacks publish to the real WHIP server over HTTP and UDP; what is behind it remembers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
import requests
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from starlette.applications import Starlette

from ingest.feed import AudioCodec, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.protocols.publishing import CloseReason
from ingest.protocols.whip.addresses import served_addresses
from ingest.protocols.whip.endpoint import EndpointSettings
from ingest.protocols.whip.http import whip_routes
from ingest.protocols.whip.server import WhipServer
from local_cloud.connections import WebServer, listen
from tools.recording_sessions import KEY, RecordingHandler

FRAMES = 30


@dataclass(frozen=True)
class Whip:
    """A server, and where it takes offers."""

    server: WhipServer
    url: str


class Watching(RecordingHandler):
    """Knows when FRAMES pictures and a sound came."""

    def __init__(self) -> None:
        self.enough = asyncio.Event()
        self._pictures = self._sounds = 0
        super().__init__(self._watch)

    def _watch(self, item: FeedItem) -> None:
        if isinstance(item, EncodedFrame):
            self._pictures += item.track is Track.VIDEO
            self._sounds += item.track is Track.AUDIO
        if self._pictures >= FRAMES and self._sounds:
            self.enough.set()


@asynccontextmanager
async def serving(handler: RecordingHandler) -> AsyncIterator[Whip]:
    server = WhipServer(handler)
    await server.start(served_addresses("0.0.0.0"), 0)
    listener = listen("127.0.0.1", 0)
    web = WebServer(Starlette(routes=whip_routes(server, EndpointSettings())), listener)
    web.start()
    host, port = listener.getsockname()
    try:
        yield Whip(server, f"http://{host}:{port}")
    finally:
        await server.close()
        await web.close()


async def ask(method: str, url: str, offer: str = "") -> requests.Response:
    """Make a request in a thread: the server runs in this one."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/sdp"}
    return await asyncio.to_thread(requests.request, method, url, timeout=20, data=offer, headers=headers)


@pytest.mark.parametrize("codec", [VideoCodec.H264, VideoCodec.VP8])
async def test_an_aiortc_client_publishes(codec: VideoCodec) -> None:
    handler = Watching()
    async with serving(handler) as whip:
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        picture = client.addTransceiver(VideoStreamTrack(), direction="sendonly")
        client.addTransceiver(AudioStreamTrack(), direction="sendonly")
        known = type(picture.sender).getCapabilities("video").codecs
        picture.setCodecPreferences([each for each in known if each.name.lower() in {codec.value, "rtx"}])
        await client.setLocalDescription(await client.createOffer())
        answer = await ask("POST", f"{whip.url}/whip", client.localDescription.sdp)
        assert answer.status_code == 201
        await client.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        async with asyncio.timeout(30):
            await handler.enough.wait()
        ended = await ask("DELETE", whip.url + answer.headers["Location"])
        assert ended.status_code == 200
        (session,) = handler.sessions
        await session.closed.wait()
        await client.close()
    assert session.reasons == [CloseReason.UNPUBLISHED]
    configurations = [item for item in session.items if not isinstance(item, EncodedFrame)]
    assert {item.codec for item in configurations} == {codec, AudioCodec.OPUS}
    pictures = [frame for frame in session.frames if frame.track is Track.VIDEO]
    assert pictures[0].keyframe
    times = [frame.presentation_time for frame in pictures]
    assert times == sorted(times)
    assert abs((times[-1] - times[0]) / (len(times) - 1) - timedelta(seconds=1) / 30) < timedelta(
        milliseconds=10
    )
