"""One port for all sessions: a session is heard on the paths on which it proved to know its password."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ingest.protocols.whip.ice_lite import Credentials
from ingest.protocols.whip.udp import MAX_PATHS, Discarded, Peer, UdpEndpoint, _Socket
from tools.webrtc_publisher import WebRtcPublisher, connectivity_check

LOOPBACK = "127.0.0.1"
# RFC 5737, 3: no machine has it.
ELSEWHERE = "192.0.2.1"
PASSWORD = "a password of 24 characters"


class Listener:
    """A session's side: it remembers what came."""

    def __init__(self, fragment: str = "ours") -> None:
        self.heard: list[bytes] = []
        self.peer = Peer(Credentials(fragment=fragment, password=PASSWORD), self.heard.append)


@asynccontextmanager
async def endpoint(*listeners: Listener, hosts: tuple[str, ...] = (LOOPBACK,)) -> AsyncIterator[UdpEndpoint]:
    one = UdpEndpoint()
    await one.start(hosts, 0)
    for listener in listeners:
        one.add(listener.peer)
    try:
        yield one
    finally:
        one.close()


@asynccontextmanager
async def publisher(server: UdpEndpoint, host: str = LOOPBACK) -> AsyncIterator[WebRtcPublisher]:
    one = await WebRtcPublisher().open((host, server.port))
    try:
        yield one
    finally:
        await one.close()


async def heard(listener: Listener, sender: WebRtcPublisher, datagram: bytes) -> list[bytes]:
    """Send *datagram*, and then a check, whose answer says that both arrived."""
    sender.checked.clear()
    sender.send_datagram(datagram)
    await sender.check(listener.peer.credentials.fragment, PASSWORD)
    return listener.heard


async def test_a_checked_path_carries_datagrams_both_ways() -> None:
    listener = Listener()
    async with endpoint(listener) as server, publisher(server) as sender:
        assert not listener.peer.send(b"\x80 too early")
        await sender.check("ours", PASSWORD)
        assert await heard(listener, sender, b"\x80 of media") == [b"\x80 of media"]
        assert listener.peer.address is not None
        assert listener.peer.send(bytes(connectivity_check("x", "y")))
        while len(sender.answers) < 3:
            sender.checked.clear()
            await sender.checked.wait()


async def test_nothing_is_taken_from_a_path_that_was_not_checked() -> None:
    listener = Listener()
    async with endpoint(listener) as server, publisher(server) as sender, publisher(server) as stranger:
        await sender.check("ours", PASSWORD)
        stranger.send_datagram(b"\x80injected")
        stranger.send_datagram(bytes(connectivity_check("ours", "a wrong password of 24 chars")))
        stranger.send_datagram(bytes(connectivity_check("nobody", PASSWORD)))
        stranger.send_datagram(b"")
        stranger.send_datagram(b"\x00\x01garbage")
        assert await heard(listener, sender, b"\x80 of media") == [b"\x80 of media"]
        assert stranger.answers == []


async def test_two_sessions_share_a_port_and_not_their_media() -> None:
    first, second = Listener("first"), Listener("second")
    async with endpoint(first, second) as server, publisher(server) as one, publisher(server) as two:
        await one.check("first", PASSWORD)
        await two.check("second", PASSWORD)
        await heard(first, one, b"\x80of the first")
        await heard(second, two, b"\x80of the second")
        assert (first.heard, second.heard) == ([b"\x80of the first"], [b"\x80of the second"])


async def test_a_session_that_is_removed_is_heard_no_more() -> None:
    listener, other = Listener(), Listener("other")
    async with endpoint(listener, other) as server, publisher(server) as sender:
        await sender.check("ours", PASSWORD)
        server.remove(listener.peer)
        sender.send_datagram(b"\x80 too late")
        sender.checked.clear()
        await sender.check("other", PASSWORD)
        assert listener.heard == []


async def test_a_publisher_that_changes_its_network_is_followed() -> None:
    """The last nomination selects the path; the old one still carries what was under way."""
    listener = Listener()
    async with endpoint(listener) as server, publisher(server) as wifi, publisher(server) as mobile:
        await wifi.check("ours", PASSWORD)
        at_first = listener.peer.address
        await mobile.check("ours", PASSWORD)
        assert listener.peer.address != at_first
        assert await heard(listener, wifi, b"\x80under way") == [b"\x80under way"]


async def test_a_forged_source_takes_nobody_s_path() -> None:
    """A bug: whoever had a session of its own could take another's with one datagram."""
    victim, attacker = Listener("victim"), Listener("attacker")
    async with endpoint(victim, attacker) as server, publisher(server) as sender:
        await sender.check("victim", PASSWORD)
        # What the attacker sends with the victim's address as its source.
        sender.send_datagram(bytes(connectivity_check("attacker", PASSWORD, USE_CANDIDATE=None)))
        assert await heard(victim, sender, b"\x80 of media") == [b"\x80 of media"]
        assert attacker.heard == []
        server.remove(attacker.peer)
        assert await heard(victim, sender, b"\x80 and more") == [b"\x80 of media", b"\x80 and more"]


def test_paths_are_bounded_and_the_selected_one_is_kept() -> None:
    peer = Listener().peer
    endpoint = UdpEndpoint()
    paths = [((LOOPBACK, port), 0) for port in range(1, MAX_PATHS + 2)]
    socket = _Socket(endpoint, 0)
    forgotten = [peer.checked(path, socket, nominated=number == 0) for number, path in enumerate(paths)]
    assert forgotten == [*[None] * MAX_PATHS, paths[1]]
    assert peer.address == paths[0][0]
    assert endpoint.port == 0


async def test_all_addresses_share_the_port() -> None:
    listener = Listener()
    async with (
        endpoint(listener, hosts=(LOOPBACK, "::1")) as server,
        publisher(server) as four,
        publisher(server, "::1") as six,
    ):
        await four.check("ours", PASSWORD)
        await six.check("ours", PASSWORD)


async def test_an_address_that_this_machine_does_not_have_is_left_out() -> None:
    """A bug: one interface that was going away kept everybody out."""
    listener = Listener()
    async with endpoint(listener, hosts=(ELSEWHERE, LOOPBACK)) as server, publisher(server) as sender:
        assert server.hosts == (LOOPBACK,)
        await sender.check("ours", PASSWORD)


@pytest.mark.parametrize("hosts", [(ELSEWHERE,), ()])
async def test_without_any_address_nobody_could_publish_and_that_is_said(hosts: tuple[str, ...]) -> None:
    with pytest.raises(OSError, match="address"):
        await UdpEndpoint().start(hosts, 0)


async def test_what_reaches_no_session_is_counted_by_what_is_wrong_with_it() -> None:
    first, second = Listener("first"), Listener("second")
    async with endpoint(first, second) as server, publisher(server) as one, publisher(server) as stranger:
        await one.check("first", PASSWORD)
        one.send_datagram(bytes(connectivity_check("second", PASSWORD)))
        for datagram in (
            bytes(7),
            bytes(1501),
            b"\x80 of media from nowhere",
            b"\x00\x01\x00\x20 shorter than it says",
            bytes(connectivity_check("nobody", PASSWORD)),
            bytes(connectivity_check("first", "a wrong password of 24 chars")),
        ):
            stranger.send_datagram(datagram)
        await stranger.check("second", PASSWORD)
        assert server.discarded == dict.fromkeys(Discarded, 1) | {Discarded.SIZE: 2}


async def test_a_port_that_is_taken_is_said_and_nothing_stays_bound() -> None:
    async with endpoint() as server:
        second = UdpEndpoint()
        with pytest.raises(OSError, match="in use"):
            await second.start((LOOPBACK,), server.port)
        await second.start((LOOPBACK,), 0)
        second.close()
