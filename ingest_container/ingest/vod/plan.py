"""What the job is going to make: decided once by the first task, and the same for all of them and all attempts.

Segments lie on a grid of media time, as live ones do (bucketcast.stream.grid): segment i is the same pictures
and sound whichever task encodes it, so ranges that are encoded apart join without a seam. Each file of a
recording has a grid of its own, from its own first picture; its segments' numbers go on where those of the file
before it end.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Final, Literal

import msgspec
from msgspec import Struct

from bucketcast.stream.configuration import Preset, StreamConfiguration
from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import BitsPerSecond, RungName, SegmentIndex
from bucketcast.stream.session_record import EncodedRung, FrameRate
from bucketcast.stream.window import rung_for_slot
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
    crf: int = 21


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


class SourcePlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that an encoder is told of one file, the object *name* in the media bucket, and of what to make.

    Its segments are counted from 0 here; number 0 is number *first_segment* of the VOD.
    """

    name: str
    first_segment: SegmentIndex
    frame_rate: FrameRate
    frames: int
    start: timedelta  # when the file's first picture is shown: time 0 of the grid
    width: int
    height: int
    square_pixels: bool
    has_audio: bool
    with_audio: bool  # whether the VOD has sound: where this file has none, it is silent
    audio_bitrate: BitsPerSecond
    compression: Compression
    rungs: tuple[VodRung, ...]  # highest first
    segment_duration: timedelta = SEGMENT_DURATION
    adaptive: bool = False  # its pictures change their size, and this is the largest

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

    @property
    def indexes(self) -> range:
        """The numbers that its segments have in the VOD."""
        return range(self.first_segment, self.first_segment + self.segments)

    def in_slot(self, slot: RungName) -> VodRung:
        """The rung that fills *slot*, as live does: itself, else the nearest below, else the nearest above."""
        encoded = (
            EncodedRung(name=rung.name, width=rung.width, height=rung.height, codecs=rung.video_codec)
            for rung in self.rungs
        )
        chosen = rung_for_slot(slot, tuple(encoded)).name
        return next(rung for rung in self.rungs if rung.name == chosen)


class VodPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the tasks are told: the recording's files, one or more, in the order they play.

    *slots* are the stream's rungs that any file has, highest first: what a viewer can choose from.
    """

    version: Literal[2] = 2
    slots: tuple[RungName, ...]
    sources: tuple[SourcePlan, ...]

    @property
    def segments(self) -> int:
        """How many segments there are."""
        return self.sources[-1].indexes.stop

    @property
    def frames(self) -> int:
        """How many pictures there are."""
        return sum(source.frames for source in self.sources)

    @property
    def duration(self) -> timedelta:
        """How long all segments are together."""
        return sum((source.duration for source in self.sources), timedelta(0))

    @property
    def rate(self) -> Fraction:
        """The highest frame rate, which is what FRAME-RATE says (RFC 8216bis, 4.4.6.2)."""
        return max(source.rate for source in self.sources)

    @property
    def longest(self) -> SourcePlan:
        """The file that lasts longest, the first of equals: what is said once for all has its shape."""
        return max(self.sources, key=lambda source: source.duration)

    def source_of(self, index: SegmentIndex) -> SourcePlan:
        """The file that segment *index* of the VOD is made of."""
        return self.sources[bisect_right(self.sources, index, key=lambda source: source.first_segment) - 1]

    def parts(self, segments: range) -> Iterator[tuple[SourcePlan, range]]:
        """Yield which segments of which file *segments* of the VOD are, by the file's own numbers."""
        for source in self.sources:
            start = max(segments.start, source.indexes.start) - source.first_segment
            stop = min(segments.stop, source.indexes.stop) - source.first_segment
            if start < stop:
                yield source, range(start, stop)

    def video_codec(self, slot: RungName) -> str:
        """What decodes the pictures of *slot*: all rungs have one profile, and of its levels the highest."""
        return max(source.in_slot(slot).video_codec for source in self.sources)

    def codecs(self, slot: RungName) -> str:
        """CODECS of *slot*."""
        video, audio = self.video_codec(slot), self.longest.in_slot(slot).audio_codec
        return f"{video},{audio}" if self.longest.with_audio else video


def plan_vod(
    recordings: Mapping[str, Recording], configuration: StreamConfiguration, compression: Compression
) -> VodPlan:
    """Return how *recordings*, by name in the order they play, become the VOD of a stream of *configuration*.

    The rungs of each are the stream's own, none larger than the recording. Where one has sound, all have: a
    player that has begun with sound, or without, wants it to stay so.
    """
    with_audio = any(recording.has_audio for recording in recordings.values())
    sources: list[SourcePlan] = []
    for name, recording in recordings.items():
        first = SegmentIndex(sources[-1].indexes.stop if sources else 0)
        source = _plan_source(name, first, recording, configuration, compression, with_audio=with_audio)
        sources.append(source)
    encoded = {rung.name for source in sources for rung in source.rungs}
    return VodPlan(
        slots=tuple(rung.name for rung in configuration.rungs if rung.name in encoded), sources=tuple(sources)
    )


def _plan_source(
    name: str,
    first_segment: SegmentIndex,
    recording: Recording,
    configuration: StreamConfiguration,
    compression: Compression,
    *,
    with_audio: bool,
) -> SourcePlan:
    video = VideoSource(
        width=recording.width, height=recording.height, sample_aspect_ratio=recording.sample_aspect_ratio
    )
    facts = SourceFacts(video=video, audio=None, frame_rate=recording.frame_rate)
    # Whatever preset the stream is encoded with live, here it is one of those that use the High profile.
    ladder = plan_ladder(msgspec.structs.replace(configuration, preset=Preset.MEDIUM), facts)
    width, height = display_size(video)
    return SourcePlan(
        name=name,
        first_segment=first_segment,
        frame_rate=FrameRate(
            numerator=recording.frame_rate.numerator, denominator=recording.frame_rate.denominator
        ),
        frames=recording.frames,
        start=_MICROSECOND * round(recording.start * 1_000_000),
        width=int(width),
        height=int(height),
        square_pixels=recording.sample_aspect_ratio == 1,
        has_audio=recording.has_audio,
        adaptive=recording.adaptive,
        with_audio=with_audio,
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
    return (names.segment(rung.name, index) for rung in plan.source_of(index).rungs)
