"""The values of the language: null, boolean, integer, double, string, bytes, list and map.

Values are never changed in place: an assignment to a part of a map or a list makes a new one, so that no other
variable sees it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, Final, TypeAlias

Value: TypeAlias = bool | int | float | str | bytes | list["Value"] | dict[str, "Value"] | None

MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**63 - 1
_SCALAR_BYTES: Final = 8  # what a number, a boolean or null counts against the limit of variables


def type_name(value: Value) -> str:
    """The name of the value's type, as get_type gives it."""
    # A bool is an int in Python.
    for kind, name in _TYPE_NAMES:
        if isinstance(value, kind):
            return name
    return "null"


_TYPE_NAMES: Final = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "double"),
    (str, "string"),
    (bytes, "bytes"),
    (list, "list"),
    (dict, "map"),
)


def equal(one: Value, other: Value) -> bool:
    """Whether two values are the same; values of different types are not, but integers and doubles compare."""
    if is_number(one) and is_number(other):
        return one == other
    if type(one) is not type(other):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return one == other


def is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def size(value: Value) -> int:
    """How many bytes *value* counts for as a variable."""
    match value:
        case str():
            return len(value.encode("utf-8", "surrogatepass"))
        case bytes():
            return len(value)
        case list():
            return sum(map(size, value))
        case dict():
            return sum(size(key) + size(item) for key, item in value.items())
        case _:
            return _SCALAR_BYTES


def longest_string(value: Value) -> int:
    """The bytes of the longest string in *value*."""
    match value:
        case str():
            return size(value)
        case list():
            return max(map(longest_string, value), default=0)
        case dict():
            return max((max(size(key), longest_string(item)) for key, item in value.items()), default=0)
        case _:
            return 0


def encode_json(value: Value, *, bytes_as_base64: bool = False) -> str:
    """*value* as compact JSON with sorted keys.

    Raises TypeError for bytes, unless they are wanted as Base64, and ValueError for a double that JSON has not.
    """
    text = json.dumps(
        value,
        allow_nan=False,
        default=_base64 if bytes_as_base64 else None,
        ensure_ascii=False,
        separators=(",", ":"),
        sort_keys=True,
    )
    # Half a surrogate pair, which JSON can smuggle in, fits into no message.
    return text.encode("utf-8", "replace").decode()


def decode_json(text: str | bytes) -> Value:
    """The value that *text* is; raises ValueError for what is not JSON or has an integer beyond 64 bits."""
    # What is nested too deeply is as little JSON of anyone's as what does not parse.
    try:
        value: Value = json.loads(text, parse_int=_parse_int, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _parse_int(digits: str) -> int:
    number = int(digits)
    if not MIN_INTEGER <= number <= MAX_INTEGER:
        raise ValueError(f"{digits} does not fit into 64 bits")
    return number


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _base64(value: Any) -> str:
    return b64encode(value).decode()
