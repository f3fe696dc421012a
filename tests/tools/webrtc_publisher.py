"""A WebRTC publisher whose every packet the test makes: connectivity checks, DTLS and SRTP, nothing above."""

import asyncio
from collections.abc import Sequence
from typing import Final, Self, cast

from aioice import stun
from aiortc import RTCIceTransport
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport

from ingest.protocols.whip.ice_lite import Address
from ingest.protocols.whip.secure_transport import Datagrams

FRAGMENT: Final = "publisher"
_CHECK_INTERVAL: Final = 0.1


def connectivity_check(fragment: str, password: str, **attributes: object) -> stun.Message:
    """A check for the session of *fragment*, signed with *password*."""
    message = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.REQUEST,
        attributes={
            "USERNAME": f"{fragment}:{FRAGMENT}",
            "PRIORITY": 1,
            "ICE-CONTROLLING": 1,
            **{name.replace("_", "-"): value for name, value in attributes.items()},
        },
    )
    message.add_message_integrity(password.encode())
    return message


class _Dtls(RTCDtlsTransport):
    def __init__(self, datagrams: Datagrams, certificate: RTCCertificate) -> None:
        super().__init__(cast("RTCIceTransport", datagrams), [certificate])
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    async def _handle_rtcp_data(self, data: bytes) -> None:
        self.received.put_nowait(data)


class WebRtcPublisher(asyncio.DatagramProtocol):
    """One socket; `connect`, then send packets in the clear, which are encrypted on their way."""

    def __init__(self) -> None:
        self._certificate = RTCCertificate.generateCertificate()
        self._datagrams = Datagrams(self._send)
        self._dtls = _Dtls(self._datagrams, self._certificate)
        self._udp: asyncio.DatagramTransport | None = None
        self._server: Address | None = None
        self.checked = asyncio.Event()
        """Whether a check was answered."""
        self.answers: list[stun.Message] = []

    @property
    def fingerprint(self) -> tuple[str, str]:
        """The hash function and value of our certificate's fingerprint."""
        first = self._certificate.getFingerprints()[0]
        return first.algorithm, first.value

    @property
    def rtcp(self) -> asyncio.Queue[bytes]:
        """What the server sent, in the clear."""
        return self._dtls.received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._udp = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if data[0] > 3:
            self._datagrams.put(data)
            return
        self.answers.append(stun.parse_message(data))
        self.checked.set()

    def _send(self, datagram: bytes) -> bool:
        self.send_datagram(datagram)
        return True

    def send_datagram(self, datagram: bytes) -> None:
        """Send *datagram* as it is."""
        assert self._udp is not None
        self._udp.sendto(datagram, self._server)

    async def open(self, server: Address) -> Self:
        """Make the socket from which *server* is sent to."""
        self._server = server
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=("::1" if ":" in server[0] else "127.0.0.1", 0)
        )
        return self

    async def check(self, fragment: str, password: str) -> None:
        """Make connectivity checks until one is answered."""
        while not self.checked.is_set():
            self.send_datagram(bytes(connectivity_check(fragment, password, USE_CANDIDATE=None)))
            try:
                await asyncio.wait_for(self.checked.wait(), _CHECK_INTERVAL)
            except TimeoutError:
                continue

    def be_dtls_server(self) -> None:
        """Wait for the handshake instead of beginning it."""
        self._dtls._set_role("server")

    async def shake_hands(self, fingerprints: Sequence[tuple[str, str]]) -> bool:
        """Shake hands with the server whose certificate has *fingerprints*; say whether it worked."""
        remote = [RTCDtlsFingerprint(algorithm=function, value=value) for function, value in fingerprints]
        await self._dtls.start(RTCDtlsParameters(fingerprints=remote))
        return self._dtls.state == "connected"

    async def send(self, packet: bytes) -> None:
        """Send an RTP or RTCP *packet*, encrypted."""
        await self._dtls._send_rtp(packet)

    async def close(self, *, goodbye: bool = True) -> None:
        """End; without *goodbye* as a process that is killed does."""
        if goodbye:
            await self._dtls.stop()
        elif self._dtls._task is not None:
            self._dtls._task.cancel()
        self._datagrams.close()
        if self._udp is not None:
            self._udp.close()
