"""Partial responses: the `fields` parameter, such as `items(name,size),nextPageToken`."""

from __future__ import annotations

from typing import Any

from local_cloud.storage.errors import InvalidRequest
from local_cloud.storage.resources import Json

_Selection = dict[str, "_Selection"]


def select_fields(resource: Json, fields: str) -> Json:
    """The part of *resource* that *fields* names; an empty selection below a name means all of it.

    Raises InvalidRequest for a selection that cannot be read.
    """
    selection, end = _parse(fields.replace(" ", ""), 0)
    if end != len(fields.replace(" ", "")):
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


def _parse(fields: str, at: int) -> tuple[_Selection, int]:
    selection: _Selection = {}
    while True:
        name_end = at
        while name_end < len(fields) and fields[name_end] not in ",()/":
            name_end += 1
        name = fields[at:name_end]
        if not name:
            raise InvalidRequest(f"Invalid field selection {fields}")
        below: _Selection = {}
        at = name_end
        if fields[at : at + 1] == "/":
            below, at = _parse_one(fields, at + 1)
        elif fields[at : at + 1] == "(":
            below, at = _parse(fields, at + 1)
            if fields[at : at + 1] != ")":
                raise InvalidRequest(f"Invalid field selection {fields}")
            at += 1
        selection.setdefault(name, {}).update(below)
        if fields[at : at + 1] != ",":
            return selection, at
        at += 1


def _parse_one(fields: str, at: int) -> tuple[_Selection, int]:
    end = len(fields)
    for stop in ",)":
        found = fields.find(stop, at)
        if found >= 0 and "(" not in fields[at:found]:
            end = min(end, found)
    selection, stopped = _parse(fields[:end], at)
    return selection, stopped
