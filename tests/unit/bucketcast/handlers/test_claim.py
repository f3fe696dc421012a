from datetime import timedelta
from typing import Any

import pytest

from bucketcast.errors import NotFound, PreconditionFailed, Refused, Unavailable
from bucketcast.handlers.claim import MAX_SILENT_SECONDS
from bucketcast.records import decode_record
from bucketcast.stream.claim import Renewal
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.encoder_report import EncoderReport
from bucketcast.stream.identifiers import EncoderId, SessionNumber, StreamId
from bucketcast.stream.object_names import session_record_name
from bucketcast.stream.session_record import SessionRecord
from fakes import EPOCH, FakeBucket, FakeStreamDocuments
from stream_world import FIRST, STREAM, A, B, World, claim_request, uploaded

THREE = [uploaded(index) for index in range(3)]  # what puts a broadcast on air


def renewal(
    session: SessionNumber, encoder: EncoderId, *, silent_seconds: float = 0.0, speed: float = 0
) -> Renewal:
    return Renewal(
        stream=STREAM,
        session=session,
        encoder=encoder,
        silent_seconds=silent_seconds,
        report=EncoderReport(speed=speed),
    )


def test_a_claim_leaves_a_record_and_a_lease() -> None:
    world = World()
    record = world.claims.claim(claim_request(A))
    content = world.ingest.read(session_record_name(STREAM, FIRST))
    assert content is not None
    assert decode_record(SessionRecord, content) == record
    assert (record.session, record.broadcast, record.segment_duration) == (1, 1, timedelta(seconds=2))
    lease = world.documents.lease(STREAM)
    assert lease is not None
    assert (lease.session, lease.encoder, lease.media_at) == (1, A, EPOCH)
    assert world.document.revision == 1


def test_claiming_again_gives_the_same_session() -> None:
    world = World()
    record = world.claims.claim(claim_request(A))
    del world.ingest.objects[session_record_name(STREAM, FIRST)]  # the first try was killed before it
    assert world.claims.claim(claim_request(A)) == record
    assert session_record_name(STREAM, FIRST) in world.ingest.objects
    assert world.document.next_session == 2
    assert world.document.revision == 1


def test_an_encoder_that_was_replaced_gets_no_lease_by_claiming_again() -> None:
    """It would keep out whoever comes next."""
    world = World()
    world.claim(A)
    world.clock.advance(9)
    world.claim(B)
    world.clock.advance(9)
    world.claims.claim(claim_request(A))
    lease = world.documents.lease(STREAM)
    assert lease is not None
    assert lease.encoder == B


def test_a_stream_on_air_is_refused_to_another() -> None:
    world = World()
    world.claim(A)
    with pytest.raises(Refused):
        world.claim(B)
    assert world.document.next_session == 2


def test_an_unknown_stream_can_be_neither_claimed_nor_renewed() -> None:
    world = World()
    unknown = StreamId("unknown")
    with pytest.raises(NotFound, match="no stream 'unknown'"):
        world.claims.claim(type(claim_request(A))(**{**_fields(claim_request(A)), "stream": unknown}))
    with pytest.raises(NotFound, match="no stream 'unknown'"):
        world.claims.renew(Renewal(stream=unknown, session=FIRST, encoder=A))


def _fields(struct: object) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("silent", "media_at"), [(0.0, 0.0), (2.5, 2.5), (-5.0, 0.0), (1e308, MAX_SILENT_SECONDS)]
)
def test_a_renewal_says_when_media_last_came(silent: float, media_at: float) -> None:
    world = World()
    world.claim(A)
    world.clock.advance(50)
    assert world.claims.renew(renewal(FIRST, A, silent_seconds=silent, speed=1.5)).holds == "on"
    lease = world.documents.lease(STREAM)
    assert lease is not None
    assert lease.media_at == world.clock.now() - timedelta(seconds=media_at)
    assert lease.report.speed == 1.5


def test_a_session_that_is_over_renews_nothing() -> None:
    world = World()
    world.report(world.claim(A), A, THREE)
    world.wake()
    world.clock.advance(9)
    world.claim(B)
    held = world.documents.lease(STREAM)
    world.clock.advance(1)
    assert world.claims.renew(renewal(FIRST, A)).holds == "replaced"
    world.streams.end(STREAM)
    assert world.claims.renew(renewal(SessionNumber(2), B)).holds == "ended"
    assert world.documents.lease(STREAM) == held


class Contended(FakeStreamDocuments):
    """Somebody else was first, *times* times."""

    times = 0

    def replace(self, document: StreamDocument, *, version: object) -> None:
        if self.times:
            self.times -= 1
            raise PreconditionFailed("first")
        super().replace(document, version=version)  # type: ignore[arg-type]


@pytest.mark.parametrize("times", [1, 11])
def test_a_claim_meets_other_writers_and_goes_on(times: int) -> None:
    world = World()
    world.documents.__class__ = Contended
    world.documents.times = times  # type: ignore[attr-defined]
    assert world.claim(A) == 1


def test_a_claim_that_finds_no_end_is_to_be_tried_again() -> None:
    world = World()
    world.documents.__class__ = Contended
    world.documents.times = 12  # type: ignore[attr-defined]
    with pytest.raises(Unavailable, match="12 rounds"):
        world.claim(A)
    world.report(FIRST, A, [])
    world.documents.times = 12  # type: ignore[attr-defined]
    world.documents.__class__ = FakeStreamDocuments
    world.report_later(world.claim(A), A, THREE)
    world.wake()
    world.documents.__class__ = Contended
    with pytest.raises(Unavailable, match="12 rounds"):
        world.streams.end(STREAM)


class Forgetful(FakeBucket):
    """What was written a moment ago is gone when it is read."""

    def read(self, name: str) -> bytes | None:
        return None


def test_a_record_that_vanishes_is_to_be_claimed_again() -> None:
    world = World()
    world.claim(A)
    world.ingest.__class__ = Forgetful
    with pytest.raises(Unavailable, match="is gone"):
        world.claims.claim(claim_request(A))
