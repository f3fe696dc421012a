"""Silence is a whole transport stream, and lies within the time of its segment."""

import subprocess
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.silence import CLOCK_START, silent_segment

SEGMENT = timedelta(seconds=2)
TICKS = 90_000
WRAP = 2**33
FRAME_TICKS = 1024 * TICKS // 48_000

starts = st.integers(0, 4 * 365 * 86_400 * 30).map(lambda frame: timedelta(microseconds=frame * 10**6 // 30))


def packets(data: bytes) -> list[bytes]:
    return [data[place : place + 188] for place in range(0, len(data), 188)]


def pid(packet: bytes) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def times(data: bytes) -> list[int]:
    """The presentation times of the sound in *data*."""
    found = []
    for packet in packets(data):
        if pid(packet) == 0x101:
            field = packet[5 + packet[4] + 9 :][:5]
            high, middle, low = (
                field[0] >> 1 & 7,
                int.from_bytes(field[1:3]) >> 1,
                int.from_bytes(field[3:]) >> 1,
            )
            found.append(high << 30 | middle << 15 | low)
    return found


@given(starts, st.integers(2, 12).map(lambda halves: halves * timedelta(seconds=0.5)))
def test_sound_lies_within_the_segment_and_leaves_no_hole(start: timedelta, duration: timedelta) -> None:
    begin = (start + CLOCK_START) * TICKS // timedelta(seconds=1)
    offsets = [(time - begin) % WRAP for time in times(silent_segment(start, duration))]
    assert offsets[0] <= FRAME_TICKS
    assert all(later - earlier == FRAME_TICKS for earlier, later in pairwise(offsets))
    assert 0 < duration * TICKS // timedelta(seconds=1) - offsets[-1] <= 0.15 * TICKS


@given(starts)
def test_it_is_whole_packets_with_tables_first(start: timedelta) -> None:
    data = silent_segment(start, SEGMENT)
    found = packets(data)
    assert len(data) % 188 == 0
    assert all(packet[0] == 0x47 for packet in found)
    assert [pid(packet) for packet in found[:3]] == [0, 0x1000, 0x100]
    # VLC 3 takes what is shorter than about 8.5 kB for the end of the stream.
    assert len(data) > 10_000


@pytest.mark.parametrize("start", [timedelta(0), timedelta(seconds=4), timedelta(days=3, seconds=2)])
def test_decoders_hear_silence(tmp_path: Path, start: timedelta) -> None:
    path = tmp_path / "silence.ts"
    path.write_bytes(silent_segment(start, SEGMENT))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-i", path, "-map", "0:a"]
    done = subprocess.run([*command, "-f", "s16le", "-"], capture_output=True, check=True)
    seconds = Fraction(len(done.stdout), 2 * 2 * 48_000)
    assert not any(done.stdout)
    assert abs(seconds - Fraction(19, 10)) < Fraction(1, 20)


def test_its_tables_are_those_that_ffmpeg_writes() -> None:
    """A decoder goes on with the tables that it has."""
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error"),
        *("-f", "lavfi", "-i", "testsrc2=size=64x64", "-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "1"),
        *("-c:v", "libx264", "-c:a", "aac", "-f", "mpegts", "-"),
    ]
    encoded = packets(subprocess.run(command, capture_output=True, check=True).stdout)
    silent = packets(silent_segment(timedelta(0), SEGMENT))
    for table in (0, 0x1000):
        theirs, ours = (next(one for one in stream if pid(one) == table) for stream in (encoded, silent))
        assert theirs == ours
