"""Firestore's order is a total order, and agrees with that of the official client."""

import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.order import Order as ClientOrder
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.firestore.codec import decode_value, encode_value
from local_cloud.firestore.errors import InvalidArgument, Unimplemented
from local_cloud.firestore.values import (
    MAX_DEPTH,
    MAX_FIELD_NAME_BYTES,
    Fields,
    GeoPoint,
    Reference,
    Value,
    check_fields,
    equal,
    identical,
    name_key,
    order_key,
    value_size,
)

ROOT = "projects/p/databases/d/documents"

# Few and near values, so that equal and neighbouring ones meet.
_numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.0, -0.0, 0.5, -1.0, math.nan, math.inf, float(1 << 53), (1 << 53) + 1, -(1 << 63)]),
)
_scalars: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.booleans(),
    _numbers,
    st.datetimes(timezones=st.just(UTC)),
    st.text(st.sampled_from("ab\x00é\uffff😀"), max_size=3),
    st.binary(max_size=2),
    st.sampled_from([f"{ROOT}/a/b", f"{ROOT}/a!/b", f"{ROOT}/a/b/c/d"]).map(Reference),
    st.sampled_from([GeoPoint(0, 0), GeoPoint(0.0, 1.0), GeoPoint(-90, 180)]),
)
values: st.SearchStrategy[Value] = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["a", "b", "é"]), inner, max_size=3),
    ),
    max_leaves=6,
)


def sign(one: Value, other: Value) -> int:
    first, second = order_key(one), order_key(other)
    return (first > second) - (first < second)


@given(values, values, values)
def test_any_three_values_stand_in_a_total_order(one: Value, two: Value, three: Value) -> None:
    assert sign(one, one) == 0
    assert sign(one, two) == -sign(two, one)
    low, middle, high = sorted((one, two, three), key=order_key)
    assert sign(low, middle) <= 0
    assert sign(middle, high) <= 0
    assert sign(low, high) <= 0


@given(values, values)
def test_equal_values_have_equal_hashes(one: Value, other: Value) -> None:
    assert equal(one, other) == (order_key(one) == order_key(other))
    if equal(one, other):
        assert hash(order_key(one)) == hash(order_key(other))


def in_clients_order(value: Value) -> Any:
    return types.Value.wrap(encode_value(value))


@given(_scalars, _scalars)
def test_the_official_client_orders_scalars_alike(one: Value, other: Value) -> None:
    assert sign(one, other) == ClientOrder.compare(in_clients_order(one), in_clients_order(other))


@given(values)
def test_the_wire_changes_no_value(value: Value) -> None:
    assert identical(decode_value(encode_value(value)), value)


def test_types_stand_in_the_documented_order() -> None:
    in_order: list[Value] = [
        None,
        False,
        True,
        math.nan,
        -math.inf,
        -1,
        0.5,
        1,
        float(1 << 53),
        (1 << 53) + 1,
        datetime(2026, 1, 1, tzinfo=UTC),
        "",
        "a",
        "\uffff",
        "😀",
        b"",
        Reference(f"{ROOT}/a/__id7__"),
        Reference(f"{ROOT}/a/__id10__"),
        Reference(f"{ROOT}/a/0"),
        Reference(f"{ROOT}/a!/b"),
        GeoPoint(1, 2),
        (),
        (1,),
        (1, 2),
        (2,),
        {},
        {"a": 1},
        {"a": 1, "b": 1},
        {"a": 2},
        {"b": 0},
    ]
    assert all(sign(low, high) == -1 for low, high in pairwise(in_order))


def test_a_name_sorts_by_its_segments_not_by_its_letters() -> None:
    assert sorted([f"{ROOT}/a!/x", f"{ROOT}/a/x"], key=name_key) == [f"{ROOT}/a/x", f"{ROOT}/a!/x"]


@pytest.mark.parametrize(
    ("one", "other", "is_equal", "is_identical"),
    [
        (3, 3.0, True, False),
        (0.0, -0.0, True, False),
        (math.nan, math.nan, True, True),
        (True, 1, False, False),
        ({"a": (1,)}, {"a": (1,)}, True, True),
        ({"a": (1,)}, {"a": (1.0,)}, True, False),
        ((1,), (1, 2), False, False),
        ({"a": 1}, {"b": 1}, False, False),
        ("a", b"a", False, False),
    ],
)
def test_equal_is_weaker_than_identical(
    one: Value, other: Value, *, is_equal: bool, is_identical: bool
) -> None:
    assert equal(one, other) is is_equal
    assert identical(one, other) is is_identical


def test_sizes_are_those_of_the_documentation() -> None:
    """The example of .../docs/firestore/storage-size: 1 + 8 for true and a number, UTF-8 and one for text."""
    fields: Fields = {"type": "Personal", "done": False, "priority": 1, "description": "Learn Cloud Firestore"}
    assert value_size(fields) == (5 + 9) + (5 + 1) + (9 + 8) + (12 + 22)
    assert value_size((None, b"ab", GeoPoint(0, 0), datetime(2026, 1, 1, tzinfo=UTC), 0.5)) == 35
    assert value_size(Reference(f"{ROOT}/users/jeff/tasks/my_task_id")) == 6 + 5 + 6 + 11 + 16


def nested(levels: int, value: Value) -> Fields:
    fields: Fields = {"a": value}
    for _ in range(levels - 1):
        fields = {"a": fields}
    return fields


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"": 1}, InvalidArgument),
        ({"__a__": 1}, InvalidArgument),
        ({"m": {"__a__": 1}}, InvalidArgument),
        ({"m": {"__type__": "__vector__"}}, Unimplemented),
        ({"é" * (MAX_FIELD_NAME_BYTES // 2) + "a": 1}, InvalidArgument),
        ({"a": ((1,),)}, InvalidArgument),
        ({"a": ({"b": ((),)},)}, InvalidArgument),
        (nested(MAX_DEPTH + 2, 1), InvalidArgument),
        (nested(MAX_DEPTH + 1, (1,)), InvalidArgument),
    ],
)
def test_some_fields_are_not_stored(fields: Fields, error: type[InvalidArgument] | type[Unimplemented]) -> None:
    with pytest.raises(error):
        check_fields(fields)


@pytest.mark.parametrize(
    "fields",
    [{}, {"a": ({"b": (1,)}, None)}, nested(MAX_DEPTH + 1, 1), nested(MAX_DEPTH, (1,)), {"a" * 1500: 1}],
)
def test_these_fields_are_stored(fields: Fields) -> None:
    check_fields(fields)


@pytest.mark.parametrize(("latitude", "longitude"), [(90.5, 0), (0, -180.5), (math.nan, 0)])
def test_a_place_is_on_earth(latitude: float, longitude: float) -> None:
    with pytest.raises(InvalidArgument):
        GeoPoint(latitude, longitude)
