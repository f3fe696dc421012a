"""A segment of the VOD as it lies in the media bucket: playlists are made of what its metadata say."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Final

from bucketcast.errors import InvalidRecord
from bucketcast.hls import ByteRange
from bucketcast.objects import NewObject, ObjectFacts
from bucketcast.stream.identifiers import RungName, SegmentIndex
from bucketcast.stream.media_object import DURATION_KEY, IMMUTABLE, TRANSPORT_STREAM
from ingest.encode.transport_stream import InvalidTransportStream, MediaSegment
from ingest.vod.names import VodNames

I_FRAME_KEY: Final = "i-frame"

_PACKET_BYTES: Final = 188
_UNIT_START: Final = 0x40  # payload_unit_start_indicator, in the second byte
_VIDEO_PID: Final = 0x100  # FFmpeg's, which it states in the program map table
_RANGE: Final = re.compile(r"([0-9]{1,12})@([0-9]{1,12})")


@dataclass(frozen=True, slots=True, kw_only=True)
class VodSegment:
    """A segment that is there: its *name*, and where in it its first picture, a keyframe, lies."""

    name: str
    rung: RungName
    index: SegmentIndex
    size: int
    duration: timedelta
    i_frame: ByteRange


def segment_object(names: VodNames, rung: RungName, segment: MediaSegment) -> NewObject:
    """The object of *segment*, which an encoder of *rung* has made."""
    i_frame = first_picture(segment.data)
    return NewObject(
        name=names.segment(rung, segment.index),
        content=segment.data,
        content_type=TRANSPORT_STREAM,
        cache_control=IMMUTABLE,
        metadata={
            DURATION_KEY: f"{segment.duration.total_seconds():.6f}",
            I_FRAME_KEY: f"{i_frame.length}@{i_frame.offset}",
        },
    )


def first_picture(data: bytes) -> ByteRange:
    """Return where the first picture of the transport stream *data* lies, without the tables before it.

    RFC 8216bis, 4.4.3.6: an I-frame's byte range does not include the Media Initialization Section, which a
    client finds between the start of the resource and the offset of its first I-frame. FFmpeg writes a
    picture's packets one behind the other. Raises InvalidTransportStream where there is no picture.
    """
    offset = None
    for position in range(0, len(data), _PACKET_BYTES):
        starts_unit = data[position + 1] & _UNIT_START
        if offset is not None and starts_unit:
            return ByteRange(length=position - offset, offset=offset)
        if offset is None and starts_unit and _pid(data, position) == _VIDEO_PID:
            offset = position
    if offset is None:
        raise InvalidTransportStream("a segment has no picture")
    return ByteRange(length=len(data) - offset, offset=offset)


def segments_by_rung(
    names: VodNames, rungs: Iterable[RungName], listed: Iterable[ObjectFacts]
) -> Mapping[RungName, tuple[VodSegment, ...]]:
    """Return what of *listed*, objects in the VOD's folder, are segments of *rungs*, in the order they play.

    Raises InvalidRecord where one does not say what every segment says of itself.
    """
    found: dict[RungName, list[VodSegment]] = {rung: [] for rung in rungs}
    for facts in listed:
        parsed = names.parse_segment(facts.name)
        if parsed is not None and parsed[0] in found:
            found[parsed[0]].append(_segment(facts, *parsed))
    return {
        rung: tuple(sorted(segments, key=lambda segment: segment.index)) for rung, segments in found.items()
    }


def _segment(facts: ObjectFacts, rung: RungName, index: SegmentIndex) -> VodSegment:
    i_frame = _RANGE.fullmatch(facts.metadata.get(I_FRAME_KEY, ""))
    try:
        seconds = Fraction(facts.metadata.get(DURATION_KEY, ""))
    except ValueError:
        seconds = Fraction(0)
    if i_frame is None or seconds <= 0:
        raise InvalidRecord(f"{facts.name} does not say its duration and where its I-frame is")
    return VodSegment(
        name=facts.name,
        rung=rung,
        index=index,
        size=facts.size,
        duration=timedelta(microseconds=int(seconds * 1_000_000)),
        i_frame=ByteRange(length=int(i_frame[1]), offset=int(i_frame[2])),
    )


def _pid(data: bytes, position: int) -> int:
    return (data[position + 1] & 0x1F) << 8 | data[position + 2]
