"""WebRTC in for long: publishers who come and go in every way that there is, and what they leave behind.

Each sends a second of media to our receiver, whose feed is dropped, and ends with a DELETE or with DTLS's
goodbye, or vanishes; some make an offer and are never heard of. After each minute all of them stop, and what
the server holds is counted when it has let the last one go.
"""

import asyncio
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Address
from itertools import count, islice
from typing import Any, Final

import requests

from benchmark.broadcast import FLATNESS_RUN, GROWTH_GOAL
from benchmark.figures import Figure, Outcome, slope
from benchmark.processes import open_descriptors, resident_mebibytes
from benchmark.setting import Setting
from benchmark.whip_servers import Way, WhipServerProcess, serving
from ingest.protocols.whip.endpoint import SDP
from local_system.system import HOST, NotStarted
from tools import whip_offers
from tools.rtp_streams import RtpSource, h264_frames, h264_packets, opus_packet
from tools.webrtc_publisher import WebRtcPublisher

AT_ONCE: Final = 4
ROUND: Final = timedelta(minutes=1)
ANSWER_SECONDS: Final = 10.0
# The longest that the server waits for anything is the connection of who never comes, 15 s.
LET_GO_SECONDS: Final = 30.0
# A socket is closed in the turns of the loop after its session's end.
SETTLING_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.1

# A second of 720p30 at 2.5 Mb/s, in packets by picture, and a packet of sound every 20 ms.
_RATE: Final = 30
_PICTURES: Final = [
    h264_packets([frame], source)
    for source in [RtpSource(ssrc=1)]
    for frame in h264_frames(_RATE, keyframe_every=_RATE, bytes_per_frame=9_500, keyframe_bytes=35_000)
]
_SOUNDS: Final = [
    source.packet(opus_packet(bytes(200)), timestamp=960 * number)
    for source in [RtpSource(ssrc=2, payload_type=111)]
    for number in range(50)
]
# Offers of one address are limited to one a second; each address is remembered for a while, so there are few.
_FIRST_ADDRESS: Final = IPv4Address("10.0.0.0")
_ADDRESSES: Final = 64


class Farewell(StrEnum):
    """How a publisher ends."""

    DELETED = "deleted"
    GOODBYE = "goodbye"
    VANISHED = "vanished"
    NEVER_CAME = "never came"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the server holds at *minute*, after so many *publishers*: *resident* in MiB, and counts."""

    minute: float
    publishers: int
    resident: float
    tasks: int
    descriptors: int

    def __str__(self) -> str:
        return (
            f"minute {self.minute:.1f}: {self.publishers} publishers, "
            f"{self.tasks} tasks, {self.descriptors} descriptors"
        )


def measure(setting: Setting) -> list[Outcome]:
    """Let publishers come and go for the setting's time; raises NotStarted, subprocess.SubprocessError."""
    with serving(Way.RECEIVED, setting.folder) as server:
        return soak_figures(asyncio.run(_soak(server, setting.measured)))


def soak_figures(samples: Sequence[Sample]) -> list[Outcome]:
    """The figures of *samples*, of which the first was taken before anybody came. Pure."""
    first, half = samples[0], samples[len(samples) // 2 :]
    method = (
        f"VmRSS of the server without sessions; {AT_ONCE} publishers at once, {', '.join(Farewell)} in turn"
    )
    growth = slope([(sample.minute, sample.resident) for sample in half])
    is_long = samples[-1].minute - first.minute >= FLATNESS_RUN.total_seconds() / 60
    kept = "most at any minute over the number before the first publisher"
    return [
        *(Figure(name=str(sample), value=sample.resident, unit="MiB", method=method) for sample in samples),
        Figure(
            name="soak: growth",
            value=growth,
            unit="MiB/min",
            method="least squares over the second half",
            count=len(half),
            goal=GROWTH_GOAL if is_long else None,
        ),
        Figure(
            name="soak: tasks left",
            value=max(sample.tasks for sample in samples) - first.tasks,
            unit="tasks",
            method=kept,
            goal=0,
        ),
        Figure(
            name="soak: descriptors left",
            value=max(sample.descriptors for sample in samples) - first.descriptors,
            unit="files",
            method=kept,
            goal=0,
        ),
    ]


async def _soak(server: WhipServerProcess, length: timedelta) -> list[Sample]:
    numbers = count()
    began = time.monotonic()
    came = 0
    samples = [await _sample(server, began, came)]
    while (left := length.total_seconds() - (time.monotonic() - began)) > 0:
        until = time.monotonic() + min(left, ROUND.total_seconds())
        came += sum(await asyncio.gather(*(_come_and_go(server, numbers, until) for _ in range(AT_ONCE))))
        samples.append(await _sample(server, began, came))
    return samples


async def _come_and_go(server: WhipServerProcess, numbers: "count[int]", until: float) -> int:
    """Publish, one after the other, until then; return how often."""
    ways = list(Farewell)
    done = 0
    while time.monotonic() < until:
        number = next(numbers)
        await _publish(server, ways[number % len(ways)], str(_FIRST_ADDRESS + number % _ADDRESSES))
        done += 1
    return done


async def _publish(server: WhipServerProcess, farewell: Farewell, address: str) -> None:
    publisher = WebRtcPublisher()
    fingerprint = "a=fingerprint:{} {}\r".format(*publisher.fingerprint)
    offer = re.sub(r"a=fingerprint:.*?\r", fingerprint, whip_offers.simple())
    headers = {"authorization": "Bearer anything", "content-type": SDP, "x-forwarded-for": address}
    answer = await _request("POST", server.address, data=offer, headers=headers)
    if answer.status_code != requests.codes.created:
        raise NotStarted(f"a publisher was answered {answer.status_code}: {answer.text}")
    if farewell is Farewell.NEVER_CAME:
        return
    fragment, password, fingerprint, port = _facts(answer.text)
    await publisher.open((HOST, port))
    try:
        await publisher.check(fragment, password)
        function, _, value = fingerprint.partition(" ")
        if not await publisher.shake_hands([(function, value)]):
            raise NotStarted("a publisher's handshake failed")
        await _send_media(publisher)
        if farewell is Farewell.DELETED:
            await _request("DELETE", server.origin + answer.headers["location"], headers=headers)
    finally:
        await publisher.close(goodbye=farewell is Farewell.GOODBYE)


def _facts(answer: str) -> tuple[str, str, str, int]:
    found = [
        re.search(rf"^a={pattern}\r?$", answer, re.MULTILINE)
        for pattern in (
            "ice-ufrag:(.*?)",
            "ice-pwd:(.*?)",
            "fingerprint:(.*?)",
            r"candidate:.*? (\d+) typ host.*?",
        )
    ]
    fragment, password, fingerprint, port = (each[1] if each else "" for each in found)
    return fragment, password, fingerprint, int(port)


async def _send_media(publisher: WebRtcPublisher) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    sounds = iter(_SOUNDS)
    for number, packets in enumerate(_PICTURES):
        await asyncio.sleep(began + number / _RATE - loop.time())
        for packet in packets:
            await publisher.send(packet)
        for sound in islice(sounds, 1 if number % 3 == 2 else 2):
            await publisher.send(sound)


async def _sample(server: WhipServerProcess, began: float, publishers: int) -> Sample:
    """Count when the last session is over; raises NotStarted if one stays."""
    deadline = time.monotonic() + LET_GO_SECONDS
    while (await _state(server))["sessions"]:
        if time.monotonic() > deadline:
            raise NotStarted("a session is still there after all publishers have gone")
        await asyncio.sleep(_POLL_SECONDS)
    await asyncio.sleep(SETTLING_SECONDS)
    sample = Sample(
        minute=(time.monotonic() - began) / 60,
        publishers=publishers,
        resident=resident_mebibytes(server.pid),
        tasks=(await _state(server))["tasks"],
        descriptors=open_descriptors(server.pid),
    )
    print(f"{sample}, {sample.resident:.1f} MiB", file=sys.stderr, flush=True)
    return sample


async def _state(server: WhipServerProcess) -> dict[str, int]:
    state: dict[str, int] = (await _request("GET", f"{server.origin}/state")).json()
    return state


async def _request(method: str, address: str, **options: Any) -> requests.Response:
    return await asyncio.to_thread(requests.request, method, address, timeout=ANSWER_SECONDS, **options)
