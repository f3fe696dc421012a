"""The join of timelines; that it knows no order is in test_publication_properties.py."""

from datetime import timedelta
from itertools import permutations

from msgspec.structs import replace

from bucketcast.records import MAX_RECORD_BYTES, decode_record, encode_record
from bucketcast.stream.configuration import MAX_RUNGS
from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex
from bucketcast.stream.timeline import (
    NOTHING_REPORTED,
    TIMELINE_SEGMENTS,
    GapSegment,
    RungSegment,
    Timeline,
    TimelineSegment,
    UploadedSegment,
    join,
)
from fakes import EPOCH
from stream_world import FIRST, GAP, SLOTS, STREAM, UPLOADED, A, B, uploaded


def timeline(encoder: EncoderId, *segments: TimelineSegment, ended: bool = False, at: float = 0) -> Timeline:
    return Timeline(
        stream=STREAM,
        session=FIRST,
        encoder=encoder,
        ended=ended,
        media_at=EPOCH + timedelta(seconds=at),
        segments=segments,
    )


def test_no_timeline_says_nothing_and_has_not_ended() -> None:
    joined = join([])
    assert (joined.ended, joined.media_at, joined.segments) == (False, None, {})
    assert not joined.continues
    assert joined == NOTHING_REPORTED


def test_a_broadcaster_goes_on_when_one_of_its_encoders_says_so_and_not_otherwise() -> None:
    ended, other = timeline(A, ended=True), timeline(B, ended=True)
    assert not join([ended, other]).continues
    assert join([ended, replace(other, continues=True)]).continues


def test_a_session_has_ended_when_all_its_encoders_have() -> None:
    assert join([timeline(A, ended=True)]).ended
    assert not join([timeline(A, ended=True), timeline(B)]).ended
    assert join([timeline(A, ended=True), timeline(B, ended=True)]).ended


def test_media_came_when_any_encoder_last_received_some() -> None:
    assert join([timeline(A, at=5), timeline(B, at=3)]).media_at == EPOCH + timedelta(seconds=5)


def test_each_encoder_adds_the_rungs_that_it_knows() -> None:
    joined = join(
        [timeline(A, uploaded(0, SLOTS[:1])), timeline(B, uploaded(0, SLOTS[1:2], gaps=SLOTS[2:]), uploaded(1))]
    )
    assert joined.segments[SegmentIndex(0)].rungs == {SLOTS[0]: UPLOADED, SLOTS[1]: UPLOADED, SLOTS[2]: GAP}
    assert joined.segments[SegmentIndex(1)] == uploaded(1)


def test_where_two_contradict_each_other_the_greater_fact_is_taken() -> None:
    small, big = UploadedSegment(size=1, crc32c="b"), UploadedSegment(size=2, crc32c="a")
    one, other = (
        TimelineSegment(
            index=SegmentIndex(0),
            start=timedelta(0),
            duration=timedelta(seconds=s),
            rungs=dict.fromkeys(SLOTS, f),
        )
        for s, f in ((2, GAP), (1, small))
    )
    third = TimelineSegment(
        index=SegmentIndex(0), start=timedelta(0), duration=timedelta(seconds=1), rungs={SLOTS[0]: big}
    )
    several = [timeline(A, one), timeline(B, other), timeline(EncoderId("c"), third)]
    for order in permutations(several):
        segment = join(order).segments[SegmentIndex(0)]
        assert segment.duration == timedelta(seconds=2)
        assert segment.rungs == {SLOTS[0]: big, SLOTS[1]: small, SLOTS[2]: small}


def test_the_largest_timeline_is_far_below_the_bound_of_a_record() -> None:
    rungs: dict[RungName, RungSegment] = {
        RungName(f"{1000 + rung}p"): UploadedSegment(size=10**9, crc32c="AAAAAA==") for rung in range(MAX_RUNGS)
    }
    largest = timeline(
        EncoderId("a" * 63),
        *(
            TimelineSegment(
                index=SegmentIndex(10**9 + i),
                start=timedelta(days=20_000, microseconds=1),
                duration=timedelta(microseconds=1_999_999),
                rungs=rungs,
            )
            for i in range(TIMELINE_SEGMENTS)
        ),
    )
    content = encode_record(largest)
    assert len(content) < MAX_RECORD_BYTES / 10
    assert decode_record(Timeline, content) == largest


def test_a_gap_is_told_from_a_segment_in_the_record() -> None:
    content = encode_record(timeline(A, uploaded(0, SLOTS[:1], gaps=SLOTS[1:2])))
    rungs = decode_record(Timeline, content).segments[0].rungs
    assert [type(rungs[slot]) for slot in SLOTS[:2]] == [UploadedSegment, GapSegment]
