"""Media to record: some seconds that a real encoder cut, and sessions of any length that are made of them."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Final

from bucketcast.objects import NewObject
from bucketcast.recording.part_object import part_objects
from bucketcast.recording.samples import Samples, SegmentSamples, ticks
from bucketcast.recording.segment_samples import read_segment
from bucketcast.records import record_object
from bucketcast.stream.configuration import RungConfiguration, StreamConfiguration
from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import (
    BitsPerSecond,
    BroadcastNumber,
    DiscontinuitySequenceNumber,
    EncoderId,
    MediaSequenceNumber,
    RungName,
    SegmentIndex,
    SessionNumber,
    StreamId,
)
from bucketcast.stream.media_object import segment_object
from bucketcast.stream.object_names import seal_name, session_record_name
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import EncodedRung, FrameRate, SessionRecord
from ingest.deliver.part_writer import PART_DURATION
from ingest.deliver.source_parts import SourceClock, SourceCutter, SourceFormat, SourcePart, source_format
from ingest.encode import CutSegment, EncoderFailed, Opening, SessionEncoder, plan_encoding
from ingest.feed import EncodedFrame, Track
from local_system.system import NotStarted
from tools.clip_feed import read_feed
from tools.frame_strip import Clip, make_clip

SEGMENT: Final = timedelta(seconds=2)
SEGMENTS_PER_PART: Final = PART_DURATION // SEGMENT
# Whole segments, parts and frames of sound, so that a lap follows itself without a seam.
LAP: Final = timedelta(seconds=40)
# A session's first seconds are like no others: its sound begins.
LEAD: Final = timedelta(seconds=8)
# Far above what encoding some seconds takes, on a machine that others use too.
STALL: Final = timedelta(seconds=60)
START: Final = datetime(2026, 11, 1, 12, tzinfo=UTC)
_CODECS: Final = "avc1.64001f,mp4a.40.2"
# What is finalized reads the segments that no part holds, and here each is in a part.
_UNREAD: Final = b"a segment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A *clip* and how its one rung is encoded."""

    clip: Clip
    configuration: StreamConfiguration

    @property
    def rung(self) -> RungName:
        """The rung."""
        return self.configuration.rungs[0].name

    @property
    def frame_rate(self) -> int:
        """Pictures a second, a whole number."""
        return int(self.clip.frame_rate)

    @property
    def frames_per_segment(self) -> int:
        """How many pictures a segment has."""
        return int(self.clip.frame_rate * (SEGMENT // timedelta(seconds=1)))


def media(clip: Clip, *, audio_bitrate: int) -> Media:
    """The media of *clip* in a rung of its own size and bitrate."""
    rung = RungConfiguration(name=RungName(f"{clip.height}p"), video_bitrate=BitsPerSecond(clip.video_bitrate))
    return Media(
        clip=clip,
        configuration=StreamConfiguration(
            rungs=(rung,), audio_bitrate=BitsPerSecond(audio_bitrate), segment_duration=SEGMENT
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The feed of a clip as it is recorded where the source itself is."""

    format: SourceFormat
    clock: SourceClock
    frames: Sequence[EncodedFrame]

    def parts(self) -> Iterator[SourcePart]:
        """Cut the feed as the recorder does."""
        cutter = SourceCutter(self.clock, per_part=SEGMENTS_PER_PART)
        found = [cutter.add(frame) for frame in self.frames]
        yield from (part for part in [*found, cutter.finish(SegmentIndex(0))] if part is not None)


def read_source(file: Path, *, frame_rate: Fraction) -> Source:
    """Return the feed that a broadcaster would make of *file*."""
    items = read_feed(file)
    frames = [item for item in items if isinstance(item, EncodedFrame)]
    origin = next(frame.presentation_time for frame in frames if frame.track is Track.VIDEO)
    grid = SegmentGrid(frame_rate=frame_rate, segment_duration=SEGMENT)
    return Source(
        format=source_format(items, adaptive=False),
        clock=SourceClock(origin=origin, grid=grid),
        frames=frames,
    )


def cut(encoded: Media, ffmpeg: Path) -> tuple[CutSegment, ...]:
    """Return the segments of *encoded* as a session's encoder cuts them; raises NotStarted where it fails."""
    done: list[CutSegment] = []

    async def deliver(segment: CutSegment) -> None:
        done.append(segment)

    async def encode() -> None:
        items = read_feed(make_clip(encoded.clip))
        opening = Opening()
        number, opened = next(
            (number, opened)
            for number, item in enumerate(items, 1)
            if (opened := opening.add(item)) is not None
        )
        encoder = SessionEncoder(
            plan_encoding(encoded.configuration, opened.source, source_delay=opened.source_delay),
            origin=opened.origin,
            ffmpeg=ffmpeg,
            on_segment=deliver,
            stall_timeout=STALL,
        )
        await encoder.start(opened.items)
        try:
            for item in items[number:]:
                await encoder.write(item)
            await encoder.finish()
        finally:
            await encoder.abort()

    try:
        asyncio.run(encode())
    except EncoderFailed as error:
        raise NotStarted(f"the clip cannot be encoded: {error}") from error
    return tuple(done)


def converted(segment: CutSegment) -> SegmentSamples:
    """Return what the recorder takes of *segment*."""
    return read_segment(segment.data, index=segment.index, start=segment.start, duration=segment.duration)


def lap(encoded: Sequence[CutSegment]) -> tuple[SegmentSamples, ...]:
    """Return the lap behind the lead of the segments *encoded*."""
    first = LEAD // SEGMENT
    return tuple(converted(segment) for segment in encoded[first : first + LAP // SEGMENT])


def repeated(one_lap: Sequence[SegmentSamples], length: timedelta) -> Iterator[SegmentSamples]:
    """Yield the segments of a session that lasts *length*: those of *one_lap*, over and over."""
    for index in range(length // SEGMENT):
        original = one_lap[index % len(one_lap)]
        shift = ticks((index - original.index) * SEGMENT)
        yield replace(
            original,
            index=SegmentIndex(index),
            video=original.video and _later(original.video, shift),
            audio=original.audio and _later(original.audio, shift),
        )


def parts(
    stream: StreamId, session: SessionNumber, rung: RungName, samples: Iterable[SegmentSamples]
) -> Iterator[NewObject]:
    """Yield the parts of *samples*, which begin with segment 0: each as long as the recorder's."""
    for _, some in groupby(samples, key=lambda segment: segment.index // SEGMENTS_PER_PART):
        yield from part_objects(stream, session, rung, some)


def segments(
    stream: StreamId, session: SessionNumber, encoded: Media, length: timedelta
) -> Iterator[NewObject]:
    """Yield the objects of a session's segments, as far as their listing goes: they hold no media."""
    for index in map(SegmentIndex, range(length // SEGMENT)):
        date = START + index * SEGMENT
        place = stream, encoded.rung, session, index
        yield segment_object(*place, duration=SEGMENT, date=date, content=_UNREAD)


def records(
    stream: StreamId, broadcast: BroadcastNumber, session: SessionNumber, encoded: Media, length: timedelta
) -> Iterator[NewObject]:
    """Yield the record and the seal of a session that is the only one of its broadcast."""
    rung = EncodedRung(name=encoded.rung, width=encoded.clip.width, height=encoded.clip.height, codecs=_CODECS)
    yield record_object(
        session_record_name(stream, session),
        SessionRecord(
            stream=stream,
            session=session,
            broadcast=broadcast,
            encoder=EncoderId("bench"),
            start=START,
            segment_duration=SEGMENT,
            frame_rate=FrameRate(numerator=encoded.frame_rate),
            rungs=(rung,),
        ),
    )
    last = length // SEGMENT - 1
    yield record_object(
        seal_name(stream, session),
        Seal(
            stream=stream,
            session=session,
            broadcast=broadcast,
            ended=True,
            last_index=last,
            next_media_sequence=MediaSequenceNumber(last + 1),
            next_discontinuity_sequence=DiscontinuitySequenceNumber(0),
        ),
    )


def _later(samples: Samples, shift: int) -> Samples:
    return replace(samples, table=replace(samples.table, decode_time=samples.table.decode_time + shift))
