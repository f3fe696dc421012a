"""Partial responses: the `fields` parameter, such as `items(name,size),nextPageToken`."""

from __future__ import annotations

import re
from typing import Any, Final

from local_cloud.storage.errors import InvalidRequest
from local_cloud.storage.resources import Json

MAX_FIELDS_LENGTH: Final = 400  # a selection of all fields is less; it also bounds the depth
_NAME: Final = re.compile(r"[^,()/]+")
_Selection = dict[str, "_Selection"]


def select_fields(resource: Json, fields: str) -> Json:
    """The part of *resource* that *fields* names; an empty selection below a name means all of it.

    Raises InvalidRequest for a selection that cannot be read.
    """
    compact = fields.replace(" ", "")
    if len(compact) > MAX_FIELDS_LENGTH:
        raise InvalidRequest(f"The field selection is longer than {MAX_FIELDS_LENGTH} characters.")
    selection: _Selection = {}
    if _parse_paths(compact, 0, selection) != len(compact):
        raise InvalidRequest(f"Invalid field selection {fields}")
    selected: Json = _select(resource, selection)
    return selected


def _select(value: Any, selection: _Selection) -> Any:
    if not selection:
        return value
    if isinstance(value, list):
        return [_select(item, selection) for item in value]
    if not isinstance(value, dict):
        return value
    if "*" in selection:
        return {key: _select(item, selection["*"]) for key, item in value.items()}
    return {key: _select(value[key], below) for key, below in selection.items() if key in value}


def _parse_paths(fields: str, at: int, into: _Selection) -> int:
    at = _parse_path(fields, at, into)
    while fields[at : at + 1] == ",":
        at = _parse_path(fields, at + 1, into)
    return at


def _parse_path(fields: str, at: int, into: _Selection) -> int:
    name = _NAME.match(fields, at)
    if name is None:
        raise InvalidRequest(f"Invalid field selection {fields}")
    below = into.setdefault(name[0], {})
    at = name.end()
    match fields[at : at + 1]:
        case "/":
            return _parse_path(fields, at + 1, below)
        case "(":
            at = _parse_paths(fields, at + 1, below)
            if fields[at : at + 1] != ")":
                raise InvalidRequest(f"Invalid field selection {fields}")
            return at + 1
        case _:
            return at
