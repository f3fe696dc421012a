"""A WHIP publisher that costs nothing to speak of: FFmpeg's own muxer, which sends a ready-made clip by copy.

The clip is that of scripts/measure_encoding.py, which stands in for film: a test picture's flat areas would be
decoded for next to nothing, and that is what the ordinary way is made of.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from measure_encoding import RATE, make_clip
from tools.frame_strip import CACHE

WIDTH: Final = 1280
HEIGHT: Final = 720
VIDEO_BITRATE: Final = 2_500_000
KEYFRAME_SECONDS: Final = 2
# Part of the cached clip's name: raise it when the clip or how it is encoded changes.
_CLIP_VERSION: Final = 1


class PublisherEnded(subprocess.SubprocessError):
    """The publisher ended by itself; the text has its last words."""


def film_clip(ffmpeg: Path) -> Path:
    """Return the clip as a browser would send it, H.264 without B-frames and Opus; made unless it is there."""
    name = f"film-v{_CLIP_VERSION}_{WIDTH}x{HEIGHT}_{RATE}fps_{VIDEO_BITRATE // 1000}k.mkv"
    path = CACHE / name
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        made, encoded = Path(folder) / "clip.flv", Path(folder) / name
        make_clip(ffmpeg, made, WIDTH, HEIGHT)
        bitrate = str(VIDEO_BITRATE)
        subprocess.run(
            [
                ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-i", made,
                # aiortc answers no other profile.
                "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "baseline", "-bf", "0",
                "-b:v", bitrate, "-maxrate", bitrate, "-bufsize", bitrate,
                "-g", str(KEYFRAME_SECONDS * RATE), "-sc_threshold", "0",
                "-c:a", "libopus", "-b:a", "96k", "-ac", "2", encoded,
            ],
            check=True,
        )  # fmt: skip
        encoded.replace(path)
    return path


class Publisher:
    """FFmpeg, from the start of its process to its end."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """*process* writes its messages to *log*."""
        self._process = process
        self._log = log

    def check(self) -> None:
        """Raise PublisherEnded if it has ended."""
        if (status := self._process.poll()) is not None:
            words = self._log.read_text(errors="replace").strip().splitlines()
            raise PublisherEnded(f"FFmpeg ended with {status}: {words[-1] if words else 'it said nothing'}")


@contextmanager
def publishing(ffmpeg: Path, clip: Path, address: str, key: str, folder: Path) -> Iterator[Publisher]:
    """Send *clip* over and over in real time to the WHIP endpoint at *address* until the context ends."""
    command: list[str | Path] = [ffmpeg, "-hide_banner", "-loglevel", "warning", "-nostdin"]
    command += ["-re", "-stream_loop", "-1", "-i", clip, "-map", "0:v", "-map", "0:a", "-c", "copy"]
    command += ["-f", "whip", "-authorization", key, address]
    log = folder / "publisher.log"
    # Its messages may hold the key: for the owner's eyes only.
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as messages:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages, start_new_session=True
        )
    try:
        yield Publisher(process, log)
    finally:
        # Deaf to SIGTERM, it may wait for ever for a server that is gone.
        process.kill()
        process.wait()
