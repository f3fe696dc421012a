"""What goes wrong: a definition that is refused, and errors inside an execution.

The second kind is a value of the language: `except` sees what was raised, a string or a map, and maps of the
platform's own have a message and tags (cloud.google.com/workflows/docs/reference/syntax/error-types).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from local_cloud.workflows.values import Value, encode_json


class InvalidWorkflow(ValueError):
    """A workflow file that is refused; the text says in which file, line and step, and why."""

    def __init__(self, reason: str, *, line: int = 0, step: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.step = step
        self.file = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        step = f"step {self.step!r}" if self.step else ""
        return ": ".join(part for part in (place, step, self.reason) if part)


class Tag(StrEnum):
    """The tags of the platform's errors; KeyError and IndexError carry LookupError as well."""

    AUTH_ERROR = "AuthError"
    CONNECTION_ERROR = "ConnectionError"
    CONNECTION_FAILED_ERROR = "ConnectionFailedError"
    HTTP_ERROR = "HttpError"
    INDEX_ERROR = "IndexError"
    KEY_ERROR = "KeyError"
    LOOKUP_ERROR = "LookupError"
    OPERATION_ERROR = "OperationError"
    RECURSION_ERROR = "RecursionError"
    RESOURCE_LIMIT_ERROR = "ResourceLimitError"
    RESPONSE_TYPE_ERROR = "ResponseTypeError"
    RUNTIME_ERROR = "RuntimeError"
    SYSTEM_ERROR = "SystemError"
    TIMEOUT_ERROR = "TimeoutError"
    TYPE_ERROR = "TypeError"
    UNHANDLED_BRANCH_ERROR = "UnhandledBranchError"
    VALUE_ERROR = "ValueError"
    ZERO_DIVISION_ERROR = "ZeroDivisionError"


_MORE_TAGS = {
    Tag.KEY_ERROR: (Tag.LOOKUP_ERROR,),
    Tag.INDEX_ERROR: (Tag.LOOKUP_ERROR,),
    Tag.UNHANDLED_BRANCH_ERROR: (Tag.RUNTIME_ERROR,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an execution is, or was: a step of a routine, and its line in the source."""

    step: str
    routine: str
    line: int


class WorkflowError(Exception):
    """An error inside an execution; *value* is what `except` gets.

    *trace* is where it was raised, the innermost step first. No `except` catches one that is *fatal*.
    """

    def __init__(self, value: Value, *, fatal: bool = False) -> None:
        super().__init__(value)
        self.value = value
        self.fatal = fatal
        self.trace: tuple[Place, ...] = ()

    @property
    def payload(self) -> str:
        """The error as the Executions API gives it: its JSON, with bytes as Base64."""
        return encode_json(self.value, bytes_as_base64=True)

    @property
    def context(self) -> str:
        """The error for a person: what happened, then a line for each step of the trace."""
        return "\n".join(
            [
                self._headline(),
                *(f'in step "{at.step}", routine "{at.routine}", line: {at.line}' for at in self.trace),
            ]
        )

    def _headline(self) -> str:
        if isinstance(self.value, dict) and "tags" in self.value:
            message = self.value.get("message")
            if isinstance(message, str):
                return message
        return f"RuntimeError: {self.payload}"


def raised(
    tag: Tag, message: str, *, details: Mapping[str, Value] | None = None, fatal: bool = False
) -> WorkflowError:
    """An error of the platform's own: a map with *message*, tags and *details*."""
    tags: list[Value] = [str(tag), *map(str, _MORE_TAGS.get(tag, ()))]
    return WorkflowError({**(details or {}), "message": message, "tags": tags}, fatal=fatal)


def type_error(message: str) -> WorkflowError:
    return raised(Tag.TYPE_ERROR, message)


def value_error(message: str) -> WorkflowError:
    return raised(Tag.VALUE_ERROR, message)


def key_error(key: str) -> WorkflowError:
    return raised(Tag.KEY_ERROR, f"KeyError: key not found: {key}")


def shown(value: Value) -> str:
    """*value* in a message: short, whatever it is."""
    text = json.dumps(value, default=lambda _: "bytes", ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


_SHOWN_CHARACTERS = 80  # enough to recognise a value; a message is itself a variable that counts
