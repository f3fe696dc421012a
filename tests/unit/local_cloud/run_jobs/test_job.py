"""What a job may be, and what one execution may change of it."""

import json
from datetime import timedelta

import pytest

from local_cloud.run_jobs.errors import RunError
from local_cloud.run_jobs.job import InvalidJob, JobOptions, overridden, parse_job

JOB = JobOptions(
    name="vod",
    command=("python",),
    args=("-m", "vod"),
    environment={"A": "1", "B": "2"},
    task_count=4,
    parallelism=3,
)


def test_a_declared_job_has_what_its_json_says() -> None:
    declared = {
        "command": ["python"],
        "args": ["-m", "vod"],
        "env": {"A": "1", "B": "2"},
        "taskCount": 4,
        "parallelism": 3,
        "maxRetries": 0,
        "timeout": "90.5s",
    }
    assert parse_job(f"vod={json.dumps(declared)}") == JobOptions(
        name="vod",
        command=("python",),
        args=("-m", "vod"),
        environment={"A": "1", "B": "2"},
        task_count=4,
        parallelism=3,
        max_retries=0,
        timeout=timedelta(seconds=90.5),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("vod", "JSON is wanted"),
        ("vod=[]", "a JSON object"),
        ('Vod={"command": ["a"]}', "lowercase"),
        ("vod={}", "a job has a command"),
        ('vod={"command": "a"}', "command"),
        ('vod={"command": ["a"], "memory": 1}', "memory"),
        ('vod={"command": ["a"], "env": []}', "env is an object"),
        ('vod={"command": ["a"], "env": {"A": 1}}', "env is an object"),
        ('vod={"command": ["a"], "env": {"A B": "1"}}', "'A B' is not the name"),
        ('vod={"command": ["a"], "taskCount": 0}', "task_count"),
        ('vod={"command": ["a"], "taskCount": true}', "taskCount"),
        ('vod={"command": ["a"], "parallelism": 2}', "parallelism"),
        ('vod={"command": ["a"], "maxRetries": 11}', "max_retries"),
        ('vod={"command": ["a"], "timeout": "0s"}', "timeout"),
        ('vod={"command": ["a"], "timeout": 5}', "timeout"),
    ],
)
def test_a_job_that_cloud_run_would_refuse_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidJob, match=why):
        parse_job(text)


def test_without_overrides_a_job_runs_as_it_is_declared() -> None:
    assert overridden(JOB, {}) == JOB
    assert overridden(JOB, {"name": "projects/p/locations/l/jobs/vod", "overrides": {}}) == JOB


def test_variables_are_merged_and_arguments_replaced() -> None:
    container = {"args": ["-m", "other"], "env": [{"name": "B", "value": "3"}, {"name": "C"}]}
    overrides = {"containerOverrides": [container], "taskCount": 2, "timeout": "7s"}
    run = overridden(JOB, {"overrides": overrides})
    assert run.command == ("python",)
    assert run.args == ("-m", "other")
    assert run.environment == {"A": "1", "B": "3", "C": ""}
    assert (run.task_count, run.parallelism, run.timeout) == (2, 2, timedelta(seconds=7))


def test_arguments_can_be_cleared() -> None:
    assert overridden(JOB, {"overrides": {"containerOverrides": [{"clearArgs": True}]}}).args == ()


@pytest.mark.parametrize(
    ("request_body", "status", "words"),
    [
        ([], "INVALID_ARGUMENT", "An object is expected"),
        ({"override": {}}, "INVALID_ARGUMENT", 'Unknown name "override": Cannot find field.'),
        ({"overrides": 1}, "INVALID_ARGUMENT", "Invalid value at 'overrides'"),
        ({"overrides": {"tasks": 1}}, "INVALID_ARGUMENT", "Unknown name \"tasks\" at 'overrides'"),
        ({"overrides": {"taskCount": 10_001}}, "INVALID_ARGUMENT", "task_count"),
        ({"overrides": {"taskCount": "2"}}, "INVALID_ARGUMENT", "TYPE_INT32"),
        ({"overrides": {"timeout": "5"}}, "INVALID_ARGUMENT", "protobuf.Duration"),
        ({"overrides": {"timeout": "999999s"}}, "INVALID_ARGUMENT", "168 hours"),
        ({"overrides": {"containerOverrides": {}}}, "INVALID_ARGUMENT", "ContainerOverride"),
        ({"overrides": {"containerOverrides": [1]}}, "INVALID_ARGUMENT", "ContainerOverride"),
        ({"overrides": {"containerOverrides": [{"image": ""}]}}, "INVALID_ARGUMENT", "image"),
        ({"overrides": {"containerOverrides": [{"args": [1]}]}}, "INVALID_ARGUMENT", "TYPE_STRING"),
        (
            {"overrides": {"containerOverrides": [{"args": ["a"], "clearArgs": True}]}},
            "INVALID_ARGUMENT",
            "clear_args",
        ),
        ({"overrides": {"containerOverrides": [{"env": {}}]}}, "INVALID_ARGUMENT", "EnvVar"),
        ({"overrides": {"containerOverrides": [{"env": [1]}]}}, "INVALID_ARGUMENT", "EnvVar"),
        ({"overrides": {"containerOverrides": [{"env": [{"value": "1"}]}]}}, "INVALID_ARGUMENT", "valid"),
        (
            {"overrides": {"containerOverrides": [{"env": [{"name": "A", "value": 1}]}]}},
            "INVALID_ARGUMENT",
            "TYPE_STRING",
        ),
        (
            {"overrides": {"containerOverrides": [{"env": [{"name": "A", "valueSource": {}}]}]}},
            "UNIMPLEMENTED",
            "valueSource",
        ),
        ({"overrides": {"containerOverrides": [{}, {}]}}, "UNIMPLEMENTED", "several containers"),
        ({"validateOnly": True}, "UNIMPLEMENTED", "validateOnly"),
    ],
)
def test_overrides_that_cannot_be_followed_are_refused(request_body: object, status: str, words: str) -> None:
    with pytest.raises(RunError) as refused:
        overridden(JOB, request_body)
    assert refused.value.status == status
    assert words in str(refused.value)
