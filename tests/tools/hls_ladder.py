"""A ready-made HLS ladder, and a broadcast of it whose playlists advance with time."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import imageio_ffmpeg


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One row of the ladder; two may have the same size and differ in bitrate."""

    name: str
    width: int
    height: int
    kilobits: int


RUNGS = (
    Rung(name="180p", width=320, height=180, kilobits=300),
    Rung(name="180p-low", width=320, height=180, kilobits=120),
    Rung(name="90p", width=160, height=90, kilobits=60),
)
SEGMENT_DURATION = timedelta(seconds=1)

# As x264's constrained baseline at level 3.0 and AAC-LC are called in RFC 6381.
_CODECS = "avc1.42c01e,mp4a.40.2"
_FRAME_RATE = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """A folder of rungs, each with segments segment_000000.ts and so on, all of SEGMENT_DURATION."""

    folder: Path
    segments: int

    def multivariant_playlist(self) -> str:
        """The multivariant playlist that names every rung's playlist.m3u8."""
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-INDEPENDENT-SEGMENTS"]
        for rung in RUNGS:
            peak, average = rung.kilobits * 1500 + 96_000, rung.kilobits * 1000 + 64_000
            bandwidth = f"BANDWIDTH={peak},AVERAGE-BANDWIDTH={average}"
            picture = f'RESOLUTION={rung.width}x{rung.height},FRAME-RATE={_FRAME_RATE},CODECS="{_CODECS}"'
            lines += [f"#EXT-X-STREAM-INF:{bandwidth},{picture}", f"{rung.name}/playlist.m3u8"]
        return "\n".join(lines) + "\n"

    def media_playlist(self, *, first: int, last: int, zero: datetime, ended: bool) -> str:
        """The playlist of segments *first* to *last*; segment 0 begins at *zero*."""
        seconds = int(SEGMENT_DURATION.total_seconds())
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:3",
            f"#EXT-X-TARGETDURATION:{seconds}",
            f"#EXT-X-MEDIA-SEQUENCE:{first}",
        ]
        for index in range(first, last + 1):
            date = (zero + index * SEGMENT_DURATION).isoformat(timespec="milliseconds")
            lines += [
                f"#EXT-X-PROGRAM-DATE-TIME:{date}",
                f"#EXTINF:{seconds}.000000,",
                f"segment_{index:06d}.ts",
            ]
        if ended:
            lines.append("#EXT-X-ENDLIST")
        return "\n".join(lines) + "\n"


def make_ladder(folder: Path, *, segments: int) -> Ladder:
    """Encode a moving test picture and a tone into *folder* as a ladder of *segments* segments."""
    length = str(segments * SEGMENT_DURATION.total_seconds())
    picture = f"testsrc2=size={RUNGS[0].width}x{RUNGS[0].height}:rate={_FRAME_RATE}:duration={length}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", picture]
    command += ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={length}"]
    for rung in RUNGS:
        (folder / rung.name).mkdir(parents=True)
        command += ["-map", "0:v", "-map", "1:a", "-s", f"{rung.width}x{rung.height}", "-pix_fmt", "yuv420p"]
        command += ["-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-level", "3.0"]
        command += [
            "-b:v",
            f"{rung.kilobits}k",
            "-g",
            str(_FRAME_RATE),
            "-sc_threshold",
            "0",
            "-c:a",
            "aac",
            "-b:a",
            "48k",
        ]
        command += ["-f", "hls", "-hls_time", str(SEGMENT_DURATION.total_seconds()), "-hls_list_size", "0"]
        command += ["-hls_segment_filename", str(folder / rung.name / "segment_%06d.ts")]
        command += [str(folder / rung.name / "playlist.m3u8")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    ladder = Ladder(folder=folder, segments=segments)
    (folder / "master.m3u8").write_text(ladder.multivariant_playlist())
    return ladder


@dataclass(slots=True, kw_only=True)
class LiveBroadcast:
    """*ladder* on air: segment *first* to *first* + *window* - 1 at the start, one more each segment duration.

    A live edge that has reached the ladder's last segment stands still.
    """

    ladder: Ladder
    first: int = 0
    window: int = 6
    clock: Callable[[], float] = time.monotonic
    _zero: datetime = field(init=False)
    _began: float = field(init=False)
    _edge: int = field(init=False)
    _running: bool = field(default=True, init=False)
    _ended: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._edge = self.first + self.window - 1
        self._began = self.clock()
        # The newest segment has just been finished.
        self._zero = datetime.now(UTC) - (self._edge + 1) * SEGMENT_DURATION

    def edge(self) -> int:
        """The index of the newest segment."""
        if not self._running:
            return self._edge
        gone = timedelta(seconds=self.clock() - self._began) // SEGMENT_DURATION
        return min(self._edge + gone, self.ladder.segments - 1)

    def interrupt(self) -> None:
        """Let the live edge stand still, as without a broadcaster."""
        self._edge, self._running = self.edge(), False

    def resume(self) -> None:
        """Go on from where the live edge stood; dates after the pause run late by its length."""
        self._began, self._running = self.clock(), True

    def end(self) -> None:
        """Close the playlists with ENDLIST."""
        self.interrupt()
        self._ended = True

    def media_playlist(self) -> str:
        """What every rung's playlist.m3u8 says now."""
        edge = self.edge()
        first = max(self.first, edge - self.window + 1)
        return self.ladder.media_playlist(first=first, last=edge, zero=self._zero, ended=self._ended)
