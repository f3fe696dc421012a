"""What carries a broadcast's recording is started once, however often and by whomever its rest is seen."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from bucketcast.errors import NotFound, PreconditionFailed, Refused, Unavailable
from bucketcast.handlers.recordings import WORKFLOW, Recordings, Rest
from bucketcast.ports import Version
from bucketcast.recording.document import (
    AGAIN_WITHIN,
    MAX_EXECUTIONS,
    SEALED_WITHIN,
    STARTING,
    ExecutionState,
    RecordingDocument,
    RecordingState,
    wait_for_rest,
)
from bucketcast.stream.configuration import RecordingMode
from bucketcast.stream.identifiers import BroadcastNumber
from fakes import EPOCH, FakeExecutions, FakeRecordingDocuments
from stream_world import STREAM, A, B, World, uploaded

ONE = BroadcastNumber(1)
THREE = [uploaded(index) for index in range(3)]
SILENCE = 10.0
FIRST_EXECUTION = "1"  # as FakeExecutions counts


class RecordingWorld(World):
    """A stream and what carries its recordings."""

    def __init__(self, *, reconnect_window: int = 60) -> None:
        super().__init__(reconnect_window=reconnect_window)

    @property
    def document_of_one(self) -> RecordingDocument:
        stored = self.recording_documents.read(STREAM, ONE)
        assert stored is not None
        return stored.document

    def see(self) -> None:
        self.recordings.see(self.wake())

    def reap(self) -> None:
        self.recordings.reap([self.wake()])


@pytest.fixture
def world() -> RecordingWorld:
    """A stream whose broadcast was on air, and whose broadcaster is gone."""
    world = RecordingWorld()
    world.report(world.claim(A), A, THREE)
    world.see()
    world.clock.advance(SILENCE)
    return world


def test_nothing_is_started_while_a_broadcast_is_on_air() -> None:
    world = RecordingWorld()
    world.report(world.claim(A), A, THREE)
    world.see()
    assert world.executions.started == []


def test_an_interruption_starts_one_execution_however_often_it_is_seen(world: RecordingWorld) -> None:
    for _ in range(3):
        world.see()
        world.reap()
    assert world.executions.started == [(WORKFLOW, {"stream": STREAM, "broadcast": 1})]
    assert world.document_of_one.state is RecordingState.WAITING
    assert world.document_of_one.execution == "executions/1"


def test_a_stream_that_is_not_to_be_recorded_starts_nothing(world: RecordingWorld) -> None:
    document = world.wake()
    configuration = structs.replace(document.configuration, recording=RecordingMode.OFF)
    world.recordings.see(structs.replace(document, configuration=configuration))
    assert world.executions.started == []


def test_a_stream_that_was_never_on_air_has_no_recording() -> None:
    world = RecordingWorld()
    world.see()
    assert world.executions.started == []


def test_of_two_that_see_it_at_once_one_starts_it(world: RecordingWorld) -> None:
    class Late(FakeRecordingDocuments):
        def create(self, document: RecordingDocument) -> None:
            raise PreconditionFailed(document.stream)

    late = replace(world.recordings, documents=Late())
    late.see(world.wake())
    assert world.executions.started == []


def test_while_the_window_runs_it_is_asked_for_again_when_that_is_over(world: RecordingWorld) -> None:
    world.see()
    rest = world.recordings.rest(STREAM, ONE)
    assert (rest.over, rest.on_air) == (False, False)
    assert rest.seconds == 50  # of 60, which count from when the broadcaster was last heard
    world.clock.advance(rest.seconds)
    assert world.recordings.rest(STREAM, ONE) == Rest(over=True, on_air=False)
    assert world.document_of_one.state is RecordingState.FINALIZING


def test_a_broadcast_that_neither_rests_nor_is_on_air_is_asked_for_soon(world: RecordingWorld) -> None:
    world.recordings.begin(STREAM, BroadcastNumber(2))
    assert world.recordings.rest(STREAM, BroadcastNumber(2)) == Rest(over=False, on_air=False, seconds=2)


def test_what_should_be_over_is_asked_for_ever_less_often_and_given_up_after_a_day(
    world: RecordingWorld,
) -> None:
    """Nobody knows why it is not over; somebody has to look. In all it costs less than a hundred questions."""
    world.recordings.begin(STREAM, BroadcastNumber(2))
    began, waits = world.clock.now(), []
    while world.clock.now() - began < SEALED_WITHIN:
        waits.append(world.recordings.rest(STREAM, BroadcastNumber(2)).seconds)
        world.clock.advance(waits[-1])
    assert waits == sorted(waits)
    assert len(waits) < 100
    with pytest.raises(Refused, match="no session of it is known"):
        world.recordings.rest(STREAM, BroadcastNumber(2))


def test_a_seal_that_never_comes_is_named(world: RecordingWorld) -> None:
    """What is asked of the document is when its own broadcast should have been over."""
    world.clock.advance(60)
    document = world.wake()
    assert document.ended_broadcasts == 1
    [session] = document.sessions
    open_one = structs.replace(document, sessions=(structs.replace(session, sealed=False),))
    known = RecordingDocument(
        stream=STREAM,
        broadcast=ONE,
        state=RecordingState.WAITING,
        since=EPOCH,
        begun=EPOCH,
    )
    ended = document.since
    assert wait_for_rest(open_one, known, now=ended) == timedelta(seconds=2)
    assert wait_for_rest(open_one, known, now=ended + timedelta(seconds=80)) == timedelta(seconds=10)
    with pytest.raises(Refused, match="the seal of session 1 is missing"):
        wait_for_rest(open_one, known, now=ended + SEALED_WITHIN)


def test_a_broadcast_that_came_to_rest_long_ago_is_given_up_at_once_when_it_is_asked_for_again(
    world: RecordingWorld,
) -> None:
    world.recordings.begin(STREAM, BroadcastNumber(2))
    world.clock.advance(SEALED_WITHIN.total_seconds())
    world.recordings.fail(STREAM, BroadcastNumber(2), execution=FIRST_EXECUTION, step="rest", reason="why")
    world.recordings.finalize_again(STREAM, BroadcastNumber(2))
    with pytest.raises(Refused):
        world.recordings.rest(STREAM, BroadcastNumber(2))


def test_a_broadcast_that_goes_on_needs_no_execution_until_it_rests_again(world: RecordingWorld) -> None:
    world.see()
    second = world.claim(B)
    world.report(second, B, THREE)
    world.clock.advance(4)
    world.report(second, B, THREE)
    assert world.recordings.rest(STREAM, ONE) == Rest(over=False, on_air=True)
    assert world.document_of_one.state is RecordingState.RECORDING
    world.executions.states["executions/1"] = ExecutionState.OVER
    world.reap()
    assert len(world.executions.started) == 1
    world.clock.advance(SILENCE)
    world.see()
    assert len(world.executions.started) == 2
    assert world.document_of_one.execution == "executions/2"


def test_a_recording_that_was_never_begun_is_not_found(world: RecordingWorld) -> None:
    world.clock.advance(120)
    with pytest.raises(NotFound):
        world.recordings.rest(STREAM, ONE)
    with pytest.raises(NotFound):
        world.recordings.fail(STREAM, ONE, execution=FIRST_EXECUTION, step="finalize", reason="why")


def test_an_execution_that_was_decided_and_not_started_is_started_by_the_reaper(world: RecordingWorld) -> None:
    class Killed(FakeExecutions):
        def start(self, workflow: str, argument: object) -> str:
            raise Unavailable(workflow)

    killed = replace_executions(world.recordings, Killed())
    with pytest.raises(Unavailable):
        killed.see(world.wake())
    world.reap()
    assert world.executions.started == []  # whoever decided it may be about to
    world.clock.advance(STARTING.total_seconds())
    killed.reap([])  # one recording's trouble is logged
    assert world.document_of_one.executions == 2
    world.clock.advance(STARTING.total_seconds())
    world.reap()
    assert len(world.executions.started) == 1
    assert world.document_of_one.execution == "executions/1"


def replace_executions(recordings: Recordings, executions: FakeExecutions) -> Recordings:
    return replace(recordings, executions=executions)


def test_an_execution_that_died_half_way_is_begun_anew_a_few_times(world: RecordingWorld) -> None:
    world.see()
    for _ in range(MAX_EXECUTIONS + 1):
        for name in world.executions.states:
            world.executions.states[name] = ExecutionState.OVER
        world.reap()
    assert len(world.executions.started) == MAX_EXECUTIONS
    assert world.document_of_one.state is RecordingState.FAILED
    assert world.document_of_one.failed_step == "waiting"


def test_what_was_decided_while_an_execution_was_looked_at_stays(world: RecordingWorld) -> None:
    world.see()

    class Finished(FakeExecutions):
        def state(self, name: str) -> ExecutionState:
            world.recordings.fail(STREAM, ONE, execution=FIRST_EXECUTION, step="finalize", reason="why")
            return ExecutionState.OVER

    replace_executions(world.recordings, Finished()).reap([])
    assert world.document_of_one.state is RecordingState.FAILED
    assert len(world.executions.started) == 1


def test_a_failure_names_its_step_and_is_tried_again_when_its_owner_says_so(world: RecordingWorld) -> None:
    world.see()
    for _ in range(2):
        world.recordings.fail(STREAM, ONE, execution=FIRST_EXECUTION, step="finalize", reason="why")
    assert (world.document_of_one.state, world.document_of_one.failed_step, world.document_of_one.reason) == (
        RecordingState.FAILED,
        "finalize",
        "why",
    )
    world.clock.advance(60)
    world.recordings.rest(STREAM, ONE)
    assert world.document_of_one.state is RecordingState.FAILED
    for _ in range(2):
        world.recordings.finalize_again(STREAM, ONE)
    assert len(world.executions.started) == 2
    assert (world.document_of_one.state, world.document_of_one.reason) == (RecordingState.WAITING, "")


def test_a_failure_that_an_execution_tells_again_is_not_that_of_the_next_one(world: RecordingWorld) -> None:
    """Its answer was lost; meanwhile the recording's owner has started another one."""
    world.see()
    world.recordings.fail(STREAM, ONE, execution=FIRST_EXECUTION, step="finalize", reason="why")
    world.recordings.finalize_again(STREAM, ONE)
    world.recordings.fail(STREAM, ONE, execution=FIRST_EXECUTION, step="finalize", reason="why")
    assert world.document_of_one.state is RecordingState.WAITING
    world.recordings.fail(STREAM, ONE, execution="2", step="finalize", reason="again")
    assert world.document_of_one.reason == "again"


def test_a_failure_told_while_the_next_execution_is_being_started_is_neither_taken_nor_dropped(
    world: RecordingWorld,
) -> None:
    """Nobody knows yet whether it is that one's own: who tells it is asked to tell it again."""
    world.see()
    world.recordings.fail(STREAM, ONE, execution=FIRST_EXECUTION, step="finalize", reason="why")
    told: list[str] = []

    class Slow(FakeExecutions):
        def start(self, workflow: str, argument: Mapping[str, str | int | bool]) -> str:
            for execution in (FIRST_EXECUTION, "2"):
                with pytest.raises(Unavailable, match="being started"):
                    world.recordings.fail(STREAM, ONE, execution=execution, step="finalize", reason="again")
                told.append(execution)
            return world.executions.start(workflow, argument)

    replace_executions(world.recordings, Slow()).finalize_again(STREAM, ONE)
    assert told == [FIRST_EXECUTION, "2"]
    world.recordings.fail(STREAM, ONE, execution=FIRST_EXECUTION, step="finalize", reason="again")
    assert not world.document_of_one.is_decided
    world.recordings.fail(STREAM, ONE, execution="2", step="finalize", reason="again")
    assert world.document_of_one.reason == "again"


def test_a_failure_told_of_what_is_settled_and_whose_execution_was_never_known_is_answered(
    world: RecordingWorld,
) -> None:
    """There is nothing to wait for: an execution that told it would be sent away for a quarter of an hour."""
    settled = RecordingDocument(
        stream=STREAM, broadcast=ONE, state=RecordingState.FINALIZED, since=EPOCH, begun=EPOCH
    )
    world.recording_documents.create(settled)
    world.recordings.fail(STREAM, ONE, execution=FIRST_EXECUTION, step="finalize", reason="why")
    assert world.document_of_one == settled


def test_a_change_that_meets_others_all_the_time_is_given_up(world: RecordingWorld) -> None:
    world.see()

    class Contended(FakeRecordingDocuments):
        def replace(self, document: RecordingDocument, *, version: Version) -> None:
            raise PreconditionFailed(document.stream)

    contended = Contended()
    contended.create(world.document_of_one)
    recordings = replace(world.recordings, documents=contended)
    with pytest.raises(Unavailable):
        recordings.fail(STREAM, ONE, execution=FIRST_EXECUTION, step="finalize", reason="why")


def test_the_last_broadcast_is_seen_to_although_the_next_one_is_on_air(world: RecordingWorld) -> None:
    """Its end may have been missed: the reaper looks at what is live too."""
    world.clock.advance(60)
    world.wake()
    world.clock.advance(2)
    world.report(world.claim(B), B, THREE)
    world.clock.advance(2)
    world.wake()
    world.reap()
    assert world.executions.started == [(WORKFLOW, {"stream": STREAM, "broadcast": 1})]
    assert world.document.broadcast == 2


def test_a_recording_is_not_begun_again_when_what_it_is_made_of_is_about_to_go(world: RecordingWorld) -> None:
    world.see()
    world.recordings.fail(STREAM, ONE, execution=FIRST_EXECUTION, step="finalize", reason="why")
    world.clock.advance(AGAIN_WITHIN.total_seconds())
    with pytest.raises(Refused, match="about to go"):
        world.recordings.finalize_again(STREAM, ONE)
