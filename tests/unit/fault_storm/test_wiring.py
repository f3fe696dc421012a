"""What is counted of the encoders' writes."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from bucketcast.errors import PreconditionFailed
from bucketcast.objects import ABSENT, NewObject
from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.media_object import gap_object, segment_object
from fakes import FakeBucket, FakeClock
from fault_storm.wiring import CountedBucket

START = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = (StreamId("demo"), RungName("360p"), SessionNumber(1), SegmentIndex(0))
GAP = gap_object(*PLACE, start=timedelta(seconds=8), duration=timedelta(seconds=2), date=START)


def segment(content: bytes) -> NewObject:
    return segment_object(*PLACE, duration=timedelta(seconds=2), date=START, content=content)


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (segment(b"mine"), "our own"),
        (segment(b"another's"), "a segment was first"),
        (GAP, "a gap was first"),
    ],
)
def test_a_refused_creation_is_counted_by_what_was_first(first: NewObject, why: str) -> None:
    bucket, counts = FakeBucket(FakeClock()), Counter[str]()
    bucket.write(first, if_generation=ABSENT)
    with pytest.raises(PreconditionFailed):
        CountedBucket(bucket, "segment", counts).write(segment(b"mine"), if_generation=ABSENT)
    assert counts == {f"segment 412: {why}": 1}


def test_what_is_written_is_not_counted() -> None:
    bucket, counts = FakeBucket(FakeClock()), Counter[str]()
    CountedBucket(bucket, "segment", counts).write(segment(b"mine"), if_generation=ABSENT)
    assert bucket.read(segment(b"mine").name) == b"mine"
    assert not counts
