from dataclasses import replace
from datetime import timedelta

import pytest

from bucketcast.errors import InvalidRecord
from bucketcast.objects import ABSENT, NewObject, ObjectFacts
from bucketcast.stream.document import ListedAs
from bucketcast.stream.identifiers import SegmentIndex, SessionNumber
from bucketcast.stream.media_object import (
    IMMUTABLE,
    TRANSPORT_STREAM,
    gap_object,
    listed_as,
    segment_object,
    timeline_segment,
)
from bucketcast.stream.silence import silent_segment
from bucketcast.stream.timeline import GapSegment, TimelineSegment, UploadedSegment
from fakes import EPOCH, FakeBucket, FakeClock
from stream_world import SLOTS, STREAM

PLACE = (STREAM, SLOTS[0], SessionNumber(3), SegmentIndex(4))
DURATION = timedelta(seconds=2, microseconds=1)
SEGMENT = segment_object(*PLACE, duration=DURATION, date=EPOCH, content=b"media")
GAP = gap_object(*PLACE, start=timedelta(seconds=8), duration=DURATION, date=EPOCH)


def found(new: NewObject) -> ObjectFacts:
    return FakeBucket(FakeClock()).write(new, if_generation=ABSENT)


def test_a_segment_carries_what_a_playlist_says_of_it() -> None:
    assert (SEGMENT.content_type, SEGMENT.cache_control) == (TRANSPORT_STREAM, IMMUTABLE)
    assert SEGMENT.metadata == {
        "session": "3",
        "index": "4",
        "duration": "2.000001",
        "program-date-time": "2026-01-01T00:00:00+00:00",
    }


def test_a_gap_is_silence_and_takes_the_name_of_its_segment() -> None:
    silence = silent_segment(timedelta(seconds=8), DURATION)
    assert (GAP.name, GAP.content, GAP.cache_control) == (SEGMENT.name, silence, IMMUTABLE)


def test_the_metadata_tells_a_gap_from_a_segment() -> None:
    for new, listed in ((SEGMENT, ListedAs.SEGMENT), (GAP, ListedAs.GAP)):
        assert listed_as(found(new)) is listed


def test_media_objects_tell_what_a_timeline_would() -> None:
    segment = timeline_segment(
        SegmentIndex(4), {SLOTS[0]: found(SEGMENT), SLOTS[1]: found(GAP)}, start=EPOCH - timedelta(seconds=8)
    )
    facts = found(SEGMENT)
    assert segment == TimelineSegment(
        index=SegmentIndex(4),
        start=timedelta(seconds=8),
        duration=DURATION,
        rungs={SLOTS[0]: UploadedSegment(size=5, crc32c=facts.crc32c), SLOTS[1]: GapSegment()},
    )


@pytest.mark.parametrize("key", ["duration", "program-date-time"])
@pytest.mark.parametrize("value", [None, "soon"])
def test_an_object_that_is_not_ours_is_said_to_be_invalid(key: str, value: str | None) -> None:
    facts = found(SEGMENT)
    metadata = (
        {**facts.metadata, key: value} if value else {k: v for k, v in facts.metadata.items() if k != key}
    )
    with pytest.raises(InvalidRecord, match="does not say"):
        timeline_segment(SegmentIndex(4), {SLOTS[0]: replace(facts, metadata=metadata)}, start=EPOCH)
