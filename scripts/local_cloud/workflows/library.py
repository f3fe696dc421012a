"""The standard library, as far as it is offered: functions that wait for nothing.

cloud.google.com/workflows/docs/reference/stdlib/overview names them and their arguments. What is not in ARITIES
is refused when a workflow is loaded. They are called in expressions, not as steps.
"""

from __future__ import annotations

import inspect
import math
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote, quote_plus
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from local_cloud.workflows.errors import key_error, shown, type_error, value_error
from local_cloud.workflows.evaluation import checked_number, checked_string
from local_cloud.workflows.values import Value, decode_json, encode_json, type_name


class Arity(NamedTuple):
    """How many arguments a function takes."""

    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an execution knows of the world without waiting for it."""

    now: Callable[[], datetime]
    new_uuid: Callable[[], str]
    environment: Mapping[str, str]


class Library:
    """The functions for one execution."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._functions: Mapping[str, Callable[..., Value]] = {
            **_PURE,
            "sys.get_env": self._get_env,
            "sys.now": lambda: surroundings.now().timestamp(),
            "uuid.generate": surroundings.new_uuid,
        }

    def call(self, name: str, arguments: Sequence[Value]) -> Value:
        """What the function *name* returns; raises WorkflowError."""
        return self._functions[name](*arguments)

    def _get_env(self, name: Value, default: Value = None) -> Value:
        found = self._surroundings.environment.get(_string(name))
        if found is not None:
            return found
        if default is None:
            raise key_error(_string(name))
        return _string(default)


def parse_time(text: str) -> datetime:
    """The time that *text*, in ISO 8601 with a time zone, names; raises a ValueError of the language."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise value_error(f"{shown(text)} is not a time in ISO 8601 with a time zone")
    return time


def _string(value: Value) -> str:
    if not isinstance(value, str):
        raise type_error(f"a string is needed, not {type_name(value)}")
    return value


def _number(value: Value) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise type_error(f"a number is needed, not {type_name(value)}")
    return value


def _integer(value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise type_error(f"an integer is needed, not {type_name(value)}")
    return value


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise type_error(f"bytes are needed, not {type_name(value)}")
    return value


def _list(value: Value) -> list[Value]:
    if not isinstance(value, list):
        raise type_error(f"a list is needed, not {type_name(value)}")
    return value


def _map(value: Value) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise type_error(f"a map is needed, not {type_name(value)}")
    return value


def _len(value: Value) -> int:
    if not isinstance(value, str | list | dict):
        raise type_error(f"{type_name(value)} has no length")
    return len(value)


def _to_int(value: Value) -> Value:
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?[0-9]+", value):
            raise value_error(f"{shown(value)} is not an integer")
        return checked_number(int(value))
    return checked_number(int(_number(value)))


def _to_double(value: Value) -> Value:
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", value):
            raise value_error(f"{shown(value)} is not a double")
        return checked_number(float(value))
    return float(_number(value))


def _to_string(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(_number(value))


def _if(condition: Value, if_true: Value, if_false: Value) -> Value:
    # The reference: a condition that is false or null gives the last argument.
    if condition is not None and not isinstance(condition, bool):
        raise type_error(f"the condition of 'if' must be boolean; got: {type_name(condition)}")
    return if_true if condition else if_false


def _keys(container: Value) -> Value:
    return list[Value](sorted(_map(container)))


def _map_get(container: Value, keys: Value) -> Value:
    path = keys if isinstance(keys, list) else [keys]
    for key in path:
        if not isinstance(key, str):
            raise type_error("the key is a string or a list of strings")
        container = container.get(key) if isinstance(container, dict) else None
    return container


def _map_delete(container: Value, key: Value) -> Value:
    return {name: value for name, value in _map(container).items() if name != _string(key)}


def _merge_nested(one: Value, other: Value) -> Value:
    merged = dict(_map(one))
    for key, value in _map(other).items():
        known = merged.get(key)
        nested = isinstance(known, dict) and isinstance(value, dict)
        merged[key] = _merge_nested(known, value) if nested else value
    return merged


def _split(source: Value, separator: Value) -> Value:
    text, at = _string(source), _string(separator)
    if not at:
        raise value_error("the separator is empty")
    return list(text.split(at))


def _substring(source: Value, start: Value, end: Value) -> Value:
    text, first, last = _string(source), _integer(start), _integer(end)
    if not 0 <= first <= last <= len(text):
        raise value_error(f"no substring from {first} to {last}: the string has {len(text)} characters")
    return text[first:last]


# RE2 does not look around or back, and knows no possessive or atomic groups and no conditions.
_NOT_IN_RE2: Final = re.compile(r"\(\?(?:[=!>(]|<[=!]|P=)|\\[1-9]|[*+?}]\+")


def _match_regex(source: Value, regexp: Value) -> Value:
    pattern = _string(regexp)
    if _NOT_IN_RE2.search(pattern.replace(r"\\", "")):
        raise value_error(f"{shown(pattern)} is not in the syntax of RE2")
    try:
        return re.search(pattern, _string(source), re.ASCII) is not None
    except re.error as error:
        raise value_error(f"{shown(pattern)}: {error}") from None


def _decode_text(content: Value) -> Value:
    try:
        return _bytes(content).decode()
    except UnicodeDecodeError:
        raise value_error("the bytes are not UTF-8") from None


def _decode_json(content: Value) -> Value:
    if not isinstance(content, str | bytes):
        raise type_error(f"a string or bytes are needed, not {type_name(content)}")
    try:
        return decode_json(content)
    except ValueError as error:
        raise value_error(f"not JSON: {error}") from None


def _encode_json(value: Value) -> str:
    try:
        return checked_string(encode_json(value))
    except (TypeError, ValueError) as error:
        raise type_error(f"has no JSON: {error}") from None


def _decode_base64(text: Value) -> Value:
    try:
        return b64decode(_string(text), validate=True)
    except ValueError:
        raise value_error("not Base64") from None


def _format_time(seconds: Value, timezone: Value = "UTC") -> Value:
    try:
        zone = ZoneInfo(_string(timezone))
        time = datetime.fromtimestamp(_number(seconds), UTC).astimezone(zone)
    except (ZoneInfoNotFoundError, OverflowError, OSError, ValueError):
        raise value_error(f"no time: {shown(seconds)} in {shown(timezone)}") from None
    return time.isoformat().replace("+00:00", "Z")


def _compare(choose: Callable[..., Any]) -> Callable[[Value, Value], Value]:
    def chosen(one: Value, other: Value) -> Value:
        number: Value = choose(_number(one), _number(other))
        return number

    return chosen


def _absolute(value: Value) -> Value:
    return checked_number(abs(_number(value)))


def _floor(value: Value) -> Value:
    return checked_number(math.floor(_number(value)))


def _default(value: Value, default: Value) -> Value:
    return default if value is None else value


_PURE: Final[Mapping[str, Callable[..., Value]]] = {
    "base64.decode": _decode_base64,
    "base64.encode": lambda content: b64encode(_bytes(content)).decode(),
    "default": _default,
    "double": _to_double,
    "get_type": type_name,
    "if": _if,
    "int": _to_int,
    "json.decode": _decode_json,
    "json.encode": lambda value: _encode_json(value).encode(),
    "json.encode_to_string": _encode_json,
    "keys": _keys,
    "len": _len,
    "list.concat": lambda items, item: [*_list(items), item],
    "list.prepend": lambda items, item: [item, *_list(items)],
    "map.delete": _map_delete,
    "map.get": _map_get,
    "map.merge": lambda one, other: {**_map(one), **_map(other)},
    "map.merge_nested": _merge_nested,
    "math.abs": _absolute,
    "math.floor": _floor,
    "math.max": _compare(max),
    "math.min": _compare(min),
    "string": _to_string,
    "text.decode": _decode_text,
    "text.encode": lambda text: _string(text).encode(),
    "text.match_regex": _match_regex,
    "text.replace_all": lambda source, what, by: checked_string(
        _string(source).replace(_string(what), _string(by))
    ),
    "text.split": _split,
    "text.substring": _substring,
    "text.to_lower": lambda text: _string(text).lower(),
    "text.to_upper": lambda text: _string(text).upper(),
    "text.url_encode": lambda text: checked_string(quote(_string(text), safe="")),
    "text.url_encode_plus": lambda text: checked_string(quote_plus(_string(text))),
    "time.format": _format_time,
    "time.parse": lambda text: parse_time(_string(text)).timestamp(),
}


def _arity(function: Callable[..., Value]) -> Arity:
    arguments = inspect.signature(function).parameters.values()
    required = sum(argument.default is argument.empty for argument in arguments)
    return Arity(required, len(arguments))


ARITIES: Final[Mapping[str, Arity]] = {
    **{name: _arity(function) for name, function in _PURE.items()},
    "sys.get_env": Arity(1, 2),
    "sys.now": Arity(0, 0),
    "uuid.generate": Arity(0, 0),
}
"""The functions that are offered."""
