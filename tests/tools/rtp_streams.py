"""RTP streams for tests: pictures and sound made up, put into packets, and what networks do to packets."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

MTU = 1200
START_CODE = b"\x00\x00\x01"


class BitWriter:
    """Writes bits and Exp-Golomb codes (ITU-T H.264, 7.2 and 9.1)."""

    def __init__(self) -> None:
        self._bits = ""

    def write(self, value: int, count: int) -> "BitWriter":
        """Write *value* in *count* bits, u(n)."""
        self._bits += format(value, f"0{count}b") if count else ""
        return self

    def unsigned(self, *values: int) -> "BitWriter":
        """Write *values*, ue(v)."""
        for value in values:
            code = format(value + 1, "b")
            self._bits += "0" * (len(code) - 1) + code
        return self

    def signed(self, *values: int) -> "BitWriter":
        """Write *values*, se(v)."""
        return self.unsigned(*(2 * value - 1 if value > 0 else -2 * value for value in values))

    def append(self, other: "BitWriter") -> "BitWriter":
        """Write what *other* holds."""
        self._bits += other._bits
        return self

    def payload(self) -> bytes:
        """Return what was written as a NAL unit's payload: with its trailing bits, and emulation prevented."""
        bits = self._bits + "1"
        bits += "0" * (-len(bits) % 8)
        return _prevent_emulation(int(bits, 2).to_bytes(len(bits) // 8))


def _prevent_emulation(data: bytes) -> bytes:
    """ITU-T H.264, 7.4.1."""
    written = bytearray()
    for byte in data:
        if written[-2:] == b"\x00\x00" and byte <= 3:
            written.append(3)
        written.append(byte)
    return bytes(written)


def sequence_set(
    width: int, height: int, *, set_id: int = 0, profile: int = 66, interlaced: bool = False, tail: int = 0
) -> bytes:
    """Return a sequence parameter set (ITU-T H.264, 7.3.2.1.1); another *tail* makes it another one."""
    bits = BitWriter().write(profile, 8).write(0xC0, 8).write(31, 8).unsigned(set_id)
    if profile >= 100:
        bits.unsigned(1, 0, 0).write(0, 2)  # 4:2:0, 8 bits, no scaling matrix
    fields = 2 if interlaced else 1
    columns, rows = -(-width // 16), -(-height // (16 * fields))
    bits.unsigned(tail, 2, 1).write(0, 1).unsigned(columns - 1, rows - 1)
    bits.write(0b001 if interlaced else 0b11, 3 if interlaced else 2)
    right, bottom = 16 * columns - width, 16 * fields * rows - height
    bits.write(1, 1).unsigned(0, right // 2, 0, bottom // (2 * fields))
    return b"\x67" + bits.write(0, 1).payload()


def picture_set(set_id: int = 0, *, sequence_set_id: int = 0, tail: int = 0) -> bytes:
    """Return the beginning of a picture parameter set (7.3.2.2), which is all that is looked at."""
    return b"\x68" + BitWriter().unsigned(set_id, sequence_set_id, tail).payload()


def slice_unit(
    data: bytes, *, idr: bool = False, first_macroblock: int = 0, picture_set_id: int = 0, kind: int = 5
) -> bytes:
    """Return a slice (7.3.3) that goes on with *data*, which holds no zeros; *kind* is its slice_type."""
    header = BitWriter().unsigned(first_macroblock, 7 if idr else kind, picture_set_id).payload()
    return (b"\x65" if idr else b"\x41") + header + data


def filling(size: int, seed: int = 0) -> bytes:
    """Return *size* bytes without a zero."""
    return bytes(Random(seed).choices(range(1, 256), k=size))


def length_prefixed(units: Iterable[bytes]) -> bytes:
    """Return NAL units as a feed has them."""
    return b"".join(len(unit).to_bytes(4) + unit for unit in units)


def h264_payloads(units: Sequence[bytes], *, mtu: int = MTU, random: Random | None = None) -> list[bytes]:
    """Return payloads of RFC 6184, mode 1, for *units*; *random* chooses among what is allowed."""
    payloads: list[bytes] = []
    waiting: list[bytes] = []

    def aggregate() -> None:
        if len(waiting) == 1 and (random is None or random.random() < 0.5):
            payloads.append(waiting[0])
        elif waiting:
            payloads.append(b"\x78" + b"".join(len(unit).to_bytes(2) + unit for unit in waiting))
        waiting.clear()

    for unit in units:
        room = mtu - 3 - sum(len(each) + 2 for each in waiting)
        is_fragmented = len(unit) > mtu or (random is not None and len(unit) > 3 and random.random() < 0.3)
        if is_fragmented or len(unit) > room or (random is not None and random.random() < 0.4):
            aggregate()
        if is_fragmented:
            payloads += _fragments(
                unit, mtu if random is None else random.randint(min(mtu, 3 + len(unit) // 12), mtu)
            )
        elif len(unit) <= mtu - 3:
            waiting.append(unit)
        else:
            payloads.append(unit)
    aggregate()
    return payloads


def _fragments(unit: bytes, mtu: int) -> list[bytes]:
    """RFC 6184, 5.8."""
    body = unit[1:]
    # A start and an end are not in one fragment.
    size = min(mtu - 2, -(-len(body) // 2))
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    indicator, kind = unit[0] & 0xE0 | 28, unit[0] & 0x1F
    last = len(pieces) - 1
    return [
        bytes((indicator, kind | (0x80 if not number else 0) | (0x40 if number == last else 0))) + piece
        for number, piece in enumerate(pieces)
    ]


def vp8_frame(width: int, height: int, data: bytes, *, keyframe: bool) -> bytes:
    """Return a VP8 frame's header (RFC 6386, 9.1) and *data*."""
    if not keyframe:
        return b"\x31\x00\x00" + data
    return b"\x30\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + data


def vp8_payloads(frame: bytes, *, mtu: int = MTU, descriptor: bytes = b"\x10") -> list[bytes]:
    """Return payloads of RFC 7741 for *frame*; *descriptor* is the first one's."""
    size = mtu - len(descriptor)
    going_on = bytes((descriptor[0] & ~0x10,)) + descriptor[1:]
    return [
        (going_on if start else descriptor) + frame[start : start + size]
        for start in range(0, len(frame), size)
    ]


def opus_packet(data: bytes = b"\x01\x02\x03", *, configuration: int = 31) -> bytes:
    """Return an Opus packet of one frame (RFC 6716, 3.1): 20 ms unless *configuration* says otherwise."""
    return bytes((configuration << 3,)) + data


@dataclass(kw_only=True)
class RtpSource:
    """One source: counts its packets as it writes them."""

    ssrc: int = 0x1234
    payload_type: int = 96
    sequence_number: int = 1000

    def packet(
        self, payload: bytes, *, timestamp: int, marker: bool = False, extension: bytes = b"", padding: int = 0
    ) -> bytes:
        """Return the next packet (RFC 3550, 5.1)."""
        first = 0x80 | (0x10 if extension else 0) | (0x20 if padding else 0)
        header = struct.pack(
            ">BBHII",
            first,
            self.payload_type | (0x80 if marker else 0),
            self.sequence_number & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            self.ssrc,
        )
        self.sequence_number += 1
        if extension:
            header += struct.pack(">HH", 0xBEDE, len(extension) // 4) + extension
        return header + payload + (bytes(padding - 1) + bytes((padding,)) if padding else b"")

    def packets(self, payloads: Sequence[bytes], *, timestamp: int, marker: bool = True) -> list[bytes]:
        """Return packets for *payloads*, which belong to one frame; the last one gets the *marker*."""
        last = len(payloads) - 1
        return [
            self.packet(payload, timestamp=timestamp, marker=marker and number == last)
            for number, payload in enumerate(payloads)
        ]

    def again(self, packet: bytes) -> bytes:
        """Return *packet*, another source's, as a retransmission by this one (RFC 4588, section 4)."""
        marker = bool(packet[1] & 0x80)
        timestamp = int.from_bytes(packet[4:8])
        return self.packet(packet[2:4] + packet[12:], timestamp=timestamp, marker=marker)


@dataclass(frozen=True, kw_only=True)
class VideoFrame:
    """A picture of a made-up stream: its NAL units or its VP8 frame, and when it is shown."""

    units: tuple[bytes, ...]
    timestamp: int
    keyframe: bool


def h264_frames(
    count: int,
    *,
    keyframe_every: int = 30,
    size: tuple[int, int] = (1280, 720),
    bytes_per_frame: int = 3000,
    keyframe_bytes: int = 30_000,
    ticks: int = 3000,
    first_timestamp: int = 0,
    slices: int = 1,
    seed: int = 0,
) -> list[VideoFrame]:
    """Return *count* different pictures with *ticks* between them; parameter sets before each keyframe."""
    frames = []
    for number in range(count):
        keyframe = number % keyframe_every == 0
        name = bytes((1 + (seed + number) // 200, 1 + (seed + number) % 200))
        data = name + filling((keyframe_bytes if keyframe else bytes_per_frame) // slices, seed + number)
        units = tuple(
            slice_unit(data, idr=keyframe, first_macroblock=100 * position) for position in range(slices)
        )
        if keyframe:
            units = (sequence_set(*size), picture_set(), *units)
        frames.append(VideoFrame(units=units, timestamp=first_timestamp + number * ticks, keyframe=keyframe))
    return frames


def h264_packets(
    frames: Iterable[VideoFrame], source: RtpSource, *, random: Random | None = None
) -> list[bytes]:
    """Return the packets of *frames*."""
    return [
        packet
        for frame in frames
        for packet in source.packets(h264_payloads(frame.units, random=random), timestamp=frame.timestamp)
    ]


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A datagram and when it arrives, in seconds."""

    at: float
    data: bytes = field(repr=False)


def sent(packets: Iterable[bytes], *, clock_rate: int = 90_000, begin: float = 0.0) -> list[Arrival]:
    """Return *packets* as a sender sends them: each at its timestamp's time, counted from the first one's."""
    arrivals: list[Arrival] = []
    first: int | None = None
    for packet in packets:
        timestamp = int.from_bytes(packet[4:8])
        first = timestamp if first is None else first
        at = begin + ((timestamp - first) & 0xFFFFFFFF) / clock_rate
        # A picture's packets leave one after another: 1,200 bytes at 100 Mb/s.
        after = arrivals[-1].at + 0.0001 if arrivals else 0.0
        arrivals.append(Arrival(at=max(at, after), data=packet))
    return arrivals


def lossy(arrivals: Iterable[Arrival], random: Random, *, share: float) -> list[Arrival]:
    """Return *arrivals* without a *share* of them; the first one comes."""
    return [arrival for number, arrival in enumerate(arrivals) if not number or random.random() >= share]


def jittered(arrivals: Iterable[Arrival], random: Random, *, seconds: float) -> list[Arrival]:
    """Return *arrivals*, each up to *seconds* later, in the order in which they come; the first is on time."""
    late = [
        replace(arrival, at=arrival.at + (random.random() * seconds if number else 0.0))
        for number, arrival in enumerate(arrivals)
    ]
    return sorted(late, key=lambda arrival: arrival.at)


def doubled(arrivals: Iterable[Arrival], random: Random, *, share: float) -> list[Arrival]:
    """Return *arrivals* with a *share* of them twice."""
    return [each for arrival in arrivals for each in [arrival] * (2 if random.random() < share else 1)]
