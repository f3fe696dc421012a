from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec.structs import replace

from bucketcast.errors import InvalidInput, InvalidName, Refused
from bucketcast.stream.claim import LEASE, ClaimRequest, Lease, Renewal, claim, holding
from bucketcast.stream.configuration import StreamConfiguration
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.publication import end_broadcast
from bucketcast.stream.session_record import FrameRate
from bucketcast.stream.stream_record import StreamRecord, document_of
from bucketcast.stream.timeline import JoinedTimeline
from fakes import EPOCH
from stream_world import FIRST, SLOTS, STREAM, A, B, World, claim_request, encoded_rung, uploaded

SECOND = SessionNumber(2)
FRESH = document_of(
    StreamRecord(stream=STREAM, number=1, created=EPOCH, key_hash="", configuration=StreamConfiguration())
)


def lease(session: SessionNumber, encoder: EncoderId, at: datetime) -> Lease:
    return Lease(session=session, encoder=encoder, media_at=at)


def claimed(
    document: StreamDocument, encoder: EncoderId, at: timedelta, held: Lease | None = None
) -> StreamDocument:
    return claim(document, claim_request(encoder), lease=held, now=EPOCH + at)


def test_the_first_claim_is_session_one_of_broadcast_one() -> None:
    (session,) = claimed(FRESH, A, timedelta(0)).sessions
    assert (session.session, session.broadcast, session.encoder, session.claimed) == (1, 1, A, EPOCH)
    assert (session.recorded, session.sealed, session.seal, session.drain_until) == (False, False, None, None)


def test_claiming_again_is_claiming_once() -> None:
    """The answer to the first claim may have been lost."""
    once = claimed(FRESH, A, timedelta(0))
    held = lease(FIRST, A, EPOCH)
    assert claimed(once, A, timedelta(seconds=1), held) is once
    twice = claimed(once, B, timedelta(seconds=9), held)
    assert claimed(twice, A, timedelta(seconds=99), held) is twice


def test_a_newcomer_gives_the_session_before_two_segments_to_drain() -> None:
    first = claimed(FRESH, A, timedelta(0))
    second = claimed(first, B, timedelta(seconds=9))
    third = claimed(second, EncoderId("c"), timedelta(seconds=20))
    assert [session.drain_until for session in third.sessions] == [
        EPOCH + timedelta(seconds=9 + 4),
        EPOCH + timedelta(seconds=20 + 4),
        None,
    ]
    assert third.next_session == 4


def test_a_holder_that_received_media_lately_is_not_replaced() -> None:
    """And one that did not is: a half-open connection must not lock a broadcaster out."""
    held = lease(FIRST, A, EPOCH + timedelta(seconds=60))
    document = claimed(FRESH, A, timedelta(0))
    almost = timedelta(seconds=60) + LEASE - timedelta(microseconds=1)
    with pytest.raises(Refused, match="on air from another broadcaster"):
        claimed(document, B, almost, held)
    assert claimed(document, B, timedelta(seconds=60) + LEASE, held).next_session == 3


@pytest.mark.parametrize("held", [None, lease(FIRST, A, EPOCH - timedelta(hours=1))])
def test_of_two_claims_at_once_the_first_is_not_replaced_before_its_lease_is_written(
    held: Lease | None,
) -> None:
    first = claimed(FRESH, A, timedelta(0), held)
    second = claimed(first, B, timedelta(seconds=9), held)
    with pytest.raises(Refused):
        claimed(second, EncoderId("c"), timedelta(seconds=9) + LEASE / 2, held)


def test_a_broadcaster_that_gave_its_lease_back_may_return_at_once() -> None:
    document = claimed(FRESH, A, timedelta(0))
    assert (
        claimed(document, B, timedelta(seconds=1), lease(FIRST, A, EPOCH - timedelta(hours=1))).next_session
        == 3
    )


def test_a_rung_that_has_no_slot_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no slot for 144p, 240p"):
        claim(
            FRESH,
            claim_request(A, [RungName("240p"), RungName("720p"), RungName("144p")]),
            lease=None,
            now=EPOCH,
        )


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("stream", StreamId("De/mo"), "a stream id"),
        ("encoder", EncoderId("A b"), "an encoder id"),
        ("rungs", (), "at least one rung"),
        ("rungs", (encoded_rung(SLOTS[0]), encoded_rung(SLOTS[0])), "each once"),
        ("start", EPOCH.replace(tzinfo=None), "in UTC"),
        ("start", EPOCH.astimezone(timezone(timedelta(hours=1))), "in UTC"),
    ],
)
def test_a_claim_that_could_not_be_published_is_refused(field: str, value: Any, words: str) -> None:
    """A playlist gives dates in UTC; a session with another offset would fail every publication."""
    fields: dict[str, Any] = {
        "stream": STREAM,
        "encoder": A,
        "start": EPOCH,
        "frame_rate": FrameRate(numerator=30),
    }
    fields["rungs"] = (encoded_rung(SLOTS[0]),)
    with pytest.raises(InvalidInput, match=words):
        ClaimRequest(**(fields | {field: value}))


@pytest.mark.parametrize(("stream", "encoder"), [("a/b", "e"), ("", "e"), ("demo", "E"), ("demo", "")])
def test_a_renewal_names_a_stream_and_an_encoder(stream: str, encoder: str) -> None:
    with pytest.raises(InvalidName):
        Renewal(stream=StreamId(stream), session=FIRST, encoder=EncoderId(encoder))


def test_a_renewal_that_says_nothing_of_silence_is_of_media_that_just_came() -> None:
    assert Renewal(stream=STREAM, session=FIRST, encoder=A).silent_seconds == 0


def test_a_session_goes_on_until_another_takes_its_place() -> None:
    first = claimed(FRESH, A, timedelta(0))
    assert holding(first, FIRST) == "on"
    second = claimed(first, B, timedelta(seconds=9))
    assert (holding(second, FIRST), holding(second, SECOND)) == ("replaced", "on")
    assert holding(second, SessionNumber(3)) == "ended"  # it was never claimed


def test_a_session_has_ended_with_its_broadcast_and_with_its_seal() -> None:
    world = World()
    session = world.claim(A)
    world.report(session, A, [uploaded(index) for index in range(3)])
    assert holding(world.wake(), session) == "on"
    ended = end_broadcast(world.document, now=world.clock.now())
    assert holding(ended, session) == "ended"
    world.streams.end(STREAM)
    sealed = world.wake()
    assert sealed.sessions[0].seal is not None
    assert holding(replace(sealed, ended_broadcasts=0), session) == "ended"


@pytest.mark.parametrize("seconds", [2.999, 3.0])
def test_a_holder_has_three_seconds(seconds: float) -> None:
    """A broadcaster whose connection broke must not wait longer than it takes to press the button again."""
    document = claimed(FRESH, A, timedelta(0))
    held = lease(FIRST, A, EPOCH + timedelta(seconds=60))
    at = timedelta(seconds=60 + seconds)
    if seconds < 3:
        with pytest.raises(Refused):
            claimed(document, B, at, held)
    else:
        assert claimed(document, B, at, held).sessions[-1].encoder == B


def test_a_lease_that_was_given_back_holds_nothing_even_if_its_claim_was_lost() -> None:
    """The document was made again, and knows of the session before only."""
    document = claimed(FRESH, A, timedelta(0))
    given_back = lease(SessionNumber(5), B, EPOCH - timedelta(hours=1))
    assert claimed(document, EncoderId("c"), timedelta(seconds=1), given_back).next_session == 3


def test_a_claim_changes_nothing_of_a_session_that_drains_already() -> None:
    document = claimed(FRESH, A, timedelta(0))
    drains = replace(document.sessions[0], drain_until=EPOCH + timedelta(seconds=1))
    later = claimed(replace(document, sessions=(drains,)), B, timedelta(seconds=9))
    assert later.sessions[0] == drains


@pytest.mark.parametrize(
    ("published", "reported", "asked", "start"),
    [
        (0, 0, 7, 7),
        (3, 0, 5, 6),
        (3, 0, 7, 7),
        (3, 4, 7, 8),
        (3, 2, 5, 6),
        (0, 4, 5, 8),
    ],
)
def test_a_session_starts_behind_all_media_before_it(
    published: int, reported: int, asked: float, start: float
) -> None:
    """Of segments of 2 s so many are published, or only reported, of a session that began at 0."""
    world = World()
    world.report(world.claim(A, start=EPOCH), A, [uploaded(index) for index in range(published)])
    document = world.wake()
    segments = {SegmentIndex(index): uploaded(index) for index in range(reported)}
    newcomer = claim(
        document,
        claim_request(B, start=EPOCH + timedelta(seconds=asked)),
        lease=None,
        reported=JoinedTimeline(segments=segments),
        now=EPOCH + timedelta(minutes=1),
    ).sessions[-1]
    assert newcomer.start == EPOCH + timedelta(seconds=start)


def test_what_is_reported_is_of_the_newest_session() -> None:
    """Its index 0 lies at its own start, not at that of a session before, whose clock was ahead."""
    ahead = claim(FRESH, claim_request(A, start=EPOCH + timedelta(hours=1)), lease=None, now=EPOCH)
    document = claim(ahead, claim_request(B), lease=None, now=EPOCH + timedelta(minutes=1))
    third = claim(
        document,
        claim_request(EncoderId("c"), start=EPOCH),
        lease=None,
        reported=JoinedTimeline(segments={SegmentIndex(2): uploaded(2)}),
        now=EPOCH + timedelta(minutes=2),
    )
    assert third.sessions[-1].start == EPOCH + timedelta(seconds=6)


def test_a_session_keeps_its_claim_as_it_was_asked_for() -> None:
    rate = FrameRate(numerator=25)
    request = claim_request(A, SLOTS[:1], EPOCH + timedelta(hours=1), rate)
    (session,) = claim(FRESH, request, lease=None, now=EPOCH).sessions
    assert (session.frame_rate, session.rungs) == (rate, request.rungs)
    assert session.start == request.start


def test_the_newest_session_goes_on_whatever_became_of_those_before() -> None:
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)], ended=True)
    world.wake()
    world.clock.advance(9)
    second = world.claim(B)
    document = world.wake()
    assert document.sessions[0].seal is not None
    assert (holding(document, FIRST), holding(document, second)) == ("replaced", "on")
