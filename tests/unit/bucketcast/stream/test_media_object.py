from datetime import timedelta

from bucketcast.objects import ABSENT
from bucketcast.stream.document import ListedAs
from bucketcast.stream.identifiers import SegmentIndex, SessionNumber
from bucketcast.stream.media_object import IMMUTABLE, TRANSPORT_STREAM, gap_object, listed_as, segment_object
from fakes import EPOCH, FakeBucket, FakeClock
from stream_world import SLOTS, STREAM

PLACE = (STREAM, SLOTS[0], SessionNumber(3), SegmentIndex(4))
SEGMENT = segment_object(*PLACE, duration=timedelta(seconds=2, microseconds=1), date=EPOCH, content=b"media")


def test_a_segment_carries_what_a_playlist_says_of_it() -> None:
    assert (SEGMENT.content_type, SEGMENT.cache_control) == (TRANSPORT_STREAM, IMMUTABLE)
    assert SEGMENT.metadata == {
        "session": "3",
        "index": "4",
        "duration": "2.000001",
        "program-date-time": "2026-01-01T00:00:00+00:00",
    }


def test_a_gap_is_empty_and_takes_the_name_of_its_segment() -> None:
    gap = gap_object(*PLACE)
    assert (gap.name, gap.content, gap.cache_control) == (SEGMENT.name, b"", IMMUTABLE)


def test_the_metadata_tells_a_gap_from_a_segment() -> None:
    for new, listed in ((SEGMENT, ListedAs.SEGMENT), (gap_object(*PLACE), ListedAs.GAP)):
        assert listed_as(FakeBucket(FakeClock()).write(new, if_generation=ABSENT)) is listed
