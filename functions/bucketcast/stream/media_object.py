"""Media objects: how a segment, or the gap in its place, lies in the media bucket."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from bucketcast.errors import InvalidRecord
from bucketcast.objects import NewObject, ObjectFacts
from bucketcast.stream.document import ListedAs
from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.object_names import segment_name
from bucketcast.stream.silence import silent_segment
from bucketcast.stream.timeline import GapSegment, TimelineSegment, UploadedSegment

TRANSPORT_STREAM: Final = "video/mp2t"
# Media objects are created once and never change; a day outlasts every viewer's session.
IMMUTABLE: Final = "public, max-age=86400, immutable"
GAP_KEY: Final = "gap"
DURATION_KEY: Final = "duration"  # in seconds
DATE_KEY: Final = "program-date-time"


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
        metadata=_metadata(session, index, duration, date),
        custom_time=date,
    )


def gap_object(
    stream: StreamId,
    rung: RungName,
    session: SessionNumber,
    index: SegmentIndex,
    *,
    start: timedelta,
    duration: timedelta,
    date: datetime,
) -> NewObject:
    """The object that takes the name of a segment that was given up: silence.

    *start* is on the session's clock.
    """
    return NewObject(
        name=segment_name(stream, rung, session, index),
        content=silent_segment(start, duration),
        content_type=TRANSPORT_STREAM,
        cache_control=IMMUTABLE,
        metadata={**_metadata(session, index, duration, date), GAP_KEY: "true"},
        custom_time=date,
    )


def _metadata(
    session: SessionNumber, index: SegmentIndex, duration: timedelta, date: datetime
) -> Mapping[str, str]:
    return {
        "session": str(session),
        "index": str(index),
        DURATION_KEY: f"{duration.total_seconds():.6f}",
        DATE_KEY: date.isoformat(),
    }


def listed_as(facts: ObjectFacts) -> ListedAs:
    """How the media object that *facts* describe is listed."""
    return ListedAs.GAP if facts.metadata.get(GAP_KEY) == "true" else ListedAs.SEGMENT


def timeline_segment(
    index: SegmentIndex, found: Mapping[RungName, ObjectFacts], *, start: datetime
) -> TimelineSegment:
    """What the media objects *found* under the names of segment *index* say of it; *start* is its session's.

    Raises InvalidRecord where one of them lacks what every media object says of itself.
    """
    facts = next(iter(found.values()))
    try:
        date = datetime.fromisoformat(facts.metadata[DATE_KEY])
        duration = timedelta(microseconds=int(Fraction(facts.metadata[DURATION_KEY]) * 10**6))
    except (KeyError, ValueError, ArithmeticError) as error:
        raise InvalidRecord(f"{facts.name} does not say its date and duration") from error
    return TimelineSegment(
        index=index,
        start=date - start,
        duration=duration,
        rungs={
            rung: GapSegment()
            if listed_as(facts) is ListedAs.GAP
            else UploadedSegment(size=facts.size, crc32c=facts.crc32c)
            for rung, facts in found.items()
        },
    )
