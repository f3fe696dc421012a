"""RTCP: what a publisher's reports say, and the feedback that it is sent (RFC 3550, section 6; RFC 4585).

A datagram is one or more packets (RFC 3550, 6.1). Each function that writes returns one packet, and datagrams
are made by joining them, a receiver report first, as every publisher understands it. What publishers send may
begin with anything: reduced size (RFC 5506) is read whether it was negotiated or not.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from struct import Struct
from typing import Final

MAX_RTCP_BYTES: Final = 1500
"""What an Ethernet frame carries; reports are some 50 bytes. It bounds what a datagram costs: 375 packets."""
MAX_REPORT_BLOCKS: Final = 31
"""A packet counts its blocks in five bits (RFC 3550, 6.4.2)."""
MAX_NACKED: Final = 256
"""As many as surely fit into a datagram of 1200 bytes, which every path takes, with a report before them."""
MAX_REMB_SSRCS: Final = 255
"""REMB counts them in eight bits."""

_VERSION: Final = 2
_HEADER: Final = Struct(">BBH")
_SENDER_INFORMATION: Final = Struct(">IQIII")
_REPORT_BLOCK: Final = Struct(">IIIIII")
_FEEDBACK: Final = Struct(">II")
_GENERIC_NACK_ENTRY: Final = Struct(">HH")
_WORD: Final = Struct(">I")
_WORD_BYTES: Final = 4
_MAX_WORD: Final = 2**32 - 1
_CNAME_ITEM: Final = 1  # RFC 3550, 6.5.1
_BITMASK_BITS: Final = 16
_REMB_MANTISSA_BITS: Final = 18
_REMB_MAX_EXPONENT: Final = 2**6 - 1
_REMB_IDENTIFIER: Final = b"REMB"
# RFC 3550, 6.4.1, DLSR: units of 1/65536 s.
_DELAY_UNITS_PER_SECOND: Final = 1 << 16


class _PacketType(IntEnum):
    """RFC 3550, 12.1, and RFC 4585, 6.1."""

    SENDER_REPORT = 200
    RECEIVER_REPORT = 201
    SOURCE_DESCRIPTION = 202
    GOODBYE = 203
    TRANSPORT_FEEDBACK = 205
    PAYLOAD_FEEDBACK = 206


# The formats of feedback: RFC 4585, 6.2 and 6.3, and application layer feedback, of which REMB is one.
_GENERIC_NACK: Final = 1
_PICTURE_LOSS_INDICATION: Final = 1
_APPLICATION_LAYER: Final = 15


class InvalidRtcp(ValueError):
    """A datagram that is not RTCP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """What a sender has sent, and its wall clock's *ntp* at *rtp_timestamp* (RFC 3550, 6.4.1)."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packets: int
    bytes: int

    @property
    def compact_ntp(self) -> int:
        """The middle 32 bits of *ntp*, by which a report block refers to this report (LSR)."""
        return self.ntp >> 16 & _MAX_WORD


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye:
    """These sources have ended (RFC 3550, 6.6)."""

    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """How one source is received (RFC 3550, 6.4.1). What does not fit its field is written as near as it goes.

    *fraction_lost* is in 256ths, *jitter* in units of the RTP clock; *highest_sequence_number* has the cycles
    in its upper half. *last_sender_report* is the compact_ntp of the last report, which came *delay* ago; 0 if
    none came.
    """

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_sequence_number: int
    jitter: int
    last_sender_report: int = 0
    delay: timedelta = timedelta(0)


RtcpPacket = SenderReport | Goodbye


def parse_rtcp(data: bytes) -> tuple[RtcpPacket, ...]:
    """Return the sender reports and goodbyes in the datagram *data*, in order; all else is passed over.

    Which packet stands first does not matter, so reduced size is taken without being negotiated.

    Raises:
        InvalidRtcp: *data* is no sequence of whole packets of version 2, or longer than MAX_RTCP_BYTES.
    """
    if not data or len(data) > MAX_RTCP_BYTES:
        raise InvalidRtcp(f"{len(data)} bytes are no RTCP datagram")
    found: list[RtcpPacket] = []
    for kind, count, body in _packets(memoryview(data)):
        if kind == _PacketType.SENDER_REPORT:
            found.append(_sender_report(body, blocks=count))
        elif kind == _PacketType.GOODBYE:
            found.append(_goodbye(body, sources=count))
    return tuple(found)


def _packets(data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yield type, count and body of each packet; see RFC 3550, A.2."""
    position = 0
    while position < len(data):
        begin = position + _HEADER.size
        if begin > len(data):
            raise InvalidRtcp("a packet's header is cut short")
        first, kind, words = _HEADER.unpack_from(data, position)
        position = begin + words * _WORD_BYTES
        if first >> 6 != _VERSION or position > len(data):
            raise InvalidRtcp("a packet has a wrong version or length")
        padding = data[position - 1] if first & 0x20 else 0
        if padding > position - begin or padding % _WORD_BYTES:
            raise InvalidRtcp("a packet is padded with more than it has")
        yield kind, first & 0x1F, data[begin : position - padding]


def _sender_report(body: memoryview, *, blocks: int) -> SenderReport:
    if len(body) < _SENDER_INFORMATION.size + blocks * _REPORT_BLOCK.size:
        raise InvalidRtcp("a sender report is cut short")
    ssrc, ntp, rtp_timestamp, packets, octets = _SENDER_INFORMATION.unpack_from(body)
    return SenderReport(ssrc=ssrc, ntp=ntp, rtp_timestamp=rtp_timestamp, packets=packets, bytes=octets)


def _goodbye(body: memoryview, *, sources: int) -> Goodbye:
    end = sources * _WORD_BYTES
    if len(body) < end:
        raise InvalidRtcp("a goodbye is cut short")
    return Goodbye(ssrcs=tuple(ssrc for (ssrc,) in _WORD.iter_unpack(body[:end])))


def receiver_report(ssrc: int, blocks: Sequence[ReportBlock]) -> bytes:
    """Return a compound packet by which *ssrc* reports *blocks*: RR, then SDES with CNAME (RFC 3550, 6.1).

    CNAME, which relates a participant's streams, is made from *ssrc*: a receiver has none to be related.

    Raises:
        ValueError: there are more than MAX_REPORT_BLOCKS.
    """
    if len(blocks) > MAX_REPORT_BLOCKS:
        raise ValueError(f"a receiver report has room for {MAX_REPORT_BLOCKS} blocks")
    report = _WORD.pack(ssrc) + b"".join(_block(block) for block in blocks)
    name = f"{ssrc:08x}".encode()
    # 6.5: the list of items ends with at least one zero byte, and on a word's boundary.
    item = bytes((_CNAME_ITEM, len(name))) + name
    description = _WORD.pack(ssrc) + item + bytes(_WORD_BYTES - len(item) % _WORD_BYTES)
    return _packet(_PacketType.RECEIVER_REPORT, len(blocks), report) + _packet(
        _PacketType.SOURCE_DESCRIPTION, 1, description
    )


def nack(ssrc: int, media_ssrc: int, sequence_numbers: Iterable[int]) -> bytes:
    """Return a generic NACK: *ssrc* asks *media_ssrc* for *sequence_numbers* once more (RFC 4585, 6.2.1).

    Only their lower 16 bits count. In the order of the stream they take the least room, also over a wrap.

    Raises:
        ValueError: there is none, or more than MAX_NACKED.
    """
    numbers = [number & 0xFFFF for number in sequence_numbers]
    if not 0 < len(numbers) <= MAX_NACKED:
        raise ValueError(f"a NACK names 1 to {MAX_NACKED} packets")
    entries: list[tuple[int, int]] = []
    for number in numbers:
        if entries:
            first, following = entries[-1]
            distance = (number - first) & 0xFFFF
            if distance <= _BITMASK_BITS:
                # BLP: bit 0 stands for the packet after PID. The same number twice sets none.
                entries[-1] = first, following | (1 << distance >> 1 if distance else 0)
                continue
        entries.append((number, 0))
    return _packet(
        _PacketType.TRANSPORT_FEEDBACK,
        _GENERIC_NACK,
        _FEEDBACK.pack(ssrc, media_ssrc) + b"".join(_GENERIC_NACK_ENTRY.pack(*entry) for entry in entries),
    )


def pli(ssrc: int, media_ssrc: int) -> bytes:
    """Return a picture loss indication: *ssrc* asks *media_ssrc* for a keyframe (RFC 4585, 6.3.1)."""
    return _packet(_PacketType.PAYLOAD_FEEDBACK, _PICTURE_LOSS_INDICATION, _FEEDBACK.pack(ssrc, media_ssrc))


def remb(ssrc: int, bitrate: int, media_ssrcs: Sequence[int]) -> bytes:
    """Return a receiver's estimate: *media_ssrcs* may send *bitrate*, in bits a second, together.

    draft-alvestrand-rmcat-remb-03, 2.2: 18 bits and an exponent, so what is said is less by a 131072nd at most.

    Raises:
        ValueError: *bitrate* is negative or beyond what REMB can say, or the SSRCs are more than
        MAX_REMB_SSRCS.
    """
    exponent = max(bitrate.bit_length() - _REMB_MANTISSA_BITS, 0)
    if bitrate < 0 or exponent > _REMB_MAX_EXPONENT or len(media_ssrcs) > MAX_REMB_SSRCS:
        raise ValueError("an estimate that REMB has no room for")
    estimate = len(media_ssrcs) << 24 | exponent << _REMB_MANTISSA_BITS | bitrate >> exponent
    # The media source of the packet itself is always 0.
    body = _FEEDBACK.pack(ssrc, 0) + _REMB_IDENTIFIER + _WORD.pack(estimate)
    return _packet(
        _PacketType.PAYLOAD_FEEDBACK, _APPLICATION_LAYER, body + b"".join(map(_WORD.pack, media_ssrcs))
    )


def _block(block: ReportBlock) -> bytes:
    lost = max(-(2**23), min(block.packets_lost, 2**23 - 1)) & 0xFFFFFF
    delay = round(block.delay.total_seconds() * _DELAY_UNITS_PER_SECOND)
    return _REPORT_BLOCK.pack(
        block.ssrc,
        _bounded(block.fraction_lost, 0xFF) << 24 | lost,
        block.highest_sequence_number & _MAX_WORD,
        _bounded(block.jitter, _MAX_WORD),
        block.last_sender_report,
        _bounded(delay, _MAX_WORD),
    )


def _bounded(value: int, most: int) -> int:
    return max(0, min(value, most))


def _packet(kind: _PacketType, count: int, body: bytes) -> bytes:
    return _HEADER.pack(_VERSION << 6 | count, kind, len(body) // _WORD_BYTES) + body
