from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from bucketcast.errors import InvalidRecord
from bucketcast.hls import ByteRange
from bucketcast.objects import Generation, ObjectFacts
from bucketcast.stream.identifiers import SegmentIndex
from ingest.encode.transport_stream import InvalidTransportStream, MediaSegment
from ingest.vod.segment import first_picture, segment_object, segments_by_rung
from unit.ingest.vod.vod_plans import HIGH, LOW, NAMES

TABLE, VIDEO, AUDIO = 0x0000, 0x100, 0x101


def packet(pid: int, *, begins: bool = False) -> bytes:
    return bytes((0x47, begins << 6 | pid >> 8, pid & 0xFF, 0x10)).ljust(188, b"\x00")


def facts(name: str, **metadata: str) -> ObjectFacts:
    return ObjectFacts(
        name=name,
        generation=Generation(1),
        size=1880,
        crc32c="",
        updated=datetime(2026, 1, 1, tzinfo=UTC),
        metadata=metadata,
    )


def test_the_first_picture_ends_where_another_unit_begins() -> None:
    tables = packet(TABLE, begins=True) * 2
    picture = packet(VIDEO, begins=True) + packet(VIDEO)
    for following in (packet(AUDIO, begins=True), packet(VIDEO, begins=True)):
        found = first_picture(tables + picture + following + packet(VIDEO, begins=True))
        assert found == ByteRange(length=376, offset=376)


def test_the_only_picture_ends_with_the_segment() -> None:
    assert first_picture(packet(VIDEO, begins=True) + packet(VIDEO)) == ByteRange(length=376, offset=0)


def test_a_segment_without_a_picture_is_refused() -> None:
    with pytest.raises(InvalidTransportStream):
        first_picture(packet(TABLE, begins=True) + packet(VIDEO) + packet(AUDIO, begins=True))


def test_what_an_object_says_of_itself_gives_the_segment_back() -> None:
    data = packet(TABLE, begins=True) + packet(VIDEO, begins=True)
    made = MediaSegment(
        index=SegmentIndex(3), start=timedelta(), duration=timedelta(microseconds=2_002_001), data=data
    )
    new = segment_object(NAMES, HIGH, made)
    assert new.cache_control == "public, max-age=86400, immutable"
    (segment,) = segments_by_rung(NAMES, [HIGH], [facts(new.name, **new.metadata)])[HIGH]
    assert (segment.index, segment.duration, segment.size) == (3, made.duration, 1880)
    assert segment.i_frame == ByteRange(length=188, offset=188)


def test_segments_are_sorted_by_rung_and_index_and_other_objects_left_out() -> None:
    said: Mapping[str, str] = {"duration": "6.000000", "i-frame": "376@564"}
    names = [NAMES.segment(rung, SegmentIndex(index)) for index in (1, 0) for rung in (LOW, HIGH)]
    listed = [facts(name, **said) for name in (*names, NAMES.poster, NAMES.segment(HIGH, SegmentIndex(2)))]
    found = segments_by_rung(NAMES, [LOW], listed)
    assert {rung: [segment.index for segment in segments] for rung, segments in found.items()} == {LOW: [0, 1]}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"duration": "6"},
        {"i-frame": "376@564"},
        {"duration": "six", "i-frame": "376@564"},
        {"duration": "0", "i-frame": "376@564"},
        {"duration": "6", "i-frame": "376"},
    ],
)
def test_an_object_that_does_not_say_what_it_is_is_refused(said: Mapping[str, str]) -> None:
    with pytest.raises(InvalidRecord, match="does not say"):
        segments_by_rung(NAMES, [LOW], [facts(NAMES.segment(LOW, SegmentIndex(0)), **said)])
