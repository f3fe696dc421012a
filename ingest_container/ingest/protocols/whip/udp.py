"""The UDP sockets of all WHIP sessions: one port, on every address of this machine that is served."""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, cast

from ingest.protocols.whip.ice_lite import Address, Credentials, answer_check, parse_check

# A keyframe of 4 MB may arrive within milliseconds on a fast network, beside those of other sessions. The
# kernel takes no more than its own bound (net.core.rmem_max).
RECEIVE_BUFFER: Final = 8 * 2**20
# What may wait where the kernel takes nothing: feedback is a few hundred bytes, and out of date in a second.
_SEND_BUFFER: Final = 2**20
# A publisher has some addresses (Wi-Fi, cable, mobile, IPv6), and each may be seen behind several NAT bindings.
MAX_PATHS: Final = 16
# The shortest that is of any use is RTCP's header and SSRC; the longest is Ethernet's payload. aiortc's
# transport cannot take others.
_DATAGRAM_BYTES: Final = range(8, 1501)
# RFC 7983, 7: the first byte tells STUN from all else that a peer sends.
_LAST_STUN_BYTE: Final = 3
# Several addresses have to share the port that the first one was given.
_BIND_TRIES: Final = 8

# Where a peer is, and the number of the socket that heard it.
Path = tuple[Address, int]


class Peer:
    """What of one session the sockets know: its credentials, and the paths on which it was heard."""

    def __init__(self, credentials: Credentials, on_datagram: Callable[[bytes], None]) -> None:
        """Hand what comes on a checked path to *on_datagram*."""
        self.credentials = credentials
        self.on_datagram = on_datagram
        self._paths: OrderedDict[Path, _Socket] = OrderedDict()
        self._selected: Path | None = None
        self._is_nominated = False
        self.reached = asyncio.Event()
        """Set once there is a path to the publisher."""

    @property
    def address(self) -> Address | None:
        """Where the publisher is sent to; None until it made a check."""
        return self._selected[0] if self._selected else None

    def send(self, datagram: bytes) -> bool:
        """Send *datagram* on the selected path; say whether there is one."""
        if self._selected is None:
            return False
        self._paths[self._selected].send(datagram, self._selected[0])
        return True

    def checked(self, path: Path, by: "_Socket", *, nominated: bool) -> Path | None:
        """Note a valid check; return the path that is forgotten for it.

        The last nomination selects (RFC 8445, 8.1.1); before the first one, the last check does: not all
        publishers nominate.
        """
        self._paths[path] = by
        self._paths.move_to_end(path)
        self.reached.set()
        if nominated or not self._is_nominated:
            self._selected = path
            self._is_nominated |= nominated
        if len(self._paths) <= MAX_PATHS:
            return None
        oldest = next(each for each in self._paths if each != self._selected)
        del self._paths[oldest]
        return oldest

    def has_selected(self, path: Path) -> bool:
        """Whether *path* is the one on which the publisher is."""
        return path == self._selected

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths that are known."""
        return tuple(self._paths)


class _Socket(asyncio.DatagramProtocol):
    """One bound address."""

    def __init__(self, endpoint: "UdpEndpoint", number: int) -> None:
        self._endpoint = endpoint
        self._number = number
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int, int, int] | Address) -> None:
        self._endpoint.received(data, ((addr[0], addr[1]), self._number), self)

    def send(self, datagram: bytes, address: Address) -> None:
        if self._transport is None:
            return
        # asyncio's datagram transports have it as its streams do.
        if cast("asyncio.WriteTransport", self._transport).get_write_buffer_size() < _SEND_BUFFER:
            self._transport.sendto(datagram, address)


class UdpEndpoint:
    """Binds the addresses, answers connectivity checks, and hands each session what is its own."""

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}
        self._by_path: dict[Path, Peer] = {}
        self._transports: list[asyncio.DatagramTransport] = []
        self.port = 0

    async def start(self, hosts: Sequence[str], port: int) -> None:
        """Bind *hosts*, IP addresses, all to *port*, or to one that is free everywhere where it is 0.

        Raises:
            OSError: an address or the port cannot be had.
        """
        for attempt in range(_BIND_TRIES):
            try:
                await self._bind(hosts, port)
            except OSError:
                self.close()
                if port or attempt == _BIND_TRIES - 1:
                    raise
            else:
                return

    async def _bind(self, hosts: Sequence[str], port: int) -> None:
        loop = asyncio.get_running_loop()
        for number, host in enumerate(hosts):
            bound = _bound_socket(host, port)
            port = bound.getsockname()[1]
            transport, _ = await loop.create_datagram_endpoint(partial(_Socket, self, number), sock=bound)
            self._transports.append(transport)
        self.port = port

    def close(self) -> None:
        """Close the sockets."""
        for transport in self._transports:
            transport.close()
        self._transports.clear()

    def add(self, peer: Peer) -> None:
        """Serve *peer*."""
        self._peers[peer.credentials.fragment] = peer

    def remove(self, peer: Peer) -> None:
        """Serve *peer* no longer."""
        self._peers.pop(peer.credentials.fragment, None)
        peer.on_datagram = _ignore  # no cycle of references stays; see SecureTransport.close
        for path in peer.paths:
            if self._by_path.get(path) is peer:
                del self._by_path[path]

    def received(self, datagram: bytes, path: Path, by: _Socket) -> None:
        """Take *datagram*, which came on *path* by a socket."""
        if len(datagram) not in _DATAGRAM_BYTES:
            return
        if datagram[0] > _LAST_STUN_BYTE:
            peer = self._by_path.get(path)
            if peer is not None:
                peer.on_datagram(datagram)
            return
        check = parse_check(datagram)
        peer = self._peers.get(check.fragment) if check else None
        if check is None or peer is None:
            return
        owner = self._by_path.get(path)
        if owner is not None and owner is not peer and owner.has_selected(path):
            return  # a forged source must not take another session's path
        answer = answer_check(check, peer.credentials, source=path[0])
        if answer is None:
            return
        by.send(answer.response, path[0])
        if answer.valid:
            forgotten = peer.checked(path, by, nominated=answer.nominates)
            self._by_path[path] = peer
            if forgotten is not None and self._by_path.get(forgotten) is peer:
                del self._by_path[forgotten]


def _ignore(_datagram: bytes) -> None:
    """Datagrams of a session that is over."""


def _bound_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound
