"""Reading a workflow file: everything that is not offered is refused, with its line, step and reason.

The syntax is that of cloud.google.com/workflows/docs/reference/syntax. Where it leaves open what the platform
does, and where two readings differ, the file is refused as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as ReadOnly
from pathlib import Path
from typing import Final

from local_cloud.workflows.errors import InvalidWorkflow
from local_cloud.workflows.library import ARITIES
from local_cloud.workflows.source import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    as_mapping,
    as_sequence,
    expect_keys,
    identifier,
    read_source,
    refused,
)
from local_cloud.workflows.step_syntax import Enclosure, Parameters, read_steps
from local_cloud.workflows.steps import Constant, Routine, Workflow
from local_cloud.workflows.templates import template
from local_cloud.workflows.variables import check_variables

SUFFIXES: Final = (".workflows.yaml", ".workflows.yml", ".workflows.json")
"""How the names of workflow files end, as in the public catalogue of schemas."""

_WORKFLOW_NAME: Final = re.compile(r"[a-zA-Z](?:[a-zA-Z0-9_-]{0,62}[a-zA-Z0-9])?")  # as in CreateWorkflow


def load_file(path: Path) -> Workflow:
    """The workflow in the file *path*, named as the file is; raises InvalidWorkflow."""
    name = next((path.name.removesuffix(end) for end in SUFFIXES if path.name.endswith(end)), path.stem)
    try:
        return load_workflow(path.read_bytes(), name=name)
    except OSError as error:
        raise InvalidWorkflow(f"{path}: {error.strerror}") from None
    except InvalidWorkflow as error:
        error.file = str(path)
        raise


def load_workflow(content: bytes, *, name: str) -> Workflow:
    """The workflow that *content*, YAML or JSON, defines; raises InvalidWorkflow."""
    if not _WORKFLOW_NAME.fullmatch(name):
        raise InvalidWorkflow(f"{name!r} is not a workflow's name: a letter, then letters, digits, - and _")
    root = read_source(content)
    if isinstance(root, Sequence):
        root = Mapping(items=(("main", Mapping(items=(("steps", root),), line=root.line)),), line=root.line)
    bodies = {
        name: _routine_body(name, body)
        for name, body in as_mapping(root, "a workflow is a list of steps, or a map of routines").items
    }
    parameters = {name: _parameters(name, body) for name, body in bodies.items()}
    if "main" not in bodies:
        raise InvalidWorkflow("there is no main routine", line=root.line)
    routines = {name: _routine(name, body, parameters) for name, body in bodies.items()}
    return Workflow(name=name, source=content.decode(), routines=routines)


def _routine_body(name: str, node: Node) -> Mapping:
    body = as_mapping(node, f"the routine {name!r} is a map with steps")
    expect_keys(
        body, required=frozenset({"steps"}), optional=frozenset({"params"}), what=f"the routine {name!r}"
    )
    identifier(Scalar(value=name, line=node.line), "a routine")
    if name in ARITIES:
        raise refused(node, f"{name!r} is a function of the platform")
    return body


def _parameters(name: str, body: Mapping) -> Parameters:
    node = body.get("params")
    if node is None:
        return Parameters(names=(), defaults={})
    given = [_parameter(item) for item in as_sequence(node, "params is a list of names").items]
    names = tuple(parameter for parameter, _ in given)
    defaults = {parameter: default.value for parameter, default in given if default is not None}
    if len(set(names)) < len(names):
        raise refused(node, "a parameter is there twice")
    if name == "main" and (len(names) > 1 or defaults):
        raise refused(node, "main has one parameter, without a default: the execution's argument")
    return Parameters(names=names, defaults=defaults)


def _parameter(node: Node) -> tuple[str, Constant | None]:
    if not isinstance(node, Mapping):
        return identifier(node, "a parameter"), None
    if len(node.items) != 1:
        raise refused(node, "a parameter with a default is one name with one value")
    ((name, default),) = node.items
    value = template(default)
    if not isinstance(value, Constant):
        raise refused(default, "a default is null, a boolean, a number or a string")
    return identifier(Scalar(value=name, line=node.line), "a parameter"), value


def _routine(name: str, body: Mapping, parameters: ReadOnly[str, Parameters]) -> Routine:
    own = parameters[name]
    steps = read_steps(body.part("steps"), Enclosure(routines=parameters))
    check_variables(steps, own.names)
    return Routine(name=name, parameters=own.names, defaults=own.defaults, steps=steps)
