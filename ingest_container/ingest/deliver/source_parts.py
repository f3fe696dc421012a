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
from bucketcast.recording.movie_tracks import MAX_COMPOSITION_TICKS
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
# What a frame takes beside its bytes: feeds of thousands of small ones are bounded too.
FRAME_OVERHEAD: Final = 200
# Times are rounded to milliseconds, and those of one time are put a tick apart: a picture may seem to be shown
# so much before it is decoded. What is shown earlier comes from a clock that was set back.
_MAX_HASTE: Final = 3 * TICKS_PER_SECOND // 1000
# How long a part's only picture is shown, unless another part follows, and its only frame of sound lasts.
_LONE_FRAME: Final = TICKS_PER_SECOND // 30
_OPUS_PACKET: Final = timedelta(milliseconds=20)  # see audio_format.OPUS_PACKET_SAMPLES
_MICROSECOND: Final = timedelta(microseconds=1)
# Before every clock.
NEVER: Final = -(2**63)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFormat:
    """What a source's own pictures and sound are; *audio* is None where it has none."""

    video: VideoFormat
    audio: AudioFormat | None


def source_format(items: Iterable[FeedItem], *, adaptive: bool, has_sound: bool = True) -> SourceFormat:
    """Return the format of the feed that begins with *items*.

    An *adaptive* source's pictures bring their parameter sets along; where it *has_sound* not, what sounds in
    *items* is silence of ours. Raises InvalidMedia where a recording has no room for the format.
    """
    configurations: dict[Track, CodecConfiguration] = {}
    frames: list[EncodedFrame] = []
    for item in items:
        if isinstance(item, CodecConfiguration):
            configurations[item.track] = item
        else:
            frames.append(item)
    video, audio = configurations.get(Track.VIDEO), configurations.get(Track.AUDIO)
    if video is None or video.codec is not VideoCodec.H264:
        raise InvalidMedia("the pictures are not H.264")
    found = _audio_format(audio) if audio and has_sound else None
    if found and found.coding is AudioCoding.OPUS:
        _check_packets(frame for frame in frames if frame.track is Track.AUDIO)
    return SourceFormat(video=configured_format(video.data, in_band=adaptive), audio=found)


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

    def decode_ticks(self, frames: Iterable[EncodedFrame], *, behind: int) -> Iterator[int]:
        """Yield when each of *frames* is decoded: a tick after the one before, and after *behind*, at least."""
        for frame in frames:
            behind = max(self.ticks(frame.decode_time), behind + 1)
            yield behind

    def index_at(self, time: timedelta) -> SegmentIndex:
        """The segment in which *time* lies; what is before the session counts for its first."""
        since = Fraction(max(time - self.origin, timedelta(0)) // _MICROSECOND, 1_000_000)
        return self.grid.index_of_frame(self.grid.frame_at(since))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePart:
    """Frames, in the order in which they came, that stand for the segments from *first* to *last*.

    They take *size* bytes. *behind* is the tick at which the last picture before them is decoded.
    """

    first: SegmentIndex
    last: SegmentIndex
    frames: Sequence[EncodedFrame] = field(repr=False)
    size: int
    behind: int
    clock: SourceClock

    def samples(self, source: SourceFormat) -> Iterator[SegmentSamples]:
        """Yield the segments of the part, which is of a *source* of this format.

        Raises InvalidMedia for sound that the format has no room for, and times that no movie can have.
        """
        pictures, sounds = self._track(Track.VIDEO), self._track(Track.AUDIO)
        if source.audio and source.audio.coding is AudioCoding.OPUS:
            _check_packets(frame for _, frame in sounds)
        video = self._samples(pictures, behind=self.behind)
        audio = self._samples(sounds) if source.audio else {}
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

    def _samples(
        self, placed: Sequence[tuple[SegmentIndex, EncodedFrame]], *, behind: int = NEVER
    ) -> dict[SegmentIndex, Samples]:
        """What each segment has of the frames *placed*, decoded one after the other and after *behind*."""
        times = list(self.clock.decode_ticks((frame for _, frame in placed), behind=behind))
        if times and times[0] < 0:
            raise InvalidMedia("a frame's time is before its session's clock")
        durations = [later - earlier for earlier, later in pairwise(times)]
        durations.append(durations[-1] if durations else _LONE_FRAME)
        return {
            index: self._rows([(frame, times[place], durations[place]) for place, (_, frame) in rows])
            for index, rows in groupby(enumerate(placed), key=lambda row: row[1][0])
        }

    def _rows(self, rows: Sequence[tuple[EncodedFrame, int, int]]) -> Samples:
        offsets = [
            self.clock.ticks(frame.presentation_time) - time if frame.track is Track.VIDEO else 0
            for frame, time, _ in rows
        ]
        if not -_MAX_HASTE <= min(offsets) <= max(offsets) <= MAX_COMPOSITION_TICKS:
            raise InvalidMedia("a picture is shown before it is decoded, or long after")
        return Samples(
            table=SampleTable(
                decode_time=rows[0][1],
                durations=table(duration for _, _, duration in rows),
                sizes=table(len(frame.data) for frame, _, _ in rows),
                composition_offsets=table(max(0, offset) for offset in offsets),
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
        self._decoded = self._behind = NEVER  # the last picture, and the last one before the part
        self.open_bytes = 0
        """What the part that is not ended yet holds, with FRAME_OVERHEAD for each of its frames."""

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
            (self._decoded,) = self._clock.decode_ticks([frame], behind=self._decoded)
        self._frames.append(frame)
        self.open_bytes += len(frame.data) + FRAME_OVERHEAD
        return ended

    def discard(self) -> SegmentIndex | None:
        """Lose what is no part yet, and return where it had begun, if it had; the next one has a keyframe."""
        first, self._first = self._first, None
        self._frames, self.open_bytes, self._behind = [], 0, self._decoded
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
        part = SourcePart(
            first=self._first,
            last=last,
            frames=self._frames,
            size=self.open_bytes,
            behind=self._behind,
            clock=self._clock,
        )
        self._frames, self.open_bytes, self._behind = [], 0, self._decoded
        return part
