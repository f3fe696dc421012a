from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from bucketcast.errors import Unavailable
from ingest.encode.source import UnusableSource
from ingest.vod.source import frame_rate, probe
from tools.frame_strip import Clip, make_clip

NTSC = Fraction(30000, 1001)


def test_a_recording_says_its_size_rate_and_length() -> None:
    clip = Clip(width=160, height=96, frame_rate=Fraction(25), duration=timedelta(seconds=5), audio=False)
    found = probe(str(make_clip(clip)))
    assert (found.width, found.height, found.sample_aspect_ratio) == (160, 96, Fraction(1))
    assert (found.frame_rate, found.duration) == (Fraction(25), Fraction(5))
    assert found.frames == 125
    assert found.start == Fraction(0)
    assert not found.has_audio


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "full_stream.mp4"
    file.write_bytes(b"no movie" * 100)
    with pytest.raises(UnusableSource, match="cannot be read"):
        probe(str(file))
    with pytest.raises(UnusableSource, match="cannot be read"):
        probe(str(tmp_path / "nothing.mp4"))


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sound.wav"
    file.write_bytes(
        b"RIFF\x24\x03\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\x03\0\0"
        + bytes(768)
    )
    with pytest.raises(UnusableSource, match="no picture"):
        probe(str(file))


def test_a_picture_without_a_length_is_refused(tmp_path: Path) -> None:
    """Such as a file that was cut off before it could say how long it is."""
    file = tmp_path / "pictures.mjpeg"
    with file.open("wb") as pictures:
        for _ in range(3):
            Image.new("RGB", (64, 48)).save(pictures, "JPEG")
    with pytest.raises(UnusableSource, match="how long"):
        probe(str(file))


def test_a_server_that_is_not_there_may_come_back() -> None:
    with pytest.raises(Unavailable):
        probe("http://127.0.0.1:9/full_stream.mp4")


@pytest.mark.parametrize(
    ("base", "average", "rate"),
    [
        (NTSC, NTSC, NTSC),
        # A picture that stands still for a minute lowers the average only.
        (Fraction(30), Fraction(20), Fraction(30)),
        (Fraction(90_000), Fraction(25), Fraction(25)),
        (Fraction(90_000), Fraction(120), Fraction(60)),
        (None, Fraction(1), Fraction(10)),
    ],
)
def test_the_rate_has_a_place_for_every_picture(
    base: Fraction | None, average: Fraction | None, rate: Fraction
) -> None:
    assert frame_rate(base, average) == rate


@pytest.mark.parametrize("average", [None, Fraction(0)])
def test_a_rate_that_nobody_knows_is_refused(average: Fraction | None) -> None:
    with pytest.raises(UnusableSource, match="frame rate"):
        frame_rate(None, average)
