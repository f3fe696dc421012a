"""The handshake (RTMP 1.0, section 5.2): three packets each way, of which only the sizes matter.

Flash's later digest handshake is not answered: a client that sends one sees a version of zero in S1 and goes
on with the plain handshake, as FFmpeg and OBS do.
"""

from typing import Final

from ingest.protocols.rtmp.errors import ProtocolError

VERSION: Final = 3
PACKET_BYTES: Final = 1536
RANDOM_BYTES: Final = PACKET_BYTES - 8

_FIRST_TEXT_VERSION: Final = 32
"""Versions from here on are not allowed, so that RTMP can be told from a text protocol (5.2.2)."""


class ServerHandshake:
    """The server's side: bytes in, bytes to send out."""

    __slots__ = ("_answered", "_buffer", "_random", "complete")

    def __init__(self, random: bytes) -> None:
        """*random* fills S1: any `RANDOM_BYTES` bytes that differ from one connection to the next."""
        if len(random) != RANDOM_BYTES:
            raise ValueError(f"S1 takes {RANDOM_BYTES} random bytes")
        self._random = random
        self._buffer = bytearray()
        self._answered = False
        self.complete = False

    def receive_data(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what is to be sent, and what of *data* lies behind the handshake.

        S0 is three whichever version was asked for, as 5.2.2 says; C2 is not compared with S1, since clients
        that began with a digest put something else there.

        Raises:
            ProtocolError: the first byte shows that this is not RTMP.
        """
        self._buffer += data
        if self._buffer[:1] and self._buffer[0] >= _FIRST_TEXT_VERSION:
            raise ProtocolError("This is not RTMP: no such protocol version exists.")
        answer = b""
        if not self._answered and len(self._buffer) >= 1 + PACKET_BYTES:
            self._answered = True
            c1 = bytes(self._buffer[1 : 1 + PACKET_BYTES])
            answer = bytes((VERSION,)) + bytes(8) + self._random + c1
        if len(self._buffer) < 1 + 2 * PACKET_BYTES:
            return answer, b""
        self.complete = True
        rest = bytes(self._buffer[1 + 2 * PACKET_BYTES :])
        self._buffer.clear()
        return answer, rest
