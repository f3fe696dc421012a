"""Field paths: naming, reading and replacing a field inside nested maps."""

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final, TypeAlias

from local_cloud.firestore.errors import InvalidArgument
from local_cloud.firestore.values import Fields, Value

FieldPath: TypeAlias = tuple[str, ...]

# The document's own name, as queries write it.
NAME: Final[FieldPath] = ("__name__",)


class Missing(Enum):
    """What stands where a document has no such field; null is a value, this is none."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING

# Document.fields: "A simple field name contains only characters a to z, A to Z, 0 to 9, or _, and must not
# start with 0 to 9"; "quoted field names ... within the character `".
_SEGMENT: Final = re.compile(r"(?P<plain>[A-Za-z_][A-Za-z_0-9]*)|`(?P<quoted>(?:[^`\\]|\\.)+)`", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


def parse_field_path(text: str) -> FieldPath:
    """Return the path that *text* writes with dots and backticks, or raise InvalidArgument."""
    segments: list[str] = []
    position = 0
    while True:
        found = _SEGMENT.match(text, position)
        if found is None:
            raise InvalidArgument(f"{text!r} is no field path")
        segments.append(found["plain"] or _ESCAPE.sub(r"\1", found["quoted"]))
        position = found.end()
        if position == len(text):
            return tuple(segments)
        if text[position] != ".":
            raise InvalidArgument(f"{text!r} is no field path")
        position += 1


def read(fields: Fields, path: FieldPath) -> Value | Missing:
    """Return the value at *path*, or MISSING."""
    value: Value = fields
    for segment in path:
        if not isinstance(value, dict) or segment not in value:
            return MISSING
        value = value[segment]
    return value


def replace(fields: Fields, path: FieldPath, value: Value) -> Fields:
    """Return *fields* with *value* at *path*; what is no map on the way gives way to one."""
    head, rest = path[0], path[1:]
    if not rest:
        return {**fields, head: value}
    child = fields.get(head)
    return {**fields, head: replace(child if isinstance(child, dict) else {}, rest, value)}


def remove(fields: Fields, path: FieldPath) -> Fields:
    """Return *fields* without what stands at *path*."""
    head, rest = path[0], path[1:]
    if not rest:
        return {key: value for key, value in fields.items() if key != head}
    child = fields.get(head)
    return {**fields, head: remove(child, rest)} if isinstance(child, dict) else fields


def project(fields: Fields, paths: Iterable[FieldPath]) -> Fields:
    """Return only what *paths* name of *fields*."""
    chosen: Fields = {}
    for path in paths:
        value = read(fields, path)
        if value is not MISSING:
            chosen = replace(chosen, path, value)
    return chosen
