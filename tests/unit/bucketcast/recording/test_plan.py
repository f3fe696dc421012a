"""The plan takes everything that there is once, and knows what has to be made and what is missing."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.recording.names import SOURCE, PartFacts, part_name
from bucketcast.recording.plan import (
    MAX_FILE_SEGMENTS,
    MAX_HOLE_SEGMENTS,
    Hole,
    MissingSegments,
    RecordingPlan,
    SealedSession,
    TakenPart,
    groups,
    plan_recording,
)
from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber, StreamId

BEST, OTHER = RungName("1080p"), RungName("720p")


def part(
    first: int, last: int, *, session: int = 1, rung: RungName = BEST, media_format: str | None = "a" * 16
) -> PartFacts:
    return PartFacts(
        name=part_name(StreamId("demo"), SessionNumber(session), SegmentIndex(first)),
        session=SessionNumber(session),
        first=SegmentIndex(first),
        last=SegmentIndex(last),
        size=1000,
        head_bytes=100,
        rung=rung,
        media_format=media_format,
    )


def sealed(last: int, segments: list[int] | range, *, session: int = 1) -> SealedSession:
    found = [SegmentIndex(index) for index in segments]
    return SealedSession(session=SessionNumber(session), rung=BEST, last=last, segments=found)


def taken(one: PartFacts, first: int, last: int) -> TakenPart:
    return TakenPart(part=one, first=SegmentIndex(first), last=SegmentIndex(last))


def hole(first: int, last: int) -> Hole:
    return Hole(session=SessionNumber(1), rung=BEST, first=SegmentIndex(first), last=SegmentIndex(last))


def missing(first: int, last: int, session: int = 1) -> MissingSegments:
    return MissingSegments(session=SessionNumber(session), first=SegmentIndex(first), last=SegmentIndex(last))


@st.composite
def listings(draw: st.DrawFn) -> tuple[list[SealedSession], list[PartFacts]]:
    """What a listing may say: parts that overlap, of other rungs, behind the seal; segments without part."""
    found, parts = [], {}
    for session in range(1, draw(st.integers(1, 3)) + 1):
        found.append(
            sealed(draw(st.integers(-1, 30)), sorted(draw(st.sets(st.integers(0, 35)))), session=session)
        )
        for _ in range(draw(st.integers(0, 6))):
            first = draw(st.integers(0, 30))
            rung = draw(st.sampled_from([BEST, BEST, BEST, OTHER]))
            one = part(first, first + draw(st.integers(0, 8)), session=session, rung=rung)
            parts[one.name] = one
    return found, list(parts.values())


@given(listings())
def test_every_segment_is_taken_once_or_a_hole_or_missing(
    listing: tuple[list[SealedSession], list[PartFacts]],
) -> None:
    sessions, parts = listing
    plan = plan_recording(sessions, parts)
    for session in sessions:
        number = session.session
        shown = [
            index
            for one in plan.taken
            if one.part.session == number
            for index in range(one.first, one.last + 1)
        ]
        assert shown == sorted(set(shown))
        assert all(
            one.part.first <= one.first <= one.last <= one.part.last and one.part.rung == BEST
            for one in plan.taken
        )
        to_make = [
            index for one in plan.holes if one.session == number for index in range(one.first, one.last + 1)
        ]
        lost = [
            index for one in plan.missing if one.session == number for index in range(one.first, one.last + 1)
        ]
        assert sorted(shown + to_make + lost) == list(range(session.last + 1))
        in_parts = {
            index
            for one in parts
            if one.session == number and one.rung == BEST
            for index in range(one.first, one.last + 1)
            if index <= session.last
        }
        assert set(shown) == in_parts
        assert set(to_make) == {index for index in session.segments if index <= session.last} - in_parts
    assert all(one.last - one.first < MAX_HOLE_SEGMENTS for one in plan.holes)
    places = [(one.part.session, one.first) for one in plan.taken]
    assert places == sorted(places)
    assert len({one.part.name for one in plan.taken}) == len(plan.taken)


@given(listings(), st.integers(0, 2**32))
def test_the_order_of_a_listing_and_repetitions_say_nothing(
    listing: tuple[list[SealedSession], list[PartFacts]], seed: int
) -> None:
    sessions, parts = listing
    shuffled = [*parts, *parts]
    Random(seed).shuffle(shuffled)
    assert plan_recording(reversed(sessions), shuffled) == plan_recording(sessions, parts)


def test_a_hole_s_part_fills_it() -> None:
    parts = [part(0, 4)]
    plan = plan_recording([sealed(20, range(21))], parts)
    assert plan.holes == (hole(5, 8), hole(9, 12), hole(13, 16), hole(17, 20))
    filled = plan_recording(
        [sealed(20, range(21))], [*parts, *(part(one.first, one.last) for one in plan.holes)]
    )
    assert (filled.holes, filled.missing) == ((), ())


def test_of_parts_that_overlap_the_one_that_reaches_furthest_is_taken() -> None:
    parts = [part(0, 4), part(1, 2), part(3, 8), part(4, 6)]
    assert plan_recording([sealed(7, range(8))], parts) == RecordingPlan(
        taken=(taken(parts[0], 0, 4), taken(parts[2], 5, 7)), holes=(), missing=()
    )


def test_what_lies_behind_the_seal_or_in_another_rung_is_not_taken() -> None:
    plan = plan_recording([sealed(1, [0, 5])], [part(2, 5), part(0, 1, rung=OTHER), part(0, 1, session=2)])
    assert plan == RecordingPlan(taken=(), holes=(hole(0, 0),), missing=(missing(1, 1),))


def test_a_session_without_anything_is_missing_and_one_never_published_is_not() -> None:
    plan = plan_recording([sealed(-1, [], session=1), sealed(3, [], session=2)], [])
    assert plan == RecordingPlan(taken=(), holes=(), missing=(missing(0, 3, session=2),))


@pytest.mark.parametrize(
    ("formats", "files"),
    [
        ([], []),
        ([None, None], []),
        (["a", "a"], [2]),
        (["a", "b", "a"], [1, 1, 1]),
        ([None, "a", None, "a", None, "b", None], [5, 2]),
    ],
)
def test_a_file_has_what_comes_together_and_is_of_one_format(
    formats: list[str | None], files: list[int]
) -> None:
    all_taken = [
        taken(part(number, number, media_format=found), number, number) for number, found in enumerate(formats)
    ]
    found = groups(all_taken)
    assert [len(one) for one in found] == files
    if files:
        assert [one for file in found for one in file] == all_taken


def test_a_file_has_as_many_segments_as_memory_can_hold() -> None:
    half = MAX_FILE_SEGMENTS // 2
    parts = [part(begin, begin + half - 1) for begin in range(0, 5 * half, half)]
    found = groups(taken(one, one.first, one.last) for one in parts)
    assert [len(one) for one in found] == [2, 2, 1]


def test_the_source_is_taken_first_and_what_it_lacks_of_the_best_rung() -> None:
    best = part(0, 9), part(10, 19)
    of_source = part(0, 3, rung=SOURCE), part(8, 14, rung=SOURCE)
    plan = plan_recording([sealed(19, range(20))], [*best, *of_source])
    # Where a part of the source begins in a segment, nobody can tell: of 8, all is shown before.
    assert plan.taken == (
        taken(of_source[0], 0, 3),
        taken(best[0], 4, 8),
        taken(of_source[1], 8, 14),
        taken(best[1], 15, 19),
    )
    assert not plan.holes
    assert not plan.missing


def test_what_neither_the_source_s_parts_nor_the_best_rung_s_have_is_a_hole() -> None:
    plan = plan_recording([sealed(9, range(10))], [part(2, 6, rung=SOURCE)])
    assert plan.holes == (hole(0, 2), hole(7, 9))


def test_what_was_lost_for_viewers_the_source_still_has() -> None:
    whole = part(0, 12, rung=SOURCE)
    plan = plan_recording([sealed(9, [])], [whole])
    assert plan.taken == (taken(whole, 0, 9),)
    assert not plan.holes
    assert not plan.missing


def test_a_source_s_pictures_are_in_no_file_with_those_of_a_rung() -> None:
    parts = part(0, 4, rung=SOURCE), part(5, 6), part(7, 9, rung=SOURCE), part(10, 11, media_format=None)
    found = groups(taken(one, one.first, one.last) for one in parts)
    assert [[one.part for one in file] for file in found] == [[one] for one in parts[:3]]


def test_sound_alone_of_a_source_follows_its_pictures_or_is_what_viewers_got() -> None:
    pictures, muted = part(0, 4, rung=SOURCE), part(5, 9, rung=SOURCE, media_format=None)
    later = part(15, 19, rung=SOURCE, media_format=None)
    plan = plan_recording([sealed(19, range(20))], [pictures, muted, later])
    assert plan.taken == (taken(pictures, 0, 4), taken(muted, 5, 9))
    assert plan.holes == (hole(10, 13), hole(14, 17), hole(18, 19))


def test_what_the_best_rung_lacks_at_a_source_s_beginning_is_not_missing() -> None:
    plan = plan_recording([sealed(4, [])], [part(2, 4, rung=SOURCE)])
    assert plan.missing == (missing(0, 1),)
    assert not plan.holes
