"""The setting of a measurement: a ladder, the clip that is sent for it, and the system on free ports."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from benchmark.sender import Sender, read_source
from bucketcast.stream.configuration import RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, RungName, parse_stream_id
from ingest.encode.ladder import EncodingPlan, plan_encoding
from ingest.encode.opening import Opening
from ingest.feed import FeedItem
from local_system.sample import FULL, SMALL, SampleSize
from local_system.system import HOST, REAP_SECONDS, CreatedStream, System, free_ports
from tools.frame_strip import Clip, make_clip

STREAM: Final = parse_stream_id("bench")
# Longer than any latency, so that a frame's number says in which lap of the clip it was sent.
CLIP_DURATION: Final = timedelta(seconds=30)
ON_AIR_SECONDS: Final = 60.0
# As many rungs as a full ladder has, and so as many objects, for a small part of the encoding.
FOUR_SMALL_RUNGS: Final = SampleSize(
    stream=STREAM,
    width=640,
    height=360,
    video_kbps=800,
    rungs=(
        (RungName("360p"), 500),
        (RungName("288p"), 300),
        (RungName("216p"), 200),
        (RungName("144p"), 100),
    ),
)
# What is measured beside the steady broadcast takes no longer than this, so that a whole run stays short.
LONGEST_BESIDE: Final = timedelta(seconds=35)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What every measurement of a run shares."""

    clip: Clip
    path: Path
    rungs: tuple[tuple[str, int], ...]  # name and kb/s
    plan: EncodingPlan
    ffmpeg: Path
    folder: Path
    measured: timedelta  # how long a steady broadcast is measured
    warm_up: timedelta  # what starting costs is over by then
    short_views: int  # how often a player is started anew, beside the view that is watched for stalls

    @property
    def beside(self) -> timedelta:
        """How long viewers and peers are measured."""
        return min(self.measured, LONGEST_BESIDE)

    @property
    def slots(self) -> list[dict[str, Any]]:
        """The rungs as the API takes them."""
        return [{"name": name, "video_kbps": kbps} for name, kbps in self.rungs]

    def sender(self, port: int, key: str, folder: Path) -> Sender:
        """A sender of the clip."""
        return Sender(self.clip, self.path, (HOST, port), key, folder=folder)


def prepare(
    size: SampleSize,
    *,
    ffmpeg: Path,
    folder: Path,
    measured: timedelta,
    warm_up: timedelta,
    short_views: int,
) -> Setting:
    """Make the clip of *size*, unless it is there, and plan its ladder as the ingest would."""
    clip = Clip(
        width=size.width, height=size.height, duration=CLIP_DURATION, video_bitrate=size.video_kbps * 1000
    )
    path = make_clip(clip)
    rungs = tuple(
        RungConfiguration(name=RungName(name), video_bitrate=BitsPerSecond(1000 * kbps))
        for name, kbps in size.rungs
    )
    return Setting(
        clip=clip,
        path=path,
        rungs=size.rungs,
        plan=_plan(path, clip, StreamConfiguration(rungs=rungs)),
        ffmpeg=ffmpeg,
        folder=folder,
        measured=measured,
        warm_up=warm_up,
        short_views=short_views,
    )


def with_size(setting: Setting, size: SampleSize) -> Setting:
    """*setting* with the clip and the ladder of *size*."""
    return prepare(
        size,
        ffmpeg=setting.ffmpeg,
        folder=setting.folder,
        measured=setting.measured,
        warm_up=setting.warm_up,
        short_views=setting.short_views,
    )


def size_named(*, full_hd: bool) -> SampleSize:
    """720p with three rungs, or *full_hd* with four: those of `scripts/run`."""
    return FULL if full_hd else SMALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The running *system*, with a *stream* that nobody sends yet."""

    system: System
    stream: CreatedStream
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class OnAir:
    """A broadcast on the running *system*."""

    system: System
    sender: Sender
    folder: Path


@contextmanager
def ready(
    setting: Setting, name: str, *, direct_wake: bool = True, reap_seconds: int = REAP_SECONDS
) -> Iterator[Ready]:
    """Start the system, for System's own options; it ends with the context. Raises NotStarted."""
    folder = setting.folder / name
    folder.mkdir()
    # The ingest tells when it cuts a segment on this level only.
    os.environ["BUCKETCAST_LOG_LEVEL"] = "DEBUG"
    system = System(
        ports=free_ports(),
        admin_token=secrets.token_hex(16),
        logs=folder / "logs",
        ffmpeg=setting.ffmpeg,
        direct_wake=direct_wake,
        reap_seconds=reap_seconds,
    )
    with system:
        stream = system.create_stream(STREAM, rungs=setting.slots)
        yield Ready(system=system, stream=stream, folder=folder)


@contextmanager
def broadcasting(setting: Setting, prepared: Ready) -> Iterator[OnAir]:
    """Broadcast on the system that is *prepared* until the context ends. Raises NotStarted."""
    system, folder = prepared.system, prepared.folder
    with setting.sender(system.ports.rtmp, prepared.stream.stream_key, folder) as sender:
        system.wait_for(f"{system.media_url}/{STREAM}/master.m3u8", "the broadcast", seconds=ON_AIR_SECONDS)
        yield OnAir(system=system, sender=sender, folder=folder)


@contextmanager
def on_air(setting: Setting, name: str, *, direct_wake: bool = True) -> Iterator[OnAir]:
    """Start the system and a broadcast on it; both end with the context. Raises NotStarted."""
    with (
        ready(setting, name, direct_wake=direct_wake) as prepared,
        broadcasting(setting, prepared) as broadcast,
    ):
        yield broadcast


def _plan(path: Path, clip: Clip, configuration: StreamConfiguration) -> EncodingPlan:
    source = read_source(path, clip.frame_rate)
    opening = Opening()
    items: tuple[FeedItem, ...] = (*source.configurations, *source.frames)
    for item in items:
        if (opened := opening.add(item)) is not None:
            return plan_encoding(configuration, opened.source)
    raise ValueError(f"{path.name} is too short to be opened")
