"""When the timeline is written, what is in it, and when a segment is given up."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.objects import WRITE_INTERVAL
from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.timeline import TIMELINE_SEGMENTS, GapSegment, RungSegment, UploadedSegment
from ingest.deliver.ledger import (
    STRAGGLER_PATIENCE,
    DecidedSegment,
    Ledger,
    WritableTime,
    is_given_up,
)

HIGH, LOW = RungName("720p"), RungName("360p")
RUNGS = frozenset({HIGH, LOW})
SEGMENT = timedelta(seconds=2)
FACT = UploadedSegment(size=4, crc32c="AAAAAA==")
EMPTY = Ledger(rungs=RUNGS)


def decided(index: int, rung: RungName, fact: RungSegment = FACT) -> DecidedSegment:
    return DecidedSegment(
        rung=rung, index=SegmentIndex(index), start=index * SEGMENT, duration=SEGMENT, fact=fact
    )


def test_nothing_is_written_while_there_is_nothing_new() -> None:
    assert EMPTY.write_at(ending=False) is None
    ledger = EMPTY.with_segment(decided(0, HIGH), now=5.0).written(at=6.0)
    assert ledger.write_at(ending=False) is None


def test_a_complete_index_is_written_at_once() -> None:
    ledger = EMPTY.with_segment(decided(0, HIGH), now=5.0).with_segment(decided(0, LOW), now=5.1)
    assert ledger.write_at(ending=False) == 5.0


def test_a_gap_completes_an_index_like_a_segment() -> None:
    ledger = EMPTY.with_segment(decided(0, HIGH), now=5.0)
    assert ledger.with_segment(decided(0, LOW, GapSegment()), now=5.1).write_at(ending=False) == 5.0


def test_a_straggler_holds_the_others_back_for_its_patience_only() -> None:
    ledger = EMPTY.with_segment(decided(0, HIGH), now=5.0)
    assert ledger.write_at(ending=False) == pytest.approx(5.0 + STRAGGLER_PATIENCE.total_seconds())


def test_a_straggler_that_comes_late_completes_its_index_at_once() -> None:
    ledger = EMPTY.with_segment(decided(0, HIGH), now=5.0).written(at=5.3)
    assert ledger.with_segment(decided(0, LOW), now=9.0).write_at(ending=False) == 9.0


def test_the_end_waits_for_no_straggler() -> None:
    assert EMPTY.with_segment(decided(0, HIGH), now=5.0).write_at(ending=True) == 5.0


def test_an_end_without_anything_new_is_written_too_and_at_once() -> None:
    assert EMPTY.write_at(ending=True) == 0.0
    written = EMPTY.with_segment(decided(0, HIGH), now=5.0).written(at=6.0)
    assert written.write_at(ending=True) == pytest.approx(6.0 + WRITE_INTERVAL.total_seconds())


def test_the_first_word_on_an_index_says_where_it_lies() -> None:
    other = DecidedSegment(
        rung=LOW, index=SegmentIndex(0), start=SEGMENT, duration=timedelta(seconds=1), fact=FACT
    )
    (segment,) = EMPTY.with_segment(decided(0, HIGH), now=0.0).with_segment(other, now=0.0).segments
    assert (segment.start, segment.duration) == (timedelta(0), SEGMENT)
    assert segment.rungs == {HIGH: FACT, LOW: FACT}


def test_a_timeline_says_all_that_the_ledger_holds() -> None:
    ledger = EMPTY.with_segment(decided(3, HIGH), now=0.0).with_segment(decided(2, LOW), now=0.0)
    media_at = datetime(2026, 1, 1, tzinfo=UTC)
    timeline = ledger.timeline(
        stream=StreamId("demo"),
        session=SessionNumber(7),
        encoder=EncoderId("e"),
        media_at=media_at,
        ended=True,
    )
    assert (timeline.stream, timeline.session, timeline.encoder) == ("demo", 7, "e")
    assert (timeline.ended, timeline.media_at) == (True, media_at)
    assert [segment.index for segment in timeline.segments] == [2, 3]


DECISIONS = st.lists(
    st.tuples(st.integers(0, 2 * TIMELINE_SEGMENTS), st.sampled_from([HIGH, LOW]), st.floats(0, 0.7)),
    max_size=150,
)


@given(DECISIONS)
def test_a_timeline_is_never_written_within_a_second_of_the_last_one(
    decisions: list[tuple[int, RungName, float]],
) -> None:
    """Whatever comes and when: writes keep apart, and none waits longer than patience and interval ask."""
    ledger, now, writes = EMPTY, 0.0, []
    for index, rung, pause in decisions:
        until = now + pause
        while (due := ledger.write_at(ending=False)) is not None and due <= until:
            assert due - (ledger.unwritten_since or 0.0) <= WRITE_INTERVAL.total_seconds() + 0.25
            now = max(now, due)
            writes.append(now)
            ledger = ledger.written(at=now)
        now = until
        ledger = ledger.with_segment(decided(index, rung), now=now)
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(writes))


@given(DECISIONS)
def test_a_ledger_holds_the_newest_segments_in_order_and_no_more_than_a_timeline_does(
    decisions: list[tuple[int, RungName, float]],
) -> None:
    ledger = EMPTY
    for index, rung, _ in decisions:
        ledger = ledger.with_segment(decided(index, rung), now=0.0)
    indices = [segment.index for segment in ledger.segments]
    assert indices == sorted(set(indices))
    assert len(indices) <= TIMELINE_SEGMENTS
    if decisions:
        assert indices[-1] == max(index for index, _, _ in decisions)


def successes(*times: float) -> WritableTime:
    """The writable time after something was verified at each of *times*."""
    writable = WritableTime()
    for at in times:
        writable = writable.after_success(at=at, segment_duration=SEGMENT)
    return writable


def test_time_between_the_usual_successes_counts() -> None:
    assert successes(100.0, 100.1, 102.0, 104.2).elapsed == timedelta(seconds=4.2)


def test_time_in_which_nothing_at_all_could_be_written_does_not_count() -> None:
    assert successes(100.0, 102.0, 162.0, 164.0).elapsed == timedelta(seconds=4)


@given(st.lists(st.integers(0, 10 * 2**16), max_size=50))
def test_writable_time_never_goes_back_and_is_never_more_than_what_passed(pauses: list[int]) -> None:
    writable, at = successes(0.0), 0.0
    for pause in pauses:
        passed = pause / 2**16  # so that sums are exact
        at += passed
        later = writable.after_success(at=at, segment_duration=SEGMENT)
        assert timedelta(0) <= later.elapsed - writable.elapsed <= timedelta(seconds=passed)
        writable = later


def test_a_segment_that_none_has_overtaken_is_never_given_up() -> None:
    assert not is_given_up(overtaken_at=None, now=timedelta(hours=1), segment_duration=SEGMENT)


@pytest.mark.parametrize(("after", "given_up"), [(0.0, False), (1.9, False), (2.0, True), (60.0, True)])
def test_an_overtaken_segment_is_tried_for_one_more_segment_duration(after: float, *, given_up: bool) -> None:
    overtaken_at = timedelta(seconds=10)
    now = overtaken_at + timedelta(seconds=after)
    assert is_given_up(overtaken_at=overtaken_at, now=now, segment_duration=SEGMENT) is given_up
