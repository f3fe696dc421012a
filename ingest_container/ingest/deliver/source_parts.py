"""Cuts a feed, as it came, into parts of a recording: whole groups of pictures, and the sound beside them.

A part begins with the first keyframe in another ten seconds than the one before: at the same pictures, whoever
cuts. It stands for the segments from the one in which it begins to the one before the next part's first.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from itertools import groupby, pairwise
from typing import Final

from bucketcast.codecs.opus import packet_duration
from bucketcast.recording.audio_format import AudioCoding, AudioFormat, aac_format, opus_head_format
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.parameter_sets import VideoFormat, configured_format
from bucketcast.recording.samples import (
    OTHER_SAMPLE,
    SYNC_SAMPLE,
    TICKS_PER_SECOND,
    Samples,
    SampleTable,
    SegmentSamples,
    table,
    ticks,
)
from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import SegmentIndex
from bucketcast.stream.silence import CLOCK_START
from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec

# A muted camera sends no keyframe: then a part begins with sound, once pictures have been missing for so long.
WITHOUT_PICTURES: Final = timedelta(seconds=10)
# How long a part's only picture is shown, unless another part follows, and its only frame of sound lasts.
_LONE_FRAME: Final = TICKS_PER_SECOND // 30
_OPUS_PACKET: Final = timedelta(milliseconds=20)  # see audio_format.OPUS_PACKET_SAMPLES
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFormat:
    """What a source's own pictures and sound are; *audio* is None where it has none."""

    video: VideoFormat
    audio: AudioFormat | None


def source_format(items: Iterable[FeedItem], *, adaptive: bool) -> SourceFormat:
    """Return the format of the feed that begins with *items*.

    An *adaptive* source's pictures bring their parameter sets along. Raises InvalidMedia where a recording has
    no room for the format.
    """
    configurations = {item.track: item for item in items if isinstance(item, CodecConfiguration)}
    video, audio = configurations.get(Track.VIDEO), configurations.get(Track.AUDIO)
    if video is None or video.codec is not VideoCodec.H264:
        raise InvalidMedia("the pictures are not H.264")
    return SourceFormat(
        video=configured_format(video.data, in_band=adaptive),
        audio=_audio_format(audio) if audio else None,
    )


def _audio_format(configuration: CodecConfiguration) -> AudioFormat:
    if configuration.codec is AudioCodec.OPUS:
        return opus_head_format(configuration.data)
    return aac_format(configuration.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceClock:
    """Tells a session's times and segments from those of its sender; *origin* is the session's time 0."""

    origin: timedelta
    grid: SegmentGrid

    def ticks(self, time: timedelta) -> int:
        """When *time* is on the clock of the session's transport streams, in ticks of 90 kHz."""
        return ticks(time - self.origin + CLOCK_START)

    def index_at(self, time: timedelta) -> SegmentIndex:
        """The segment in which *time* lies; what is before the session counts for its first."""
        since = Fraction(max(time - self.origin, timedelta(0)) // _MICROSECOND, 1_000_000)
        return self.grid.index_of_frame(self.grid.frame_at(since))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePart:
    """Frames, in the order in which they came, that stand for the segments from *first* to *last*."""

    first: SegmentIndex
    last: SegmentIndex
    frames: Sequence[EncodedFrame] = field(repr=False)
    clock: SourceClock

    @property
    def size(self) -> int:
        """The bytes of the frames."""
        return sum(len(frame.data) for frame in self.frames)

    def samples(self, source: SourceFormat) -> Iterator[SegmentSamples]:
        """Yield the segments of the part, which is of a *source* of this format.

        Raises InvalidMedia for sound that the format has no room for, and times before all clocks.
        """
        pictures, sounds = self._track(Track.VIDEO), self._track(Track.AUDIO)
        if source.audio and source.audio.coding is AudioCoding.OPUS:
            _check_packets(frame for _, frame in sounds)
        video, audio = self._samples(pictures), self._samples(sounds) if source.audio else {}
        for index in map(SegmentIndex, range(self.first, self.last + 1)):
            yield SegmentSamples(
                index=index,
                video_format=source.video if video else None,
                video=video.get(index),
                audio=audio.get(index),
                audio_format=source.audio,
            )

    def _track(self, track: Track) -> list[tuple[SegmentIndex, EncodedFrame]]:
        """The frames of *track*, each with its segment: none is before that of the frame before."""
        placed: list[tuple[SegmentIndex, EncodedFrame]] = []
        index = self.first
        for frame in self.frames:
            if frame.track is track:
                index = min(max(index, self.clock.index_at(frame.presentation_time)), self.last)
                placed.append((index, frame))
        return placed

    def _samples(self, placed: Sequence[tuple[SegmentIndex, EncodedFrame]]) -> dict[SegmentIndex, Samples]:
        """What each segment has of the frames *placed*, which are decoded one after the other."""
        times: list[int] = []
        for _, frame in placed:
            time = self.clock.ticks(frame.decode_time)
            times.append(max(time, times[-1] + 1) if times else time)
        if times and times[0] < 0:
            raise InvalidMedia("a frame's time is before its session's clock")
        durations = [later - earlier for earlier, later in pairwise(times)]
        durations.append(durations[-1] if durations else _LONE_FRAME)
        return {
            index: self._rows([(frame, times[place], durations[place]) for place, (_, frame) in rows])
            for index, rows in groupby(enumerate(placed), key=lambda row: row[1][0])
        }

    def _rows(self, rows: Sequence[tuple[EncodedFrame, int, int]]) -> Samples:
        return Samples(
            table=SampleTable(
                decode_time=rows[0][1],
                durations=table(duration for _, _, duration in rows),
                sizes=table(len(frame.data) for frame, _, _ in rows),
                composition_offsets=table(
                    max(0, self.clock.ticks(frame.presentation_time) - time) for frame, time, _ in rows
                ),
                flags=table(SYNC_SAMPLE if frame.keyframe else OTHER_SAMPLE for frame, _, _ in rows),
            ),
            media=b"".join(frame.data for frame, _, _ in rows),
        )


def _check_packets(packets: Iterable[EncodedFrame]) -> None:
    if any(packet_duration(packet.data) != _OPUS_PACKET for packet in packets):
        raise InvalidMedia("the sound is not in packets of 20 ms")


class SourceCutter:
    """Cuts the frames of one session's feed into parts of *per_part* segments, or a group of pictures more."""

    def __init__(self, clock: SourceClock, *, per_part: int) -> None:
        """Begin with the first keyframe, and what sound comes before it."""
        self._clock = clock
        self._per_part = per_part
        self._frames: list[EncodedFrame] = []
        self._first: SegmentIndex | None = None
        self._picture_at = clock.origin
        self.open_bytes = 0
        """What the part that is not ended yet holds."""

    def add(self, frame: EncodedFrame) -> SourcePart | None:
        """Take *frame*, and return the part that ends before it, if one does."""
        index = self._clock.index_at(frame.presentation_time)
        is_picture = frame.track is Track.VIDEO
        ended = None
        if self._first is None:
            if is_picture and not frame.keyframe:
                return None
            self._first = index if is_picture else None
        elif index // self._per_part > self._first // self._per_part and self._may_begin(frame):
            ended = self._end(SegmentIndex(index - 1))
            self._first = index
        if is_picture:
            self._picture_at = frame.presentation_time
        self._frames.append(frame)
        self.open_bytes += len(frame.data)
        return ended

    def discard(self) -> SegmentIndex:
        """Lose the part that is not ended yet, and return where it began; the next begins with a keyframe."""
        first = self._first if self._first is not None else SegmentIndex(0)
        self._frames, self._first, self.open_bytes = [], None, 0
        return first

    def finish(self, last: SegmentIndex) -> SourcePart | None:
        """Return the last part: up to segment *last*, if it is not longer."""
        if self._first is None:
            return None
        return self._end(max(last, self._first, self._clock.index_at(self._picture_at)))

    def _may_begin(self, frame: EncodedFrame) -> bool:
        if frame.track is Track.VIDEO:
            return frame.keyframe
        return frame.presentation_time - self._picture_at >= WITHOUT_PICTURES

    def _end(self, last: SegmentIndex) -> SourcePart:
        assert self._first is not None
        part = SourcePart(first=self._first, last=last, frames=self._frames, clock=self._clock)
        self._frames, self.open_bytes = [], 0
        return part
