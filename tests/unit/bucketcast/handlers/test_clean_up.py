"""What has expired goes; what a playlist names, a recording needs, or a number follows from stays."""

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace

import playlist_history
from bucketcast.errors import PreconditionFailed, Unavailable
from bucketcast.handlers.clean_up import NAMES_SHOWN, CleanUpResult
from bucketcast.hls import MediaPlaylist, parse
from bucketcast.objects import ABSENT, Generation, NewObject, ObjectFacts
from bucketcast.ports import StoredRecording, Version
from bucketcast.recording.document import RecordingDocument, RecordingFacts, RecordingState, finalized
from bucketcast.stream.configuration import RecordingMode
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import BroadcastNumber, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.object_names import seal_name, segment_name, session_record_name
from fakes import FakeBucket, FakeRecordingDocuments, FakeStreamDocuments
from stream_world import FIRST, SLOTS, STREAM, A, B, World, uploaded

DAY = 86_400.0
HOUR = timedelta(hours=1)


def broadcast(world: World, encoder: str, count: int = 20) -> SessionNumber:
    """One broadcast from its claim to its end, with its recording finalized."""
    world.clock.advance(3)
    session = world.claim(A if encoder == "a" else B)
    world.report(session, A if encoder == "a" else B, [uploaded(index) for index in range(count)], ended=True)
    world.wake()
    world.clock.advance(2)
    world.streams.end(STREAM)
    document = world.wake()
    world.recordings.see(document)
    stored = world.recording_documents.read(STREAM, BroadcastNumber(document.ended_broadcasts))
    assert stored is not None
    facts = RecordingFacts(stream=STREAM, broadcast=stored.document.broadcast, files=())
    world.recording_documents.replace(
        finalized(stored.document, facts, with_vod=False, now=world.clock.now()), version=stored.version
    )
    part = NewObject(
        name=f"{STREAM}/{session:08d}/0000000000.mp4",
        content=b"part",
        content_type="video/mp4",
        cache_control="no-store",
    )
    world.recording.write(part, if_generation=ABSENT)
    return session


def clean(world: World, *, dry_run: bool = False, within: timedelta = HOUR) -> CleanUpResult:
    return world.clean_up.clean_up(dry_run=dry_run, within=within)


def segments(world: World, session: SessionNumber) -> set[int]:
    names = world.media.names(f"{STREAM}/{SLOTS[0]}/segment_{session:08d}_")
    return {int(name[-13:-3]) for name in names}


@pytest.fixture
def world() -> World:
    world = World()
    broadcast(world, "a")
    return world


def test_nothing_goes_within_a_day(world: World) -> None:
    world.clock.advance(DAY - 10)
    assert clean(world) == CleanUpResult(objects=0, names=(), more=False)


def test_a_day_after_the_end_only_what_its_playlists_name_is_left(world: World) -> None:
    world.clock.advance(DAY)
    before = dict(world.media.objects)
    dry = clean(world, dry_run=True)
    assert world.media.objects == before
    went = clean(world)
    assert went == dry
    assert len(before) - len(world.media.objects) == 3 * 14
    assert went.objects == 3 * 14 + 1  # and a part of its recording
    assert segments(world, FIRST) == set(range(14, 20))
    playlist = parse(world.playlist(SLOTS[0]))
    assert isinstance(playlist, MediaPlaylist)
    assert [segment.uri[-13:-3] for segment in playlist.segments] == [f"{i:010d}" for i in range(14, 20)]
    assert clean(world).objects == 0


def test_once_the_next_broadcast_is_shown_all_of_the_last_one_goes(world: World) -> None:
    second = broadcast(world, "b")
    world.clock.advance(DAY)
    clean(world)
    assert segments(world, FIRST) == set()
    assert segments(world, second) != set()
    assert world.recording.names(f"{STREAM}/{FIRST:08d}/") == []
    assert world.ingest.facts(session_record_name(STREAM, FIRST)) is None
    assert world.ingest.facts(seal_name(STREAM, FIRST)) is None
    assert world.ingest.facts(seal_name(STREAM, second)) is not None


def test_numbers_go_on_although_everything_else_was_cleaned_up_and_firestore_lost(world: World) -> None:
    broadcast(world, "b")
    world.clock.advance(DAY)
    clean(world)
    before = world.document
    world.documents.delete(STREAM)
    world.clock.advance(1)
    rebuilt = world.wake()
    assert rebuilt.next_media_sequence == before.next_media_sequence
    assert rebuilt.next_session == before.next_session
    world.clock.advance(2)
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    world.wake()
    playlist_history.check(world.media)


def test_a_clean_up_that_was_killed_half_way_is_done_by_the_next_one(world: World) -> None:
    broadcast(world, "b")
    world.clock.advance(DAY)

    last = segment_name(STREAM, SLOTS[1], FIRST, SegmentIndex(3))

    class Killed(FakeBucket):
        def delete(self, name: str, *, generation: object = None) -> None:
            if name == last:
                raise Unavailable(name)
            super().delete(name)

    world.media.__class__ = Killed
    clean(world)
    assert world.media.facts(last) is not None
    assert world.ingest.facts(seal_name(STREAM, FIRST)) is not None
    world.media.__class__ = FakeBucket
    clean(world)
    assert world.media.facts(last) is None
    assert world.ingest.facts(seal_name(STREAM, FIRST)) is None


def test_what_its_recording_was_not_made_of_yet_stays(world: World) -> None:
    stored = world.recording_documents.read(STREAM, BroadcastNumber(1))
    assert stored is not None
    failed = replace(stored.document, state=RecordingState.FAILED)
    world.recording_documents.replace(failed, version=stored.version)
    world.clock.advance(6 * DAY)
    assert clean(world).objects == 0
    world.clock.advance(DAY)
    assert clean(world).objects == 3 * 14 + 1


def test_a_session_whose_record_is_gone_is_cleaned_up_by_the_stream_s_slots(world: World) -> None:
    broadcast(world, "b")
    world.ingest.delete(session_record_name(STREAM, FIRST))
    world.clock.advance(DAY)
    clean(world)
    assert segments(world, FIRST) == set()


def test_a_clean_up_that_has_no_time_left_says_so_and_shows_some_names(world: World) -> None:
    broadcast(world, "b", count=60)
    world.clock.advance(DAY)
    first = clean(world, within=timedelta(0))
    assert first.more
    assert first.objects > 3 * 20
    second = clean(world, dry_run=True)
    assert (second.objects, len(second.names)) == (3 * 54 + 1, NAMES_SHOWN)
    assert not clean(world).more


def test_a_clean_up_without_time_goes_on_behind_what_was_cleaned_up_before(world: World) -> None:
    """The newest session stays expired for ever: it must not take the time of the others."""
    for encoder in "bab":
        broadcast(world, encoder)
        world.clock.advance(HOUR.total_seconds())
    world.clock.advance(DAY)
    calls = 1
    while clean(world, within=timedelta(0)).more:
        calls += 1
        assert calls <= 5
    assert clean(world) == CleanUpResult(objects=0, names=(), more=False)


def test_one_stream_s_trouble_does_not_keep_the_others_storage(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(FakeBucket):
        def names(self, prefix: str) -> list[str]:
            raise Unavailable(prefix)

    world.clock.advance(DAY)
    world.media.__class__ = Broken
    with caplog.at_level(logging.ERROR):
        assert clean(world).objects == 0
    assert "could not be cleaned up" in caplog.text


def test_what_a_recording_is_being_made_of_stays(world: World) -> None:
    """Its owner has started it again in the last hour of its week."""
    stored = world.recording_documents.read(STREAM, BroadcastNumber(1))
    assert stored is not None
    carried = replace(stored.document, state=RecordingState.FINALIZING)
    world.recording_documents.replace(carried, version=stored.version)
    world.clock.advance(8 * DAY)
    assert clean(world).objects == 0


def test_a_recording_that_was_never_begun_is(world: World) -> None:
    """Nobody looked for longer than the reaper does; and a broadcast after it was seen in time."""
    world.recording_documents.delete(STREAM, BroadcastNumber(1))
    broadcast(world, "b")
    world.executions.started.clear()
    world.clock.advance(DAY)
    clean(world, dry_run=True)
    assert world.executions.started == []
    clean(world)
    assert world.executions.started == [("finalize_recording", {"stream": STREAM, "broadcast": 1})]
    assert segments(world, FIRST) == set(range(20))


def test_a_stream_that_is_not_recorded_gets_no_recording_by_its_clean_up(world: World) -> None:
    world.recording_documents.delete(STREAM, BroadcastNumber(1))
    stored = world.documents.read(STREAM)
    assert stored is not None
    configuration = replace(stored.document.configuration, recording=RecordingMode.OFF)
    world.documents.replace(replace(stored.document, configuration=configuration), version=stored.version)
    world.executions.started.clear()
    world.clock.advance(DAY)
    assert clean(world).objects > 0
    assert world.executions.started == []


def test_the_lifecycle_rule_never_takes_what_a_playlist_names(world: World) -> None:
    """Half of its thirty days later it counts anew, for what is named and for nothing else."""
    world.clock.advance(DAY)
    clean(world)
    before = {name: facts.custom_time for name, (_, facts) in world.media.objects.items()}
    world.clock.advance(14 * DAY)
    clean(world)
    assert {name: facts.custom_time for name, (_, facts) in world.media.objects.items()} == before
    world.clock.advance(DAY)
    clean(world)
    kept = {name: facts.custom_time for name, (_, facts) in world.media.objects.items() if name.endswith(".ts")}
    assert len(kept) == 18
    assert set(kept.values()) == {world.clock.now()}


class Operations:
    """What was asked of the cloud and costs something; to delete an object does not."""

    def __init__(self, world: World) -> None:
        self.counted: Counter[str] = Counter()
        counted = self.counted

        class CountingBucket(FakeBucket):
            def names(self, prefix: str) -> list[str]:
                counted["A"] += 1
                return super().names(prefix)

            def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
                counted["A"] += 1
                return super().write(new, if_generation=if_generation)

            def facts(self, name: str) -> ObjectFacts | None:
                counted["B"] += 1
                return super().facts(name)

            def read(self, name: str) -> bytes | None:
                counted["B"] += 1
                return super().read(name)

        class CountingRecordings(FakeRecordingDocuments):
            def read(self, stream: StreamId, broadcast: BroadcastNumber) -> StoredRecording | None:
                counted["Firestore"] += 1
                return super().read(stream, broadcast)

            def of_stream(self, stream: StreamId) -> Iterator[RecordingDocument]:
                for document in super().of_stream(stream):
                    counted["Firestore"] += 1
                    yield document

        for bucket in (world.media, world.ingest, world.recording):
            bucket.__class__ = CountingBucket
        world.recording_documents.__class__ = CountingRecordings


def cleaned(world: World, *, within: timedelta = HOUR) -> tuple[int, Counter[str]]:
    """What a clean-up deletes, and what it costs."""
    operations = Operations(world)
    return clean(world, within=within).objects, operations.counted


def ended_broadcasts(count: int, *, finalized: bool = True) -> World:
    """A stream whose *count* broadcasts are over for a day."""
    world = World()
    for number in range(count):
        broadcast(world, "ab"[number % 2])
        if not finalized:
            stored = world.recording_documents.read(STREAM, BroadcastNumber(number + 1))
            assert stored is not None
            failed = replace(stored.document, state=RecordingState.FAILED)
            world.recording_documents.replace(failed, version=stored.version)
    world.clock.advance(DAY)
    return world


# The list of tombstones: whatever streams there are.
NOTHING = Counter({"A": 1})


@pytest.mark.parametrize("count", [2, 20])
def test_a_clean_up_costs_nothing_for_a_stream_that_was_cleaned_up(count: int) -> None:
    """Hour by hour, however many broadcasts there were."""
    world = ended_broadcasts(count)
    assert clean(world).objects > 0
    for _ in range(3):
        world.clock.advance(HOUR.total_seconds())
        assert cleaned(world) == (0, NOTHING)


def test_what_a_clean_up_costs_a_day_later_does_not_grow_with_history() -> None:
    costs = []
    for count in (2, 20):
        world = ended_broadcasts(count)
        clean(world)
        world.clock.advance(DAY)
        objects, cost = cleaned(world)
        assert objects == 0
        costs.append(cost)
    assert costs[0] == costs[1]
    assert costs[0]["Firestore"] == 1, "the recording of the last broadcast"


@pytest.mark.parametrize("count", [2, 20])
def test_recordings_that_failed_cost_no_look_an_hour(count: int) -> None:
    """Their segments stay for a week; in it they are looked at once a day."""
    world = ended_broadcasts(count, finalized=False)
    looks = 0
    for _ in range(6 * 24 - 1):
        objects, cost = cleaned(world)
        assert objects == 0
        looks += cost != NOTHING
        world.clock.advance(HOUR.total_seconds())
    assert looks == 6
    world.clock.advance(HOUR.total_seconds())
    assert clean(world).objects > 0


def test_what_expires_goes_in_its_hour_although_nothing_did_before() -> None:
    """Each broadcast by its own day, and nobody looks in between but once, a day later."""
    world = World()
    for encoder in "abab":
        broadcast(world, encoder)
        world.clock.advance(6 * HOUR.total_seconds())
    went, looked = [], []
    for hour in range(44):
        objects, cost = cleaned(world)
        went += [hour] * (objects > 0)
        looked += [hour] * (cost != NOTHING)
        world.clock.advance(HOUR.total_seconds())
    assert went == [0, 6, 12, 18]
    assert looked == [*went, 18 + 24]


def test_once_a_playlist_shows_the_next_broadcast_the_last_one_goes_within_the_hour(world: World) -> None:
    world.clock.advance(DAY)
    clean(world)
    broadcast(world, "b")
    assert cleaned(world)[0] == 3 * 6 + 1  # and its timeline
    assert segments(world, FIRST) == set()
    assert cleaned(world) == (0, NOTHING)


def test_a_recording_that_is_made_late_lets_go_of_its_segments_at_once(world: World) -> None:
    stored = world.recording_documents.read(STREAM, BroadcastNumber(1))
    assert stored is not None
    carried = replace(stored.document, state=RecordingState.FINALIZING)
    world.recording_documents.replace(carried, version=stored.version)
    world.clock.advance(DAY)
    assert clean(world).objects == 0
    stored = world.recording_documents.read(STREAM, BroadcastNumber(1))
    assert stored is not None
    made = replace(carried, state=RecordingState.FINALIZED)
    world.recording_documents.replace(made, version=stored.version)
    assert clean(world).objects == 3 * 14 + 1


def test_what_was_cleaned_up_may_be_forgotten(world: World) -> None:
    """By Firestore, by whoever replaces the document meanwhile, by a clean-up that had no time left."""

    class Contended(FakeStreamDocuments):
        def replace(self, document: StreamDocument, *, version: Version) -> None:
            raise PreconditionFailed(document.stream)

    broadcast(world, "b")
    world.clock.advance(DAY)
    clean(world, within=timedelta(0))
    assert world.document.cleaned_up is None
    world.documents.__class__ = Contended
    assert clean(world).objects > 0
    assert world.document.cleaned_up is None
    world.documents.__class__ = FakeStreamDocuments
    assert clean(world).objects == 0
    assert world.document.cleaned_up is not None
    world.documents.delete(STREAM)
    world.wake()
    assert world.document.cleaned_up is None
    assert clean(world).objects == 0


def test_a_dry_run_remembers_nothing(world: World) -> None:
    world.clock.advance(DAY)
    before = world.document
    clean(world, dry_run=True)
    assert world.document == before


def test_a_publisher_keeps_what_was_cleaned_up(world: World) -> None:
    world.clock.advance(DAY)
    clean(world)
    world.claim(B)
    assert world.document.cleaned_up is not None


def test_a_stream_that_was_deleted_and_keeps_its_recordings_costs_one_look_at_its_tombstone(
    world: World,
) -> None:
    """As long as nothing of it can appear any more; a year of recordings is not listed each hour."""
    world.clock.advance(5)
    world.deletions.delete(STREAM, keep_recordings=True, within=HOUR)
    late = NewObject(name=f"{STREAM}/720p/late.ts", content=b"", content_type="video/mp2t", cache_control="")
    world.clock.advance(DAY - 1)
    world.media.write(late, if_generation=ABSENT)
    assert clean(world).objects == 1
    world.clock.advance(1)
    assert clean(world).objects == 0
    world.clock.advance(HOUR.total_seconds())
    assert cleaned(world) == (0, NOTHING + Counter({"B": 1}))
    assert clean(world, dry_run=True).objects == 0


def test_a_stream_that_is_deleted_while_it_is_cleaned_up_stays_deleted(world: World) -> None:
    class Deleted(FakeStreamDocuments):
        def read(self, stream: StreamId) -> None:
            self.delete(stream)

    world.clock.advance(DAY)
    world.documents.__class__ = Deleted
    clean(world)
    assert list(world.documents.all()) == []
