"""A publisher with the manners of OBS: one offer without candidates, in-band parameter sets, and no PATCH.

It is made after OBS's WebRTC output (plugins/obs-webrtc) and libdatachannel below it: it gives up where an
answer takes 8 s, wants exactly 201, sends packets of 1,200 bytes, reports as a sender once a second, and sends
again what a NACK asks for under the same SSRC. At its end it does what is harder on a server, whatever OBS
does: it closes the connection, and a while later sends DELETE, which is to be answered with 200.
"""

import asyncio
import re
import struct
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, Final, Self
from urllib.parse import urljoin

import av
import requests

from tools.rtp_link import nacked, rtcp_packets
from tools.rtp_streams import RtpSource, h264_payloads
from tools.webrtc_publisher import FRAGMENT, WebRtcPublisher
from tools.whip_offers import AUDIO_SSRC, VIDEO_SSRC, obs_30

GIVES_UP_SECONDS: Final = 8
_VIDEO_TYPE, _AUDIO_TYPE = 96, 111  # as the offer says
_VIDEO_RATE, _AUDIO_RATE = 90_000, 48_000
_REPORT_SECONDS: Final = 1
_KEPT_PACKETS: Final = 4000
# From the end of the connection to DELETE: more than the server takes to end a session.
_DELETES_AFTER_SECONDS: Final = 1
# Between the beginnings of NTP's time and of Unix's (RFC 5905, 6).
_NTP_EPOCH: Final = 2_208_988_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A picture as its NAL *units*, or a sound as the only one of them; *time* is in seconds."""

    time: Fraction
    is_video: bool
    units: tuple[bytes, ...]


def read_encoded(file: Path) -> list[Encoded]:
    """Return what *file*, H.264 without B-frames and Opus, holds, in the order of its times."""
    with av.open(str(file)) as container:
        in_band = av.BitStreamFilterContext("h264_mp4toannexb", container.streams.video[0])
        found = [
            each
            for packet in container.demux()
            if packet.pts is not None and packet.time_base is not None
            for each in _encoded(packet, packet.pts * Fraction(packet.time_base), in_band)
        ]
    return sorted(found, key=lambda each: each.time)


def _encoded(packet: Any, at: Fraction, in_band: av.BitStreamFilterContext) -> Iterator[Encoded]:
    if packet.stream.type == "audio":
        yield Encoded(time=at, is_video=False, units=(bytes(packet),))
        return
    for filtered in in_band.filter(packet):
        units = re.split(rb"\x00*\x00\x00\x01", bytes(filtered))
        yield Encoded(time=at, is_video=True, units=tuple(filter(None, units)))


class _Stream:
    """One SSRC: its packets, its reports, and what it can send again."""

    def __init__(self, ssrc: int, payload_type: int, clock_rate: int) -> None:
        self.source = RtpSource(ssrc=ssrc, payload_type=payload_type, sequence_number=65_000)
        self._clock_rate = clock_rate
        # RFC 3550, 5.1: from anywhere; here so that it wraps within the first second.
        self._first_timestamp = 2**32 - clock_rate // 2
        self._reported_at: Fraction | None = None
        self._packets = self._octets = 0
        self.kept: OrderedDict[int, bytes] = OrderedDict()

    def packets(self, item: Encoded) -> list[bytes]:
        payloads = h264_payloads(item.units) if item.is_video else list(item.units)
        packets = self.source.packets(payloads, timestamp=self._timestamp(item.time), marker=item.is_video)
        for packet in packets:
            self.kept[int.from_bytes(packet[2:4])] = packet
            self._packets += 1
            self._octets += len(packet) - 12
        while len(self.kept) > _KEPT_PACKETS:
            self.kept.popitem(last=False)
        return packets

    def report(self, at: Fraction, *, now: float) -> bytes | None:
        """A sender report (RFC 3550, 6.4.1) that pairs the frame of *at* with *now*, if one is due."""
        if self._reported_at is not None and at - self._reported_at < _REPORT_SECONDS:
            return None
        self._reported_at = at
        ntp = int((now + _NTP_EPOCH) * 2**32)
        counts = (self._timestamp(at), self._packets, self._octets)
        return struct.pack(">BBHIQIII", 0x80, 200, 6, self.source.ssrc, ntp, *counts)

    def _timestamp(self, at: Fraction) -> int:
        return (self._first_timestamp + round(at * self._clock_rate)) % 2**32


class ObsPublisher:
    """Publishes to the WHIP endpoint *url* with *key*; a *lost* share of pictures' packets needs a NACK."""

    def __init__(self, url: str, key: str, *, lost: float = 0.0) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self._lost, self._random = lost, Random(0)
        self._publisher = WebRtcPublisher()
        self._video = _Stream(VIDEO_SSRC, _VIDEO_TYPE, _VIDEO_RATE)
        self._audio = _Stream(AUDIO_SSRC, _AUDIO_TYPE, _AUDIO_RATE)
        self._answering: asyncio.Task[None] | None = None
        self._session = ""
        self.answered_after = 0.0
        """Seconds until the answer to the offer."""
        self.withheld = self.sent_again = 0
        """Packets that were not sent at first, and that were asked for."""

    async def connect(self) -> Self:
        """Offer, take the answer, and connect; raises AssertionError where OBS would give up."""
        function, value = self._publisher.fingerprint
        offer = obs_30(fragment=FRAGMENT, fingerprint=f"{function} {value}")
        began = time.monotonic()
        answer = await asyncio.to_thread(
            requests.post,
            self._url,
            data=offer,
            headers={**self._headers, "Content-Type": "application/sdp"},
            timeout=GIVES_UP_SECONDS,
        )
        self.answered_after = time.monotonic() - began
        assert answer.status_code == 201, answer.text
        self._session = urljoin(self._url, answer.headers["Location"])
        await self._connect(answer.text)
        self._answering = asyncio.create_task(self._answer_nacks())
        return self

    async def _connect(self, answer: str) -> None:
        fragment, password = _attribute(answer, "ice-ufrag"), _attribute(answer, "ice-pwd")
        # RFC 8839, 5.1: foundation, component, transport, priority, address, port.
        address, port = _attribute(answer, "candidate").split()[4:6]
        await self._publisher.open((address, int(port)))
        await self._publisher.check(fragment, password)
        if _attribute(answer, "setup") == "active":
            self._publisher.be_dtls_server()
        function, value = _attribute(answer, "fingerprint").split()
        assert await self._publisher.shake_hands([(function, value)])

    async def publish(self, media: Sequence[Encoded]) -> int:
        """Connect, send *media*, stop, and return the status of that."""
        await self.connect()
        try:
            await self.send(media)
        finally:
            status = await self.stop()
        return status

    async def send(self, media: Sequence[Encoded]) -> None:
        """Send *media*, each at its time.

        Of the last second nothing is withheld: only a packet that comes later shows that one is missing.
        """
        began = time.monotonic() - float(media[0].time)
        lossy_until = media[-1].time - 1
        for item in media:
            await asyncio.sleep(max(0.0, began + float(item.time) - time.monotonic()))
            stream = self._video if item.is_video else self._audio
            for packet in stream.packets(item):
                if item.is_video and item.time < lossy_until and self._random.random() < self._lost:
                    self.withheld += 1
                else:
                    await self._publisher.send(packet)
            if (report := stream.report(item.time, now=time.time())) is not None:
                await self._publisher.send(report)

    async def _answer_nacks(self) -> None:
        while True:
            for packet in rtcp_packets(await self._publisher.rtcp.get()):
                if packet[1] != 205 or packet[0] & 0x1F != 1:  # RFC 4585, 6.2.1
                    continue
                media = int.from_bytes(packet[8:12])
                kept = (self._video if media == VIDEO_SSRC else self._audio).kept
                for number in nacked(packet):
                    if number in kept:
                        self.sent_again += 1
                        await self._publisher.send(kept[number])

    async def stop(self) -> int:
        """Close the connection, later DELETE the session, and return the status of that."""
        if self._answering is not None:
            self._answering.cancel()
        await self._publisher.close()
        await asyncio.sleep(_DELETES_AFTER_SECONDS)
        answer = await asyncio.to_thread(requests.delete, self._session, headers=self._headers, timeout=10)
        return answer.status_code


def _attribute(sdp: str, name: str) -> str:
    match = re.search(rf"^a={name}:(.*?)\r?$", sdp, re.MULTILINE)
    assert match is not None, f"the answer has no {name}"
    return match[1]
