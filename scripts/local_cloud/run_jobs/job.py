"""A job: what each of its tasks runs, and what one execution may change of that (RunJobRequest.Overrides)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Final, TypeGuard

from local_cloud.run_jobs.errors import RunError, invalid_argument, not_offered

# Cloud Run's own bounds.
MAX_TASKS: Final = 10_000
MAX_RETRIES: Final = 10
MAX_TASK_TIMEOUT: Final = timedelta(hours=168)

_NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# google.protobuf.Duration in JSON.
_DURATION: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,9})?s")


class InvalidJob(ValueError):
    """A job cannot be declared so; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """A job that is there from the start; *parallelism* 0 is as many tasks at a time as possible.

    *command* and *args* are run as they stand, without a shell, where the local cloud was started.
    """

    name: str
    command: tuple[str, ...]
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    task_count: int = 1
    parallelism: int = 0
    max_retries: int = 3
    timeout: timedelta = timedelta(minutes=10)

    def __post_init__(self) -> None:
        """Raise InvalidJob where Cloud Run would refuse it."""
        if not _NAME.fullmatch(self.name):
            raise InvalidJob("a job's name has lowercase letters, digits and hyphens, and begins with a letter")
        if not self.command:
            raise InvalidJob("a job has a command")
        if not 1 <= self.task_count <= MAX_TASKS:
            raise InvalidJob(f"task_count must be greater than 0 and at most {MAX_TASKS}")
        if not 0 <= self.parallelism <= self.task_count:
            raise InvalidJob("parallelism must be at least 0 and at most task_count")
        if not 0 <= self.max_retries <= MAX_RETRIES:
            raise InvalidJob(f"max_retries must be between 0 and {MAX_RETRIES}")
        if not timedelta(seconds=1) <= self.timeout <= MAX_TASK_TIMEOUT:
            raise InvalidJob("timeout must be between 1 second and 168 hours")
        for variable in self.environment:
            if not _VARIABLE.fullmatch(variable):
                raise InvalidJob(f"{variable!r} is not the name of an environment variable")


def parse_job(text: str) -> JobOptions:
    """Return the job that *text* declares as `NAME={"command": [...], ...}`, or raise InvalidJob.

    The other members, all optional, are args, env (an object), taskCount, parallelism, maxRetries and timeout
    (such as "600s").
    """
    name, _, description = text.partition("=")
    try:
        members = json.loads(description)
    except ValueError:
        raise InvalidJob(f"{name}: JSON is wanted behind the name") from None
    if not isinstance(members, dict):
        raise InvalidJob(f"{name}: a JSON object is wanted behind the name")
    try:
        return _declared(name, members)
    except RunError as error:
        raise InvalidJob(f"{name}: {error}") from error


def _declared(name: str, members: Mapping[str, object]) -> JobOptions:
    known = {"command", "args", "env", "taskCount", "parallelism", "maxRetries", "timeout"}
    _require_only(members, known, "the job")
    environment = members.get("env", {})
    if not isinstance(environment, dict) or not _are_texts(environment.values()):
        raise InvalidJob(f"{name}: env is an object of texts")
    return JobOptions(
        name=name,
        command=_texts(members.get("command", []), "command"),
        args=_texts(members.get("args", []), "args"),
        environment=environment,
        task_count=_integer(members.get("taskCount", 1), "taskCount"),
        parallelism=_integer(members.get("parallelism", 0), "parallelism"),
        max_retries=_integer(members.get("maxRetries", 3), "maxRetries"),
        timeout=_duration(members.get("timeout", "600s"), "timeout"),
    )


def overridden(job: JobOptions, request: object) -> JobOptions:
    """Return *job* as the body of a RunJobRequest wants it for one execution; raises RunError."""
    if not isinstance(request, dict):
        raise invalid_argument("Invalid JSON payload received. An object is expected.")
    _require_only(request, {"name", "overrides"}, "", not_here={"validateOnly", "etag"})
    overrides = request.get("overrides") or {}
    if not isinstance(overrides, dict):
        raise _invalid_value("overrides", "RunJobRequest.Overrides", overrides)
    _require_only(overrides, {"containerOverrides", "taskCount", "timeout"}, "overrides")
    if "timeout" in overrides:
        job = replace(job, timeout=_duration(overrides["timeout"], "overrides.timeout"))
    if count := _integer(overrides.get("taskCount", 0), "overrides.taskCount"):
        job = _checked(job, count)
    containers = overrides.get("containerOverrides", [])
    if not isinstance(containers, list):
        raise _invalid_value("overrides.container_overrides", "ContainerOverride", containers)
    if len(containers) > 1:
        raise not_offered("tasks of several containers")
    return _with_container(job, containers[0]) if containers else job


def _checked(job: JobOptions, count: int) -> JobOptions:
    try:
        return replace(job, task_count=count, parallelism=min(job.parallelism, count))
    except InvalidJob as error:
        raise invalid_argument(f"overrides.{error}") from error


def _with_container(job: JobOptions, override: object) -> JobOptions:
    place = "overrides.container_overrides[0]"
    if not isinstance(override, dict):
        raise _invalid_value(place, "ContainerOverride", override)
    # There is one container, whatever it is called.
    _require_only(override, {"name", "args", "env", "clearArgs"}, place)
    args = _texts(override.get("args", []), f"{place}.args")
    clear = override.get("clearArgs", False)
    if args and clear:
        raise invalid_argument(f"{place}: args and clear_args cannot both be set.")
    variables = override.get("env", [])
    if not isinstance(variables, list):
        raise _invalid_value(f"{place}.env", "EnvVar", variables)
    environment = dict(
        _variable(variable, f"{place}.env[{number}]") for number, variable in enumerate(variables)
    )
    return replace(
        job,
        args=() if clear else args or job.args,
        environment={**job.environment, **environment},
    )


def _variable(variable: object, place: str) -> tuple[str, str]:
    if not isinstance(variable, dict):
        raise _invalid_value(place, "EnvVar", variable)
    _require_only(variable, {"name", "value"}, place, not_here={"valueSource"})
    name, value = variable.get("name", ""), variable.get("value", "")
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
        raise invalid_argument(f"{place}.name: must be a valid environment variable name.")
    if not isinstance(value, str):
        raise _invalid_value(f"{place}.value", "TYPE_STRING", value)
    return name, value


def _require_only(
    members: Mapping[str, object], known: Iterable[str], place: str, *, not_here: Iterable[str] = ()
) -> None:
    for name in members:
        if name in not_here:
            raise not_offered(f"{name} in {place or 'the request'}")
        if name not in known:
            at = f" at '{place}'" if place else ""
            raise invalid_argument(
                f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
            )


def _are_texts(values: Iterable[object]) -> TypeGuard[Iterable[str]]:
    return all(isinstance(value, str) for value in values)


def _texts(values: object, place: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not _are_texts(values):
        raise _invalid_value(place, "TYPE_STRING", values)
    return tuple(values)


def _integer(value: object, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _invalid_value(place, "TYPE_INT32", value)
    return value


def _duration(value: object, place: str) -> timedelta:
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise _invalid_value(place, "type.googleapis.com/google.protobuf.Duration", value)
    duration = timedelta(microseconds=int(Decimal(value[:-1]) * 1_000_000))
    if not timedelta(seconds=1) <= duration <= MAX_TASK_TIMEOUT:
        raise invalid_argument(f"{place} must be between 1 second and 168 hours.")
    return duration


def _invalid_value(place: str, kind: str, value: object) -> RunError:
    return invalid_argument(f"Invalid value at '{place}' ({kind}), {json.dumps(value)}")
