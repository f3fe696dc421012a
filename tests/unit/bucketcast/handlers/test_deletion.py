"""A deleted stream takes everything of its own with it, and nothing else."""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from bucketcast.errors import NotFound, PreconditionFailed, Refused, Unavailable
from bucketcast.events import OBJECT_FINALIZED, parse_object_finalized
from bucketcast.handlers import deletion
from bucketcast.handlers.wake import wake
from bucketcast.objects import ABSENT, Generation, NewObject, ObjectFacts
from bucketcast.recording.document import RecordingDocument, RecordingState
from bucketcast.stream.identifiers import BroadcastNumber, StreamId
from bucketcast.stream.object_names import tombstone_name
from bucketcast.stream.stream_request import StreamRequest
from bucketcast.stream.tombstone import BURIED
from fakes import FakeBucket
from stream_world import STREAM, A, World, uploaded

# What begins with the stream's id and is another stream's.
NEIGHBOURS = ("demo-2", "dem")


SOON = timedelta(minutes=1)


def names(slices: Iterable[list[str]]) -> set[str]:
    return {name for some in slices for name in some}


def put(bucket: FakeBucket, name: str) -> None:
    new = NewObject(name=name, content=b"x", content_type="video/mp4", cache_control="no-store")
    bucket.write(new, if_generation=ABSENT)


@pytest.fixture
def world() -> World:
    """A stream that was on air, with recordings, and its neighbours."""
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    world.wake()
    world.streams.end(STREAM)
    world.clock.advance(2)
    world.wake()
    world.clock.advance(5)
    for stream in (STREAM, *NEIGHBOURS):
        put(world.recording, f"{stream}/00000001/0000000000.mp4")
        put(world.media, f"{stream}/recording/00000001/full_stream.mp4")
        put(world.media, f"{stream}/recording/full_stream.mp4")
        world.recording_documents.create(
            RecordingDocument(
                stream=StreamId(stream),
                broadcast=BroadcastNumber(1),
                state=RecordingState.FINALIZED,
                since=world.clock.now(),
                begun=world.clock.now(),
            )
        )
    for neighbour in NEIGHBOURS:
        world.streams.create(StreamRequest(id=neighbour))
    return world


def everything(world: World) -> set[str]:
    return {name for bucket in (world.media, world.ingest, world.recording) for name in bucket.objects}


def own(names: set[str]) -> set[str]:
    return {name for name in names if STREAM in name.removesuffix(".json").split("/")}


def test_everything_of_it_goes_and_nothing_else(world: World) -> None:
    before = everything(world)
    world.deletions.delete(STREAM, keep_recordings=False, within=SOON)
    left = everything(world)
    assert own(left) == {tombstone_name(STREAM)}
    assert left - own(left) == before - own(before)
    assert world.documents.read(STREAM) is None
    assert world.rebuilt.read(STREAM) is None
    assert world.documents.lease(STREAM) is None
    assert list(world.recording_documents.of_stream(STREAM)) == []
    assert all(list(world.recording_documents.of_stream(StreamId(name))) for name in NEIGHBOURS)
    assert {document.stream for document in world.documents.all()} == set(NEIGHBOURS)


def test_its_recordings_may_be_kept(world: World) -> None:
    world.deletions.delete(STREAM, keep_recordings=True, within=SOON)
    assert own(everything(world)) == {
        tombstone_name(STREAM),
        f"{STREAM}/recording/full_stream.mp4",
        f"{STREAM}/recording/00000001/full_stream.mp4",
    }
    assert list(world.recording_documents.of_stream(STREAM)) != []


def test_a_deletion_that_was_killed_half_way_goes_on_with_the_next_clean_up(world: World) -> None:
    class Killed(FakeBucket):
        def delete(self, name: str, *, generation: object = None) -> None:
            raise Unavailable(name)

    world.media.__class__ = Killed
    with pytest.raises(Unavailable):
        world.deletions.delete(STREAM, keep_recordings=False, within=SOON)
    world.media.__class__ = FakeBucket
    would_go = names(world.deletions.unburied())
    assert would_go == own(everything(world)) - {tombstone_name(STREAM)}
    assert names(world.deletions.bury()) == would_go
    assert own(everything(world)) == {tombstone_name(STREAM)}


def test_what_an_encoder_still_uploads_goes_until_the_tombstone_does(world: World) -> None:
    world.deletions.delete(STREAM, keep_recordings=False, within=SOON)
    put(world.media, f"{STREAM}/720p/late.ts")
    world.clock.advance(BURIED.total_seconds() - 1)
    assert names(world.deletions.bury()) == {f"{STREAM}/720p/late.ts"}
    assert own(everything(world)) == {tombstone_name(STREAM)}
    world.clock.advance(1)
    assert names(world.deletions.bury()) == set()
    assert own(everything(world)) == set()
    world.streams.create(StreamRequest(id=STREAM))


def test_a_stream_that_is_on_air_or_was_never_made_is_not_deleted(world: World) -> None:
    with pytest.raises(NotFound):
        world.deletions.delete(StreamId("unknown"), keep_recordings=False, within=SOON)
    on_air = World()
    on_air.report(on_air.claim(A), A, [uploaded(index) for index in range(3)])
    on_air.wake()
    with pytest.raises(Refused, match="on air"):
        on_air.deletions.delete(STREAM, keep_recordings=False, within=SOON)


def test_a_stream_is_deleted_although_firestore_was_lost(world: World) -> None:
    world.documents.delete(STREAM)
    world.deletions.delete(STREAM, keep_recordings=False, within=SOON)
    assert own(everything(world)) == {tombstone_name(STREAM)}


def test_its_tombstone_s_event_wakes_nobody(world: World) -> None:
    event = parse_object_finalized(
        {"type": OBJECT_FINALIZED}, {"bucket": "ingest", "name": tombstone_name(STREAM)}
    )
    assert wake(event, world.publisher) is None


def test_what_was_kept_goes_when_the_stream_is_deleted_once_more_without(world: World) -> None:
    world.deletions.delete(STREAM, keep_recordings=True, within=SOON)
    world.clock.advance(2 * BURIED.total_seconds())
    assert names(world.deletions.bury()) == set()
    world.clock.advance(1)
    with pytest.raises(Refused):  # its recordings would be taken for those of another stream
        world.streams.create(StreamRequest(id=STREAM))
    assert world.deletions.delete(STREAM, keep_recordings=True, within=SOON)
    assert own(everything(world)) != {tombstone_name(STREAM)}
    assert world.deletions.delete(STREAM, keep_recordings=False, within=SOON)
    assert own(everything(world)) == {tombstone_name(STREAM)}
    assert list(world.recording_documents.of_stream(STREAM)) == []


@pytest.mark.parametrize("state", [None, RecordingState.WAITING, RecordingState.FINALIZING])
def test_a_recording_that_is_still_being_made_cannot_be_kept(
    world: World, state: RecordingState | None
) -> None:
    stored = world.recording_documents.read(STREAM, BroadcastNumber(1))
    assert stored is not None
    if state is None:
        world.recording_documents.delete(STREAM, BroadcastNumber(1))
    else:
        world.recording_documents.replace(replace(stored.document, state=state), version=stored.version)
    with pytest.raises(Refused, match="still being made"):
        world.deletions.delete(STREAM, keep_recordings=True, within=SOON)
    assert world.deletions.delete(STREAM, keep_recordings=False, within=SOON)


def test_another_stream_that_has_the_id_since_is_not_erased(world: World) -> None:
    """One clean-up has read the tombstone; the other one buried it."""
    world.deletions.delete(STREAM, keep_recordings=False, within=SOON)
    [stone] = world.deletions._tombstones()
    world.clock.advance(BURIED.total_seconds())
    names(world.deletions.bury())
    world.streams.create(StreamRequest(id=STREAM))
    assert list(world.deletions._erase(stone)) == []
    assert world.rebuilt.read(STREAM) is not None


def test_what_takes_longer_goes_with_the_next_clean_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "SLICE", 2)
    assert not world.deletions.delete(STREAM, keep_recordings=False, within=timedelta(0))
    assert len(own(everything(world))) > 2
    names(world.deletions.bury())
    assert own(everything(world)) == {tombstone_name(STREAM)}


def test_a_stream_that_was_just_claimed_is_on_air() -> None:
    world = World()
    world.claim(A)
    with pytest.raises(Refused, match="on air"):
        world.deletions.delete(STREAM, keep_recordings=False, within=SOON)


def test_a_stream_on_air_is_not_deleted_although_its_document_is_lost() -> None:
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    world.wake()
    world.documents.delete(STREAM)
    world.wake()
    with pytest.raises(Refused, match="on air"):
        world.deletions.delete(STREAM, keep_recordings=False, within=SOON)


def test_a_deletion_that_meets_others_all_the_time_is_given_up(world: World) -> None:
    class Contended(FakeBucket):
        def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
            raise PreconditionFailed(new.name)

    world.ingest.__class__ = Contended
    with pytest.raises(Unavailable):
        world.deletions.delete(STREAM, keep_recordings=False, within=SOON)


def test_a_tombstone_that_another_clean_up_has_buried_is_gone(world: World) -> None:
    class Late(FakeBucket):
        def delete(self, name: str, *, generation: Generation | None = None) -> None:
            raise PreconditionFailed(name)

    world.deletions.delete(STREAM, keep_recordings=False, within=SOON)
    world.clock.advance(BURIED.total_seconds())
    world.ingest.__class__ = Late
    assert names(world.deletions.bury()) == set()


def test_a_tombstone_that_goes_while_it_is_looked_for_is_none(world: World) -> None:
    class Vanishing(FakeBucket):
        def read(self, name: str) -> bytes | None:
            return None if name == tombstone_name(STREAM) else super().read(name)

    world.deletions.delete(STREAM, keep_recordings=False, within=SOON)
    world.ingest.__class__ = Vanishing
    assert names(world.deletions.bury()) == set()
