"""Executions: started, looked up, listed and cancelled; all of it in memory, in one event loop.

Nothing of an execution is kept across a restart of the local cloud: those that run then are gone, and so are
the results of those that have ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from local_cloud.workflows.errors import Place, Tag, WorkflowError, raised
from local_cloud.workflows.host import Host
from local_cloud.workflows.interpreter import Interpreter
from local_cloud.workflows.library import Surroundings
from local_cloud.workflows.limits import MAX_VARIABLES_BYTES
from local_cloud.workflows.steps import Workflow
from local_cloud.workflows.values import Value, decode_json, encode_json

log = logging.getLogger(__name__)

MAX_ACTIVE: Final = 1_000  # the platform's 10,000 would be too much for one process
MAX_ENDED: Final = 10_000  # of the platform's 90 days; the oldest go first


class TooManyExecutions(Exception):
    """As many executions are active as there may be."""


class NotActive(Exception):
    """The execution has ended."""


class State(StrEnum):
    """The states of an execution, by the names of the API."""

    ACTIVE = "ACTIVE"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A workflow that can be executed, and when it was deployed."""

    workflow: Workflow
    time: datetime

    @property
    def revision(self) -> str:
        """The first revision, told apart by what the source says."""
        return f"000001-{sha256(self.workflow.source.encode()).hexdigest()[:3]}"


@dataclass(slots=True, kw_only=True, eq=False)
class Execution:
    """One execution; what has no value yet is None."""

    id: str
    deployed: Deployed
    location: str
    argument: str
    labels: Mapping[str, str]
    started: datetime
    state: State = State.ACTIVE
    ended: datetime | None = None
    result: str | None = None
    error: WorkflowError | None = None
    interpreter: Interpreter
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def current(self) -> Place | None:
        return self.interpreter.current


class Executions:
    """The executions of the workflows *deployed*, by name; each finds *environment* among its variables."""

    def __init__(
        self,
        deployed: Mapping[str, Deployed],
        *,
        host: Host,
        new_uuid: Callable[[], str],
        environment: Mapping[str, str],
    ) -> None:
        self.deployed = deployed
        self._host = host
        self._new_uuid = new_uuid
        self._environment = environment
        self._executions: dict[str, Execution] = {}

    def start(
        self, deployed: Deployed, argument: str, *, location: str, labels: Mapping[str, str]
    ) -> Execution:
        """Start an execution with an *argument* in JSON; raises ValueError, TooManyExecutions."""
        value = decode_json(argument)
        active = [execution for execution in self._executions.values() if execution.state is State.ACTIVE]
        if len(active) >= MAX_ACTIVE:
            raise TooManyExecutions(f"{MAX_ACTIVE} executions are active")
        new_id = self._new_uuid()
        environment = {
            **self._environment,
            "GOOGLE_CLOUD_LOCATION": location,
            "GOOGLE_CLOUD_WORKFLOW_ID": deployed.workflow.name,
            "GOOGLE_CLOUD_WORKFLOW_REVISION_ID": deployed.revision,
            "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID": new_id,
        }
        now = self._host.clock.now
        surroundings = Surroundings(now=now, new_uuid=self._new_uuid, environment=environment)
        execution = Execution(
            id=new_id,
            deployed=deployed,
            location=location,
            argument=argument,
            labels=dict(labels),
            started=now(),
            interpreter=Interpreter(deployed.workflow, self._host, surroundings),
        )
        self._executions[new_id] = execution
        self._forget_oldest()
        execution.task = asyncio.create_task(self._run(execution, value), name=f"execution {new_id}")
        return execution

    def get(self, execution_id: str) -> Execution | None:
        """The execution with that id."""
        return self._executions.get(execution_id)

    def newest_first(self) -> Iterator[Execution]:
        """All executions that are known."""
        return reversed(self._executions.values())

    def cancel(self, execution: Execution) -> None:
        """Stop *execution* where it is; raises NotActive when it has ended."""
        if execution.state is not State.ACTIVE:
            raise NotActive(f"the execution has ended: {execution.state}")
        self._end(execution, State.CANCELLED)
        assert execution.task is not None
        execution.task.cancel()

    async def ended(self, execution: Execution) -> None:
        """Return when *execution* has ended, however it did."""
        assert execution.task is not None
        await asyncio.wait([execution.task])

    async def close(self) -> None:
        """Cancel everything that is active."""
        tasks = [execution.task for execution in self._executions.values() if execution.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, execution: Execution, argument: Value) -> None:
        try:
            execution.result = _result(await execution.interpreter.run(argument))
            self._end(execution, State.SUCCEEDED)
        except asyncio.CancelledError:
            if execution.state is State.ACTIVE:
                self._end(execution, State.CANCELLED)
            raise
        except WorkflowError as error:
            self._fail(execution, error)
        except Exception as error:
            # Ours, not the workflow's: it must be seen, and the execution must not stay active for ever.
            log.exception("the interpreter failed", extra={"execution": execution.id})
            self._fail(execution, raised(Tag.SYSTEM_ERROR, f"the interpreter failed: {error!r}"))

    def _fail(self, execution: Execution, error: WorkflowError) -> None:
        execution.error = error
        self._end(execution, State.FAILED)
        log.warning(
            "an execution failed",
            extra={
                "workflow": execution.deployed.workflow.name,
                "execution": execution.id,
                "error": error.context,
            },
        )

    def _end(self, execution: Execution, state: State) -> None:
        execution.state = state
        execution.ended = self._host.clock.now()

    def _forget_oldest(self) -> None:
        ended = [key for key, execution in self._executions.items() if execution.state is not State.ACTIVE]
        for key in ended[: max(0, len(ended) - MAX_ENDED)]:
            del self._executions[key]


def _result(value: Value) -> str:
    """*value* as the result of an execution; bytes have no JSON, and what is too large no place."""
    try:
        text = encode_json(value)
    except (TypeError, ValueError) as error:
        raise raised(Tag.TYPE_ERROR, f"the result has no JSON: {error}") from None
    if len(text.encode()) > MAX_VARIABLES_BYTES:
        raise raised(Tag.RESOURCE_LIMIT_ERROR, f"the result has more than {MAX_VARIABLES_BYTES} bytes")
    return text
