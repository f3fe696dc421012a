"""A VOD is made once of each finalized recording that wants one, announced when it is there, and begun anew."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from bucketcast.errors import NotFound, PreconditionFailed, Unavailable
from bucketcast.handlers.recordings import VOD_WORKFLOW, VodView
from bucketcast.objects import ABSENT, WRITE_INTERVAL, Generation, NewObject, ObjectFacts
from bucketcast.ports import Version
from bucketcast.recording.document import (
    MAX_EXECUTIONS,
    STARTING,
    ExecutionState,
    RecordedFile,
    RecordingDocument,
    RecordingFacts,
    RecordingState,
    VodState,
    finalized,
)
from bucketcast.recording.index import index_name, index_object
from bucketcast.recording.names import recording_facts_name, recording_file_name
from bucketcast.recording.vod import TaskProgress, vod_facts_name, vod_progress_prefix
from bucketcast.records import record_object
from bucketcast.stream.identifiers import BroadcastNumber
from fakes import FakeBucket, FakeExecutions, FakeRecordingDocuments
from stream_world import FIRST, SEGMENT, STREAM, World

ONE = BroadcastNumber(1)
FILE = RecordedFile(
    name=recording_file_name(STREAM, ONE),
    size=5,
    crc32c="NT3Yvg==",
    duration=7 * SEGMENT,
    frames=420,
    sessions=(FIRST,),
)
SECOND_FILE = structs.replace(FILE, name=recording_file_name(STREAM, ONE, 2))
STARTED = (VOD_WORKFLOW, {"stream": STREAM, "broadcast": 1})

FIRST_EXECUTION = "1"  # as FakeExecutions counts


def recorded(*, with_vod: bool = True, files: tuple[RecordedFile, ...] = (FILE,)) -> World:
    """A stream with a recording that was just finalized."""
    world = World()
    waiting = RecordingDocument(
        stream=STREAM,
        broadcast=ONE,
        state=RecordingState.FINALIZING,
        since=world.clock.now(),
        begun=world.clock.now(),
    )
    world.recording_documents.create(made(world, waiting, files, with_vod=with_vod))
    return world


def made(
    world: World, waiting: RecordingDocument, files: tuple[RecordedFile, ...], *, with_vod: bool
) -> RecordingDocument:
    """*waiting* as it is once it is finalized, with its facts in the bucket."""
    facts = RecordingFacts(stream=STREAM, broadcast=waiting.broadcast, files=files)
    new = record_object(recording_facts_name(STREAM, waiting.broadcast), facts)
    world.media.write(new, if_generation=ABSENT)
    return finalized(waiting, facts, with_vod=with_vod, now=world.clock.now())


def document(world: World) -> RecordingDocument:
    stored = world.recording_documents.read(STREAM, ONE)
    assert stored is not None
    return stored.document


def put(bucket: FakeBucket, name: str) -> None:
    new = NewObject(name=name, content=b"{}", content_type="application/json", cache_control="no-store")
    bucket.write(new, if_generation=ABSENT)


def vod(world: World) -> VodView | None:
    [view] = world.recordings.views(STREAM)
    return view.vod


def test_it_is_started_once_however_often_it_is_asked_for() -> None:
    world = recorded()
    for _ in range(3):
        world.recordings.encode(STREAM, ONE)
        world.recordings.reap([])
    assert world.executions.started == [STARTED]
    assert not document(world).is_settled


@pytest.mark.parametrize("world", [recorded(with_vod=False), recorded(files=())])
def test_what_wants_none_or_has_no_pictures_gets_none(world: World) -> None:
    world.recordings.encode(STREAM, ONE)
    assert world.executions.started == []
    assert document(world).is_settled
    assert vod(world) is None
    world.recordings.fail_vod(STREAM, ONE, execution=FIRST_EXECUTION, reason="why")
    put(world.media, vod_facts_name(STREAM, ONE))
    world.recordings.announce(STREAM, ONE)
    assert document(world).vod is None


def test_what_was_to_be_started_and_was_not_the_reaper_starts() -> None:
    world = recorded()

    class Killed(FakeExecutions):
        def start(self, workflow: str, argument: object) -> str:
            raise Unavailable(workflow)

    world.recordings.reap([])
    assert world.executions.started == [STARTED]
    world = recorded()
    with pytest.raises(Unavailable):
        replace(world.recordings, executions=Killed()).encode(STREAM, ONE)
    world.recordings.reap([])
    assert world.executions.started == []  # whoever decided it may be about to
    world.clock.advance(STARTING.total_seconds())
    world.recordings.reap([])
    assert world.executions.started == [STARTED]


def test_of_two_that_start_it_at_once_one_does() -> None:
    class Late(FakeRecordingDocuments):
        def replace(self, document: RecordingDocument, *, version: Version) -> None:
            raise PreconditionFailed(document.stream)

    world, late = recorded(), Late()
    late.create(document(world))
    replace(world.recordings, documents=late).encode(STREAM, ONE)
    assert world.executions.started == []


def test_a_job_that_never_reported_is_begun_anew_a_few_times() -> None:
    world = recorded()
    world.recordings.encode(STREAM, ONE)
    for _ in range(MAX_EXECUTIONS + 1):
        for name in world.executions.states:
            world.executions.states[name] = ExecutionState.OVER
        world.recordings.reap([])
    assert world.executions.started == [STARTED] * MAX_EXECUTIONS
    found = vod(world)
    assert found is not None
    assert (found.state, found.reason) == (VodState.FAILED, "its executions ended without a result")
    assert document(world).is_settled


@pytest.mark.parametrize("files", [(FILE,), (FILE, SECOND_FILE)])
def test_what_failed_says_why_and_is_started_again_when_its_owner_says_so(
    files: tuple[RecordedFile, ...],
) -> None:
    world = recorded(files=files)
    world.recordings.encode(STREAM, ONE)
    for _ in range(2):
        world.recordings.fail_vod(STREAM, ONE, execution=FIRST_EXECUTION, reason="why")
    found = vod(world)
    assert found is not None
    assert (found.state, found.reason) == (VodState.FAILED, "why")
    for _ in range(2):
        world.recordings.finalize_again(STREAM, ONE)
    assert world.executions.started == [STARTED] * 2
    assert document(world).state is RecordingState.FINALIZED


def test_a_failure_that_an_execution_tells_again_is_not_that_of_the_next_one() -> None:
    world = recorded()
    world.recordings.encode(STREAM, ONE)
    world.recordings.fail_vod(STREAM, ONE, execution=FIRST_EXECUTION, reason="why")
    world.recordings.finalize_again(STREAM, ONE)
    world.recordings.fail_vod(STREAM, ONE, execution=FIRST_EXECUTION, reason="why")
    found = vod(world)
    assert found is not None
    assert found.state is VodState.ENCODING


def test_a_failure_told_while_the_next_execution_is_being_started_is_neither_taken_nor_dropped() -> None:
    """Nobody knows yet whether it is that one's own: who tells it is asked to tell it again."""
    world = recorded()
    world.recordings.encode(STREAM, ONE)
    world.recordings.fail_vod(STREAM, ONE, execution=FIRST_EXECUTION, reason="why")
    told: list[str] = []

    class Slow(FakeExecutions):
        def start(self, workflow: str, argument: Mapping[str, str | int | bool]) -> str:
            for execution in (FIRST_EXECUTION, "2"):
                with pytest.raises(Unavailable, match="being started"):
                    world.recordings.fail_vod(STREAM, ONE, execution=execution, reason="again")
                told.append(execution)
            return world.executions.start(workflow, argument)

    replace(world.recordings, executions=Slow()).finalize_again(STREAM, ONE)
    assert told == [FIRST_EXECUTION, "2"]
    world.recordings.fail_vod(STREAM, ONE, execution=FIRST_EXECUTION, reason="again")
    assert document(world).is_encoding
    world.recordings.fail_vod(STREAM, ONE, execution="2", reason="again")
    assert not document(world).is_encoding


def test_it_is_announced_when_it_is_there_and_not_before() -> None:
    world = recorded()
    world.recordings.encode(STREAM, ONE)
    with pytest.raises(NotFound):
        world.recordings.announce(STREAM, ONE)
    put(world.media, vod_facts_name(STREAM, ONE))
    for _ in range(2):
        world.recordings.announce(STREAM, ONE)
    found = vod(world)
    assert found is not None
    assert found.state is VodState.PUBLISHED
    assert index(world) == [
        {
            "broadcast": 1,
            "seconds": 14.0,
            "files": ["00000001/full_stream.mp4"],
            "vod": "00000001/vod/master.m3u8",
            "poster": "00000001/vod/poster.jpg",
            "storyboard": "00000001/vod/storyboard.vtt",
        }
    ]
    # What failed may have been done nevertheless.
    world.recordings.fail_vod(STREAM, ONE, execution=FIRST_EXECUTION, reason="too late")
    assert document(world).is_settled


def test_how_far_it_is_is_told() -> None:
    world = recorded()
    for task in range(2):
        done = TaskProgress(task=task, tasks=2, done=3 + task, total=10)
        new = record_object(f"{vod_progress_prefix(STREAM, ONE)}{task}.json", done)
        world.recording.write(new, if_generation=ABSENT)
    found = vod(world)
    assert found is not None
    assert (found.segments_done, found.segments) == (7, 20)


def index(world: World) -> object:
    content = world.media.read(index_name(STREAM))
    assert content is not None
    return json.loads(content)["recordings"]


def test_a_recording_is_shown_to_viewers_with_its_files() -> None:
    world = recorded(with_vod=False)
    world.recordings.show(STREAM)
    facts = world.media.facts(index_name(STREAM))
    world.recordings.show(STREAM)
    assert world.media.facts(index_name(STREAM)) == facts
    assert index(world) == [
        {
            "broadcast": 1,
            "seconds": 14.0,
            "files": ["00000001/full_stream.mp4"],
            "vod": None,
            "poster": None,
            "storyboard": None,
        }
    ]


def test_what_has_no_files_is_not_shown_and_the_newest_comes_first() -> None:
    world = recorded(files=())
    for number in (2, 3):
        broadcast = BroadcastNumber(number)
        file = RecordedFile(
            name=recording_file_name(STREAM, broadcast),
            size=5,
            crc32c="NT3Yvg==",
            duration=SEGMENT,
            frames=60,
            sessions=(FIRST,),
        )
        waiting = RecordingDocument(
            stream=STREAM,
            broadcast=broadcast,
            state=RecordingState.FINALIZING,
            since=world.clock.now(),
            begun=world.clock.now(),
        )
        world.recording_documents.create(made(world, waiting, (file,), with_vod=False))
    world.recordings.show(STREAM)
    shown = index(world)
    assert isinstance(shown, list)
    assert [one["broadcast"] for one in shown] == [3, 2]


def test_of_two_that_show_recordings_none_goes_back() -> None:
    """The one that read the documents earlier is refused, reads again, and has nothing to do."""
    world = recorded(with_vod=False)

    class Overtaken(FakeBucket):
        def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
            world.media.__class__ = FakeBucket
            world.recordings.show(STREAM)
            return world.media.write(new, if_generation=if_generation)

    world.media.__class__ = Overtaken
    world.recordings.show(STREAM)
    assert index(world) != []


def test_what_changes_within_a_second_is_shown_when_that_is_over() -> None:
    """P5. A broadcast is ended over the API, finalized at once, and its VOD announced."""
    world = recorded(with_vod=False)
    world.media.write(index_object(STREAM, (), ()), if_generation=ABSENT)
    began = world.clock.now()
    world.recordings.show(STREAM)
    assert index(world) != []
    assert timedelta(0) < world.clock.now() - began <= 2 * WRITE_INTERVAL


def test_what_is_written_by_others_all_the_time_is_given_up() -> None:
    class Contended(FakeBucket):
        def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
            raise PreconditionFailed(new.name)

    world = recorded()
    world.media.__class__ = Contended
    with pytest.raises(Unavailable):
        world.recordings.show(STREAM)


def test_what_was_decided_while_it_was_being_started_stays() -> None:
    world = recorded()

    class Quick(FakeExecutions):
        def start(self, workflow: str, argument: Mapping[str, str | int | bool]) -> str:
            put(world.media, vod_facts_name(STREAM, ONE))
            world.recordings.announce(STREAM, ONE)
            return super().start(workflow, argument)

    replace(world.recordings, executions=Quick()).encode(STREAM, ONE)
    found = document(world).vod
    assert found is not None
    assert (found.state, found.execution) == (VodState.PUBLISHED, "")
