"""Which media may go: a day after the end, never what a playlist names, never what a recording still needs."""

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bucketcast.stream.configuration import RecordingMode
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.expiry import (
    KEPT,
    KEPT_FOR_A_RECORDING,
    ExpiredSession,
    SealedSession,
    cleaned_up,
    expired_sessions,
    has_expired,
)
from bucketcast.stream.identifiers import (
    BroadcastNumber,
    DiscontinuitySequenceNumber,
    MediaSequenceNumber,
    SegmentIndex,
    SessionNumber,
)
from bucketcast.stream.seal import Seal
from fakes import EPOCH
from stream_world import STREAM, A, World, uploaded

ONE, TWO = BroadcastNumber(1), BroadcastNumber(2)


def expired(
    document: StreamDocument,
    sessions: list[SealedSession],
    settled: AbstractSet[BroadcastNumber],
    *,
    now: datetime,
) -> tuple[ExpiredSession, ...]:
    return expired_sessions(document, sessions, settled=settled, carried=frozenset(), now=now)


def sealed(session: int, broadcast: int, at: datetime = EPOCH) -> SealedSession:
    return SealedSession(
        seal=Seal(
            stream=STREAM,
            session=SessionNumber(session),
            broadcast=BroadcastNumber(broadcast),
            last_index=8,
            next_media_sequence=MediaSequenceNumber(9),
            next_discontinuity_sequence=DiscontinuitySequenceNumber(1),
        ),
        sealed=at,
    )


@pytest.fixture
def document() -> StreamDocument:
    """A stream whose first broadcast, of one session, has ended; its playlists name segments 3 to 8."""
    world = World(reconnect_window=0)
    world.report(world.claim(A), A, [uploaded(index) for index in range(9)], ended=True)
    world.wake()
    world.clock.advance(1)
    document = world.wake()
    assert document.ended_broadcasts == 1
    return document


def test_a_day_after_the_end_what_no_playlist_names_goes(document: StreamDocument) -> None:
    newest = [sealed(1, 1)]
    assert expired(document, newest, {ONE}, now=EPOCH + KEPT - timedelta(seconds=1)) == ()
    assert expired(document, newest, {ONE}, now=EPOCH + KEPT) == (
        ExpiredSession(session=SessionNumber(1), broadcast=ONE, until=SegmentIndex(3), is_newest=True),
    )


def test_once_the_next_broadcast_is_shown_the_whole_session_goes(document: StreamDocument) -> None:
    shown = replace(document, window=(), sessions=())
    found = expired(shown, [sealed(1, 1), sealed(2, 2)], {ONE}, now=EPOCH + KEPT)
    assert found == (ExpiredSession(session=SessionNumber(1), broadcast=ONE, until=None, is_newest=False),)


def test_a_day_counts_from_the_end_of_the_broadcast_not_of_its_sessions(document: StreamDocument) -> None:
    sessions = [sealed(1, 1), sealed(2, 1, EPOCH + timedelta(hours=5)), sealed(3, 1, EPOCH)]
    document = replace(document, window=(), sessions=())
    assert expired(document, sessions, {ONE}, now=EPOCH + KEPT) == ()
    found = expired(document, sessions, {ONE}, now=EPOCH + KEPT + timedelta(hours=5))
    assert [(one.session, one.is_newest) for one in found] == [(1, False), (2, False), (3, True)]


def test_a_broadcast_that_is_on_air_keeps_its_segments_however_old(document: StreamDocument) -> None:
    now = EPOCH + timedelta(days=40)
    assert expired(document, [sealed(2, 2)], {ONE, TWO}, now=now) == ()


def test_what_a_recording_may_be_made_of_is_kept_for_a_week(document: StreamDocument) -> None:
    now = EPOCH + KEPT_FOR_A_RECORDING
    assert expired(document, [sealed(1, 1)], set(), now=now - timedelta(seconds=1)) == ()
    assert expired(document, [sealed(1, 1)], set(), now=now) != ()
    off = replace(document.configuration, recording=RecordingMode.OFF)
    assert expired(replace(document, configuration=off), [sealed(1, 1)], set(), now=EPOCH + KEPT)


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 72)), min_size=1, max_size=6),
    st.integers(0, 400),
    st.sets(st.integers(1, 3).map(BroadcastNumber)),
)
def test_nothing_goes_before_its_day_is_over(
    sessions: list[tuple[int, int]], hours: int, settled: set[BroadcastNumber]
) -> None:
    world = World()
    document = replace(world.document, ended_broadcasts=2)
    known = [
        sealed(number, broadcast, EPOCH + timedelta(hours=at))
        for number, (broadcast, at) in enumerate(sorted(sessions), 1)
    ]
    now = EPOCH + timedelta(hours=hours)
    gone = {one.session for one in expired(document, known, settled, now=now)}
    for session in known:
        ends = [other.sealed for other in known if other.seal.broadcast == session.seal.broadcast]
        kept = KEPT if session.seal.broadcast in settled else KEPT_FOR_A_RECORDING
        may_go = session.seal.broadcast <= 2 and now - max(ends) >= kept
        assert (session.seal.session in gone) is may_go


def test_what_a_recording_is_being_made_of_stays_however_old(document: StreamDocument) -> None:
    now = EPOCH + 2 * KEPT_FOR_A_RECORDING
    assert expired_sessions(document, [sealed(1, 1)], settled=set(), carried={ONE}, now=now) == ()


def test_an_ended_broadcast_keeps_its_sessions_until_the_last_one_is_sealed(document: StreamDocument) -> None:
    """Only its seal says when the broadcast ended; it may have gone on for days behind the one before."""
    [last] = document.sessions
    unsealed = replace(document, sessions=(replace(last, session=SessionNumber(2), sealed=False),), window=())
    assert expired(unsealed, [sealed(1, 1)], {ONE}, now=EPOCH + KEPT) == ()


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 72)), min_size=1, max_size=6),
    st.integers(0, 400),
    st.sets(st.integers(1, 3).map(BroadcastNumber)),
    st.floats(0, 1, exclude_max=True),
)
def test_nothing_more_expires_while_it_was_said_to_be_cleaned_up(
    sessions: list[tuple[int, int]], hours: int, settled: set[BroadcastNumber], share: float
) -> None:
    """Not even of what is sealed since; and it is said for a day at most."""
    document = replace(World().document, ended_broadcasts=2)
    known = [
        sealed(number, broadcast, EPOCH + timedelta(hours=at))
        for number, (broadcast, at) in enumerate(sorted(sessions), 1)
    ]
    now = EPOCH + timedelta(hours=hours)
    result = cleaned_up(document, known, carried=frozenset(), now=now)
    assert result is not None
    remembered = replace(document, cleaned_up=result)
    assert not has_expired(remembered, now)
    assert has_expired(remembered, now + KEPT)
    assert has_expired(remembered, now - KEPT), "a clock was wrong"
    later = now + (result.until - now) * share
    new = [*known, sealed(9, 2, now)]
    before = {one.session for one in expired(document, known, settled, now=now)}
    assert {one.session for one in expired(document, new, settled, now=later)} <= before


def test_what_was_cleaned_up_holds_while_the_same_sessions_are_shown(document: StreamDocument) -> None:
    now = EPOCH + KEPT
    result = cleaned_up(document, [sealed(1, 1)], carried=frozenset(), now=now)
    assert not has_expired(replace(document, cleaned_up=result), now)
    assert has_expired(replace(document, cleaned_up=result, window=()), now)
    assert cleaned_up(document, [sealed(1, 1)], carried={ONE}, now=now) is None
    assert cleaned_up(document, [sealed(1, 1)], carried={ONE}, now=now - timedelta(seconds=1)) is not None
