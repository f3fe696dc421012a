"""Google's own clients run, watch and cancel jobs of the local cloud, unchanged."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from google.api_core.exceptions import (
    BadRequest,
    Forbidden,
    GoogleAPICallError,
    NotFound,
    ServerError,
)
from google.api_core.future.polling import DEFAULT_POLLING
from google.api_core.operation import Operation
from google.auth.credentials import AnonymousCredentials
from google.cloud import run_v2
from google.cloud.run_v2.services.executions.transports.rest import ExecutionsRestTransport
from google.cloud.run_v2.services.jobs.transports.rest import JobsRestTransport
from google.protobuf.duration_pb2 import Duration

from local_cloud.cloud import CloudOptions, RunningLocalCloud, running_local_cloud
from local_cloud.run_jobs import JobOptions

SECONDS = 10
PLACE = "projects/demo/locations/europe-west1"
Override = run_v2.RunJobRequest.Overrides.ContainerOverride

# Each line is what one attempt at the task with that index does.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path

index, attempt = (int(os.environ[f"CLOUD_RUN_TASK_{name}"]) for name in ("INDEX", "ATTEMPT"))
print("task", index, "of", os.environ["CLOUD_RUN_TASK_COUNT"], "attempt", attempt, *sys.argv[1:], flush=True)
print(os.environ["CLOUD_RUN_JOB"], os.environ["CLOUD_RUN_EXECUTION"], os.environ.get("WHAT"), flush=True)
match os.environ.get("WHAT"):
    case "fail":
        sys.exit(3)
    case "fail first":
        sys.exit(1 if attempt == 0 and index == 1 else 0)
    case "wait":
        time.sleep(60)
    case "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf", flush=True)
        time.sleep(60)
    case "environment":
        print(*sorted(os.environ), flush=True)
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLocalCloud]:
    program = tmp_path_factory.mktemp("job") / "program.py"
    program.write_text(PROGRAM)
    job = JobOptions(
        name="vod",
        command=(sys.executable, str(program)),
        args=("declared",),
        environment={"DECLARED": "yes"},
        task_count=2,
        max_retries=1,
    )
    lost = JobOptions(name="lost", command=("/nowhere/at/all",), max_retries=0)
    with running_local_cloud(CloudOptions(jobs=(job, lost))) as cloud:
        cloud.cloud.jobs._grace = timedelta(seconds=0.3)
        yield cloud


@pytest.fixture
def jobs(running: RunningLocalCloud) -> run_v2.JobsClient:
    return run_v2.JobsClient(
        transport=JobsRestTransport(
            host=urlsplit(running.url).netloc, url_scheme="http", credentials=AnonymousCredentials()
        )
    )


@pytest.fixture
def executions(running: RunningLocalCloud) -> run_v2.ExecutionsClient:
    return run_v2.ExecutionsClient(
        transport=ExecutionsRestTransport(
            host=urlsplit(running.url).netloc, url_scheme="http", credentials=AnonymousCredentials()
        )
    )


def asked(what: str = "", *, args: tuple[str, ...] = (), tasks: int = 0) -> run_v2.RunJobRequest:
    container = Override(args=args, env=[run_v2.EnvVar(name="WHAT", value=what)])
    overrides = run_v2.RunJobRequest.Overrides(container_overrides=[container], task_count=tasks)
    return run_v2.RunJobRequest(name=f"{PLACE}/jobs/vod", overrides=overrides)


def logs(running: RunningLocalCloud, execution: run_v2.Execution) -> list[list[str]]:
    return [task["log"] for task in tasks(running, execution)]


def tasks(running: RunningLocalCloud, execution: run_v2.Execution) -> list[dict[str, list[str]]]:
    views = requests.get(f"{running.url}/_local/executions", timeout=SECONDS).json()
    found: list[dict[str, list[str]]] = next(view["tasks"] for view in views if view["name"] == execution.name)
    return found


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def result(operation: Operation) -> run_v2.Execution:
    """What *operation* gives in the end; the client itself would ask once a second at most."""
    polling = DEFAULT_POLLING.with_delay(initial=0.05, maximum=0.05)
    execution: run_v2.Execution = operation.result(timeout=SECONDS, polling=polling)
    return execution


def completed(execution: run_v2.Execution) -> run_v2.Condition:
    (condition,) = execution.conditions
    assert condition.type_ == "Completed"
    return condition


def test_every_task_runs_once_and_the_operation_gives_the_execution(
    running: RunningLocalCloud, jobs: run_v2.JobsClient, executions: run_v2.ExecutionsClient
) -> None:
    operation = jobs.run_job(asked(args=("overridden",), tasks=3))
    begun = operation.metadata
    assert (begun.job, begun.task_count, begun.succeeded_count) == ("vod", 3, 0)
    execution = result(operation)
    assert (execution.name, execution.succeeded_count, execution.failed_count) == (begun.name, 3, 0)
    assert (execution.running_count, execution.retried_count, execution.cancelled_count) == (0, 0, 0)
    assert completed(execution).state is run_v2.Condition.State.CONDITION_SUCCEEDED
    times = [execution.create_time, execution.start_time, execution.completion_time]
    assert sorted(times, key=str) == times
    short = execution.name.rpartition("/")[2]
    assert logs(running, execution) == [
        [f"task {index} of 3 attempt 0 overridden", f"vod {short}"] for index in range(3)
    ]
    assert executions.get_execution(name=execution.name) == execution
    listed = list(executions.list_executions(parent=f"{PLACE}/jobs/vod"))
    assert execution in listed


def test_a_job_says_how_it_is_declared_and_which_execution_is_its_newest(jobs: run_v2.JobsClient) -> None:
    execution = result(jobs.run_job(name=f"{PLACE}/jobs/vod"))
    job = jobs.get_job(name=f"{PLACE}/jobs/vod")
    assert job.template.task_count == 2
    assert job.template.template.max_retries == 1
    assert job.template.template.timeout == timedelta(minutes=10)
    assert list(job.template.template.containers[0].args) == ["declared"]
    assert execution.name.endswith(job.latest_created_execution.name)
    assert job.terminal_condition.state is run_v2.Condition.State.CONDITION_SUCCEEDED


def test_executions_are_listed_newest_first_page_by_page(
    jobs: run_v2.JobsClient, executions: run_v2.ExecutionsClient
) -> None:
    newest = [result(jobs.run_job(asked())) for _ in range(3)][-1]
    request = run_v2.ListExecutionsRequest(parent=f"{PLACE}/jobs/vod", page_size=2)
    pages = list(executions.list_executions(request).pages)
    assert pages[0].executions[0].name == newest.name
    assert len(pages[0].executions) == 2
    names = [execution.name for page in pages for execution in page.executions]
    assert len(names) == len(set(names)) >= 3


def test_a_task_sees_the_cloud_and_its_job_and_little_else(
    running: RunningLocalCloud, jobs: run_v2.JobsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUCKETCAST_ADMIN_TOKEN", "0123456789abcdef")
    execution = result(jobs.run_job(asked("environment", tasks=1)))
    names = logs(running, execution)[0][-1].split()
    assert {"DECLARED", "STORAGE_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT"} <= {*names}
    assert "BUCKETCAST_ADMIN_TOKEN" not in names


def test_a_task_that_fails_is_tried_again_with_the_next_attempt(
    running: RunningLocalCloud, jobs: run_v2.JobsClient
) -> None:
    execution = result(jobs.run_job(asked("fail first")))
    assert (execution.succeeded_count, execution.failed_count, execution.retried_count) == (2, 0, 1)
    assert [line for line in logs(running, execution)[1] if line.startswith("task")] == [
        "task 1 of 2 attempt 0 declared",
        "task 1 of 2 attempt 1 declared",
    ]


def test_a_task_that_fails_too_often_fails_the_execution(
    jobs: run_v2.JobsClient, executions: run_v2.ExecutionsClient
) -> None:
    operation = jobs.run_job(asked("fail"))
    with pytest.raises(GoogleAPICallError, match="task0 failed with message"):
        result(operation)
    execution = executions.get_execution(name=operation.metadata.name)
    assert (execution.succeeded_count, execution.failed_count, execution.retried_count) == (0, 2, 2)
    assert completed(execution).state is run_v2.Condition.State.CONDITION_FAILED
    assert completed(execution).execution_reason is run_v2.Condition.ExecutionReason.NON_ZERO_EXIT_CODE


def test_a_command_that_is_not_there_fails_and_says_so(
    running: RunningLocalCloud, jobs: run_v2.JobsClient
) -> None:
    operation = jobs.run_job(name=f"{PLACE}/jobs/lost")
    with pytest.raises(GoogleAPICallError, match="exit code 127"):
        result(operation)
    assert logs(running, operation.metadata) == [["/nowhere/at/all: No such file or directory"]]


def test_a_task_that_is_killed_is_tried_again(running: RunningLocalCloud, jobs: run_v2.JobsClient) -> None:
    operation = jobs.run_job(asked("wait", tasks=1))
    begun = operation.metadata

    def pid_of(attempt: int) -> int | None:
        (task,) = running.cloud.jobs.execution(begun.name).tasks  # type: ignore[union-attr]
        return task.pid if task.attempt == attempt and task.log else None

    for attempt in range(2):
        until(lambda attempt=attempt: pid_of(attempt))  # type: ignore[misc]
        os.kill(pid_of(attempt) or 0, signal.SIGKILL)
    with pytest.raises(GoogleAPICallError, match="exit code -9"):
        result(operation)


def test_a_task_that_takes_too_long_is_stopped(jobs: run_v2.JobsClient) -> None:
    request = asked("wait", tasks=1)
    request.overrides.timeout = Duration(seconds=1)
    with pytest.raises(GoogleAPICallError, match="exit code -15"):
        result(jobs.run_job(request))


@pytest.mark.parametrize(("what", "last_line"), [("wait", "vod"), ("ignore", "deaf")])
def test_a_cancelled_execution_is_told_to_end_and_then_made_to(
    running: RunningLocalCloud,
    jobs: run_v2.JobsClient,
    executions: run_v2.ExecutionsClient,
    what: str,
    last_line: str,
) -> None:
    operation = jobs.run_job(asked(what))
    name = operation.metadata.name
    until(lambda: all(log and log[-1].startswith(last_line) for log in logs(running, operation.metadata)))
    assert executions.get_execution(name=name).running_count == 2
    with pytest.raises(GoogleAPICallError, match="was cancelled"):
        result(executions.cancel_execution(name=name))
    execution = executions.get_execution(name=name)
    assert (execution.cancelled_count, execution.failed_count, execution.running_count) == (2, 0, 0)
    assert completed(execution).execution_reason is run_v2.Condition.ExecutionReason.CANCELLED
    with pytest.raises(BadRequest, match="has completed"):
        executions.cancel_execution(name=name)


def test_parallelism_bounds_the_tasks_that_run_at_a_time(tmp_path: Path) -> None:
    program = (
        "import os, sys, time; from pathlib import Path; here = Path(sys.argv[1]);"
        "mark = here / os.environ['CLOUD_RUN_TASK_INDEX']; mark.touch(); time.sleep(0.1);"
        "count = len(list(here.iterdir())); mark.unlink(); sys.exit(count > 1)"
    )
    command = (sys.executable, "-c", program, str(tmp_path))
    job = JobOptions(name="one", command=command, task_count=3, parallelism=1, max_retries=0)
    with running_local_cloud(CloudOptions(jobs=(job,))) as running:
        answer = requests.post(f"{running.url}/v2/{PLACE}/jobs/one:run", timeout=SECONDS).json()
        execution = running.cloud.jobs.execution(answer["metadata"]["name"])
        assert execution is not None
        running.run(running.cloud.jobs.ended(execution))
    assert execution.succeeded


def test_tasks_end_with_the_cloud() -> None:
    job = JobOptions(name="wait", command=("sleep", "60"))
    with running_local_cloud(CloudOptions(jobs=(job,))) as running:
        requests.post(f"{running.url}/v2/{PLACE}/jobs/wait:run", timeout=SECONDS).raise_for_status()
        (execution,) = running.cloud.jobs.executions()
        until(lambda: execution.tasks[0].pid)
        pid = execution.tasks[0].pid
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_is_not_there_is_404_in_googles_words(
    jobs: run_v2.JobsClient, executions: run_v2.ExecutionsClient
) -> None:
    words = "Resource 'live' of kind 'JOB' in region 'europe-west1' in project 'demo' does not exist."
    with pytest.raises(NotFound, match=words):
        jobs.run_job(name=f"{PLACE}/jobs/live")
    with pytest.raises(NotFound, match="'EXECUTION'"):
        executions.get_execution(name=f"{PLACE}/jobs/vod/executions/vod-1")
    with pytest.raises(NotFound, match="'OPERATION'"):
        jobs.get_operation({"name": f"{PLACE}/operations/1"})
    with pytest.raises(Forbidden):
        jobs.get_job(name="projects/other/locations/europe-west1/jobs/vod")


def test_what_cannot_be_done_is_refused(running: RunningLocalCloud, jobs: run_v2.JobsClient) -> None:
    request = asked()
    request.overrides.task_count = 10_001
    with pytest.raises(BadRequest, match="task_count"):
        jobs.run_job(request)
    with pytest.raises(ServerError, match="do not offer DELETE"):
        jobs.delete_job(name=f"{PLACE}/jobs/vod")
    for body in ("{", "[]", " " * (1024 * 1024 + 1)):
        answer = requests.post(f"{running.url}/v2/{PLACE}/jobs/vod:run", data=body, timeout=SECONDS)
        assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    query = {"pageToken": "x"}
    answer = requests.get(f"{running.url}/v2/{PLACE}/jobs/vod/executions", params=query, timeout=SECONDS)
    assert answer.status_code == 400
    assert requests.get(f"{running.url}/v2/services", timeout=SECONDS).status_code == 501
