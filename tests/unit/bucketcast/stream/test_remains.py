"""The document that follows from what is left; that its playlists are the same is in test_rebuild.py."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bucketcast.stream.configuration import StreamConfiguration
from bucketcast.stream.document import ListedAs
from bucketcast.stream.identifiers import (
    BroadcastNumber,
    DiscontinuitySequenceNumber,
    EncoderId,
    MediaSequenceNumber,
    SessionNumber,
)
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.remains import RecordedSession, Remains, rebuild
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.stream_record import StreamRecord
from fakes import EPOCH
from stream_world import SLOTS, STREAM, THIRTY, encoded_rung, uploaded

RECORD = StreamRecord(
    stream=STREAM, number=4, created=EPOCH, key_hash="00", configuration=StreamConfiguration(pass_through=True)
)
NOW = EPOCH + timedelta(days=1)
NOTHING = Remains(
    record=RECORD, sessions=(), newest_seal=None, next_session=SessionNumber(1), newest_revision=-1
)
RUNGS = tuple(map(encoded_rung, SLOTS))


def session(number: int, broadcast: int = 1, seal: Seal | None = None) -> RecordedSession:
    """Session *number*, that many hours after the first; of a sealed one the segments 7, 8 and 9 are left."""
    record = SessionRecord(
        stream=STREAM,
        session=SessionNumber(number),
        broadcast=BroadcastNumber(broadcast),
        encoder=EncoderId(f"e{number}"),
        start=EPOCH + timedelta(hours=number),
        segment_duration=timedelta(seconds=2),
        frame_rate=THIRTY,
        rungs=RUNGS,
    )
    left = (uploaded(7, gaps=SLOTS[:1]), uploaded(8), uploaded(9, SLOTS[:2])) if seal else ()
    claimed = EPOCH + timedelta(hours=number, minutes=1)
    return RecordedSession(record=record, claimed=claimed, seal=seal, segments=left)


def seal(number: int, broadcast: int = 1, *, ended: bool = False) -> Seal:
    return Seal(
        stream=STREAM,
        session=SessionNumber(number),
        broadcast=BroadcastNumber(broadcast),
        ended=ended,
        last_index=9,
        next_media_sequence=MediaSequenceNumber(110),
        next_discontinuity_sequence=DiscontinuitySequenceNumber(5),
    )


def left(*sessions: RecordedSession, newest_seal: Seal | None = None) -> Remains:
    return replace(NOTHING, sessions=sessions, newest_seal=newest_seal, next_session=SessionNumber(9))


def test_of_a_stream_that_was_never_on_air_its_record_is_all() -> None:
    document = rebuild(NOTHING, now=NOW)
    assert (document.stream, document.key_hash, document.record_number) == (STREAM, "00", 4)
    assert document.configuration == RECORD.configuration
    assert (document.state, document.since, document.ended_broadcasts) == (StreamState.IDLE, NOW, 0)
    assert (document.next_session, document.next_media_sequence, document.next_discontinuity_sequence) == (
        1,
        0,
        0,
    )
    assert (document.sessions, document.window) == ((), ())


@pytest.mark.parametrize(("newest", "next_one"), [(-1000, 0), (-1, 0), (0, 1), (1000, 1001)])
def test_a_rebuilt_document_is_newer_than_every_object_and_than_every_document_before(
    newest: int, next_one: int
) -> None:
    """No publisher takes an old playlist for the newer one, wherever the clocks stand."""
    milliseconds = int(NOW.timestamp()) * 1000
    remains = replace(NOTHING, newest_revision=milliseconds + newest)
    assert rebuild(remains, now=NOW).revision == milliseconds + next_one


def test_numbers_go_on_behind_the_newest_seal() -> None:
    document = rebuild(left(newest_seal=seal(8)), now=NOW)
    assert (document.next_session, document.next_media_sequence, document.next_discontinuity_sequence) == (
        9,
        110,
        5,
    )


def test_sessions_are_as_recorded_and_drain_as_they_did() -> None:
    """Each but the last until two segments after the next claim; the sealed ones are sealed."""
    first, second = seal(1), None
    document = rebuild(left(session(1, seal=first), session(2, seal=second), session(3, 2)), now=NOW)
    assert [(s.session, s.broadcast, s.encoder) for s in document.sessions] == [
        (1, 1, "e1"),
        (2, 1, "e2"),
        (3, 2, "e3"),
    ]
    assert [s.claimed for s in document.sessions] == [EPOCH + timedelta(hours=n, minutes=1) for n in (1, 2, 3)]
    assert [s.start for s in document.sessions] == [EPOCH + timedelta(hours=n) for n in (1, 2, 3)]
    assert [s.drain_until for s in document.sessions] == [
        EPOCH + timedelta(hours=2, minutes=1, seconds=4),
        EPOCH + timedelta(hours=3, minutes=1, seconds=4),
        None,
    ]
    assert [(s.recorded, s.seal, s.sealed) for s in document.sessions] == [
        (True, first, True),
        (True, None, False),
        (True, None, False),
    ]
    assert {(s.frame_rate, s.rungs) for s in document.sessions} == {(THIRTY, RUNGS)}


def test_the_segments_of_a_sealed_session_keep_their_numbers_dates_and_gaps() -> None:
    """P2: counted back from the seal."""
    document = rebuild(left(session(2, seal=seal(2)), session(3), newest_seal=seal(2)), now=NOW)
    assert [(s.session, s.index, s.media_sequence, s.discontinuity_sequence) for s in document.window] == [
        (2, index, 100 + index, 4) for index in (7, 8, 9)
    ]
    assert [s.date for s in document.window] == [
        EPOCH + timedelta(hours=2, seconds=2 * index) for index in (7, 8, 9)
    ]
    assert [s.duration for s in document.window] == [timedelta(seconds=2)] * 3
    assert [s.rungs.get(SLOTS[0]) for s in document.window] == [
        ListedAs.GAP,
        ListedAs.SEGMENT,
        ListedAs.SEGMENT,
    ]
    assert SLOTS[2] not in document.window[-1].rungs


def test_what_is_not_sealed_is_published_anew_whatever_was_found_of_it() -> None:
    found = replace(session(3), segments=(uploaded(0),))
    assert rebuild(left(found), now=NOW).window == ()


@pytest.mark.parametrize(
    ("remains", "ended"),
    [
        (left(session(1)), 0),
        (left(session(1, 3)), 2),  # those before it are over
        (left(session(1, 1, seal(1)), session(2, 2), newest_seal=seal(1, ended=True)), 1),
        (left(session(2, 2), newest_seal=seal(1)), 1),  # the seal was decided before the broadcast's end
        (left(newest_seal=seal(7, 5)), 4),
        (left(newest_seal=seal(7, 5, ended=True)), 5),
    ],
)
def test_a_broadcast_is_over_if_its_last_seal_says_so_or_a_later_one_was_claimed(
    remains: Remains, ended: int
) -> None:
    document = rebuild(remains, now=NOW)
    assert document.ended_broadcasts == ended
    assert document.state is (StreamState.ENDED if ended else StreamState.IDLE)
