"""Media objects: how a segment, or the gap in its place, lies in the media bucket."""

from datetime import datetime, timedelta
from typing import Final

from bucketcast.objects import NewObject, ObjectFacts
from bucketcast.stream.document import ListedAs
from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.object_names import segment_name

TRANSPORT_STREAM: Final = "video/mp2t"
# Media objects are created once and never change; a day outlasts every viewer's session.
IMMUTABLE: Final = "public, max-age=86400, immutable"
GAP_KEY: Final = "gap"


def segment_object(
    stream: StreamId,
    rung: RungName,
    session: SessionNumber,
    index: SegmentIndex,
    *,
    duration: timedelta,
    date: datetime,
    content: bytes,
) -> NewObject:
    """The object of a segment; its metadata holds what a playlist says of it."""
    return NewObject(
        name=segment_name(stream, rung, session, index),
        content=content,
        content_type=TRANSPORT_STREAM,
        cache_control=IMMUTABLE,
        metadata={
            "session": str(session),
            "index": str(index),
            "duration": f"{duration.total_seconds():.6f}",
            "program-date-time": date.isoformat(),
        },
    )


def gap_object(stream: StreamId, rung: RungName, session: SessionNumber, index: SegmentIndex) -> NewObject:
    """The empty object that takes the name of a segment that was given up."""
    return NewObject(
        name=segment_name(stream, rung, session, index),
        content=b"",
        content_type=TRANSPORT_STREAM,
        cache_control=IMMUTABLE,
        metadata={"session": str(session), "index": str(index), GAP_KEY: "true"},
    )


def listed_as(facts: ObjectFacts) -> ListedAs:
    """How the media object that *facts* describe is listed."""
    return ListedAs.GAP if facts.metadata.get(GAP_KEY) == "true" else ListedAs.SEGMENT
