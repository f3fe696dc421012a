"""Test clips in which every frame carries its own number, and the reader that finds the numbers again.

The strip lies over the top sixth of the picture: two rows of sixteen blocks, each a sixteenth of the width
and a twelfth of the height. Read row by row, a light block being one, they are the 24 bits of the frame's
number and eight of checksum, highest first. Blocks are fractions of the picture, so that the strip survives
scaling; at 256x144 each is still 16x12 pixels.

Below lies a moving picture with a clock of media time. The sound is a tone of 1 kHz with a beep of 2 kHz at
the beginning of each second.
"""

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from fractions import Fraction
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import av
import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Luminance = npt.NDArray[np.uint8]

CACHE: Final = Path(__file__).resolve().parents[2] / ".cache" / "clips"
# Part of every cached clip's name: raise it when what is drawn or encoded changes.
CLIP_VERSION: Final = 1

ROWS, COLUMNS = 2, 16
STRIP_HEIGHT: Final = Fraction(1, 6)
NUMBER_BITS: Final = 24
MAX_NUMBER: Final = 2**NUMBER_BITS - 1  # 77 hours at 60 frames a second
# Inside the legal range of video, so that a conversion of ranges clips nothing.
DARK, LIGHT = 40, 216
# A block whose mean is nearer than this to the middle was blurred away, or is no block.
MIDDLE, MARGIN = 128, 24
# CRC-8 with the polynomial x^8+x^2+x+1; it starts at ones, so that no number gives a strip of one colour.
_CRC_POLYNOMIAL, _CRC_START = 0x07, 0xFF


class Container(StrEnum):
    """The file formats in which a clip can be had; the value is the file's suffix."""

    FLV = "flv"
    MP4 = "mp4"
    MATROSKA = "mkv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """What a test clip is like; equal clips are made once."""

    width: int = 1280
    height: int = 720
    frame_rate: Fraction = Fraction(30)
    duration: timedelta = timedelta(seconds=20)
    keyframe_interval: timedelta = timedelta(seconds=2)
    video_bitrate: int = 4_000_000
    b_frames: int = 2
    audio: bool = True
    container: Container = Container.MP4

    @property
    def frames(self) -> int:
        """How many frames the clip has: those that begin before its end."""
        return -int(-Fraction(self.duration // timedelta(microseconds=1), 1_000_000) * self.frame_rate // 1)

    @property
    def file_name(self) -> str:
        """A name that says all that the clip is made from."""
        rate = str(self.frame_rate).replace("/", "-")
        keyframes = self.keyframe_interval // timedelta(milliseconds=1)
        sound = "" if self.audio else "_silent"
        return (
            f"v{CLIP_VERSION}_{self.width}x{self.height}_{rate}fps_{self.frames}frames_keyframe{keyframes}ms"
            f"_{self.video_bitrate // 1000}k_b{self.b_frames}{sound}.{self.container}"
        )


class StampedFrame(NamedTuple):
    """A decoded frame: the number that its strip carries, or None, and its presentation time in seconds."""

    number: int | None
    time: Fraction


def checksum(number: int) -> int:
    """Return the eight bits that guard *number*."""
    crc = _CRC_START
    for byte in number.to_bytes(NUMBER_BITS // 8, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ (_CRC_POLYNOMIAL if crc & 0x80 else 0)
        crc &= 0xFF
    return crc


def draw_strip(picture: Luminance, number: int) -> None:
    """Draw *number*, from 0 to MAX_NUMBER, over the top of *picture*."""
    word = number << 8 | checksum(number)
    for position, block in enumerate(_blocks(picture)):
        bit = word >> (ROWS * COLUMNS - 1 - position) & 1
        block[:] = LIGHT if bit else DARK


def read_strip(picture: Luminance) -> int | None:
    """Return the number that *picture* carries, or None where it cannot be read for certain."""
    word = 0
    for block in _blocks(picture):
        height, width = block.shape
        # Scaling and compression blur the edges; the inner half is the block's own.
        inner = block[height // 4 : height - height // 4, width // 4 : width - width // 4]
        mean = float(inner.mean())
        if abs(mean - MIDDLE) < MARGIN:
            return None
        word = word << 1 | (mean > MIDDLE)
    number, check = word >> 8, word & 0xFF
    return number if check == checksum(number) else None


def read_frame_numbers(media: bytes | Path) -> list[StampedFrame]:
    """Decode *media*, a file or a file's bytes, and return its frames in order of presentation."""
    source: Any = io.BytesIO(media) if isinstance(media, bytes) else str(media)
    frames: list[StampedFrame] = []
    with av.open(source) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            if frame.pts is None or frame.time_base is None:
                raise ValueError("a frame has no presentation time")
            plane = (
                frame.planes[0]
                if frame.format.name in {"yuv420p", "yuvj420p"}
                else frame.reformat(format="gray").planes[0]
            )
            pixels = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            luminance = pixels[: frame.height, : frame.width]
            frames.append(StampedFrame(read_strip(luminance), frame.pts * frame.time_base))
    return frames


def make_clip(clip: Clip, *, directory: Path = CACHE) -> Path:
    """Return the file of *clip* in *directory*, made now unless it is there already."""
    path = directory / clip.file_name
    if path.exists():
        return path
    directory.mkdir(parents=True, exist_ok=True)
    # Another test process may be making the same clip; each writes its own file, and the last one stays.
    unfinished = path.with_name(f".{os.getpid()}_{path.name}")
    with subprocess.Popen(_encoder(clip, unfinished), stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        for picture in _pictures(clip):
            encoder.stdin.write(picture)
    if encoder.returncode != 0:
        raise RuntimeError(f"FFmpeg could not make {path.name}")
    unfinished.replace(path)
    return path


def _blocks(picture: Luminance) -> Iterator[Luminance]:
    height, width = picture.shape
    rows = [round(row * height * STRIP_HEIGHT / ROWS) for row in range(ROWS + 1)]
    columns = [round(Fraction(column * width, COLUMNS)) for column in range(COLUMNS + 1)]
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            yield picture[top:bottom, left:right]


def _encoder(clip: Clip, path: Path) -> list[str]:
    keyframe_seconds = clip.keyframe_interval / timedelta(seconds=1)
    tone = "0.1*sin(2000*PI*t)+0.4*sin(4000*PI*t)*lt(mod(t,1),0.05)"
    seconds = float(clip.frames / clip.frame_rate)
    video_in = [
        "-f",
        "rawvideo",
        "-pix_fmt",
        "yuv420p",
        "-s",
        f"{clip.width}x{clip.height}",
        "-r",
        str(clip.frame_rate),
    ]
    audio_in = ["-f", "lavfi", "-i", f"aevalsrc='{tone}|{tone}':s=48000:d={seconds}"]
    return [
        imageio_ffmpeg.get_ffmpeg_exe(),
        *("-hide_banner", "-loglevel", "error", "-y"),
        *(*video_in, "-i", "pipe:0"),
        *(audio_in if clip.audio else ()),
        *("-c:v", "libx264", "-preset", "superfast", "-profile:v", "high", "-bf", str(clip.b_frames)),
        *(
            "-b:v",
            str(clip.video_bitrate),
            "-maxrate",
            str(clip.video_bitrate),
            "-bufsize",
            str(clip.video_bitrate),
        ),
        # Keyframes where the clip says, and nowhere else.
        *(
            "-force_key_frames",
            f"expr:gte(t,n_forced*{keyframe_seconds})",
            "-sc_threshold",
            "0",
            "-g",
            "100000",
        ),
        *("-c:a", "aac", "-b:a", "128k"),
        str(path),
    ]


def _pictures(clip: Clip) -> Iterator[bytes]:
    luminance, chrominance = _backdrop(clip.width, clip.height)
    clock = _Clock(clip)
    for number in range(clip.frames):
        # An eighth of the width a second, in whole chrominance pixels.
        left = int(number / clip.frame_rate * clip.width / 16) % clip.width
        picture = luminance[:, 2 * left : 2 * left + clip.width].copy()
        clock.draw(picture, number)
        draw_strip(picture, number)
        yield picture.tobytes()
        for plane in chrominance:
            yield plane[:, left : left + clip.width // 2].tobytes()


def _backdrop(width: int, height: int) -> tuple[Luminance, tuple[Luminance, Luminance]]:
    """Clouds of every size, wide enough for the picture to travel over them once around."""
    random = np.random.default_rng(0)

    def clouds(width: int, height: int, contrast: int) -> Luminance:
        picture = np.zeros((height, width))
        for octave in range(2, 7):
            noise = random.normal(size=(2**octave, 2 ** (octave + 1)))
            layer = Image.fromarray(noise.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
            picture += np.asarray(layer) / 2 ** (octave - 2)
        there = np.clip(MIDDLE + contrast * picture, 16, 235).astype(np.uint8)
        # There and back again, and the first view once more: the end meets the beginning.
        return np.concatenate((there, there[:, ::-1], there), axis=1)

    half = (width // 2, height // 2)
    chrominance = (clouds(*half, 20), clouds(*half, 20))
    for plane in chrominance:
        # The strip is grey, so that its luminance can be told from a browser's red, green and blue.
        plane[: -int(-half[1] * STRIP_HEIGHT // 1)] = MIDDLE
    return clouds(width, height, 45), chrominance


class _Clock:
    """The time and number of a frame in large digits, drawn from glyphs that are rendered once."""

    def __init__(self, clip: Clip) -> None:
        self._frame_rate = clip.frame_rate
        size = min(clip.height // 8, clip.width // 12)
        with as_file(files("font_hanken_grotesk") / "files" / "HankenGrotesk-Bold.otf") as file:
            font = ImageFont.truetype(str(file), size)
        self._width = max(int(font.getlength(character)) for character in "0123456789") + 2
        self._height = size + size // 2
        self._glyphs = {character: self._glyph(font, character) for character in "0123456789:.# "}
        self._top = clip.height // 2
        self._left = clip.width // 24

    def _glyph(self, font: ImageFont.FreeTypeFont, character: str) -> Luminance:
        glyph = Image.new("L", (self._width, self._height), DARK)
        middle = (self._width / 2, self._height / 2)
        ImageDraw.Draw(glyph).text(middle, character, fill=235, font=font, anchor="mm")
        return np.asarray(glyph)

    def draw(self, picture: Luminance, number: int) -> None:
        milliseconds = int(number / self._frame_rate * 1000)
        minutes, rest = divmod(milliseconds, 60_000)
        text = f"{minutes:02}:{rest // 1000:02}.{rest % 1000:03} #{number:05}"
        for place, character in enumerate(text):
            left = self._left + place * self._width
            place_of_glyph = picture[self._top : self._top + self._height, left : left + self._width]
            height, width = place_of_glyph.shape  # less than the glyph's own at the edge of a small picture
            place_of_glyph[:] = self._glyphs[character][:height, :width]


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=float(text))


def main(arguments: list[str]) -> int:
    """Make a clip, or read one: `python -m tools.frame_strip make clip.mp4`, `... read clip.mp4`."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.frame_strip", description="Clips with numbered frames."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="make a clip")
    make.add_argument("file", type=Path, help="the suffix says the container: .flv, .mp4 or .mkv")
    make.add_argument("--size", type=_size, default=(1280, 720), help="such as 1280x720")
    make.add_argument("--frame-rate", type=Fraction, default=Fraction(30), help="such as 30 or 30000/1001")
    make.add_argument("--duration", type=_seconds, default=timedelta(seconds=20), help="in seconds")
    make.add_argument("--keyframe-interval", type=_seconds, default=timedelta(seconds=2), help="in seconds")
    make.add_argument("--video-bitrate", type=int, default=4_000_000, help="in bits per second")
    make.add_argument("--no-audio", action="store_true")
    read = commands.add_parser("read", help="print the number and the time of every frame")
    read.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    if options.command == "read":
        for number, time in read_frame_numbers(options.file):
            print(f"{float(time):.6f} {'unreadable' if number is None else number}")
        return 0
    width, height = options.size
    clip = Clip(
        width=width,
        height=height,
        frame_rate=options.frame_rate,
        duration=options.duration,
        keyframe_interval=options.keyframe_interval,
        video_bitrate=options.video_bitrate,
        audio=not options.no_audio,
        container=Container(options.file.suffix.removeprefix(".")),
    )
    make_clip(clip, directory=options.file.parent).replace(options.file)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
