import subprocess
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.frame_strip import (
    MAX_NUMBER,
    Clip,
    Container,
    checksum,
    draw_strip,
    main,
    make_clip,
    read_frame_numbers,
    read_strip,
)

numbers = st.integers(0, MAX_NUMBER)
NTSC = Fraction(30000, 1001)
# A key frame interval that is longer than segments are and never falls together with their ends.
ODD_CLIP = Clip(
    width=640,
    height=360,
    frame_rate=NTSC,
    duration=timedelta(seconds=4),
    keyframe_interval=timedelta(seconds=3.3),
    container=Container.FLV,
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(ODD_CLIP, directory=tmp_path_factory.mktemp("clips"))


@given(number=numbers, width=st.integers(64, 300), height=st.integers(48, 300))
def test_every_number_is_read_from_a_picture_of_any_size(number: int, width: int, height: int) -> None:
    picture = np.full((height, width), 128, np.uint8)
    draw_strip(picture, number)
    assert number == read_strip(picture)


@given(number=numbers, bit=st.integers(0, 31))
def test_one_wrong_block_is_noticed(number: int, bit: int) -> None:
    picture = np.zeros((24, 32), np.uint8)
    draw_strip(picture, number)
    block = picture[bit // 16 * 2 : bit // 16 * 2 + 2, bit % 16 * 2 : bit % 16 * 2 + 2]
    block[:] = 255 - block
    assert read_strip(picture) is None


@pytest.mark.parametrize("shade", [0, 100, 128, 255])
def test_a_picture_without_a_strip_has_no_number(shade: int) -> None:
    assert read_strip(np.full((144, 256), shade, np.uint8)) is None


def test_no_number_gives_a_strip_of_one_colour() -> None:
    assert checksum(0) != 0
    assert checksum(MAX_NUMBER) != 0xFF


def test_a_clip_has_every_frame_once_at_its_own_time(clip: Path) -> None:
    frames = read_frame_numbers(clip)
    assert ODD_CLIP.frames == 120
    assert list(range(120)) == [frame.number for frame in frames]
    # FLV's clock counts milliseconds.
    late = [frame.time - frames[0].time - number / NTSC for number, frame in enumerate(frames)]
    assert max(map(abs, late)) <= Fraction(1, 1000)


def test_a_clips_keyframes_are_where_it_says(clip: Path) -> None:
    with av.open(str(clip)) as container:
        keyframes = [packet.pts or 0 for packet in container.demux(video=0) if packet.is_keyframe]
        assert [pts - keyframes[0] for pts in keyframes] == [0, 3303]
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]


@pytest.mark.parametrize(("size", "kilobits"), [("256x144", 80), ("426x240", 120)])
def test_every_number_survives_the_smallest_renditions(clip: Path, size: str, kilobits: int) -> None:
    rate = f"{kilobits}k"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(clip), "-an", "-s", size]
    encoder = ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", rate, "-maxrate", rate, "-bufsize", rate]
    ts = subprocess.run([*command, *encoder, "-f", "mpegts", "-"], capture_output=True, check=True).stdout
    assert list(range(120)) == [frame.number for frame in read_frame_numbers(ts)]
    # What x264 makes of such a rate, with all of TS around it, over four seconds.
    assert len(ts) < 4 * 2 * kilobits * 1000 / 8


def test_a_clip_is_made_once(tmp_path: Path) -> None:
    short = Clip(width=64, height=48, duration=timedelta(seconds=0.2), audio=False)
    first = make_clip(short, directory=tmp_path).stat()
    again = make_clip(short, directory=tmp_path).stat()
    assert (first.st_ino, first.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)
    assert [short.file_name] == [path.name for path in tmp_path.iterdir()]


def test_the_command_line_makes_and_reads_a_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "clip.mkv"
    assert (
        main(["make", str(file), "--size", "160x96", "--duration", "0.1", "--frame-rate", "25", "--no-audio"])
        == 0
    )
    assert main(["read", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == ["0.000000 0", "0.040000 1", "0.080000 2"]
