"""Workflows that are run in a test: no network unless it is given, and no waiting."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from textwrap import dedent

from local_cloud.workflows.errors import WorkflowError
from local_cloud.workflows.host import Auth, Host, HttpRequest, HttpResponse, Send
from local_cloud.workflows.interpreter import Interpreter
from local_cloud.workflows.library import Surroundings
from local_cloud.workflows.loading import load_workflow
from local_cloud.workflows.steps import Workflow
from local_cloud.workflows.values import Value, encode_json

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class SleepingClock:
    """Whoever sleeps is awake at once, and the time is later; *slept* is how long, in seconds."""

    time: datetime = NOON
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    async def sleep(self, duration: timedelta) -> None:
        self.slept.append(duration.total_seconds())
        self.time += duration
        await asyncio.sleep(0)


@dataclass
class Responses:
    """Answers requests with *responses* in their order, and keeps the *requests*; an error is raised."""

    responses: list[HttpResponse | WorkflowError]
    requests: list[HttpRequest] = field(default_factory=list)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        response = self.responses.pop(0)
        if isinstance(response, WorkflowError):
            raise response
        return response


def json_response(value: Value = None, *, status: int = 200) -> HttpResponse:
    return HttpResponse(
        status=status, headers=(("content-type", "application/json"),), body=encode_json(value).encode()
    )


def signed(auth: Auth) -> str:
    return f"{auth.type} for {auth.audience}"


def host(clock: SleepingClock | None = None, send: Send | None = None) -> Host:
    return Host(
        clock=clock or SleepingClock(), send=send or Responses([]), sign=signed, run_address="http://run.test"
    )


def workflow(source: str) -> Workflow:
    """The workflow in *source*, which may be indented, and may be steps alone."""
    return load_workflow(dedent(source).encode(), name="tested")


def interpreter(
    source: str,
    *,
    clock: SleepingClock | None = None,
    send: Send | None = None,
    environment: Mapping[str, str] | None = None,
) -> Interpreter:
    clock = clock or SleepingClock()
    surroundings = Surroundings(now=clock.now, new_uuid=lambda: "some-uuid", environment=environment or {})
    return Interpreter(workflow(source), host(clock, send), surroundings)


async def run(
    source: str,
    argument: Value = None,
    *,
    clock: SleepingClock | None = None,
    send: Send | None = None,
    environment: Mapping[str, str] | None = None,
) -> Value:
    """What the workflow *source* returns; raises WorkflowError."""
    running = interpreter(source, clock=clock, send=send, environment=environment)
    return await running.run(argument)
