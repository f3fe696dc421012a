"""Opus: what its header says (RFC 7845), how long packets sound, and one that is silent (RFC 6716)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bucketcast.codecs.bits import InvalidBits

# RFC 7845, 5.1: a decoder's, whatever was recorded.
SAMPLE_RATE: Final = 48_000
# RFC 7845, 5.1: what every header holds, and how it begins; versions that only differ in the lower four bits
# can be read as this one.
_HEAD_BYTES, _MAGIC, _VERSION_BITS = 19, b"OpusHead", 4
# RFC 7845, 5.1.1.1: the channel mapping family of one channel or two.
_PLAIN_MAPPING, _PLAIN_CHANNELS = 0, (1, 2)
# RFC 6716, section 3.1, table 2: a frame's milliseconds by the upper bits of the TOC byte. SILK, hybrid, CELT.
_FRAME_MILLISECONDS = (*(10, 20, 40, 60) * 3, *(10, 20) * 2, *(2.5, 5, 10, 20) * 4)
# Section 3.2.5, R5: a packet is never longer.
_MAX_PACKET = timedelta(milliseconds=120)
# Section 3.1: configurations of CELT, full band, with the milliseconds of the one frame; the bit between says
# stereo.
_CELT = {20: 31 << 3, 10: 30 << 3, 5: 29 << 3, 2.5: 28 << 3}
_STEREO = 1 << 2
# Section 4.3: a CELT frame begins with its silence flag, which is set with a probability of 2**-15: by a range
# coder's highest value, all ones (4.1). The rest of the frame is not read then.
_SILENCE = b"\xff\xfe"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpusHead:
    """RFC 7845, 5.1: *channels* in one stream or several; *mapping* is the family that says in which order."""

    channels: int
    mapping: int

    @property
    def is_plain(self) -> bool:
        """Whether it is one stream of one channel or two, which every decoder takes."""
        return self.mapping == _PLAIN_MAPPING and self.channels in _PLAIN_CHANNELS


def parse_opus_head(data: bytes) -> OpusHead:
    """Return what *data*, an OpusHead, says; raises InvalidBits where it is none, or of an unknown version."""
    if len(data) < _HEAD_BYTES or not data.startswith(_MAGIC) or data[8] >> _VERSION_BITS:
        raise InvalidBits("the Opus configuration is not an OpusHead")
    return OpusHead(channels=data[9], mapping=data[18])


def packet_duration(packet: bytes) -> timedelta:
    """Return how long *packet* sounds: zero for one that holds no whole header (RFC 6716, section 3.2)."""
    if not packet:
        return timedelta(0)
    frame = timedelta(milliseconds=_FRAME_MILLISECONDS[packet[0] >> 3])
    code = packet[0] & 3
    if code == 3:
        # Section 3.2.5: the count of frames is in the second byte's lower six bits.
        return min(frame * (packet[1] & 0x3F), _MAX_PACKET) if len(packet) > 1 else timedelta(0)
    return frame * (1 if code == 0 else 2)


def silent_packet(channels: int, milliseconds: float = 20) -> bytes:
    """Return 20, 10, 5 or 2.5 *milliseconds* of silence for one channel or two."""
    return bytes((_CELT[milliseconds] | (_STEREO if channels == 2 else 0),)) + _SILENCE
