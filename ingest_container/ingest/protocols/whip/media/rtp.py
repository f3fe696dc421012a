"""RTP packets (RFC 3550, section 5.1), those sent again (RFC 4588), and counters that wrap."""

import struct
from typing import Final, NamedTuple

_HEADER: Final = struct.Struct(">BBHII")
_EXTENSION: Final = struct.Struct(">HH")
_VERSION: Final = 2
_PADDING, _HAS_EXTENSION, _SOURCES = 0x20, 0x10, 0x0F
_MARKER: Final = 0x80


class InvalidRtp(ValueError):
    """A datagram is not an RTP packet, or its payload is not of the format that was negotiated."""


class RtpPacket(NamedTuple):
    """One packet; its counters as they were sent. *arrived* is in seconds of a monotonic clock."""

    payload_type: int
    marker: bool
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes
    arrived: float


def parse_rtp(data: bytes, *, arrived: float) -> RtpPacket:
    """Return the packet in *data*, without contributing sources, extension and padding.

    Raises:
        InvalidRtp: it is none.
    """
    size = len(data)
    if size < _HEADER.size:
        raise InvalidRtp("an RTP packet is cut short")
    first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != _VERSION:
        raise InvalidRtp("not an RTP packet")
    start = _HEADER.size + 4 * (first & _SOURCES)
    if first & _HAS_EXTENSION:
        if start + _EXTENSION.size > size:
            raise InvalidRtp("an RTP packet's extension is cut short")
        start += _EXTENSION.size + 4 * _EXTENSION.unpack_from(data, start)[1]
    end = size
    if first & _PADDING:
        end -= data[-1]
        if not data[-1]:
            raise InvalidRtp("an RTP packet's padding has no length")
    if start > end:
        raise InvalidRtp("an RTP packet is shorter than its header says")
    return RtpPacket(
        second & 0x7F, second >= _MARKER, sequence_number, timestamp, ssrc, data[start:end], arrived
    )


def restore_retransmission(packet: RtpPacket, *, payload_type: int, ssrc: int) -> RtpPacket | None:
    """Return the packet of *payload_type* and *ssrc* that *packet* sends again, or None if it holds nothing.

    RFC 4588, section 4: the original sequence number comes before the payload. Senders probe the bandwidth with
    packets of padding alone.
    """
    if len(packet.payload) < 2:
        return None
    return packet._replace(
        payload_type=payload_type,
        sequence_number=int.from_bytes(packet.payload[:2]),
        ssrc=ssrc,
        payload=packet.payload[2:],
    )


class TimestampUnwrapper:
    """One source's 32-bit timestamps, as numbers that do not wrap; the *first* stands for itself."""

    __slots__ = ("_last",)

    def __init__(self, first: int) -> None:
        self._last = first

    def unwrap(self, timestamp: int) -> int:
        """Return what *timestamp* stands for: the nearest to the one before."""
        self._last += (timestamp - self._last + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000
        return self._last
