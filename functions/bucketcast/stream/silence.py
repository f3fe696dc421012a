"""Silence in a transport stream (ISO/IEC 13818-1): what lies under the name of a segment that was given up.

A player that knows EXT-X-GAP never asks for it (RFC 8216bis, 4.4.4.7); another takes it for a segment. An empty
object is the end of the stream to VLC 3, and one without media stops GStreamer. Silence at the right time
carries both to the next segment.

Sessions have their clock and their sound in common, which is defined here.
"""

from datetime import timedelta
from typing import Final

from bucketcast.codecs.aac import FRAME_SAMPLES, silent_frame

# Where a session's time 0 lies in its transport streams: above every decode time that precedes it.
CLOCK_START: Final = timedelta(seconds=10)
# The transport streams' sound, whatever the source's: one rate and one grid for all sessions of all streams.
AUDIO_SAMPLE_RATE: Final = 48_000
AUDIO_FRAME_SAMPLES: Final = FRAME_SAMPLES

_TICKS_PER_SECOND = 90_000  # 2.4.3.7: PTS, and the base of the PCR
_TIMESTAMP_WRAP = 2**33
_PACKET_BYTES = 188
_HEADER_BYTES = 4
_ASSOCIATION_PID, _PROGRAM_MAP_PID, _VIDEO_PID, _AUDIO_PID = 0x0000, 0x1000, 0x100, 0x101
# The tables that FFmpeg writes before keyframes, with their CRC: one program, H.264 that has the clock, AAC.
_ASSOCIATION = bytes.fromhex("00 00b00d 0001 c10000 0001f000 2ab104b2")
_PROGRAM_MAP = bytes.fromhex("00 02b017 0001 c10000 e100 f000 1be100f000 0fe101f000 2f44b99b")
# ISO/IEC 14496-3: an ADTS header (AAC-LC, 48 kHz, stereo, 13 bytes), and silence.
_FRAME = bytes.fromhex("fff14c8001bffc") + silent_frame(2)
# ISO/IEC 13818-1, 2.7.2: the clock's time is told every 0.1 s at least, which is every fourth frame.
_FRAMES_PER_CLOCK_TIME = 4
# A clock's time is of before what it stands in front of is decoded.
_CLOCK_LEAD = timedelta(milliseconds=70)
# The next segment's sound may begin as much earlier than its first picture is shown, and must not overlap.
_NEXT_SOUND = timedelta(milliseconds=100)


def silent_segment(start: timedelta, duration: timedelta) -> bytes:
    """Return the transport stream of a segment that has sound, and in it nothing to hear.

    *start* is on the session's clock. Equal arguments give equal bytes, whoever creates the object.
    """
    first = -(-_samples(start) // AUDIO_FRAME_SAMPLES)
    end = _samples(start + duration - _NEXT_SOUND)
    packets = [_table(_ASSOCIATION_PID, _ASSOCIATION), _table(_PROGRAM_MAP_PID, _PROGRAM_MAP)]
    for counter, sample in enumerate(range(first * AUDIO_FRAME_SAMPLES, end, AUDIO_FRAME_SAMPLES)):
        ticks = _ticks(CLOCK_START) + sample * _TICKS_PER_SECOND // AUDIO_SAMPLE_RATE
        if counter % _FRAMES_PER_CLOCK_TIME == 0:
            packets.append(_clock_time(ticks - _ticks(_CLOCK_LEAD)))
        packets.append(_sound(ticks, counter))
    return b"".join(packets)


def _samples(time: timedelta) -> int:
    return time * AUDIO_SAMPLE_RATE // timedelta(seconds=1)


def _ticks(time: timedelta) -> int:
    return time * _TICKS_PER_SECOND // timedelta(seconds=1)


def _header(pid: int, *, unit_start: bool, content: int, counter: int = 0) -> bytes:
    """A packet's header (2.4.3.2); *content* is its adaptation_field_control."""
    return bytes((0x47, unit_start << 6 | pid >> 8, pid & 0xFF, content << 4 | counter % 16))


def _table(pid: int, section: bytes) -> bytes:
    header = _header(pid, unit_start=True, content=1)
    return (header + section).ljust(_PACKET_BYTES, b"\xff")


def _clock_time(ticks: int) -> bytes:
    """A packet with nothing but the program clock reference (2.4.3.4) of *ticks*."""
    header = _header(_VIDEO_PID, unit_start=False, content=2)
    length = _PACKET_BYTES - _HEADER_BYTES - 1
    reference = (ticks % _TIMESTAMP_WRAP) << 15 | 0x3F << 9
    return (header + bytes((length, 0x10)) + reference.to_bytes(6)).ljust(_PACKET_BYTES, b"\xff")


def _sound(ticks: int, counter: int) -> bytes:
    """A packet with one frame of silence, to be heard at *ticks* (2.4.3.6)."""
    marked = _marked(ticks % _TIMESTAMP_WRAP)
    rest = bytes((0x80, 0x80, len(marked))) + marked + _FRAME
    unit = b"\x00\x00\x01\xc0" + len(rest).to_bytes(2) + rest
    header = _header(_AUDIO_PID, unit_start=True, content=3, counter=counter)
    room = _PACKET_BYTES - _HEADER_BYTES - len(unit)
    return header + bytes((room - 1, 0)).ljust(room, b"\xff") + unit


def _marked(ticks: int) -> bytes:
    """A presentation time with its marker bits (2.4.3.7)."""
    high, middle, low = ticks >> 30, ticks >> 15 & 0x7FFF, ticks & 0x7FFF
    return (0b0010 << 36 | high << 33 | 1 << 32 | middle << 17 | 1 << 16 | low << 1 | 1).to_bytes(5)
