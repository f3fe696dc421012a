"""The seam to aiortc: DTLS and SRTP over datagrams that we move, and packets that we read.

aiortc has no public way to receive media that is not decoded. This module is the only one that touches what is
private in it: `RTCDtlsTransport._handle_rtp_data` and `_handle_rtcp_data` are overridden, `_send_rtp` and
`_set_role` are called, and a transport with `_recv`, `_send` and `role` stands in for its RTCIceTransport.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, cast

from aiortc import RTCIceTransport
from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
)

# What may wait to be read: a keyframe of 2 MB in packets. Beyond it datagrams are dropped, as in the kernel.
MAX_WAITING_DATAGRAMS: Final = 2048
# Each costs libsrtp memory for as long as the session lasts, and time for every packet. A browser has four, and
# new ones when its user changes the camera.
MAX_SOURCES: Final = 256
# RFC 8122, 5, and RFC 8827, 6.5: the hash function that everybody has.
_HASH: Final = "sha-256"


class Datagrams:
    """Stands in for aiortc's RTCIceTransport: datagrams in from a peer, and out to it."""

    role = "controlled"

    def __init__(self, send: Callable[[bytes], bool]) -> None:
        """Send with *send*, which says whether there is a way to the peer."""
        self._waiting: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._is_closed = False
        self._send_datagram = send
        self.dropped = 0
        """Datagrams that came faster than they were read."""

    def put(self, datagram: bytes) -> None:
        """Take what came from the peer."""
        if len(self._waiting) < MAX_WAITING_DATAGRAMS:
            self._waiting.append(datagram)
            self._arrived.set()
        else:
            self.dropped += 1

    def close(self) -> None:
        """End whoever reads, and send no more."""
        self._is_closed = True
        self._send_datagram = _is_nowhere
        self._arrived.set()

    async def _recv(self) -> bytes:
        while not self._waiting:
            if self._is_closed:
                raise ConnectionError("the session is closed")
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    async def _send(self, datagram: bytes) -> None:
        if not self._send_datagram(datagram):
            raise ConnectionError("the peer made no connectivity check yet")


class SecureTransport:
    """Our side of DTLS-SRTP (RFC 5764) with one peer."""

    def __init__(
        self,
        datagrams: Datagrams,
        *,
        is_server: bool,
        on_rtp: Callable[[bytes], None],
        on_rtcp: Callable[[bytes], None],
        on_closed: Callable[[], None],
    ) -> None:
        """Wait for the handshake as the server (a=setup:passive), or begin it.

        Decrypted packets go to *on_rtp* and *on_rtcp*; *on_closed* is told that the peer said goodbye.
        """
        # A certificate of its own for every session: nobody can tell that two are of one server.
        self._certificate = RTCCertificate.generateCertificate()
        self._datagrams = datagrams
        self._dtls = _Dtls(datagrams, self._certificate, on_rtp, on_rtcp, is_server=is_server)
        self._on_closed = on_closed

    @property
    def fingerprint(self) -> str:
        """Our certificate's fingerprint as SDP has it: the hash function, a space, and the value."""
        (value,) = (f.value for f in self._certificate.getFingerprints() if f.algorithm == _HASH)
        return f"{_HASH} {value}"

    async def connect(self, fingerprints: Sequence[tuple[str, str]]) -> bool:
        """Shake hands with the peer whose certificate has *fingerprints*, function and value each.

        Returns whether that worked. To be cancelled when it takes too long; whatever happens, close.
        """
        remote = [RTCDtlsFingerprint(algorithm=function, value=value) for function, value in fingerprints]
        await self._dtls.start(RTCDtlsParameters(fingerprints=remote))
        connected = self._dtls.state == "connected"
        if connected:
            self._dtls.on("statechange", self._changed)
        return connected

    def _changed(self) -> None:
        if self._dtls.state == "closed":
            self._on_closed()

    async def send_rtcp(self, packet: bytes) -> None:
        """Encrypt and send *packet*; raises ConnectionError when the transport is closed."""
        await self._dtls.send(packet)

    async def close(self) -> None:
        """Say goodbye, and leave no task behind.

        Nor any callback: in a cycle of references OpenSSL's memory would wait for the garbage collector.
        """
        self._dtls.remove_all_listeners()
        await self._dtls.stop()
        self._datagrams.close()
        self._dtls.let_go()
        self._on_closed = _nothing


class _Dtls(RTCDtlsTransport):
    def __init__(
        self,
        datagrams: Datagrams,
        certificate: RTCCertificate,
        on_rtp: Callable[[bytes], None],
        on_rtcp: Callable[[bytes], None],
        *,
        is_server: bool,
    ) -> None:
        super().__init__(cast("RTCIceTransport", datagrams), [certificate])
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._sources: set[bytes] = set()
        self._set_role("server" if is_server else "client")

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:  # noqa: ARG002  # aiortc's
        self._sources.add(data[8:12])  # RFC 3550, 5.1: the SSRC
        if len(self._sources) > MAX_SOURCES:
            raise ConnectionError("the peer sends under too many SSRCs")
        self._on_rtp(data)

    async def _handle_rtcp_data(self, data: bytes) -> None:
        self._on_rtcp(data)

    async def send(self, packet: bytes) -> None:
        await self._send_rtp(packet)

    def let_go(self) -> None:
        self._on_rtp = self._on_rtcp = _ignore


def _ignore(_packet: bytes) -> None:
    """Packets of a session that is over."""


def _nothing() -> None:
    """Nobody has to be told any more."""


def _is_nowhere(_datagram: bytes) -> bool:
    return False
