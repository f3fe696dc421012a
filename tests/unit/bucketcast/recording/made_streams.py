"""Transport streams made up for tests: each picture and each frame of sound says where it belongs."""

from datetime import timedelta
from typing import Final

from unit.bucketcast.recording.made_segments import (
    AUDIO_PID,
    CLOCK_START,
    PICTURE_SET,
    SEQUENCE_SET,
    VIDEO_PID,
    access_unit,
    adts,
    packets,
    pes,
    picture,
    table_packet,
)

PICTURES: Final = 4  # in a segment
FRAME_TICKS: Final = 1920
# As SEQUENCE_SET, for a picture twice as wide and high.
LARGER_SEQUENCE_SET: Final = bytes.fromhex("6764001eacec0a02ff97ff0000030001000003003c8f162d38")


def made_stream(session: int, index: int, *, duration: timedelta, sequence_set: bytes = SEQUENCE_SET) -> bytes:
    """The transport stream of segment *index* of *session*."""
    ticks = duration * 90_000 // timedelta(seconds=1)
    start = CLOCK_START + index * ticks
    units = []
    for number in range(PICTURES):
        stamp = picture_stamp(session, index, number)
        unit = (
            picture(stamp) if number else access_unit(b"\x09\x10", sequence_set, PICTURE_SET, b"\x65" + stamp)
        )
        units.append(packets(VIDEO_PID, pes(unit, start + number * ticks // PICTURES)))
    first = -(-index * ticks // FRAME_TICKS)
    end = -(-(index + 1) * ticks // FRAME_TICKS)
    units += [
        packets(AUDIO_PID, pes(adts(b"\x21sound"), CLOCK_START + number * FRAME_TICKS))
        for number in range(first, end)
    ]
    return b"".join((table_packet(), table_packet(0x1000), *units))


def picture_stamp(session: int, index: int, number: int) -> bytes:
    """What is in picture *number* of segment *index* of *session*; nothing in it is like a start code."""
    return b"\x80" + f"{session}/{index}/{number}".encode()
