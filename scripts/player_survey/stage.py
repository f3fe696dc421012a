"""The stream that is disturbed: a local system, a broadcaster that copies a clip, and what may happen."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from bucketcast.errors import PreconditionFailed
from bucketcast.gcp.storage import CloudStorageBucket
from bucketcast.objects import ABSENT
from bucketcast.stream.identifiers import RungName, SegmentIndex, parse_stream_id
from bucketcast.stream.media_object import DATE_KEY, gap_object
from bucketcast.stream.object_names import media_playlist_name, multivariant_playlist_name, parse_segment_name
from local_system.system import MEDIA_BUCKET, PROJECT, System
from player_survey.slow_encoder import child_named, slow_down

STREAM: Final = parse_stream_id("survey")
FRAME_RATE: Final = 30
SEGMENT: Final = timedelta(seconds=2)
# As small as carries a picture: two cores encode it and decode it in every player at once.
RUNGS: Final = ({"name": "360p", "video_kbps": 700}, {"name": "240p", "video_kbps": 300})
TOP, LOW = RungName("360p"), RungName("240p")
LARGE, SMALL = (640, 360), (426, 240)
CLIP_SECONDS: Final = 20
ON_AIR_SECONDS: Final = 40.0
POLL_SECONDS: Final = 0.2
REQUEST_SECONDS: Final = 10.0
# The encoder is at work on the segment after the last one listed; the next but one is still free.
AHEAD: Final = 2
# So slow that lag is noted after ten seconds, and found beyond catching up four seconds later.
TOO_SLOW: Final = 0.4
# Until the largest rung is shed; then the encoder is another one.
OVERLOADED_SECONDS: Final = 30.0
# How long a broadcaster needs to start again with another size.
MOMENT: Final = 1.0


def make_clip(ffmpeg: Path, path: Path, size: tuple[int, int]) -> Path:
    """Write a moving picture of *size* with a tone to *path*, as an encoder would send it; return *path*."""
    width, height = size
    subprocess.run(
        [
            ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y",
            "-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate={FRAME_RATE}",
            "-f", "lavfi", "-i", "sine=frequency=440:beep_factor=2:sample_rate=48000",
            "-t", str(CLIP_SECONDS), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
            "-pix_fmt", "yuv420p", "-b:v", "800k", "-maxrate", "800k", "-bufsize", "800k",
            "-g", str(2 * FRAME_RATE), "-c:a", "aac", "-b:a", "96k", "-ac", "2", path,
        ],
        check=True,
    )  # fmt: skip
    return path


class Stage:
    """A stream of *system*, its broadcaster, and its media bucket."""

    def __init__(self, system: System, ffmpeg: Path, folder: Path) -> None:
        self.system = system
        self.address = f"{system.url}/{MEDIA_BUCKET}/{multivariant_playlist_name(STREAM)}"
        self.viewer_page = system.viewer_page(STREAM)
        self._ffmpeg = ffmpeg
        self._clips = {size: make_clip(ffmpeg, folder / f"{size[1]}.mp4", size) for size in (LARGE, SMALL)}
        self._key = system.create_stream(STREAM, rungs=list(RUNGS)).stream_key
        self._broadcaster: subprocess.Popen[bytes] | None = None
        client = Client(
            project=PROJECT, credentials=AnonymousCredentials(), client_options={"api_endpoint": system.url}
        )
        self._media = CloudStorageBucket(client, MEDIA_BUCKET, patience=REQUEST_SECONDS)

    def send(self, size: tuple[int, int] = LARGE) -> None:
        """Broadcast the clip of *size*, over and over."""
        self._broadcaster = subprocess.Popen(
            [
                self._ffmpeg, "-loglevel", "quiet", "-nostdin", "-re", "-stream_loop", "-1",
                "-i", self._clips[size], "-c", "copy", "-f", "flv", f"{self.system.rtmp_url}/{self._key}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def cut(self) -> None:
        """End the broadcaster without a word, as a machine that fails."""
        if self._broadcaster is not None:
            self._broadcaster.kill()
            self._broadcaster.wait()
            self._broadcaster = None

    def overload(self) -> None:
        """Slow the encoder down until it is given up; raises RuntimeError where it is not."""
        encoder = child_named(self.system.processes["ingest"].pid, self._ffmpeg.name)
        if encoder is None or not slow_down(encoder, speed=TOO_SLOW, seconds=OVERLOADED_SECONDS):
            raise RuntimeError("the encoder was not given up")

    def end(self) -> None:
        """End the broadcast, as its owner does."""
        self.system.api("POST", f"streams/{STREAM}/end")

    def wait_until_on_air(self) -> None:
        """Return when players can open the stream; raises NotStarted."""
        self.system.wait_for(self.address, STREAM, seconds=ON_AIR_SECONDS)

    def state(self) -> Any:
        """What the API says of the stream."""
        return self.system.api("GET", f"streams/{STREAM}")

    def listed(self, rung: RungName = TOP) -> list[str]:
        """The addresses that the media playlist of *rung* lists, gaps left out."""
        url = f"{self.system.url}/{MEDIA_BUCKET}/{media_playlist_name(STREAM, rung)}"
        response = requests.get(url, timeout=REQUEST_SECONDS)
        response.raise_for_status()
        found, gap = [], False
        for line in response.text.splitlines():
            if line.startswith("#"):
                gap = gap or line == "#EXT-X-GAP"
            elif line:
                found += [] if gap else [line]
                gap = False
        return found

    def give_up(self, rungs: tuple[RungName, ...], count: int) -> int:
        """Put gaps in place of the next *count* segments of *rungs* before they are uploaded; say how many."""
        name = f"{STREAM}/{TOP}/{self.listed()[-1]}"
        last, facts = parse_segment_name(name), self._media.facts(name)
        assert facts
        date = datetime.fromisoformat(facts.metadata[DATE_KEY])
        made = 0
        for ahead in range(AHEAD, AHEAD + count):
            for rung in rungs:
                made += self._create_gap(rung, last.session, last.index + ahead, date + ahead * SEGMENT)
        return made

    def _create_gap(self, rung: RungName, session: Any, index: int, date: datetime) -> bool:
        gap = gap_object(
            STREAM,
            rung,
            session,
            SegmentIndex(index),
            start=index * SEGMENT,
            duration=SEGMENT,
            date=date,
        )
        try:
            self._media.write(gap, if_generation=ABSENT)
        except PreconditionFailed:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """Something that happens to a stream, and for how many *seconds* from its beginning players are watched.

    In the end the slot TOP lists segments of the rung *top*.
    """

    name: str
    happen: Callable[[Stage], None]
    seconds: float
    top: RungName = TOP

    def check(self, stage: Stage) -> None:
        """Raise RuntimeError where *stage* is not left as it should be: players have seen something else."""
        last = stage.listed()[-1]
        folder = last.rpartition("/")[0].removeprefix("../") or TOP
        if folder != self.top:
            raise RuntimeError(f"{self.name}: {TOP} lists {last}")


def _reconnect(after: float, size: tuple[int, int] = LARGE) -> Callable[[Stage], None]:
    def happen(stage: Stage) -> None:
        stage.cut()
        time.sleep(after)
        stage.send(size)

    return happen


def _gap(rungs: tuple[RungName, ...], count: int) -> Callable[[Stage], None]:
    def happen(stage: Stage) -> None:
        made = stage.give_up(rungs, count)
        if made != count * len(rungs):
            raise RuntimeError(f"only {made} gaps were there before the encoder")

    return happen


def _new_broadcast(stage: Stage) -> None:
    stage.cut()
    stage.end()
    time.sleep(10)
    stage.send()


# What a player has in hand, and what it takes to go on, is over by then; after a pause it takes some longer.
AFTERWARDS: Final = 35.0
RECOVERY: Final = 60.0

DISTURBANCES: Final = (
    Disturbance(name="nothing", happen=lambda _stage: None, seconds=20),
    Disturbance(name="a gap in the rung that plays", happen=_gap((TOP,), 1), seconds=AFTERWARDS),
    Disturbance(name="a gap in all rungs", happen=_gap((TOP, LOW), 1), seconds=AFTERWARDS),
    Disturbance(name="a rung lost for 10 s", happen=_gap((TOP,), 5), seconds=10 + AFTERWARDS),
    Disturbance(name="broadcaster back after 10 s", happen=_reconnect(10), seconds=10 + RECOVERY),
    Disturbance(name="broadcaster back after 50 s", happen=_reconnect(50), seconds=50 + RECOVERY),
    Disturbance(
        name="ladder change: back with half the size",
        happen=_reconnect(MOMENT, SMALL),
        seconds=AFTERWARDS,
        top=LOW,
    ),
    Disturbance(name="ladder change: back with all of it", happen=_reconnect(MOMENT), seconds=AFTERWARDS),
    Disturbance(
        name="too slow: the largest rung is shed",
        happen=Stage.overload,
        seconds=OVERLOADED_SECONDS + AFTERWARDS,
        top=LOW,
    ),
    Disturbance(name="ENDLIST, a new broadcast 10 s later", happen=_new_broadcast, seconds=10 + AFTERWARDS),
)
