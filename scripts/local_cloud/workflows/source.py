"""A workflow file as located nodes: what YAML or JSON says, where each part of it stands, nothing ambiguous.

YAML 1.1 and 1.2 differ in what a plain word or number means. What they differ in is refused, as are duplicate
keys, aliases and tags, so that the platform's parser and ours cannot read two things.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

import yaml

from local_cloud.workflows.errors import InvalidWorkflow
from local_cloud.workflows.limits import MAX_SOURCE_BYTES
from local_cloud.workflows.values import MAX_INTEGER, MIN_INTEGER


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    value: bool | int | float | str | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Its keys in the order of the file."""

    items: tuple[tuple[str, Node], ...]
    line: int

    def get(self, key: str) -> Node | None:
        return dict(self.items).get(key)

    def keys(self) -> frozenset[str]:
        return frozenset(key for key, _ in self.items)

    def has(self, key: str) -> bool:
        return self.get(key) is not None

    def part(self, key: str) -> Node:
        """What is under *key*, which is there."""
        return dict(self.items)[key]


Node: TypeAlias = Scalar | Sequence | Mapping

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS: Final = ("", "null", "Null", "NULL", "~")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DOUBLE: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?")
# Far above what nested steps need; PyYAML's time grows with the square of it.
_MAX_DEPTH: Final = 250
_TAG: Final = "tag:yaml.org,2002:"


def read_source(content: bytes) -> Node:
    """What *content* says; raises InvalidWorkflow."""
    if len(content) > MAX_SOURCE_BYTES:
        raise InvalidWorkflow(f"the source has {len(content)} bytes, more than {MAX_SOURCE_BYTES}")
    try:
        text = content.decode()
        _refuse_indirections(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise InvalidWorkflow("the source is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InvalidWorkflow(
            f"neither YAML nor JSON: {error.problem}", line=mark.line + 1 if mark else 0
        ) from None
    except (yaml.YAMLError, RecursionError):
        raise InvalidWorkflow("neither YAML nor JSON") from None
    if root is None:
        raise InvalidWorkflow("the file is empty")
    return _located(root)


def _refuse_indirections(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise InvalidWorkflow("an anchor or an alias of YAML is not supported", line=line)
        if getattr(event, "tag", None):
            raise InvalidWorkflow("a tag of YAML is not supported", line=line)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise InvalidWorkflow(f"lists and maps nest deeper than {_MAX_DEPTH}", line=line)


def _located(node: yaml.Node) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return Scalar(value=_scalar(node, line), line=line)
    if isinstance(node, yaml.SequenceNode):
        return Sequence(items=tuple(_located(item) for item in node.value), line=line)
    assert isinstance(node, yaml.MappingNode)
    items: dict[str, Node] = {}
    for key_node, value in node.value:
        key = _key(key_node)
        if key in items:
            raise InvalidWorkflow(f"{key!r} is there twice", line=key_node.start_mark.line + 1)
        items[key] = _located(value)
    return Mapping(items=tuple(items.items()), line=line)


def _key(node: yaml.Node) -> str:
    line = node.start_mark.line + 1
    key = _scalar(node, line) if isinstance(node, yaml.ScalarNode) else None
    if not isinstance(key, str):
        raise InvalidWorkflow("a key must be a string: write it in quotes", line=line)
    return key


def _scalar(node: yaml.ScalarNode, line: int) -> bool | int | float | str | None:
    text: str = node.value
    kind = node.tag.removeprefix(_TAG)
    if node.style is not None or kind == "str":
        return text
    if kind == "bool" and text in _BOOLEANS:
        return _BOOLEANS[text]
    if kind == "null" and text in _NULLS:
        return None
    if kind == "int" and _INTEGER.fullmatch(text) and MIN_INTEGER <= int(text) <= MAX_INTEGER:
        return int(text)
    if kind == "float" and _DOUBLE.fullmatch(text):
        return float(text)
    raise InvalidWorkflow(f"{text!r} means different things to parsers of YAML: write it in quotes", line=line)


def refused(node: Node, reason: str) -> InvalidWorkflow:
    """The error that says why what stands at *node* is refused."""
    return InvalidWorkflow(reason, line=node.line)


def as_mapping(node: Node, reason: str) -> Mapping:
    """*node*, or an InvalidWorkflow with *reason* when it is not a map."""
    if not isinstance(node, Mapping):
        raise refused(node, reason)
    return node


def as_sequence(node: Node, reason: str) -> Sequence:
    """*node*, or an InvalidWorkflow with *reason* when it is not a list with something in it."""
    if not isinstance(node, Sequence) or not node.items:
        raise refused(node, reason)
    return node


def expect_keys(node: Mapping, *, required: frozenset[str], optional: frozenset[str], what: str) -> None:
    """Refuse *node* when a key is missing, or is not known."""
    for key in sorted(required - node.keys()):
        raise refused(node, f"{what} needs {key!r}")
    for key in sorted(node.keys() - required - optional):
        raise refused(node, f"{key!r} is not supported in {what}")


def identifier(node: Node, what: str) -> str:
    """The name at *node*, of *what*, or an InvalidWorkflow when it cannot be one."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        raise refused(node, f"{what} must be a name")
    if not _IDENTIFIER.fullmatch(node.value):
        raise refused(node, f"{node.value!r} cannot be the name of {what}")
    return node.value


def plain(node: Node) -> object:
    """*node* as a value of JSON."""
    match node:
        case Scalar(value=value):
            return value
        case Sequence(items=items):
            return [plain(item) for item in items]
        case Mapping(items=entries):
            return {key: plain(value) for key, value in entries}
