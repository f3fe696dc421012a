"""What carries a recording asks seldom for what does not come, and says in the end what is missing."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from bucketcast import http_api
from bucketcast.http_api import WorkflowSteps
from bucketcast.recording.document import SEALED_WITHIN, RecordingState
from bucketcast.stream.identifiers import BroadcastNumber
from local_cloud.workflows.errors import WorkflowError
from local_cloud.workflows.host import HttpRequest, HttpResponse
from stream_world import STREAM, A, World, uploaded
from tools.workflow_runs import SleepingClock, interpreter

SOURCE = Path(__file__).parents[3] / "workflows" / "finalize_recording.workflows.yaml"
URL = "http://recordings.test"
# A tenth of what an execution may run: it has other things to do, too.
MANY_STEPS = 10_000


@dataclass
class WorldClock(SleepingClock):
    """The time of a world, in which whoever sleeps makes it later."""

    world: World = field(default_factory=World)

    async def sleep(self, duration: timedelta) -> None:
        await super().sleep(duration)
        self.world.clock.advance(duration.total_seconds())


@dataclass
class Functions:
    """The function `recordings` in *world*; *asked* is what for, in order."""

    world: World
    asked: list[str] = field(default_factory=list)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        path = urlsplit(request.url).path
        self.asked.append(path)
        steps = WorkflowSteps(
            recordings=self.world.recordings,
            finalizer=self.world.finalizer,
            clean_up=self.world.clean_up,
        )
        environ = EnvironBuilder(method="POST", path=path, data=request.body or b"").get_environ()
        answer = http_api.workflow_step(Request(environ), steps)
        headers = tuple((name.lower(), value) for name, value in answer.headers.items())
        return HttpResponse(status=answer.status_code, headers=headers, body=answer.get_data())


async def test_a_broadcast_that_never_comes_to_an_end_fails_by_name_after_few_questions() -> None:
    """As after a loss of Firestore that took the end with it: nobody will ever seal it."""
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    world.wake()
    lost = BroadcastNumber(2)
    world.recordings.begin(STREAM, lost)
    functions, clock = Functions(world), WorldClock(world=world)
    environment = {"BUCKETCAST_RECORDINGS_URL": URL, "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID": "1"}
    running = interpreter(SOURCE.read_text(), clock=clock, send=functions, environment=environment)
    with pytest.raises(WorkflowError):
        await running.run({"stream": STREAM, "broadcast": lost})
    assert functions.asked[-1] == "/fail"
    assert set(functions.asked[:-1]) == {"/rest"}
    assert len(functions.asked) < 100
    assert running._steps_run < MANY_STEPS
    assert timedelta(seconds=sum(clock.slept)) >= SEALED_WITHIN
    stored = world.recording_documents.read(STREAM, lost)
    assert stored is not None
    assert (stored.document.state, stored.document.failed_step) == (RecordingState.FAILED, "rest")
    assert stored.document.reason.startswith("409 broadcast 2 of 'demo' should be over since ")
    assert stored.document.reason.endswith("no session of it is known")
