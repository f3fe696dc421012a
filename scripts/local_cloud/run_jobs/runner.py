"""Jobs and their executions, in memory: what runs ends with the local cloud."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from local_cloud.run_jobs.attempt import GRACE, run_attempt
from local_cloud.run_jobs.execution import Execution, Task, TaskState
from local_cloud.run_jobs.job import JobOptions

_log = logging.getLogger(__name__)

# Tasks of one execution at a time where its job does not say: more is no use on a developer's machine.
TASKS_AT_ONCE: Final = 16
# As many as Cloud Run keeps of a job.
KEPT_EXECUTIONS: Final = 1_000
# What a program needs to start at all; a container sees nothing else of the machine either.
_MACHINE_VARIABLES: Final = ("PATH", "PYTHONPATH", "HOME", "TMPDIR", "LANG", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


class JobRunner:
    """Runs *jobs*; every task finds Google Cloud by *cloud_environment*."""

    def __init__(
        self,
        jobs: Sequence[JobOptions],
        *,
        cloud_environment: Mapping[str, str],
        clock: Callable[[], datetime],
        grace: timedelta = GRACE,
    ) -> None:
        self.jobs: Mapping[str, JobOptions] = {job.name: job for job in jobs}
        self.created = clock()
        self._cloud_environment = cloud_environment
        self._clock = clock
        self._grace = grace
        self._executions: dict[str, Execution] = {}  # by full name, oldest first
        self._cancelling: dict[str, asyncio.Event] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def run(self, job: JobOptions, *, parent: str) -> Execution:
        """Begin an execution of *job*, overrides included, and return it at once."""
        uid = str(uuid4())
        execution = Execution(
            parent=parent,
            name=f"{job.name}-{uid[:5]}",
            uid=uid,
            operation=str(uuid4()),
            job=job,
            created=self._clock(),
            tasks=tuple(Task(index=index) for index in range(job.task_count)),
        )
        self._forget_oldest()
        name = execution.full_name
        self._executions[name] = execution
        self._cancelling[name] = asyncio.Event()
        self._running[name] = asyncio.create_task(self._run(execution), name=f"execution {execution.name}")
        self._running[name].add_done_callback(lambda _: self._running.pop(name))
        return execution

    def executions(self, parent: str | None = None) -> list[Execution]:
        """All that are known, of the job *parent* or of every one, newest first."""
        return [
            execution
            for execution in reversed(self._executions.values())
            if parent is None or execution.parent == parent
        ]

    def execution(self, full_name: str) -> Execution | None:
        """The one that is called so."""
        return self._executions.get(full_name)

    def cancel(self, execution: Execution) -> None:
        """Stop all of *execution*'s tasks; those that have not begun never do."""
        if execution.completed is None and execution.cancelled is None:
            execution.cancelled = self._clock()
            self._cancelling[execution.full_name].set()

    async def ended(self, execution: Execution) -> None:
        """Return when *execution* has completed."""
        if running := self._running.get(execution.full_name):
            await asyncio.shield(running)

    async def close(self) -> None:
        """Stop all that runs, as a cancellation does."""
        for execution in self.executions():
            self.cancel(execution)
        if self._running:
            await asyncio.wait(set(self._running.values()))

    async def _run(self, execution: Execution) -> None:
        execution.started = self._clock()
        places = asyncio.Semaphore(execution.job.parallelism or TASKS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for task in execution.tasks:
                group.create_task(self._run_task(execution, task, places))
        execution.completed = self._clock()
        del self._cancelling[execution.full_name]

    async def _run_task(self, execution: Execution, task: Task, places: asyncio.Semaphore) -> None:
        async with places:
            task.state = await self._attempts(execution, task)

    async def _attempts(self, execution: Execution, task: Task) -> TaskState:
        cancelling = self._cancelling[execution.full_name]
        job = execution.job
        for attempt in range(job.max_retries + 1):
            if cancelling.is_set():
                break
            task.attempt, task.state = attempt, TaskState.RUNNING
            task.exit_code = await run_attempt(
                task,
                (*job.command, *job.args),
                self._environment(execution, task),
                limit=job.timeout,
                told_to_stop=cancelling,
                grace=self._grace,
            )
            if task.exit_code == 0:
                return TaskState.SUCCEEDED
            if not cancelling.is_set():
                _note_failure(execution, task)
        return TaskState.CANCELLED if cancelling.is_set() else TaskState.FAILED

    def _environment(self, execution: Execution, task: Task) -> dict[str, str]:
        machine = {name: os.environ[name] for name in _MACHINE_VARIABLES if name in os.environ}
        return {
            **machine,
            **self._cloud_environment,
            **execution.job.environment,
            "CLOUD_RUN_JOB": execution.job.name,
            "CLOUD_RUN_EXECUTION": execution.name,
            "CLOUD_RUN_TASK_INDEX": str(task.index),
            "CLOUD_RUN_TASK_COUNT": str(len(execution.tasks)),
            "CLOUD_RUN_TASK_ATTEMPT": str(task.attempt),
        }

    def _forget_oldest(self) -> None:
        if len(self._executions) < KEPT_EXECUTIONS:
            return
        oldest = next((name for name, known in self._executions.items() if known.completed), None)
        if oldest is not None:
            del self._executions[oldest]


def _note_failure(execution: Execution, task: Task) -> None:
    _log.warning(
        "task attempt failed",
        extra={
            "execution": execution.name,
            "task": task.index,
            "attempt": task.attempt,
            "exit_code": task.exit_code,
            "last_line": task.log[-1] if task.log else "",
        },
    )
