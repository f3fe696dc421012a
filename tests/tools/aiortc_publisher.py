"""A WHIP client as an application's developer writes one: aiortc's connection and codecs, tracks of its own.

Unlike `webrtc_publisher` nothing below its tracks is ours: aiortc encodes H.264 and Opus, makes a new encoder
where the server allows another bitrate, and a keyframe where it asks for one.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urljoin

import numpy as np
import requests
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, VideoStreamTrack
from av import AudioFrame, VideoFrame

from tools.frame_strip import DARK, LIGHT, MIDDLE, draw_strip

WIDTH: Final = 640
HEIGHT: Final = 360
FRAME_RATE: Final = 30
# RFC 6184, 8.2.1.
_CLOCK_RATE: Final = 90_000
# As long as OBS waits.
_ANSWER_SECONDS: Final = 8
# To connect, and for what a busy machine is late with.
_GRACE: Final = timedelta(seconds=30)


class NumberedPictures(VideoStreamTrack):
    """Ends after *frames* pictures, each of which carries its number: a ramp of greys that travels."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self._frames = frames
        there = np.linspace(DARK, LIGHT, WIDTH).astype(np.uint8)
        # Twice there and back again: every view of the picture's width.
        self._ramp = np.tile(np.concatenate((there, there[::-1])), 2)

    async def recv(self) -> VideoFrame:
        """Return the next picture when its time has come."""
        timestamp, time_base = await self.next_timestamp()
        number = timestamp * FRAME_RATE // _CLOCK_RATE
        if number == self._frames:
            self.stop()
            raise MediaStreamError
        planes = np.full((HEIGHT * 3 // 2, WIDTH), MIDDLE, np.uint8)
        left = 4 * number % (2 * WIDTH)
        planes[:HEIGHT] = self._ramp[left : left + WIDTH]
        draw_strip(planes[:HEIGHT], number)
        frame = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = timestamp, time_base
        return frame


class Tone(AudioStreamTrack):
    """A tone of 400 Hz, of which 20 ms hold whole periods."""

    async def recv(self) -> AudioFrame:
        """Return the next 20 ms when their time has come."""
        frame = await super().recv()
        assert isinstance(frame, AudioFrame)
        wave = 8000 * np.sin(2 * np.pi * 400 * np.arange(frame.samples) / frame.sample_rate)
        (plane,) = frame.planes
        plane.update(wave.astype(np.int16).tobytes().ljust(plane.buffer_size, b"\0"))
        return frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """How the server took it: the time until it answered the offer, and its answer to DELETE."""

    answered_after: timedelta
    deleted: int


async def publish(frames: int, url: str, key: str) -> Published:
    """Send *frames* pictures and a tone to the WHIP endpoint *url* with *key*, and end the session.

    Raises AssertionError for a session that is refused, TimeoutError for one that does not come about.
    """
    authorization = {"Authorization": f"Bearer {key}"}
    pictures = NumberedPictures(frames)
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        for track in (pictures, Tone()):
            connection.addTransceiver(track, direction="sendonly")
        await connection.setLocalDescription(await connection.createOffer())
        began = time.monotonic()
        answer = await asyncio.to_thread(
            requests.post,
            url,
            data=connection.localDescription.sdp,
            headers={**authorization, "Content-Type": "application/sdp"},
            timeout=_ANSWER_SECONDS,
        )
        answered_after = timedelta(seconds=time.monotonic() - began)
        assert answer.status_code == 201, answer.text
        ended = _end_of(pictures)
        await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        async with asyncio.timeout(frames / FRAME_RATE + _GRACE.total_seconds()):
            await ended.wait()
        session = urljoin(url, answer.headers["Location"])
        deleted = await asyncio.to_thread(requests.delete, session, headers=authorization, timeout=10)
    finally:
        await connection.close()
    return Published(answered_after=answered_after, deleted=deleted.status_code)


def _end_of(track: MediaStreamTrack) -> asyncio.Event:
    ended = asyncio.Event()
    track.on("ended", ended.set)
    return ended
