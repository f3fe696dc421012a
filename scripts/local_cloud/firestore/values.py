"""Firestore's values: their types, their total order, what makes two the same, and their size.

A value is never changed once it is made: maps are dicts by construction and read-only by type.
Order and sizes: cloud.google.com/firestore/docs/concepts/data-types and .../storage-size.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeGuard

from local_cloud.firestore.errors import InvalidArgument, Unimplemented

# A map or an array may hold others this deep.
MAX_DEPTH: Final = 20
# cloud.google.com/firestore/quotas: "Maximum size of a field name".
MAX_FIELD_NAME_BYTES: Final = 1500


_NUMERIC_ID: Final = re.compile(r"__id(-?\d+)__")


@dataclass(frozen=True, slots=True)
class Reference:
    """A document's full resource name, held as a value."""

    name: str


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """A place in degrees."""

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        """Raise InvalidArgument for a place that is not on Earth."""
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180):
            raise InvalidArgument("a latitude is in [-90, 90], a longitude in [-180, 180]")


Value: TypeAlias = (
    bool
    | int
    | float
    | datetime
    | str
    | bytes
    | Reference
    | GeoPoint
    | tuple["Value", ...]
    | Mapping[str, "Value"]
    | None
)
Fields: TypeAlias = Mapping[str, Value]
OrderKey: TypeAlias = tuple[Any, ...]


Number: TypeAlias = int | float


def is_number(value: object) -> TypeGuard[Number]:
    """Tell whether *value* is an integer or a double."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number_key(number: Number) -> OrderKey:
    # NaN stands before every other number and equals itself.
    return (0, 0) if is_nan(number) else (1, number)


def _segment_key(segment: str) -> OrderKey:
    # Numeric ids, which queries use as the lowest bound there is, stand before all others.
    numeric = _NUMERIC_ID.fullmatch(segment) if segment.startswith("__id") else None
    return (1, segment) if numeric is None else (0, int(numeric[1]))


def name_key(name: str) -> OrderKey:
    """Return a tuple that compares as Firestore orders the resource name *name*: segment by segment."""
    return tuple(map(_segment_key, name.split("/")))


def _map_key(fields: Fields) -> OrderKey:
    return tuple((key, order_key(fields[key])) for key in sorted(fields))


# Strings compare by code point, which is the order of their UTF-8 bytes.
_KEYS: Final[Mapping[type, tuple[int, Callable[[Any], Any]]]] = {
    type(None): (0, lambda _: ()),
    bool: (1, lambda value: value),
    int: (2, _number_key),
    float: (2, _number_key),
    datetime: (3, lambda value: value),
    str: (4, lambda value: value),
    bytes: (5, lambda value: value),
    Reference: (6, lambda value: name_key(value.name)),
    GeoPoint: (7, lambda value: (value.latitude, value.longitude)),
    tuple: (8, lambda value: tuple(order_key(element) for element in value)),
    dict: (9, _map_key),
}


def order_key(value: Value) -> OrderKey:
    """Return a tuple that compares, and hashes, as Firestore orders *value* among all values."""
    rank, payload = _KEYS[type(value)]
    return (rank, payload(value))


def same_type(one: Value, other: Value) -> bool:
    """Tell whether range filters compare *one* with *other*: integers and doubles are one type."""
    return _KEYS[type(one)][0] == _KEYS[type(other)][0]


def equal(one: Value, other: Value) -> bool:
    """Tell whether Firestore takes *one* for *other*: 3 for 3.0, NaN for NaN."""
    return order_key(one) == order_key(other)


def identical(one: Value, other: Value) -> bool:
    """Tell whether writing *one* over *other* changes nothing: 3 is not 3.0, -0.0 is not 0.0."""
    if type(one) is not type(other):
        return False
    match one, other:
        case Mapping(), Mapping():
            return one.keys() == other.keys() and all(identical(one[key], other[key]) for key in one)
        case tuple(), tuple():
            return len(one) == len(other) and all(map(identical, one, other))
        case float(), float():
            return repr(one) == repr(other)
        case _:
            return one == other


def is_nan(value: Value) -> bool:
    """Tell whether *value* is the double NaN."""
    return isinstance(value, float) and math.isnan(value)


def text_size(text: str) -> int:
    """Return the bytes that *text* is counted as: UTF-8 and one more."""
    return len(text.encode()) + 1


def name_size(name: str) -> int:
    """Return the bytes that the document name *name* is counted as."""
    relative = name.split("/")[5:]
    return sum(map(text_size, relative)) + 16


def fields_size(fields: Fields) -> int:
    """Return the bytes that the names and values of *fields* are counted as."""
    return sum(text_size(key) + value_size(value) for key, value in fields.items())


_SIZES: Final[Mapping[type, Callable[[Any], int]]] = {
    type(None): lambda _: 1,
    bool: lambda _: 1,
    int: lambda _: 8,
    float: lambda _: 8,
    datetime: lambda _: 8,
    str: text_size,
    bytes: len,
    Reference: lambda value: name_size(value.name),
    GeoPoint: lambda _: 16,
    tuple: lambda value: sum(map(value_size, value)),
    dict: fields_size,
}


def value_size(value: Value) -> int:
    """Return the bytes that *value* is counted as."""
    return _SIZES[type(value)](value)


def check_fields(fields: Fields, depth: int = 0) -> None:
    """Raise InvalidArgument if Firestore would not store *fields*, found *depth* levels down."""
    if depth > MAX_DEPTH:
        raise InvalidArgument(f"maps and arrays nest deeper than {MAX_DEPTH} levels")
    for key, value in fields.items():
        _check_name(key, depth)
        _check_value(value, depth + 1)


def _check_name(key: str, depth: int) -> None:
    if not key:
        raise InvalidArgument("a field name is empty")
    if len(key.encode()) > MAX_FIELD_NAME_BYTES:
        raise InvalidArgument(f"a field name is longer than {MAX_FIELD_NAME_BYTES} bytes")
    if depth and key == "__type__":
        raise Unimplemented("the local cloud stores no vectors (a map with the field __type__)")
    if key.startswith("__") and key.endswith("__"):
        raise InvalidArgument(f"the field name {key!r} is reserved")


def _check_value(value: Value, depth: int) -> None:
    match value:
        case Mapping():
            check_fields(value, depth)
        case tuple():
            if depth > MAX_DEPTH:
                raise InvalidArgument(f"maps and arrays nest deeper than {MAX_DEPTH} levels")
            for element in value:
                if isinstance(element, tuple):
                    raise InvalidArgument("an array cannot hold an array")
                _check_value(element, depth + 1)
        case _:
            pass
