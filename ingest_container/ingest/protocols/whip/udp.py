"""The UDP sockets of all WHIP sessions: one port, on every address of this machine that is served."""

import asyncio
import errno
import logging
import socket
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Final, cast

from ingest.protocols.whip.ice_lite import Address, Credentials, answer_check, parse_check

_log = logging.getLogger(__name__)

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

# An interface that goes away, or an IPv6 address that is not confirmed yet (RFC 4862, 5.4), is no reason to
# serve nobody; a port that is taken, or may not be had, is a mistake that somebody has to be told.
_ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})

# Where a peer is, and the number of the socket that heard it.
Path = tuple[Address, int]


class Discarded(StrEnum):
    """Why a datagram reached no session."""

    SIZE = "size"  # nothing that publishers send has it
    UNCHECKED_PATH = "unchecked path"  # media from where no connectivity check came
    MALFORMED_CHECK = "malformed check"
    UNKNOWN_SESSION = "unknown session"  # a check for one that is over, or never was
    FOREIGN_PATH = "foreign path"  # a check that would take another session's
    WRONG_PASSWORD = "wrong password"  # noqa: S105 - the name of a reason


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
        self._discarded = Counter[Discarded]()
        self.hosts: tuple[str, ...] = ()
        """The addresses that are bound."""
        self.port = 0

    @property
    def peers(self) -> int:
        """How many are served."""
        return len(self._peers)

    @property
    def discarded(self) -> Mapping[Discarded, int]:
        """How many datagrams reached no session, by what was wrong with them."""
        return self._discarded

    async def start(self, hosts: Sequence[str], port: int) -> None:
        """Bind *hosts*, IP addresses, all to *port*, or to one that is free everywhere where it is 0.

        Those that this machine does not have, or not yet, are left out.

        Raises:
            OSError: none of the addresses can be had, or the port cannot.
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
        absent = OSError(errno.EADDRNOTAVAIL, "there is no address to receive media on")
        served: list[str] = []
        for number, host in enumerate(hosts):
            try:
                bound = _bound_socket(host, port)
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                _log.warning("address is left out", extra={"host": host, "reason": str(error)})
                absent = error
                continue
            port = bound.getsockname()[1]
            transport, _ = await loop.create_datagram_endpoint(partial(_Socket, self, number), sock=bound)
            self._transports.append(transport)
            served.append(host)
        if not served:
            raise absent
        self.hosts, self.port = tuple(served), port

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
        discarded: Discarded | None = None
        if len(datagram) not in _DATAGRAM_BYTES:
            discarded = Discarded.SIZE
        elif datagram[0] <= _LAST_STUN_BYTE:
            discarded = self._take_check(datagram, path, by)
        elif (peer := self._by_path.get(path)) is not None:
            peer.on_datagram(datagram)
        else:
            discarded = Discarded.UNCHECKED_PATH
        if discarded is not None:
            self._discarded[discarded] += 1

    def _take_check(self, datagram: bytes, path: Path, by: _Socket) -> Discarded | None:
        """Answer the check in *datagram*, or return why it is none that is answered."""
        check = parse_check(datagram)
        if check is None:
            return Discarded.MALFORMED_CHECK
        peer = self._peers.get(check.fragment)
        if peer is None:
            return Discarded.UNKNOWN_SESSION
        owner = self._by_path.get(path)
        if owner is not None and owner is not peer and owner.has_selected(path):
            return Discarded.FOREIGN_PATH  # a forged source must not take it
        answer = answer_check(check, peer.credentials, source=path[0])
        if answer is None:
            return Discarded.WRONG_PASSWORD
        by.send(answer.response, path[0])
        if answer.valid:
            forgotten = peer.checked(path, by, nominated=answer.nominates)
            self._by_path[path] = peer
            if forgotten is not None and self._by_path.get(forgotten) is peer:
                del self._by_path[forgotten]
        return None


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
