"""The v2 REST API of Cloud Run jobs: the calls that `google.cloud.run_v2` makes to run, watch and cancel."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from local_cloud.run_jobs.errors import RunError, invalid_argument, missing, not_offered
from local_cloud.run_jobs.execution import (
    Execution,
    Json,
    execution_resource,
    job_resource,
    operation_resource,
    tasks_view,
)
from local_cloud.run_jobs.job import JobOptions, overridden
from local_cloud.run_jobs.runner import JobRunner

MAX_BODY_BYTES: Final = 1024 * 1024  # overrides are arguments and variables: kilobytes
# Google's own, where a request says nothing, and at most.
DEFAULT_PAGE: Final = 100
LONGEST_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    project: str
    location: str

    @property
    def name(self) -> str:
        return f"projects/{self.project}/locations/{self.location}"


class RunJobsApi:
    """The ASGI application of everything under /v2, for the jobs of *runner* in *project*.

    The jobs are in every location: there is only one machine.
    """

    def __init__(self, runner: JobRunner, *, project: str) -> None:
        self._runner = runner
        self._project = project

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = JSONResponse(await self._answer(Request(scope, receive)))
        except RunError as error:
            body = {"code": error.http_status.value, "message": str(error), "status": error.status}
            response = JSONResponse({"error": body}, error.http_status)
        await response(scope, receive, send)

    def tasks_views(self) -> list[Json]:
        """What the local cloud alone shows: every execution's tasks and their processes, newest first."""
        return [tasks_view(execution) for execution in self._runner.executions()]

    async def _answer(self, asked: Request) -> Json:
        match asked.url.path.split("/")[2:]:
            case ["projects", project, "locations", location, *rest]:
                return await self._answer_in(_Place(project=project, location=location), rest, asked)
            case _:
                raise not_offered(f"{asked.method} {asked.url.path}")

    async def _answer_in(self, place: _Place, rest: list[str], asked: Request) -> Json:
        if place.project != self._project:
            raise RunError(
                HTTPStatus.FORBIDDEN,
                "PERMISSION_DENIED",
                f"Permission denied on resource project {place.project}.",
            )
        match asked.method, rest:
            case "POST", ["jobs", name] if name.endswith(":run"):
                job = self._job(place, name.removesuffix(":run"))
                wanted = overridden(job, await _body(asked))
                return operation_resource(self._runner.run(wanted, parent=f"{place.name}/jobs/{job.name}"))
            case "GET", ["jobs", name]:
                job = self._job(place, name)
                executions = self._runner.executions(f"{place.name}/jobs/{name}")
                return job_resource(place.name, job, self._runner.created, executions)
            case "GET", ["jobs", job_name, "executions"]:
                return self._list(place, job_name, asked)
            case "GET", ["jobs", job_name, "executions", name]:
                return execution_resource(self._execution(place, job_name, name))
            case "POST", ["jobs", job_name, "executions", name] if name.endswith(":cancel"):
                return self._cancel(self._execution(place, job_name, name.removesuffix(":cancel")))
            case "GET", ["operations", name]:
                return operation_resource(self._operation(place, name))
            case _:
                raise not_offered(f"{asked.method} {asked.url.path}")

    def _job(self, place: _Place, name: str) -> JobOptions:
        job = self._runner.jobs.get(name)
        if job is None:
            raise missing("JOB", name, project=place.project, location=place.location)
        return job

    def _execution(self, place: _Place, job: str, name: str) -> Execution:
        execution = self._runner.execution(f"{place.name}/jobs/{job}/executions/{name}")
        if execution is None:
            raise missing("EXECUTION", name, project=place.project, location=place.location)
        return execution

    def _operation(self, place: _Place, name: str) -> Execution:
        for execution in self._runner.executions():
            if execution.operation == name and execution.parent.startswith(f"{place.name}/"):
                return execution
        raise missing("OPERATION", name, project=place.project, location=place.location)

    def _list(self, place: _Place, job: str, asked: Request) -> Json:
        found = self._runner.executions(f"{place.name}/jobs/{self._job(place, job).name}")
        size = min(_number(asked, "pageSize") or DEFAULT_PAGE, LONGEST_PAGE)
        start = _number(asked, "pageToken")
        page: Json = {"executions": [execution_resource(each) for each in found[start : start + size]]}
        return page if start + size >= len(found) else {**page, "nextPageToken": str(start + size)}

    def _cancel(self, execution: Execution) -> Json:
        if execution.completed is not None:
            raise RunError(
                HTTPStatus.BAD_REQUEST,
                "FAILED_PRECONDITION",
                f"Execution '{execution.name}' has completed and cannot be cancelled.",
            )
        self._runner.cancel(execution)
        return operation_resource(execution)


async def _body(asked: Request) -> object:
    received = bytearray()
    async for piece in asked.stream():
        received += piece
        if len(received) > MAX_BODY_BYTES:
            raise invalid_argument("Request payload size exceeds the limit.")
    try:
        body: object = json.loads(received or b"{}")
    except ValueError as error:
        raise invalid_argument(f"Invalid JSON payload received. {error}") from error
    return body


def _number(asked: Request, name: str) -> int:
    text = asked.query_params.get(name, "0") or "0"
    if not (text.isascii() and text.isdigit()):
        raise invalid_argument(f"Invalid value at '{name}', {json.dumps(text)}")
    return int(text)
