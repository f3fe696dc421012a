"""What a call step can call besides subworkflows: the names of the arguments, and which have to be there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

HTTP_METHODS: Final[Mapping[str, str | None]] = {
    "http.delete": "DELETE",
    "http.get": "GET",
    "http.patch": "PATCH",
    "http.post": "POST",
    "http.put": "PUT",
    "http.request": None,
}
"""The HTTP functions, each with its method; that of http.request is an argument."""

SLEEP: Final = "sys.sleep"
SLEEP_UNTIL: Final = "sys.sleep_until"
LOG: Final = "sys.log"
RUN_JOB: Final = "googleapis.run.v2.projects.locations.jobs.run"
GET_JOB_EXECUTION: Final = "googleapis.run.v2.projects.locations.jobs.executions.get"
CONNECTORS: Final = (RUN_JOB, GET_JOB_EXECUTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentNames:
    """The arguments that a call must have, and those that it may have."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


_HTTP_OPTIONS: Final = frozenset({"headers", "query", "auth", "timeout"})

CALLS: Final[Mapping[str, ArgumentNames]] = {
    **{
        name: ArgumentNames(
            required=frozenset({"url", "method"} if method is None else {"url"}),
            optional=_HTTP_OPTIONS if method == "GET" else _HTTP_OPTIONS | {"body"},
        )
        for name, method in HTTP_METHODS.items()
    },
    SLEEP: ArgumentNames(required=frozenset({"seconds"})),
    SLEEP_UNTIL: ArgumentNames(required=frozenset({"time"})),
    LOG: ArgumentNames(required=frozenset(), optional=frozenset({"data", "text", "json", "severity"})),
    RUN_JOB: ArgumentNames(required=frozenset({"name"}), optional=frozenset({"body", "connector_params"})),
    GET_JOB_EXECUTION: ArgumentNames(required=frozenset({"name"}), optional=frozenset({"connector_params"})),
}
"""Everything that is offered; what waits for something outside cannot be called in an expression."""
