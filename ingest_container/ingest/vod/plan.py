"""What the job is going to make: decided once by the first task, and the same for all of them and all attempts.

Segments lie on a grid of media time, as live ones do (bucketcast.stream.grid): segment i is the same pictures
and sound whichever task encodes it, so ranges that are encoded apart join without a seam.
"""

from collections.abc import Collection, Iterator
from datetime import timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Final, Literal

import msgspec
from msgspec import Struct

from bucketcast.stream.configuration import Preset, StreamConfiguration
from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import BitsPerSecond, RungName, SegmentIndex
from bucketcast.stream.session_record import FrameRate
from ingest.encode.ladder import display_size, plan_ladder
from ingest.encode.source import SourceFacts, VideoSource
from ingest.vod.names import VodNames
from ingest.vod.source import Recording

# Long segments compress better, since each begins with a keyframe; players of VOD need not be near an edge. Six
# seconds is what Apple's authoring specification asks for.
SEGMENT_DURATION: Final = timedelta(seconds=6)
# x264's scale: 18 can hardly be told from its source, 23 is the encoder's default, 35 is visibly poor.
MIN_CRF, MAX_CRF = 12, 35
_MICROSECOND: Final = timedelta(microseconds=1)


class VodPreset(StrEnum):
    """x264's presets from the one that live encoding has time for."""

    SUPERFAST = "superfast"
    VERYFAST = "veryfast"
    FASTER = "faster"
    FAST = "fast"
    MEDIUM = "medium"
    SLOW = "slow"
    SLOWER = "slower"
    VERYSLOW = "veryslow"


class Compression(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How hard to compress: constant quality *crf*, held under each rung's bitrate, at *preset*'s effort."""

    preset: VodPreset = VodPreset.MEDIUM
    crf: int = 22


class VodRung(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rung as it is encoded; *video_bitrate* is the most that it may take."""

    name: RungName
    width: int
    height: int
    video_bitrate: BitsPerSecond
    profile: str
    level: str
    video_codec: str  # RFC 6381
    audio_codec: str
    threads: int


class VodPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the tasks are told of the *source*, an object in the media bucket, and of what to make of it."""

    version: Literal[1] = 1
    source: str
    frame_rate: FrameRate
    frames: int
    start: timedelta  # when the source's first picture is shown: time 0 of the grid
    width: int
    height: int
    square_pixels: bool
    has_audio: bool
    audio_bitrate: BitsPerSecond
    compression: Compression
    rungs: tuple[VodRung, ...]  # highest first
    segment_duration: timedelta = SEGMENT_DURATION

    @property
    def rate(self) -> Fraction:
        """The frame rate as a fraction."""
        return self.frame_rate.fraction

    @property
    def grid(self) -> SegmentGrid:
        """The grid that every task cuts on."""
        return SegmentGrid(frame_rate=self.rate, segment_duration=self.segment_duration)

    @property
    def segments(self) -> int:
        """How many segments there are; the last one is as long as what is left."""
        return self.grid.index_of_frame(self.frames - 1) + 1

    @property
    def duration(self) -> timedelta:
        """How long all segments are together."""
        return self.grid.time_of_frame(self.frames)

    def frames_of(self, segments: range) -> int:
        """How many pictures *segments*, which follow each other, have."""
        end = min(self.frames, self.grid.first_frame(SegmentIndex(segments.stop)))
        return end - self.grid.first_frame(SegmentIndex(segments.start))

    def duration_of(self, index: SegmentIndex) -> timedelta:
        """How long segment *index* is."""
        grid = self.grid
        end = min(self.frames, grid.first_frame(SegmentIndex(index + 1)))
        return grid.time_of_frame(end) - grid.start(index)

    def codecs(self, rung: VodRung) -> str:
        """CODECS of *rung*."""
        return f"{rung.video_codec},{rung.audio_codec}" if self.has_audio else rung.video_codec


def plan_vod(
    recording: Recording, configuration: StreamConfiguration, compression: Compression, *, source: str
) -> VodPlan:
    """Return how *recording*, the object *source*, is made into the VOD of a stream of *configuration*.

    The rungs are the stream's own, none larger than the recording.
    """
    video = VideoSource(
        width=recording.width, height=recording.height, sample_aspect_ratio=recording.sample_aspect_ratio
    )
    facts = SourceFacts(video=video, audio=None, frame_rate=recording.frame_rate)
    # Whatever preset the stream is encoded with live, here it is one of those that use the High profile.
    ladder = plan_ladder(msgspec.structs.replace(configuration, preset=Preset.MEDIUM), facts)
    width, height = display_size(video)
    return VodPlan(
        source=source,
        frame_rate=FrameRate(
            numerator=recording.frame_rate.numerator, denominator=recording.frame_rate.denominator
        ),
        frames=recording.frames,
        start=_MICROSECOND * round(recording.start * 1_000_000),
        width=int(width),
        height=int(height),
        square_pixels=recording.sample_aspect_ratio == 1,
        has_audio=recording.has_audio,
        audio_bitrate=configuration.audio_bitrate,
        compression=compression,
        rungs=tuple(
            VodRung(
                name=rung.name,
                width=rung.width,
                height=rung.height,
                video_bitrate=rung.video_bitrate,
                profile=rung.profile.name,
                level=rung.level.name,
                video_codec=rung.codecs.partition(",")[0],
                audio_codec=rung.codecs.partition(",")[2],
                threads=rung.threads,
            )
            for rung in ladder
        ),
    )


def task_segments(segments: int, *, task: int, tasks: int) -> range:
    """Return which of *segments* number *task* of *tasks* makes: all tasks' ranges in order are all segments.

    They differ by one segment at most; with more tasks than segments, some are empty.
    """
    return range(segments * task // tasks, segments * (task + 1) // tasks)


def missing_segments(plan: VodPlan, names: VodNames, wanted: range, there: Collection[str]) -> range:
    """Return what of *wanted* has still to be made: from the first segment that lacks a rung on.

    *there* are names that exist in the media bucket. What comes behind a hole is encoded again, for nothing,
    since an encoder that stopped for each hole would cost more than one that goes on.
    """
    for index in wanted:
        if any(name not in there for name in _segment_names(plan, names, SegmentIndex(index))):
            return range(index, wanted.stop)
    return range(wanted.stop, wanted.stop)


def is_encoded(plan: VodPlan, names: VodNames, there: Collection[str]) -> bool:
    """Whether every segment of every rung is among *there*."""
    return not missing_segments(plan, names, range(plan.segments), there)


def _segment_names(plan: VodPlan, names: VodNames, index: SegmentIndex) -> Iterator[str]:
    return (names.segment(rung.name, index) for rung in plan.rungs)
