"""The connectors that are offered: calls of Google's APIs that wait until what they started has ended.

cloud.google.com/workflows/docs/connectors: GET is tried again as idempotent requests are, everything else as
those that are not; a long-running operation is polled until it is done or the connector's timeout is over.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from local_cloud.workflows.calls import GET_JOB_EXECUTION, RUN_JOB
from local_cloud.workflows.errors import Tag, raised, shown, type_error, value_error
from local_cloud.workflows.host import Host
from local_cloud.workflows.http_messages import http_request, response_value
from local_cloud.workflows.values import Value, type_name
from local_cloud.workflows.waiting import DEFAULT_PAUSES, Pauses, growth, seconds, with_retries

DEFAULT_TIMEOUT: Final = timedelta(seconds=1_800)  # "The default value is 1800"
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_JOB: Final = re.compile(rf"projects/{_NAME}/locations/{_NAME}/jobs/{_NAME}")
_EXECUTION: Final = re.compile(rf"{_JOB.pattern}/executions/{_NAME}")
_OPERATION: Final = re.compile(rf"projects/{_NAME}/locations/{_NAME}/operations/{_NAME}")
_PARAMETERS: Final = frozenset({"timeout", "polling_policy", "skip_polling", "scopes"})
_POLICY: Final = frozenset({"initial_delay", "multiplier", "max_delay"})


async def call_connector(name: str, arguments: Mapping[str, Value], host: Host) -> Value:
    """What the connector *name* returns; raises WorkflowError."""
    return await _CONNECTORS[name](arguments, host)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameters:
    """`connector_params`."""

    timeout: timedelta = DEFAULT_TIMEOUT
    polling: Pauses = DEFAULT_PAUSES
    skip_polling: bool = False


async def _run_job(arguments: Mapping[str, Value], host: Host) -> Value:
    """Run a Cloud Run job and return its execution when it has ended."""
    parameters = _parameters(arguments.get("connector_params"))
    job = _resource(arguments["name"], _JOB)
    body = arguments.get("body")
    operation = await _request(host, "POST", f"{job}:run", {} if body is None else body)
    if parameters.skip_polling:
        return operation
    return await _ended(operation, parameters, host)


async def _get_job_execution(arguments: Mapping[str, Value], host: Host) -> Value:
    """The execution of a Cloud Run job as it is now."""
    _parameters(arguments.get("connector_params"))
    return await _request(host, "GET", _resource(arguments["name"], _EXECUTION))


async def _ended(operation: Value, parameters: _Parameters, host: Host) -> Value:
    """What the operation has led to, once it is done (google.longrunning.Operation)."""
    began = host.clock.now()
    for pause in parameters.polling:
        if not isinstance(operation, dict):
            raise raised(Tag.RESPONSE_TYPE_ERROR, "the response is not a long-running operation")
        if operation.get("done") is True:
            break
        name = _resource(operation.get("name"), _OPERATION)
        if host.clock.now() - began + pause > parameters.timeout:
            seconds_waited = parameters.timeout.total_seconds()
            raise raised(Tag.TIMEOUT_ERROR, f"{name} did not end within {seconds_waited:g} s")
        await host.clock.sleep(pause)
        operation = await _request(host, "GET", name)
    assert isinstance(operation, dict)
    error = operation.get("error")
    if error is not None:
        text = f"Long-running operation returned unsuccessfully: {shown(error)}"
        raise raised(Tag.OPERATION_ERROR, text, details={"operation": operation})
    return operation.get("response")


async def _request(host: Host, method: str, resource: str, body: Value = None) -> Value:
    arguments: dict[str, Value] = {
        "url": f"{host.run_address}/v2/{resource}",
        "auth": {"type": "OAuth2"},
        "body": body,
    }
    predicate = "http.default_retry_predicate"
    if method != "GET":
        predicate = "http.default_retry_predicate_non_idempotent"
    answer = await with_retries(lambda: send(arguments, method, host), host.clock, predicate)
    assert isinstance(answer, dict)
    return answer["body"]


async def send(arguments: Mapping[str, Value], method: str | None, host: Host) -> Value:
    """Send the request that *arguments* describe, authorized as they say; raises WorkflowError."""
    request, auth = http_request(arguments, method)
    if auth is not None:
        request = request.with_header("authorization", f"Bearer {host.sign(auth)}")
    return response_value(await host.send(request))


def _resource(name: Value, pattern: re.Pattern[str]) -> str:
    if not isinstance(name, str):
        raise type_error(f"a name must be a string, not {type_name(name)}")
    if not pattern.fullmatch(name):
        raise value_error(f"{shown(name)} is not the name of what is asked for")
    return name


def _parameters(value: Value) -> _Parameters:
    if value is None:
        return _Parameters()
    given = _fields(value, _PARAMETERS, "connector_params")
    timeout = given.get("timeout")
    skip_polling = given.get("skip_polling", False)
    if not isinstance(skip_polling, bool):
        raise type_error("skip_polling must be boolean")
    return _Parameters(
        timeout=DEFAULT_TIMEOUT if timeout is None else seconds(timeout, "timeout"),
        polling=_polling(given.get("polling_policy")),
        skip_polling=skip_polling,
    )


def _polling(value: Value) -> Pauses:
    if value is None:
        return DEFAULT_PAUSES
    given = _fields(value, _POLICY, "polling_policy")
    first, longest, multiplier = (given.get(name) for name in ("initial_delay", "max_delay", "multiplier"))
    pauses = Pauses(
        first=DEFAULT_PAUSES.first if first is None else seconds(first, "initial_delay"),
        longest=DEFAULT_PAUSES.longest if longest is None else seconds(longest, "max_delay"),
        multiplier=DEFAULT_PAUSES.multiplier if multiplier is None else growth(multiplier),
    )
    if not (pauses.first and pauses.longest):
        raise value_error("polling without a pause is not supported")
    return pauses


def _fields(value: Value, known: frozenset[str], what: str) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise type_error(f"{what} must be a map, not {type_name(value)}")
    for key in sorted(value.keys() - known):
        raise value_error(f"{shown(key)} is not supported in {what}")
    return value


_CONNECTORS: Final[Mapping[str, Callable[[Mapping[str, Value], Host], Awaitable[Value]]]] = {
    RUN_JOB: _run_job,
    GET_JOB_EXECUTION: _get_job_execution,
}
