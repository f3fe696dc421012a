"""An execution and its tasks: what has happened so far, and how the API says it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from local_cloud.run_jobs.job import JobOptions

Json = dict[str, Any]

# What a person needs to see why a task failed; its whole log is the business of whoever wrote it.
LOG_LINES: Final = 200
_TYPE: Final = "type.googleapis.com/google.cloud.run.v2.Execution"
# google.rpc.Code of an execution that did not succeed; Google does not say which one it uses.
_UNKNOWN: Final = 2
_PENDING, _RECONCILING = "CONDITION_PENDING", "CONDITION_RECONCILING"
_FAILED, _SUCCEEDED = "CONDITION_FAILED", "CONDITION_SUCCEEDED"


class TaskState(StrEnum):
    """Where one task stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True, kw_only=True)
class Task:
    """One task: its latest *attempt*, counted from 0, and the last lines that its processes wrote.

    *pid* is the id of the process that runs now, if one does.
    """

    index: int
    state: TaskState = TaskState.PENDING
    attempt: int = 0
    pid: int | None = None
    exit_code: int | None = None
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))


@dataclass(slots=True, kw_only=True)
class Execution:
    """One run of a *job*, whose overrides are applied already."""

    parent: str  # projects/P/locations/L/jobs/J
    name: str  # within the parent
    uid: str
    operation: str  # the last part of its name
    job: JobOptions
    created: datetime
    tasks: tuple[Task, ...]
    started: datetime | None = None
    completed: datetime | None = None
    cancelled: datetime | None = None

    @property
    def full_name(self) -> str:
        """The name by which the API knows it."""
        return f"{self.parent}/executions/{self.name}"

    @property
    def succeeded(self) -> bool:
        """Whether all of its tasks did."""
        return self.count(TaskState.SUCCEEDED) == len(self.tasks)

    def count(self, state: TaskState) -> int:
        """How many tasks are in *state*."""
        return sum(task.state is state for task in self.tasks)


def job_resource(parent: str, job: JobOptions, created: datetime, executions: list[Execution]) -> Json:
    """*job* as `jobs.get` answers; *executions* are those that are known, newest first."""
    latest = {}
    if executions:
        newest = executions[0]
        latest["latestCreatedExecution"] = _present({
            "name": newest.name,
            "createTime": _time(newest.created),
            "completionTime": newest.completed and _time(newest.completed),
        })  # fmt: skip
    return {
        "name": f"{parent}/jobs/{job.name}",
        "generation": "1",
        "createTime": _time(created),
        "updateTime": _time(created),
        "launchStage": "GA",
        "template": {
            "taskCount": job.task_count,
            "parallelism": job.parallelism,
            "template": _template(job),
        },
        "observedGeneration": "1",
        "terminalCondition": {
            "type": "Ready",
            "state": _SUCCEEDED,
            "lastTransitionTime": _time(created),
        },
        "executionCount": len(executions),
        **latest,
    }


def execution_resource(execution: Execution) -> Json:
    """*execution* as `executions.get` answers."""
    updated = execution.completed or execution.cancelled or execution.started or execution.created
    return _present({
        "name": execution.full_name,
        "uid": execution.uid,
        "generation": "1",
        "createTime": _time(execution.created),
        "startTime": execution.started and _time(execution.started),
        "completionTime": execution.completed and _time(execution.completed),
        "updateTime": _time(updated),
        "launchStage": "GA",
        "job": execution.job.name,
        "parallelism": execution.job.parallelism,
        "taskCount": len(execution.tasks),
        "template": _template(execution.job),
        "reconciling": execution.completed is None,
        "conditions": [_completed_condition(execution, updated)],
        "observedGeneration": "1",
        "runningCount": execution.count(TaskState.RUNNING),
        "succeededCount": execution.count(TaskState.SUCCEEDED),
        "failedCount": execution.count(TaskState.FAILED),
        "cancelledCount": execution.count(TaskState.CANCELLED),
        "retriedCount": sum(task.attempt > 0 for task in execution.tasks),
    })  # fmt: skip


def operation_resource(execution: Execution) -> Json:
    """The long-running operation (google.longrunning.Operation) that *execution* is."""
    location = "/".join(execution.parent.split("/")[:4])
    packed = {"@type": _TYPE, **execution_resource(execution)}
    operation: Json = {
        "name": f"{location}/operations/{execution.operation}",
        "metadata": packed,
        "done": execution.completed is not None,
    }
    if execution.completed is None:
        return operation
    if execution.succeeded:
        return {**operation, "response": packed}
    return {**operation, "error": {"code": _UNKNOWN, "message": _completed_message(execution)}}


def tasks_view(execution: Execution) -> Json:
    """What the local cloud alone shows of *execution*: its processes and what they wrote."""
    return {
        "name": execution.full_name,
        "tasks": [
            {
                "index": task.index,
                "state": task.state,
                "attempt": task.attempt,
                "pid": task.pid,
                "exit_code": task.exit_code,
                "log": list(task.log),
            }
            for task in execution.tasks
        ],
    }


def _template(job: JobOptions) -> Json:
    container = {
        "command": list(job.command),
        "args": list(job.args),
        "env": [{"name": name, "value": value} for name, value in job.environment.items()],
    }
    return {"containers": [container], "maxRetries": job.max_retries, "timeout": _duration(job.timeout)}


def _completed_condition(execution: Execution, updated: datetime) -> Json:
    condition = {"type": "Completed", "lastTransitionTime": _time(updated)}
    if execution.completed is None:
        if execution.cancelled is not None:
            return {**condition, "state": _RECONCILING, "executionReason": "CANCELLING"}
        return {**condition, "state": _PENDING if execution.started is None else _RECONCILING}
    condition["message"] = _completed_message(execution)
    if execution.succeeded:
        return {**condition, "state": _SUCCEEDED}
    reason = "CANCELLED" if execution.cancelled is not None else "NON_ZERO_EXIT_CODE"
    return {**condition, "state": _FAILED, "executionReason": reason}


def _completed_message(execution: Execution) -> str:
    if execution.succeeded:
        return f"Execution {execution.name} has completed successfully."
    if execution.cancelled is not None:
        return f"Execution {execution.name} was cancelled."
    failed = next(task for task in execution.tasks if task.state is TaskState.FAILED)
    return (
        f"Task {execution.name}-task{failed.index} failed with message: "
        f"The container exited with an error (exit code {failed.exit_code})."
    )


def _present(members: Json) -> Json:
    return {name: value for name, value in members.items() if value is not None}


def _time(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _duration(duration: timedelta) -> str:
    return f"{duration.total_seconds():g}s"
