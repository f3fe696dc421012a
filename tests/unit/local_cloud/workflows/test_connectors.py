"""Connectors: a call of Google's API that waits until what it started has ended."""

from typing import Any

import pytest

from local_cloud.workflows.errors import Tag, WorkflowError, raised
from local_cloud.workflows.host import HttpResponse
from local_cloud.workflows.values import Value, decode_json
from tools.workflow_runs import Responses, SleepingClock, json_response, run

JOB = "projects/demo/locations/us-central1/jobs/reencode"
OPERATION = "projects/demo/locations/us-central1/operations/op-1"
RUN = """
    main:
      params: [args]
      steps:
        - run:
            call: googleapis.run.v2.projects.locations.jobs.run
            args: ${args}
            result: execution
        - done: {return: '${execution}'}
    """
SOURCE = f"""
    main:
      params: [parameters]
      steps:
        - run:
            call: googleapis.run.v2.projects.locations.jobs.run
            args:
              name: {JOB}
              body: {{overrides: {{taskCount: 2}}}}
              connector_params: ${{parameters}}
            result: execution
        - done: {{return: '${{execution}}'}}
    """


def operation(**fields: Value) -> HttpResponse:
    return json_response({"name": OPERATION, **fields})


async def error_of(responses: Responses, parameters: Value = None, clock: SleepingClock | None = None) -> Any:
    with pytest.raises(WorkflowError) as error:
        await run(SOURCE, parameters, send=responses, clock=clock)
    assert isinstance(error.value.value, dict)
    return error.value.value


async def test_job_is_started_and_its_execution_is_returned_when_it_has_ended() -> None:
    execution: Value = {"name": f"{JOB}/executions/e1", "succeededCount": 2}
    responses = Responses([operation(), operation(done=False), operation(done=True, response=execution)])
    clock = SleepingClock()
    assert await run(SOURCE, send=responses, clock=clock) == execution
    started, *polled = responses.requests
    assert (started.method, started.url) == ("POST", f"http://run.test/v2/{JOB}:run")
    assert decode_json(started.body) == {"overrides": {"taskCount": 2}}
    assert dict(started.headers)["authorization"].startswith("Bearer OAuth2")
    assert [(poll.method, poll.url, poll.body) for poll in polled] == [
        ("GET", f"http://run.test/v2/{OPERATION}", b"")
    ] * 2
    assert clock.slept == [1, 1.25]


async def test_polling_policy_and_timeout_are_followed() -> None:
    clock = SleepingClock()
    policy: Value = {"initial_delay": 10, "multiplier": 2, "max_delay": 30}
    responses = Responses([operation() for _ in range(9)])
    error = await error_of(responses, {"timeout": 100, "polling_policy": policy}, clock)
    assert clock.slept == [10, 20, 30, 30]
    assert error == {"message": f"{OPERATION} did not end within 100 s", "tags": ["TimeoutError"]}


async def test_skip_polling_returns_the_operation() -> None:
    responses = Responses([operation(metadata={})])
    assert await run(SOURCE, {"skip_polling": True}, send=responses) == {"name": OPERATION, "metadata": {}}


async def test_failed_operation_is_an_operation_error() -> None:
    failed: Value = {"name": OPERATION, "done": True, "error": {"code": 10, "message": "task 0 failed"}}
    error = await error_of(Responses([json_response(failed)]))
    assert error["tags"] == ["OperationError"]
    assert error["operation"] == failed
    assert "task 0 failed" in error["message"]


@pytest.mark.parametrize(("status", "tries"), [(429, 6), (503, 6), (500, 1), (404, 1), (502, 1)])
async def test_start_is_tried_again_as_what_is_not_idempotent(status: int, tries: int) -> None:
    responses = Responses([json_response({"error": {}}, status=status) for _ in range(9)])
    error = await error_of(responses)
    assert (error["tags"], error["code"]) == (["HttpError"], status)
    assert len(responses.requests) == tries


async def test_poll_is_tried_again_as_what_is_idempotent() -> None:
    broken = raised(Tag.CONNECTION_ERROR, "connection broken")
    responses = Responses(
        [operation(), json_response(status=502), broken, operation(done=True, response={"name": "e"})]
    )
    assert await run(SOURCE, send=responses) == {"name": "e"}


async def test_job_that_cannot_be_reached_is_tried_again() -> None:
    unreachable = raised(Tag.CONNECTION_FAILED_ERROR, "no connection")
    responses = Responses([unreachable, operation(done=True, response={"name": "e"})])
    assert await run(SOURCE, send=responses) == {"name": "e"}


@pytest.mark.parametrize(
    ("parameters", "tag"),
    [
        ("text", "TypeError"),
        ({"retries": 1}, "ValueError"),
        ({"timeout": "1"}, "TypeError"),
        ({"timeout": -1}, "ValueError"),
        ({"skip_polling": 1}, "TypeError"),
        ({"polling_policy": 1}, "TypeError"),
        ({"polling_policy": {"pause": 1}}, "ValueError"),
        ({"polling_policy": {"initial_delay": 0}}, "ValueError"),
        ({"polling_policy": {"multiplier": 0}}, "ValueError"),
    ],
)
async def test_parameters_that_make_no_sense_are_an_error(parameters: Value, tag: str) -> None:
    assert (await error_of(Responses([]), parameters))["tags"] == [tag]


@pytest.mark.parametrize(
    ("name", "tag"),
    [("reencode", "ValueError"), (f"{JOB}/../x", "ValueError"), (f"{JOB}?x=1", "ValueError"), (1, "TypeError")],
)
async def test_name_that_is_not_a_jobs_is_an_error(name: Value, tag: str) -> None:
    source = SOURCE.replace(f"name: {JOB}", "name: ${parameters}").replace(
        "${parameters}\n            result", "null\n            result"
    )
    with pytest.raises(WorkflowError) as error:
        await run(source.replace("connector_params: ${parameters}", "connector_params: null"), name)
    assert isinstance(error.value.value, dict)
    assert error.value.value["tags"] == [tag]


@pytest.mark.parametrize("answer", [None, [1], "text"])
async def test_answer_that_is_no_operation_is_an_error(answer: Value) -> None:
    assert (await error_of(Responses([json_response(answer)])))["tags"] == ["ResponseTypeError"]


async def test_operation_elsewhere_is_not_followed() -> None:
    responses = Responses([json_response({"name": "../../admin"})])
    assert (await error_of(responses))["tags"] == ["ValueError"]


async def test_execution_of_a_job_can_be_looked_up() -> None:
    name = f"{JOB}/executions/reencode-x1"
    responses = Responses([json_response(status=503), json_response({"name": name})])
    source = f"""
        - s:
            call: googleapis.run.v2.projects.locations.jobs.executions.get
            args: {{name: {name}}}
            result: r
        - t: {{return: '${{r}}'}}
        """
    assert await run(source, send=responses) == {"name": name}
    assert responses.requests[0].url == f"http://run.test/v2/{name}"
