"""A recording whose document is lost gets it back from what lies beside its files, and nothing is made anew."""

import logging

import pytest
from msgspec.structs import replace

from bucketcast.errors import NotFound, PreconditionFailed, Unavailable
from bucketcast.handlers import recordings
from bucketcast.handlers.recordings import VOD_WORKFLOW, WORKFLOW
from bucketcast.objects import ABSENT, NewObject
from bucketcast.ports import Version
from bucketcast.recording.document import RecordedFile, RecordingFacts, RecordingState, VodState, finalized
from bucketcast.recording.names import recording_facts_name, recording_file_name
from bucketcast.recording.vod import vod_facts_name
from bucketcast.records import record_object
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import BroadcastNumber, StreamId
from bucketcast.stream_records import latest_stream_record, stream_record_object
from fakes import FakeBucket, FakeRecordingDocuments, FakeStreamDocuments
from stream_world import FIRST, SEGMENT, STREAM, A, B, World, uploaded

BROADCASTS = 5


def put(world: World, name: str, content: bytes = b"{}") -> None:
    new = NewObject(name=name, content=content, content_type="application/json", cache_control="no-store")
    there = world.media.facts(name)
    world.media.write(new, if_generation=there.generation if there else ABSENT)


def facts(broadcast: int) -> RecordingFacts:
    file = RecordedFile(
        name=recording_file_name(STREAM, BroadcastNumber(broadcast)),
        size=5,
        crc32c="NT3Yvg==",
        duration=broadcast * SEGMENT,
        frames=60 * broadcast,
        sessions=(FIRST,),
    )
    return RecordingFacts(stream=STREAM, broadcast=BroadcastNumber(broadcast), files=(file,))


def recorded(*, vod: bool = False) -> World:
    """A stream whose broadcasts have ended, each with its recording."""
    world = World()
    if vod:
        record = latest_stream_record(world.ingest, STREAM)
        assert record is not None
        wanted = replace(record, number=2, configuration=replace(record.configuration, vod=True))
        world.ingest.write(stream_record_object(wanted), if_generation=ABSENT)
    for number in range(1, BROADCASTS + 1):
        world.clock.advance(5)
        encoder = A if number % 2 else B
        world.report(world.claim(encoder), encoder, [uploaded(index) for index in range(3)], ended=True)
        world.wake()
        world.clock.advance(2)
        world.streams.end(STREAM)
        world.recordings.see(world.wake())
        finalize(world, number)
    world.clock.advance(60)
    world.executions.started.clear()
    return world


def finalize(world: World, number: int) -> None:
    """What the function does; with a VOD where there is one already."""
    stored = world.recording_documents.read(STREAM, BroadcastNumber(number))
    assert stored is not None
    name = recording_facts_name(STREAM, BroadcastNumber(number))
    if world.media.facts(name) is None:
        world.media.write(record_object(name, facts(number)), if_generation=ABSENT)
    document = finalized(stored.document, facts(number), with_vod=False, now=world.clock.now())
    world.recording_documents.replace(document, version=stored.version)


def lose(world: World) -> None:
    """Firestore is gone."""
    world.documents._documents.clear()
    world.documents._leases.clear()
    world.recording_documents._documents.clear()


def reap(world: World) -> None:
    world.recordings.reap(world.reaper.reap())


def known(world: World) -> list[int]:
    return sorted(document.broadcast for document in world.recording_documents.of_stream(STREAM))


def test_every_recording_that_has_facts_is_shown_as_before() -> None:
    """That of the last broadcast by the execution that finds it finalized."""
    world = recorded()
    before = world.recordings.views(STREAM)
    lose(world)
    reap(world)
    assert world.executions.started == [(WORKFLOW, {"stream": STREAM, "broadcast": BROADCASTS})]
    world.clock.advance(-60)
    finalize(world, BROADCASTS)
    world.clock.advance(60)
    assert world.recordings.views(STREAM) == before
    assert world.document.unrestored == 0
    reap(world)
    assert len(world.executions.started) == 1
    assert world.recordings.views(STREAM) == before


def test_a_round_of_the_reaper_restores_so_many_and_the_next_one_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recordings, "RESTORED_AT_ONCE", 2)
    world = recorded()
    lose(world)
    found = []
    for _ in range(3):
        reap(world)
        found.append(known(world))
        world.clock.advance(600)  # a stream that is settled but for this is not forgotten
    assert found == [[4, 5], [2, 3, 4, 5], [1, 2, 3, 4, 5]]
    assert world.document.unrestored == 0


def test_a_recording_that_was_never_made_gets_no_document() -> None:
    world = recorded()
    del world.media.objects[recording_facts_name(STREAM, BroadcastNumber(2))]
    lose(world)
    reap(world)
    assert known(world) == [1, 3, 4, 5]


def test_what_is_known_stays_as_it_is() -> None:
    """A stream's document is lost alone; and one that is being restored twice changes nothing."""
    world = recorded()
    stored = world.recording_documents.read(STREAM, BroadcastNumber(2))
    assert stored is not None
    failed = replace(stored.document, state=RecordingState.FAILED, reason="why")
    world.recording_documents.replace(failed, version=stored.version)
    before = list(world.recording_documents.of_stream(STREAM))
    world.documents._documents.clear()
    reap(world)
    for _ in range(2):
        world.recordings.restore(STREAM)
    assert list(world.recording_documents.of_stream(STREAM)) == before


def test_a_vod_that_is_there_is_published_and_one_that_is_not_is_made_when_its_owner_says_so() -> None:
    world = recorded(vod=True)
    put(world, vod_facts_name(STREAM, BroadcastNumber(1)))
    lose(world)
    reap(world)
    views = {view.broadcast: view.vod for view in world.recordings.views(STREAM)}
    assert [vod and vod.state for _, vod in sorted(views.items())][:-1] == [
        VodState.PUBLISHED,
        *[VodState.FAILED] * (BROADCASTS - 2),
    ]
    assert VOD_WORKFLOW not in [workflow for workflow, _ in world.executions.started]
    world.recordings.finalize_again(STREAM, BroadcastNumber(2))
    assert world.executions.started[-1] == (VOD_WORKFLOW, {"stream": STREAM, "broadcast": 2})


def test_a_vod_that_was_under_way_is_announced_all_the_same() -> None:
    world = recorded(vod=True)
    lose(world)
    reap(world)
    put(world, vod_facts_name(STREAM, BroadcastNumber(3)))
    world.clock.advance(2)
    world.recordings.announce(STREAM, BroadcastNumber(3))
    view = world.recordings.views(STREAM)[2]
    assert view.vod is not None
    assert (view.vod.state, view.vod.reason) == (VodState.PUBLISHED, None)


def test_facts_that_cannot_be_read_are_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    world = recorded()
    put(world, recording_facts_name(STREAM, BroadcastNumber(2)), b"no facts")
    lose(world)
    with caplog.at_level(logging.ERROR):
        reap(world)
    assert known(world) == [1, 3, 4, 5]
    assert "facts cannot be read" in caplog.text
    assert world.document.unrestored == 0


def test_a_storage_that_does_not_answer_is_asked_again_by_the_next_reaper() -> None:
    class Silent(FakeBucket):
        def read(self, name: str) -> bytes | None:
            if name == recording_facts_name(STREAM, BroadcastNumber(2)):
                raise Unavailable(name)
            return super().read(name)

    world = recorded()
    lose(world)
    world.media.__class__ = Silent
    reap(world)
    assert known(world) == [3, 4]
    world.media.__class__ = FakeBucket
    reap(world)
    assert known(world) == [1, 2, 3, 4, 5]


def test_recordings_that_alone_were_lost_are_restored_when_their_owner_says_so() -> None:
    world = recorded()
    before = world.recordings.views(STREAM)
    world.recording_documents._documents.clear()
    world.clock.advance(600)  # nobody reaps a stream that is settled
    reap(world)
    assert known(world) == []
    world.recordings.restore(STREAM)
    assert known(world) == [1, 2, 3, 4, 5]
    assert world.recordings.views(STREAM)[:-1] == before[:-1]


def test_a_stream_that_is_on_air_when_firestore_is_lost_gets_its_recordings_back() -> None:
    world = recorded()
    session = world.claim(B)
    world.report(session, B, [uploaded(index) for index in range(3)])
    world.wake()
    lose(world)
    world.report_later(session, B, [uploaded(index) for index in range(4)])
    reap(world)
    assert world.document.is_live
    assert known(world) == [1, 2, 3, 4, 5]


def test_one_stream_s_trouble_does_not_keep_the_reaper_from_the_others() -> None:
    class Contended(FakeRecordingDocuments):
        def create(self, document: object) -> None:
            raise Unavailable("contended")

    world = recorded()
    lose(world)
    world.recording_documents.__class__ = Contended
    reap(world)
    assert world.document.unrestored == BROADCASTS


def test_recordings_of_a_stream_that_was_never_made_are_not_found() -> None:
    with pytest.raises(NotFound):
        recorded().recordings.restore(StreamId("unknown"))


def test_restoring_that_meets_others_all_the_time_is_given_up_and_begun_again() -> None:
    class Contended(FakeStreamDocuments):
        def replace(self, document: StreamDocument, *, version: Version) -> None:
            raise PreconditionFailed(document.stream)

    world = recorded()
    lose(world)
    world.documents.__class__ = Contended
    world.rebuilt.read(STREAM)
    with pytest.raises(Unavailable):
        world.recordings._restore(world.document, at_most=BROADCASTS)
    world.documents.__class__ = FakeStreamDocuments
    assert world.document.unrestored == BROADCASTS
    reap(world)
    assert world.document.unrestored == 0
