from typing import Any

import pytest

from bucketcast.errors import NotFound, PreconditionFailed, Refused, Unavailable
from bucketcast.objects import ABSENT
from bucketcast.records import decode_record
from bucketcast.stream.claim import LEASE, Renewal
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.encoder_report import ADVICE, EncoderReport, InputFault
from bucketcast.stream.identifiers import StreamId
from bucketcast.stream.object_names import stream_record_name
from bucketcast.stream.stream_key import key_hash, parse_stream_key
from bucketcast.stream.stream_record import StreamRecord
from bucketcast.stream.stream_request import StreamRequest
from bucketcast.stream_records import latest_stream_record, stream_record_object
from fakes import FakeBucket, FakeStreamDocuments
from stream_world import FIRST, SLOTS, STREAM, A, B, World, uploaded

OTHER = StreamId("other")


def test_the_key_is_shown_once_and_stored_as_its_hash() -> None:
    world = World()
    created = world.streams.create(StreamRequest(id=OTHER))
    key = parse_stream_key(created.stream_key)
    content = world.ingest.read(stream_record_name(OTHER, 1))
    assert content is not None
    record = decode_record(StreamRecord, content)
    assert (record.key_hash, key.stream) == (key_hash(key), OTHER)
    assert key.secret.encode() not in content
    assert key.secret not in repr(world.streams.view(OTHER))


def test_a_stream_is_made_once() -> None:
    world = World()
    world.streams.random_bytes  # noqa: B018 - the next key is another one
    other = type(world.streams)(
        ingest=world.ingest,
        documents=world.documents,
        watchdog=world.streams.watchdog,
        clock=world.clock,
        random_bytes=lambda size: b"\1" * size,
    )
    with pytest.raises(Refused, match="there is a stream 'demo' already"):
        other.create(StreamRequest(id=STREAM))
    record = latest_stream_record(world.ingest, STREAM)
    assert record is not None
    assert record.key_hash == world.document.key_hash


class AnswerLost(FakeBucket):
    """The first answer is lost on its way, and the client tries again."""

    def write(self, new: object, *, if_generation: object) -> object:  # type: ignore[override]
        super().write(new, if_generation=if_generation)  # type: ignore[arg-type]
        raise PreconditionFailed("there is one already")


def test_a_stream_whose_answer_was_lost_on_the_way_still_shows_its_key() -> None:
    """The retry meets the record of the first try, which is the same one."""
    world = World()
    world.ingest.__class__ = AnswerLost
    created = world.streams.create(StreamRequest(id=OTHER))
    record = latest_stream_record(world.ingest, OTHER)
    assert record is not None
    assert record.key_hash == key_hash(parse_stream_key(created.stream_key))


class WithoutFirestore(FakeStreamDocuments):
    """Nothing can be created now."""

    def create(self, document: StreamDocument) -> None:
        raise Unavailable("Firestore")


def test_a_stream_whose_document_must_wait_still_shows_its_key() -> None:
    """The record's event makes the document."""
    world = World()
    world.documents.__class__ = WithoutFirestore
    assert world.streams.create(StreamRequest(id=OTHER)).stream_key.startswith("other_")
    assert latest_stream_record(world.ingest, OTHER) is not None


def test_the_record_of_the_highest_number_holds() -> None:
    world = World()
    record = latest_stream_record(world.ingest, STREAM)
    assert record is not None
    newer = StreamRecord(**{name: getattr(record, name) for name in record.__struct_fields__} | {"number": 12})
    world.ingest.write(stream_record_object(newer), if_generation=ABSENT)
    assert latest_stream_record(world.ingest, STREAM) == newer
    assert latest_stream_record(world.ingest, OTHER) is None


def test_streams_are_listed_by_id() -> None:
    world = World()
    for name in ("zebra", "ant"):
        world.streams.create(StreamRequest(id=name))
    assert [view.id for view in world.streams.all()] == ["ant", "demo", "zebra"]


def test_a_stream_whose_document_is_gone_is_listed_and_gets_it_back() -> None:
    world = World()
    world.streams.create(StreamRequest(id="ant"))
    before = world.streams.all()
    del world.documents._documents[STREAM]
    listed = world.streams.all()
    assert [view.id for view in listed] == ["ant", "demo"]
    assert (listed[1].rungs, listed[1].state) == (before[1].rungs, before[1].state)
    assert world.document.stream == STREAM


def test_a_stream_that_never_was_on_air_shows_its_slots() -> None:
    view = World().streams.view(STREAM)
    assert (view.state, view.broadcast, view.session, view.segment_seconds) == ("idle", 0, 0, 2.0)
    assert [(rung.name, rung.video_kbps) for rung in view.rungs] == [
        ("720p", 2160),
        ("480p", 1440),
        ("360p", 1080),
    ]
    assert all(rung.filled_by is None and rung.last_media_sequence is None for rung in view.rungs)
    assert (view.input_faults, view.counters) == ((), EncoderReport())


def test_a_stream_on_air_shows_what_fills_its_slots_and_what_its_encoder_reports() -> None:
    world = World()
    session = world.claim(A, SLOTS[1:])
    world.report(session, A, [*(uploaded(index, SLOTS[1:]) for index in range(3)), uploaded(3, SLOTS[1:2])])
    world.wake()
    report = EncoderReport(faults=(InputFault.NO_AUDIO,), speed=1.5, segments_uploaded=3)
    world.claims.renew(Renewal(stream=STREAM, session=FIRST, encoder=A, report=report))
    view = world.streams.view(STREAM)
    assert (view.state, view.broadcast, view.session) == ("live", 1, 1)
    assert [(rung.filled_by, rung.width, rung.height, rung.last_media_sequence) for rung in view.rungs] == [
        ("480p", 852, 480, 3),
        ("480p", 852, 480, 3),
        ("360p", 640, 360, 2),
    ]
    assert [(fault.name, fault.advice) for fault in view.input_faults] == [
        ("no-audio", ADVICE[InputFault.NO_AUDIO])
    ]
    assert view.counters == report


def test_an_interrupted_stream_shows_its_broadcast_and_no_counters_of_who_has_gone() -> None:
    world = World()
    world.report(world.claim(A), A, [uploaded(0)], ended=True)
    world.wake()
    report = EncoderReport(speed=1.0)
    world.claims.renew(
        Renewal(stream=STREAM, session=FIRST, encoder=A, silent_seconds=LEASE.total_seconds(), report=report)
    )
    view = world.streams.view(STREAM)
    assert (view.state, view.broadcast, view.counters.speed) == ("interrupted", 1, 0.0)


def test_a_session_shows_its_faults_before_anything_of_it_is_published() -> None:
    """A bug: what keeps a stream from going on air was hidden until it was on air."""
    world = World()
    world.claim(A)
    report = EncoderReport(faults=(InputFault.NO_VIDEO,))
    world.claims.renew(Renewal(stream=STREAM, session=FIRST, encoder=A, report=report))
    view = world.streams.view(STREAM)
    assert (view.state, [fault.name for fault in view.input_faults]) == ("idle", ["no-video"])
    world.clock.advance(LEASE.total_seconds())
    assert world.streams.view(STREAM).input_faults == ()


def test_a_stream_on_air_shows_its_counters_although_a_renewal_is_late() -> None:
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(4)])
    world.wake()
    world.claims.renew(Renewal(stream=STREAM, session=FIRST, encoder=A, report=EncoderReport(speed=1.0)))
    world.clock.advance(LEASE.total_seconds() + 1)
    view = world.streams.view(STREAM)
    assert (view.state, view.counters.speed) == ("live", 1.0)


def test_a_claimed_session_shows_before_it_has_segments() -> None:
    world = World()
    world.claim(B)
    view = world.streams.view(STREAM)
    assert (view.session, view.rungs[0].filled_by) == (1, None)


def test_an_unknown_stream_can_be_neither_seen_nor_ended() -> None:
    world = World()
    for action in (world.streams.view, world.streams.end):
        with pytest.raises(NotFound, match="no stream 'other'"):
            action(OTHER)


class AlwaysSecond(FakeStreamDocuments):
    """Somebody else writes just before, every time."""

    def replace(self, document: StreamDocument, *, version: object) -> None:
        raise PreconditionFailed(document.stream)


def test_an_end_that_is_always_overtaken_is_to_be_asked_for_again() -> None:
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(4)])
    world.wake()
    world.documents.__class__ = AlwaysSecond
    with pytest.raises(Unavailable, match="ending demo found no end in 12 rounds"):
        world.streams.end(STREAM)


def test_an_end_whose_answer_was_lost_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug: the second look found the broadcast ended, and told its owner that there was none to end."""
    world = World()
    session = world.claim(A)
    world.report(session, A, [uploaded(index) for index in range(4)])
    world.wake()
    replace = FakeStreamDocuments.replace

    def losing_the_answer(documents: FakeStreamDocuments, *arguments: Any, **options: Any) -> None:
        replace(documents, *arguments, **options)
        monkeypatch.undo()
        raise PreconditionFailed("another try of the same write was there first")

    monkeypatch.setattr(FakeStreamDocuments, "replace", losing_the_answer)
    world.streams.end(STREAM)
    assert world.streams.view(STREAM).state == "ended"
