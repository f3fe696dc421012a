"""Hostile and odd publishers over the whole way of a WHIP session: HTTP, ICE, DTLS and SRTP on loopback.

Beside every one of them somebody publishes steadily, whose every frame has to come out; no error is logged; and
when all is over, no task, socket, session or peer is left.
"""

import asyncio
import gc
import logging
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import chain, count, pairwise
from pathlib import Path
from random import Random
from typing import Final

import pytest
from prometheus_client import CollectorRegistry

from bucketcast.stream.encoder_report import InputFault
from ingest.feed import CodecConfiguration, Track
from ingest.protocols.publishing import CloseReason
from ingest.protocols.whip.limits import WhipLimits
from ingest.protocols.whip.offer_rate import OFFERS_AT_ONCE
from ingest.protocols.whip.udp import Discarded
from ingest.whip_metrics import WhipCollector
from tools import whip_offers
from tools.rtp_streams import (
    RtpSource,
    VideoFrame,
    filling,
    h264_frames,
    h264_payloads,
    length_prefixed,
    picture_set,
    sequence_set,
    slice_unit,
)
from tools.webrtc_publisher import connectivity_check
from tools.whip_world import (
    LOOPBACK,
    SOON,
    VIDEO_PARAMETERS,
    Publisher,
    SteadyPublisher,
    WhipWorld,
    whip_world,
)

_OPEN_FILES: Final = Path("/proc/self/fd")
# 50 pictures a second.
TICKS: Final = 1800


@pytest.fixture
def limits() -> WhipLimits:
    return WhipLimits()


@pytest.fixture
async def world(limits: WhipLimits, caplog: pytest.LogCaptureFixture) -> AsyncIterator[WhipWorld]:
    """A server on which somebody publishes steadily, and nothing of which may be left."""
    gc.collect()  # what other tests of this process have left
    tasks, sockets = asyncio.all_tasks(), _open_sockets()
    async with whip_world(limits) as one:
        steady = await SteadyPublisher(one).begin()
        yield one
        await one.until(lambda: len(one.server.sessions) == 1)
        assert one.server._endpoint.peers == 1
        await steady.end()
        assert steady.recording.reasons == [CloseReason.UNPUBLISHED]
    assert one.server.sessions == ()
    assert one.server._endpoint.peers == 0
    left = asyncio.all_tasks() - tasks - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=SOON)  # what was cancelled ends with the loop's next turns
    assert not [task for task in left if not task.done()]
    assert _open_sockets() <= sockets
    assert not [record for record in caplog.get_records("call") if _is_ours_to_mend(record)]


def _is_ours_to_mend(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or bool(record.exc_info) or "Traceback" in record.getMessage()


def _open_sockets() -> int:
    """How many this process has; 0 where the system does not tell."""
    if not _OPEN_FILES.is_dir():
        return 0
    links = []
    for file in _OPEN_FILES.iterdir():
        with suppress(FileNotFoundError):  # the one that the folder is read through
            links.append(str(file.readlink()))
    return sum("socket:" in link for link in links)


def _data(frames: Sequence[VideoFrame]) -> list[bytes]:
    return [length_prefixed(frame.units) for frame in frames]


def _frames(count: int, *, keyframe_every: int = 25, ticks: int = TICKS) -> list[VideoFrame]:
    return h264_frames(
        count, keyframe_every=keyframe_every, ticks=ticks, bytes_per_frame=2500, keyframe_bytes=12_000
    )


# Offers.


@pytest.mark.parametrize("limits", [WhipLimits(connect_seconds=1)])
async def test_two_hundred_offers_are_turned_away_but_for_some_and_nothing_stays_of_those(
    world: WhipWorld,
) -> None:
    asked = [world.ask("POST", "/whip", whip_offers.obs_30(), address="192.0.2.1") for _ in range(200)]
    answers = await asyncio.gather(*asked)
    taken = [answer for answer in answers if answer.status_code == 201]
    turned_away = [answer for answer in answers if answer.status_code == 429]
    assert len(taken) + len(turned_away) == len(answers)
    # Those at once, and one for each second that it took.
    assert OFFERS_AT_ONCE <= len(taken) <= OFFERS_AT_ONCE + SOON
    assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in turned_away)
    assert all("Try again" in answer.json()["detail"] for answer in turned_away)
    await world.until(lambda: len(world.server.sessions) == 1)


def _odd_offers() -> Iterator[bytes]:
    plain = whip_offers.simple()
    yield from (b"", b"\0" * 100, b"v=0", b"{}", b"\xff\xfe" + plain.encode(), b"v=0\r\n" * 3000)
    yield plain.encode() + b"a=x:" + b"y" * 100_000
    yield plain.replace("m=video", "m=vide\u00f6").encode()
    for old, new in (
        ("a=setup:actpass", "a=setup:holdconn"),
        ("a=setup:actpass", "a=setup:both"),
        ("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
        ("a=ice-ufrag:", "a=ice-ufrag:!"),
        ("a=ice-ufrag:", "a=ice-fragment:"),
        ("a=ice-pwd:", "a=ice-pwd:short\r\na=was:"),
        ("a=rtcp-mux", "a=rtcp:9"),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"),
        ("a=mid:1", "a=mid:0"),
        ("H264/90000", "H264/8000"),
        ("H264/90000", "AV1/90000"),
        ("opus/48000/2", "PCMU/8000"),
        ("a=sendonly", "a=recvonly"),
        ("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
        ("m=video 9", "m=video 0"),
        ("m=video 9", "m=video 999999"),
        ("SAVPF 96 97 98 99", "SAVPF " + " ".join(map(str, range(200)))),
        ("a=rtpmap:111", "a=rtpmap:96"),
        ("a=group:BUNDLE 0 1", "a=ice-lite\r\na=group:BUNDLE 0 1"),
        ("a=rtpmap:96", "a=rtpmap:" + "9" * 300),
        ("profile-level-id=42e01f", "profile-level-id=zzzzzz"),
    ):
        assert old in plain
        yield plain.replace(old, new).encode()
    yield "".join(plain.splitlines(keepends=True)[:-1] + ["m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"] * 20).encode()


def _torn_offers(random: Random) -> Iterator[bytes]:
    """Real offers with lines missing, twice, exchanged, cut off, or with other bytes in them."""
    for offer in whip_offers.REAL.values():
        lines = offer.encode().splitlines(keepends=True)
        at, other = random.randrange(len(lines)), random.randrange(len(lines))
        yield b"".join(lines[:at] + lines[at + 1 :])
        yield b"".join(lines[:at] + lines[at:] + lines[at:])
        lines[at], lines[other] = lines[other], lines[at]
        yield b"".join(lines)
        torn = bytearray(offer.encode())
        for _ in range(5):
            torn[random.randrange(len(torn))] = random.randrange(256)
        yield bytes(torn)
        yield offer.encode()[: random.randrange(len(offer))]


async def test_an_odd_offer_is_refused_with_words_that_help(world: WhipWorld) -> None:
    for offer in _odd_offers():
        answer = await world.ask("POST", "/whip", offer)
        assert 400 <= answer.status_code < 500, (answer.status_code, offer[:2000])
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["detail"].endswith(".")
    for offer in _torn_offers(Random(4)):
        answer = await world.ask("POST", "/whip", offer)
        if answer.status_code == 201:  # what was torn is of no use to us
            assert (await world.ask("DELETE", answer.headers["Location"])).status_code == 200
        else:
            assert 400 <= answer.status_code < 500, (answer.status_code, offer)
            assert answer.json()["detail"]


# Datagrams.


def _strange_datagrams(random: Random) -> Iterator[bytes]:
    """What may come to a UDP port of the internet; none of it is of a session."""
    yield b""
    yield bytes(60_000)
    for first in (0x00, 0x01, 0x03, 0x14, 0x16, 0x3F, 0x40, 0x80, 0xBF, 0xC0, 0xFF):
        for size in (1, 7, 8, 19, 20, 21, 200, 1500, 1501):
            yield (bytes((first,)) + random.randbytes(size - 1))[:size]
    check = bytes(connectivity_check("nobody", "a password of somebody else"))
    yield check
    for at in range(0, len(check), 3):  # cut off, and with lengths that are wrong
        yield check[:at]
        yield check[:at] + b"\xff" + check[at + 1 :]
    yield check[:2] + b"\xff\xfc" + check[4:]
    yield b"\x01\x01" + check[2:]  # an answer to nothing
    yield RtpSource(ssrc=0xBAD).packet(filling(1000), timestamp=0)
    yield b"\x80\xc8\x00\x06" + bytes(24)  # a sender report


async def test_datagrams_of_strangers_reach_nobody(world: WhipWorld) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for datagram in _strange_datagrams(Random(1)):
            stranger.sendto(datagram, (LOOPBACK, world.server.udp_port))
            await asyncio.sleep(0)  # no flood: what the kernel drops would be nobody's fault here
    await world.until(lambda: sum(world.server.discarded.values()) >= 100)
    reasons = {Discarded.SIZE, Discarded.UNCHECKED_PATH, Discarded.MALFORMED_CHECK, Discarded.UNKNOWN_SESSION}
    assert set(world.server.discarded) == reasons
    registry = CollectorRegistry()
    registry.register(WhipCollector(lambda: world.server.sessions, lambda: world.server.discarded))
    for reason in Discarded:
        told = registry.get_sample_value("bucketcast_whip_datagrams_discarded_total", {"reason": reason.value})
        assert told == world.server.discarded[reason]


def _forged_datagrams(random: Random) -> Iterator[bytes]:
    """What somebody sends who can write a publisher's own address as its source, and knows no key."""
    for _ in range(50):
        yield b"\x80\x60" + random.randbytes(random.randrange(6, 1200))  # SRTP
        yield b"\x80\xc8" + random.randbytes(random.randrange(6, 200))  # SRTCP
        yield bytes((random.randrange(20, 64),)) + random.randbytes(random.randrange(7, 400))
    for epoch in (0, 1):
        number = random.randbytes(6)
        record = b"\xfe\xfd" + epoch.to_bytes(2) + number
        yield b"\x15" + record + b"\x00\x02\x01\x00"  # close_notify
        yield b"\x15" + record + b"\x00\x02\x02\x28"  # a fatal alert
        yield b"\x14" + record + b"\x00\x01\x01"  # change_cipher_spec
        yield b"\x16" + record + b"\x00\x0c\x01" + bytes(11)  # the beginning of a ClientHello
        yield b"\x17" + record + b"\x00\x10" + random.randbytes(16)


async def test_forged_datagrams_from_a_publisher_s_own_address_change_nothing(world: WhipWorld) -> None:
    publisher = await Publisher(world).connect()
    frames, source = _frames(25), RtpSource()
    await publisher.publish(frames[:5], source)
    for datagram in _forged_datagrams(Random(2)):
        publisher.webrtc.send_datagram(datagram)
        await asyncio.sleep(0)
    await publisher.publish(frames[5:], source)
    await publisher.end()
    assert publisher.pictures == _data(frames)
    assert publisher.recording.reasons == [CloseReason.UNPUBLISHED]


async def test_garbage_that_a_publisher_encrypts_is_left_out_of_its_stream(world: WhipWorld) -> None:
    random = Random(8)
    publisher = await Publisher(world).connect()
    frames, source = _frames(25), RtpSource()
    await publisher.publish(frames[:5], source)
    for payload_type in (*range(64), *range(97, 128)):
        other = RtpSource(ssrc=random.getrandbits(32), payload_type=payload_type)
        await publisher.webrtc.send(other.packet(random.randbytes(random.randrange(1, 1100)), timestamp=0))
    for kind in range(192, 209):  # as aiortc, on both sides, tells them
        for size in (1, 2, 50):
            words = random.randrange(2**16) if size > 1 else 1
            report = bytes((0x80 | random.randrange(32), kind)) + words.to_bytes(2) + random.randbytes(4 * size)
            await publisher.webrtc.send(report)
    await publisher.publish(frames[5:], source)
    await world.until(lambda: publisher.session.datagrams_malformed > 100)
    await publisher.end()
    assert publisher.pictures == _data(frames)


async def test_no_check_of_a_stranger_moves_a_session(world: WhipWorld) -> None:
    publisher = await Publisher(world).connect()
    frames, source = _frames(25), RtpSource()
    peer = publisher.session.peer
    before = peer.address
    right = bytes(connectivity_check(peer.credentials.fragment, peer.credentials.password, USE_CANDIDATE=None))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((LOOPBACK, 0))
        stranger.setblocking(False)
        for datagram in (
            bytes(connectivity_check(peer.credentials.fragment, "wrong" * 5, USE_CANDIDATE=None)),
            bytes(connectivity_check(peer.credentials.fragment, "", USE_CANDIDATE=None)),
            right[:-1] + bytes((right[-1] ^ 1,)),
            right[:20] + right[20:].replace(b"publisher", b"publisheR"),
            right[:-24] + bytes(24),
        ):
            stranger.sendto(datagram, (LOOPBACK, world.server.udp_port))
        await world.until(lambda: world.server.discarded[Discarded.WRONG_PASSWORD] >= 3)
        await publisher.publish(frames, source)
        with pytest.raises(BlockingIOError):
            stranger.recv(2000)
    assert peer.address == before
    await publisher.end()
    assert publisher.pictures == _data(frames)


# Networks.


@pytest.mark.parametrize(("share", "faults"), [(0.02, ()), (0.1, (InputFault.PACKET_LOSS,))])
async def test_what_is_lost_comes_again(world: WhipWorld, share: float, faults: tuple[InputFault, ...]) -> None:
    """What is sent again is lost as often."""
    random = Random(3)
    network = lambda: () if random.random() < share else (0.0,)  # noqa: E731 - as short as it is
    publisher = await Publisher(world, network).connect()
    frames = _frames(120)
    await publisher.publish(frames, RtpSource())
    await world.until(lambda: len(publisher.pictures) == len(frames))
    assert publisher.pictures == _data(frames)
    statistics = next(each for each in publisher.session.statistics if each.track is Track.VIDEO)
    assert statistics.recovered > 0
    assert statistics.lost == 0
    await world.until(lambda: publisher.session.faults() == faults)  # what is seen once a second
    await publisher.end()


@pytest.mark.parametrize("share", [0.02, 0.1])
async def test_what_does_not_come_again_takes_its_group_along_and_is_told(
    world: WhipWorld, share: float
) -> None:
    random = Random(5)
    network = lambda: () if random.random() < share else (0.0,)  # noqa: E731 - as short as it is
    publisher = await Publisher(world, network, retransmits=False).connect()
    frames = _frames(120, keyframe_every=10)
    await publisher.publish(frames, RtpSource())
    await world.until(lambda: InputFault.PACKET_LOSS in publisher.session.faults())
    await publisher.end()
    numbers = [_data(frames).index(picture) for picture in publisher.pictures]
    assert len(numbers) < len(frames)
    assert all(frames[number].keyframe or number == before + 1 for before, number in pairwise([-2, *numbers]))
    statistics = next(each for each in publisher.session.statistics if each.track is Track.VIDEO)
    assert statistics.plis > 0


async def test_packets_that_overtake_each_other_and_come_twice_are_frames_in_their_order(
    world: WhipWorld,
) -> None:
    random = Random(6)

    delays = ([0.06 * random.random() for _ in range(1 + (random.random() < 0.2))] for _ in count())
    in_order = ([0.0] for _ in range(10))  # a beginning that comes too late is nobody's to wait for
    network = partial(next, chain(in_order, delays))
    publisher = await Publisher(world, network).connect()
    frames = _frames(100)
    await publisher.publish(frames, RtpSource())
    await world.until(lambda: len(publisher.pictures) == len(frames))
    await publisher.end()
    assert publisher.pictures == _data(frames)


async def test_three_seconds_of_silence_are_borne_and_five_are_the_end(world: WhipWorld) -> None:
    bearing, ending = await Publisher(world).connect(), await Publisher(world).connect()
    frames, source = _frames(20), RtpSource()
    later = [replace(frame, timestamp=frame.timestamp + 3 * 90_000) for frame in frames[10:]]
    begin = asyncio.get_running_loop().time()
    await ending.publish(frames[:10], RtpSource())
    await bearing.publish([*frames[:10], *later], source)
    await bearing.end()
    assert bearing.pictures == _data(frames)
    assert bearing.recording.reasons == [CloseReason.UNPUBLISHED]
    await ending.recording.closed.wait()
    assert 5 <= asyncio.get_running_loop().time() - begin < SOON
    assert ending.recording.reasons == [CloseReason.TIMED_OUT]
    assert ending.pictures == _data(frames[:10])


# Streams.


def _times(publisher: Publisher) -> list[timedelta]:
    return [each.presentation_time for each in publisher.recording.frames if each.track is Track.VIDEO]


def _configurations(publisher: Publisher) -> list[CodecConfiguration]:
    items = publisher.recording.items
    return [each for each in items if isinstance(each, CodecConfiguration) and each.track is Track.VIDEO]


async def test_five_pictures_a_second_are_that(world: WhipWorld) -> None:
    publisher = await Publisher(world).connect()
    frames = _frames(10, keyframe_every=5, ticks=18_000)
    await publisher.publish(frames, RtpSource())
    await publisher.end()
    assert publisher.pictures == _data(frames)
    assert {after - before for before, after in pairwise(_times(publisher))} == {timedelta(milliseconds=200)}


async def test_a_picture_may_change_its_size_and_only_another_shape_is_another_configuration(
    world: WhipWorld,
) -> None:
    publisher = await Publisher(world).connect()
    sizes = ((1280, 720), (640, 360), (960, 540), (720, 1280))
    frames = [
        frame
        for number, size in enumerate(sizes)
        for frame in h264_frames(
            10, size=size, ticks=TICKS, first_timestamp=10 * TICKS * number, seed=10 * number
        )
    ]
    await publisher.publish(frames, RtpSource())
    await publisher.end()
    assert publisher.pictures == _data(frames)
    first, turned = _configurations(publisher)
    assert sequence_set(*sizes[0]) in first.data
    assert sequence_set(*sizes[-1]) in turned.data


async def test_a_sender_may_go_on_under_another_ssrc(world: WhipWorld) -> None:
    publisher = await Publisher(world).connect()
    frames = _frames(50)
    await publisher.publish(frames[:25], RtpSource(ssrc=1, sequence_number=100))
    await publisher.publish(frames[25:], RtpSource(ssrc=2, sequence_number=40_000))
    await publisher.end()
    assert publisher.pictures == _data(frames)
    assert _times(publisher) == sorted(_times(publisher))


async def test_timestamps_and_sequence_numbers_wrap_and_nothing_is_to_be_seen_of_it(world: WhipWorld) -> None:
    publisher = await Publisher(world).connect()
    frames = h264_frames(50, keyframe_every=25, ticks=TICKS, first_timestamp=2**32 - 20 * TICKS)
    await publisher.publish(frames, RtpSource(sequence_number=2**16 - 30))
    await publisher.end()
    assert publisher.pictures == _data(frames)
    assert {after - before for before, after in pairwise(_times(publisher))} == {timedelta(milliseconds=20)}


async def test_parameter_sets_may_come_apart_from_their_picture_and_in_pieces(world: WhipWorld) -> None:
    publisher = await Publisher(world).connect()
    sps, pps, picture = sequence_set(1280, 720), picture_set(), slice_unit(filling(3000), idr=True)
    source = RtpSource()
    for number in range(5):
        timestamp = number * 3000
        for part in (sps, pps):
            await publisher.send(source.packets(h264_payloads([part], mtu=8), timestamp=timestamp))
        await publisher.send(source.packets(h264_payloads([picture]), timestamp=timestamp))
    await publisher.end()
    assert publisher.pictures == [length_prefixed([sps, pps, picture])] * 5


async def test_parameter_sets_may_come_in_the_offer_alone(world: WhipWorld) -> None:
    sets = ",".join(b64encode(unit).decode() for unit in (sequence_set(1280, 720), picture_set()))
    publisher = await Publisher(world).connect(parameters=f"{VIDEO_PARAMETERS};sprop-parameter-sets={sets}")
    frames = _frames(50)
    await publisher.publish([replace(frame, units=frame.units[-1:]) for frame in frames], RtpSource())
    await publisher.end()
    assert publisher.pictures == _data(frames)
    assert len(_configurations(publisher)) == 1


async def test_b_frames_are_told_while_they_come(world: WhipWorld) -> None:
    publisher = await Publisher(world).connect()
    frames = _frames(81, keyframe_every=81)
    places = [0, *(number + step for number in range(1, 81, 2) for step in (1, 0))]
    shown = [replace(frame, timestamp=TICKS * place) for frame, place in zip(frames, places, strict=True)]
    source = RtpSource()
    for frame in shown:
        await publisher.send(source.packets(h264_payloads(frame.units), timestamp=frame.timestamp))
    await world.until(lambda: publisher.session.faults() == (InputFault.B_FRAMES,))
    await publisher.end()
    assert publisher.pictures == _data(shown)
