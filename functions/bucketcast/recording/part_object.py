"""The objects of recording parts."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from bucketcast.objects import NewObject
from bucketcast.recording.names import SOURCE, part_metadata, part_name
from bucketcast.recording.part import Part, write_part
from bucketcast.recording.samples import SegmentSamples
from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber, StreamId

MP4: Final = "video/mp4"
# Parts lie in the private bucket and are read by our own clients only.
PRIVATE: Final = "private, no-store"


def part_objects(
    stream: StreamId, session: SessionNumber, rung: RungName, segments: Iterable[SegmentSamples]
) -> Iterator[NewObject]:
    """The objects of *segments*, which follow each other: several where the format changes."""
    for _, alike in groupby(segments, key=lambda segment: (segment.video_format, segment.audio_format)):
        yield _part_object(stream, session, rung, write_part(list(alike)))


def _part_object(stream: StreamId, session: SessionNumber, rung: RungName, part: Part) -> NewObject:
    first, last = SegmentIndex(part.first), SegmentIndex(part.last)
    return NewObject(
        name=part_name(stream, session, first, of_source=rung == SOURCE),
        content=part.content,
        content_type=MP4,
        cache_control=PRIVATE,
        metadata=part_metadata(
            first=first,
            last=last,
            head_bytes=part.head_bytes,
            rung=rung,
            media_format=part.fingerprint,
        ),
    )
