from datetime import timedelta

import pytest
from msgspec.structs import replace

from bucketcast.records import decode_record, encode_record
from bucketcast.stream.configuration import StreamConfiguration
from bucketcast.stream.document import ListedAs, SessionState, StreamDocument, decided_rungs
from bucketcast.stream.identifiers import BroadcastNumber, SessionNumber
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.session_record import FrameRate, SessionRecord
from bucketcast.stream.stream_record import StreamRecord, document_of
from fakes import EPOCH
from stream_world import FIRST, SLOTS, STREAM, THIRTY, A, B, encoded_rung, uploaded

SECOND = SessionNumber(2)
CLAIMED = SessionState(
    session=FIRST,
    broadcast=BroadcastNumber(1),
    encoder=A,
    claimed=EPOCH,
    start=EPOCH,
    frame_rate=THIRTY,
    rungs=tuple(map(encoded_rung, SLOTS)),
)
# Another encoder was promised the same number, in everything else than this one.
RECORD = SessionRecord(
    stream=STREAM,
    session=FIRST,
    broadcast=BroadcastNumber(2),
    encoder=B,
    start=EPOCH + timedelta(hours=1),
    segment_duration=timedelta(seconds=2),
    frame_rate=FrameRate(numerator=25),
    rungs=(encoded_rung(SLOTS[1]),),
)


def document(*sessions: SessionState) -> StreamDocument:
    fresh = document_of(
        StreamRecord(stream=STREAM, number=1, created=EPOCH, key_hash="", configuration=StreamConfiguration())
    )
    return replace(fresh, sessions=sessions)


def test_a_session_is_what_its_record_says_whoever_claimed_its_number() -> None:
    """A number may be given away twice if a document was lost; its record can be created only once."""
    session = CLAIMED.recorded_as(RECORD)
    assert session.recorded
    assert session.record(STREAM, timedelta(seconds=2)) == RECORD
    assert session.claimed == CLAIMED.claimed


def test_the_record_of_a_session_is_what_it_was_claimed_with() -> None:
    record = CLAIMED.record(STREAM, timedelta(seconds=2))
    assert CLAIMED.recorded_as(record) == replace(CLAIMED, recorded=True)


def test_only_sessions_without_a_record_take_one() -> None:
    """What was published of a session follows its first record, whatever lies under its name later."""
    recorded, claimed = replace(CLAIMED, recorded=True), replace(CLAIMED, session=SECOND)
    unread = replace(CLAIMED, session=SessionNumber(3))
    later = replace(RECORD, session=SECOND)
    updated = document(recorded, claimed, unread).with_records({FIRST: RECORD, SECOND: later})
    assert updated.sessions == (recorded, claimed.recorded_as(later), unread)


def test_how_a_rung_is_listed_is_what_lies_in_the_bucket() -> None:
    segment = uploaded(0, SLOTS[:1], gaps=SLOTS[1:2])
    assert decided_rungs(segment) == {SLOTS[0]: ListedAs.SEGMENT, SLOTS[1]: ListedAs.GAP}


@pytest.mark.parametrize(
    ("state", "ended", "under_way", "broadcast", "last"),
    [
        (StreamState.IDLE, 0, False, 1, 0),
        (StreamState.LIVE, 0, True, 1, 1),
        (StreamState.INTERRUPTED, 0, True, 1, 1),
        (StreamState.ENDED, 1, False, 2, 1),
        (StreamState.LIVE, 1, True, 2, 2),
    ],
)
def test_broadcasts_are_counted_from_the_first(
    state: StreamState,
    ended: int,
    under_way: bool,  # noqa: FBT001
    broadcast: int,
    last: int,
) -> None:
    stream = replace(document(), state=state, ended_broadcasts=ended)
    assert (stream.is_under_way, stream.broadcast, stream.last_broadcast) == (under_way, broadcast, last)


def test_a_document_is_read_as_it_was_stored() -> None:
    stored = document(CLAIMED, replace(CLAIMED, recorded=True, drain_until=EPOCH))
    assert decode_record(StreamDocument, encode_record(stored)) == stored


def test_only_a_live_stream_is_live() -> None:
    assert [replace(document(), state=state).is_live for state in StreamState] == [
        state is StreamState.LIVE for state in StreamState
    ]
