"""A movie of twelve hours at 60 pictures a second takes little memory, and is right to the last sample."""

import os
import subprocess
import sys
from array import array
from collections.abc import Iterator

from bucketcast.recording.audio_format import ENCODED_SOUND
from bucketcast.recording.movie import Piece, write_movie
from bucketcast.recording.part_head import PartHead, PlacedSamples, PlacedSegment
from bucketcast.recording.samples import AUDIO_FRAME_TICKS, OTHER_SAMPLE, SYNC_SAMPLE, SampleTable
from bucketcast.stream.identifiers import SegmentIndex, SessionNumber
from unit.bucketcast.recording.made_segments import FORMAT

HOURS = 12
SEGMENTS = HOURS * 1800
PER_PART = 5
PICTURES, TICKS, PICTURE_BYTES = 120, 1500, 10_000
SOUND_BYTES = 340
HEAD_BYTES = 12_000
SEGMENT_BYTES = PICTURES * PICTURE_BYTES + 94 * SOUND_BYTES
PART_BYTES = HEAD_BYTES + PER_PART * SEGMENT_BYTES
# The goal: eight megabytes of memory for an hour.
MAX_BYTES_PER_HOUR = 8 * 10**6


def pieces() -> Iterator[Piece]:
    """Parts of ten seconds, of segments of two; one picture after the other is out of order."""
    offsets = [TICKS, *([3 * TICKS, 0] * 60)][:PICTURES]
    pictures = SampleTable(
        decode_time=0,
        durations=array("I", [TICKS]) * PICTURES,
        sizes=array("I", [PICTURE_BYTES]) * PICTURES,
        composition_offsets=array("I", offsets),
        flags=array("I", [SYNC_SAMPLE]) + array("I", [OTHER_SAMPLE]) * (PICTURES - 1),
    )
    for first in range(0, SEGMENTS, PER_PART):
        segments = []
        for place, index in enumerate(range(first, first + PER_PART)):
            start = 900_000 + index * PICTURES * TICKS
            begin, end = (-(-time // AUDIO_FRAME_TICKS) for time in (index * 180_000, (index + 1) * 180_000))
            sound = SampleTable(
                decode_time=900_000 + begin * AUDIO_FRAME_TICKS,
                durations=array("I", [AUDIO_FRAME_TICKS]) * (end - begin),
                sizes=array("I", [SOUND_BYTES]) * (end - begin),
                composition_offsets=array("I", [0]) * (end - begin),
                flags=array("I", [SYNC_SAMPLE]) * (end - begin),
            )
            table = SampleTable(
                decode_time=start - TICKS,
                durations=pictures.durations,
                sizes=pictures.sizes,
                composition_offsets=pictures.composition_offsets,
                flags=pictures.flags,
            )
            position = HEAD_BYTES + place * SEGMENT_BYTES
            segments.append(
                PlacedSegment(
                    index=SegmentIndex(index),
                    video=PlacedSamples(table=table, position=position),
                    audio=PlacedSamples(table=sound, position=position + PICTURES * PICTURE_BYTES),
                )
            )
        yield Piece(
            session=SessionNumber(1),
            first=SegmentIndex(first),
            last=SegmentIndex(first + PER_PART - 1),
            head=PartHead(
                size=PART_BYTES,
                video_format=FORMAT,
                audio_format=ENCODED_SOUND,
                segments=tuple(segments),
            ),
        )


# VmHWM, since getrusage counts what a process was before it became this program.
_IN_A_PROCESS = """
from pathlib import Path
from bucketcast.recording.movie import write_movie
from unit.bucketcast.recording.test_movie_size import pieces
def most():
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return line.split()[1]
before = most()
movie = write_movie(pieces())
content = b"".join(movie.header)
print(before, most())
"""


def test_twelve_hours_fit_into_memory() -> None:
    """With the header in one piece, as it is uploaded."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", _IN_A_PROCESS]
    done = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
    before, most = (1024 * int(number) for number in done.stdout.split())
    assert most < 200 * 10**6
    assert most - before < HOURS * MAX_BYTES_PER_HOUR


def test_every_offset_of_twelve_hours_is_right() -> None:
    movie = write_movie(pieces())
    assert movie.frames == SEGMENTS * PICTURES
    # The last frame of sound outlasts the last picture.
    ticks = SEGMENTS * PICTURES * TICKS
    assert movie.duration.total_seconds() == (ticks + -ticks % AUDIO_FRAME_TICKS) / 90_000
    header = b"".join(movie.header)
    assert movie.header_bytes == len(header)
    assert movie.size == len(header) + SEGMENTS // PER_PART * PART_BYTES
    for kind, inner in ((b"vide", 0), (b"soun", PICTURES * PICTURE_BYTES)):
        begin = header.index(b"co64", header.index(kind)) + 8
        assert int.from_bytes(header[begin : begin + 4]) == SEGMENTS
        for index in range(SEGMENTS):
            part, place = divmod(index, PER_PART)
            expected = len(header) + part * PART_BYTES + HEAD_BYTES + place * SEGMENT_BYTES + inner
            assert int.from_bytes(header[begin + 4 + 8 * index : begin + 12 + 8 * index]) == expected
