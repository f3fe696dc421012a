"""The calls of the Executions and Workflows APIs that are offered: message in, message out, no network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import dropwhile, islice
from typing import Any, Final

import grpc
from google.cloud import workflows_v1
from google.cloud.workflows import executions_v1

from local_cloud.workflows.errors import WorkflowError
from local_cloud.workflows.executions import (
    Deployed,
    Execution,
    Executions,
    NotActive,
    State,
    TooManyExecutions,
)
from local_cloud.workflows.limits import MAX_ARGUMENT_BYTES

# executions_v1.types.ListExecutionsRequest.page_size says these three.
DEFAULT_PAGE_SIZE: Final = 100
MAX_BASIC_PAGE_SIZE: Final = 1_000
MAX_FULL_PAGE_SIZE: Final = 100
MAX_LABELS: Final = 64
_LABEL_KEY: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE: Final = re.compile(r"[a-z0-9_-]{0,63}")

_Execution: Final = executions_v1.Execution.pb()
_ListExecutionsResponse: Final = executions_v1.ListExecutionsResponse.pb()
_ListWorkflowsResponse: Final = workflows_v1.ListWorkflowsResponse.pb()
_Workflow: Final = workflows_v1.Workflow.pb()
_BASIC: Final = int(executions_v1.ExecutionView.BASIC)
_FULL: Final = int(executions_v1.ExecutionView.FULL)


class CallRefused(Exception):
    """A call that ends with an error of gRPC."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectLocation:
    """A project and a location in it."""

    project: str
    location: str

    def __str__(self) -> str:
        return f"projects/{self.project}/locations/{self.location}"


class WorkflowsService:
    """The calls over the executions in one *project*; each raises CallRefused for what it refuses.

    They belong into the event loop of the executions. The workflows are in every location: there is only one
    machine.
    """

    def __init__(self, executions: Executions, project: str) -> None:
        self._executions = executions
        self._project = project
        executions_api = "/google.cloud.workflows.executions.v1.Executions/"
        workflows_api = "/google.cloud.workflows.v1.Workflows/"
        self.calls: Mapping[str, tuple[Any, Callable[[Any], Any]]] = {
            f"{executions_api}CreateExecution": (
                executions_v1.CreateExecutionRequest.pb(),
                self.create_execution,
            ),
            f"{executions_api}GetExecution": (executions_v1.GetExecutionRequest.pb(), self.get_execution),
            f"{executions_api}ListExecutions": (
                executions_v1.ListExecutionsRequest.pb(),
                self.list_executions,
            ),
            f"{executions_api}CancelExecution": (
                executions_v1.CancelExecutionRequest.pb(),
                self.cancel_execution,
            ),
            f"{workflows_api}GetWorkflow": (workflows_v1.GetWorkflowRequest.pb(), self.get_workflow),
            f"{workflows_api}ListWorkflows": (workflows_v1.ListWorkflowsRequest.pb(), self.list_workflows),
        }

    def create_execution(self, request: Any) -> Any:
        """Start an execution and return it."""
        place, deployed = self._deployed(request.parent)
        asked = request.execution
        argument = asked.argument or "null"
        if len(argument.encode()) > MAX_ARGUMENT_BYTES:
            raise _invalid(f"the argument has more than {MAX_ARGUMENT_BYTES} bytes")
        try:
            execution = self._executions.start(
                deployed, argument, location=place.location, labels=_labels(asked.labels)
            )
        except ValueError as error:
            raise _invalid(f"the argument is not JSON: {error}") from None
        except TooManyExecutions as error:
            raise CallRefused(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)) from None
        return self._message(execution, _FULL)

    def get_execution(self, request: Any) -> Any:
        """Return one execution, whole unless the basic view is asked for."""
        return self._message(self._execution(request.name), request.view or _FULL)

    def list_executions(self, request: Any) -> Any:
        """Return one page of a workflow's executions, the newest first."""
        place, deployed = self._deployed(request.parent)
        _refuse_fields(request, "filter", "order_by")
        view = request.view or _BASIC
        most = MAX_FULL_PAGE_SIZE if view == _FULL else MAX_BASIC_PAGE_SIZE
        size = _page_size(request.page_size, DEFAULT_PAGE_SIZE, most)
        found: Iterator[Execution] = (
            execution
            for execution in self._executions.newest_first()
            if execution.deployed is deployed and execution.location == place.location
        )
        if request.page_token:
            found = dropwhile(lambda execution: execution.id != request.page_token, found)
        page = list(islice(found, size + 1))
        if request.page_token and not page:
            raise _invalid("the page token is not known")
        return _ListExecutionsResponse(
            executions=[self._message(execution, view) for execution in page[:size]],
            next_page_token=page[size].id if len(page) > size else "",
        )

    def cancel_execution(self, request: Any) -> Any:
        """Stop an execution and return it."""
        execution = self._execution(request.name)
        try:
            self._executions.cancel(execution)
        except NotActive as error:
            raise CallRefused(grpc.StatusCode.FAILED_PRECONDITION, str(error)) from None
        return self._message(execution, _FULL)

    def get_workflow(self, request: Any) -> Any:
        """Return one workflow with its source."""
        _refuse_fields(request, "revision_id")
        return self._workflow_message(*self._deployed(request.name))

    def list_workflows(self, request: Any) -> Any:
        """Return one page of the workflows in the order of their names."""
        _refuse_fields(request, "filter", "order_by")
        place = self._in_place(request.parent, ("projects", "locations"))[0]
        size = _page_size(request.page_size, MAX_BASIC_PAGE_SIZE, MAX_BASIC_PAGE_SIZE)
        names = [name for name in sorted(self._executions.deployed) if name >= request.page_token]
        return _ListWorkflowsResponse(
            workflows=[self._workflow_message(place, self._executions.deployed[name]) for name in names[:size]],
            next_page_token=names[size] if len(names) > size else "",
        )

    def _in_place(self, name: str, collections: tuple[str, ...]) -> tuple[ProjectLocation, list[str]]:
        """Where the resource *name* is, and the ids in it behind the location."""
        parts = name.split("/")
        ids = parts[1::2]
        if tuple(parts[::2]) != collections or len(ids) != len(collections) or not all(ids):
            raise _invalid(f"not a resource name: {name!r}")
        project, location, *rest = ids
        if project != self._project:
            raise _not_found(name)
        return ProjectLocation(project=project, location=location), rest

    def _deployed(self, name: str) -> tuple[ProjectLocation, Deployed]:
        place, (workflow,) = self._in_place(name, ("projects", "locations", "workflows"))
        deployed = self._executions.deployed.get(workflow)
        if deployed is None:
            raise _not_found(name)
        return place, deployed

    def _execution(self, name: str) -> Execution:
        collections = ("projects", "locations", "workflows", "executions")
        place, (workflow, execution_id) = self._in_place(name, collections)
        execution = self._executions.get(execution_id)
        if execution is None or (execution.deployed.workflow.name, execution.location) != (
            workflow,
            place.location,
        ):
            raise _not_found(name)
        return execution

    def _message(self, execution: Execution, view: int) -> Any:
        deployed = execution.deployed
        place = ProjectLocation(project=self._project, location=execution.location)
        message = _Execution(
            name=f"{place}/workflows/{deployed.workflow.name}/executions/{execution.id}",
            state=execution.state.value,
            workflow_revision_id=deployed.revision,
        )
        message.start_time.FromDatetime(execution.started)
        if execution.ended is not None:
            message.end_time.FromDatetime(execution.ended)
            message.duration.FromTimedelta(execution.ended - execution.started)
        if view == _FULL:
            _fill(message, execution)
        return message

    def _workflow_message(self, place: ProjectLocation, deployed: Deployed) -> Any:
        message = _Workflow(
            name=f"{place}/workflows/{deployed.workflow.name}",
            state="ACTIVE",
            revision_id=deployed.revision,
            source_contents=deployed.workflow.source,
        )
        for field in ("create_time", "update_time", "revision_create_time"):
            getattr(message, field).FromDatetime(deployed.time)
        return message


def _fill(message: Any, execution: Execution) -> None:
    """Add to *message* what only the full view has."""
    message.argument = execution.argument
    message.labels.update(execution.labels)
    if execution.state is State.SUCCEEDED:
        message.result = execution.result
    if execution.error is not None:
        _fill_error(message.error, execution.error)
    if execution.current is not None:
        message.status.current_steps.add(routine=execution.current.routine, step=execution.current.step)


def _fill_error(message: Any, error: WorkflowError) -> None:
    message.payload = error.payload
    message.context = error.context
    for place in error.trace:
        element = message.stack_trace.elements.add(step=place.step, routine=place.routine)
        element.position.line = place.line


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    if len(labels) > MAX_LABELS:
        raise _invalid(f"more than {MAX_LABELS} labels")
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            raise _invalid(f"not a label: {key!r}: {value!r}")
    return dict(labels)


def _page_size(asked: int, default: int, most: int) -> int:
    if asked < 0:
        raise _invalid("a page size cannot be negative")
    return min(asked or default, most)


def _refuse_fields(request: Any, *names: str) -> None:
    for name in names:
        if getattr(request, name):
            raise CallRefused(grpc.StatusCode.UNIMPLEMENTED, f"the local cloud does not offer {name}")


def _invalid(message: str) -> CallRefused:
    return CallRefused(grpc.StatusCode.INVALID_ARGUMENT, message)


def _not_found(name: str) -> CallRefused:
    return CallRefused(grpc.StatusCode.NOT_FOUND, f"Requested entity was not found: {name}")
