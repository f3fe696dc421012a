"""Opus packets: how long they sound, and one that is silent (RFC 6716)."""

from datetime import timedelta

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
