"""A query answers what a naive filter, sort and cut of all documents answers."""

import operator
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.firestore.documents import CollectionName, Document, DocumentName, ParentName
from local_cloud.firestore.errors import FailedPrecondition, InvalidArgument
from local_cloud.firestore.fields import NAME
from local_cloud.firestore.query import (
    MAX_DISJUNCTIONS,
    CompositeFilter,
    Cursor,
    FieldFilter,
    Filter,
    Operator,
    Order,
    Query,
    matches,
    run,
)
from local_cloud.firestore.values import Fields, Reference, Value, order_key

ROOT = ParentName("projects/p/databases/d/documents")
TIME = datetime(2026, 1, 1, tzinfo=UTC)


def document(name: str, fields: Fields) -> Document:
    return Document(name=DocumentName(f"{ROOT}/c/{name}"), fields=fields, create_time=TIME, update_time=TIME)


def condition(operator: Operator, value: Value = None, *, path: str = "x") -> FieldFilter:
    return FieldFilter(path=(path,), operator=operator, value=value)


def every(*filters: Filter) -> CompositeFilter:
    return CompositeFilter(every=True, filters=filters)


def either(*filters: Filter) -> CompositeFilter:
    return CompositeFilter(every=False, filters=filters)


numbers = st.one_of(st.integers(0, 3), st.sampled_from([0.5, 2.0]))
documents = st.lists(st.fixed_dictionaries({}, optional={"x": numbers, "y": numbers}), max_size=8).map(
    lambda all_fields: [document(str(number), fields) for number, fields in enumerate(all_fields)]
)
ranges = st.tuples(
    st.sampled_from(
        [
            Operator.LESS_THAN,
            Operator.LESS_THAN_OR_EQUAL,
            Operator.GREATER_THAN,
            Operator.GREATER_THAN_OR_EQUAL,
            Operator.EQUAL,
        ]
    ),
    numbers,
)
orders = st.lists(
    st.builds(Order, path=st.sampled_from([("x",), ("y",)]), descending=st.booleans()),
    max_size=2,
    unique_by=lambda order: order.path,
)
NAIVE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.LESS_THAN: operator.lt,
    Operator.LESS_THAN_OR_EQUAL: operator.le,
    Operator.GREATER_THAN: operator.gt,
    Operator.GREATER_THAN_OR_EQUAL: operator.ge,
    Operator.EQUAL: operator.eq,
}


def naive_value(one: Document, order: Order) -> Any:
    return one.name if order.path == NAME else one.fields.get(order.path[0])


def naive_compare(query: Query, one: Document, values: Sequence[Any]) -> int:
    """Compare *one* with a document of *values*, as far as they go."""
    for order, value in zip(query.sort, values, strict=False):
        held = naive_value(one, order)
        if held != value:
            return (1 if held > value else -1) * (-1 if order.descending else 1)
    return 0


def naive_finds(query: Query, one: Document) -> bool:
    start, end, where = query.start, query.end, query.where
    if isinstance(where, FieldFilter):
        value = one.fields.get(where.path[0])
        if value is None or not NAIVE[where.operator](value, where.value):
            return False
    if any(naive_value(one, order) is None for order in query.sort):
        return False
    after_start = start is None or naive_compare(query, one, start.values) >= (0 if start.before else 1)
    return after_start and (end is None or naive_compare(query, one, end.values) <= (-1 if end.before else 0))


def naive(query: Query, stored: list[Document]) -> list[Document]:
    """Answer *query*, whose one filter is of NAIVE, the slow and plain way."""

    def compare(one: Document, other: Document) -> int:
        return naive_compare(query, one, [naive_value(other, order) for order in query.sort])

    found = sorted((one for one in stored if naive_finds(query, one)), key=cmp_to_key(compare))
    return found[query.offset :] if query.limit is None else found[query.offset :][: query.limit]


@st.composite
def queries(draw: st.DrawFn) -> Query:
    order_by = tuple(draw(orders))
    where = draw(st.none() | ranges)
    values = st.lists(numbers, max_size=len(order_by)).map(tuple)
    cursors = st.none() | st.builds(Cursor, values=values, before=st.booleans())
    return Query(
        parent=ROOT,
        collection="c",
        where=None if where is None else condition(*where),
        order_by=order_by,
        start=draw(cursors),
        end=draw(cursors),
        offset=draw(st.integers(0, 3)),
        limit=draw(st.none() | st.integers(0, 4)),
    )


@given(queries(), documents)
def test_a_query_answers_what_a_naive_filter_and_sort_does(asked: Query, stored: list[Document]) -> None:
    assert run(asked, stored) == naive(asked, stored)


@given(documents, ranges, ranges)
def test_and_is_the_intersection_and_or_the_union(
    stored: list[Document], one: tuple[Operator, Value], other: tuple[Operator, Value]
) -> None:
    first, second = condition(*one), condition(*other, path="y")
    for item in stored:
        both = (matches(first, item), matches(second, item))
        assert matches(every(first, second), item) == all(both)
        assert matches(either(first, second), item) == any(both)


NAN = float("nan")
TABLE: list[tuple[FieldFilter, list[Value], list[Value]]] = [
    (condition(Operator.EQUAL, 3), [3, 3.0], [None, "3", 4]),
    (condition(Operator.EQUAL, None), [], [None, 0]),
    (condition(Operator.EQUAL, NAN), [], [NAN, 0]),
    (condition(Operator.NOT_EQUAL, 3), [4, "3", NAN, False], [None, 3, 3.0]),
    (condition(Operator.NOT_EQUAL, None), [], [None, 3]),
    (condition(Operator.LESS_THAN, 3), [2, -0.5], [3, NAN, None, "2", True]),
    (condition(Operator.GREATER_THAN_OR_EQUAL, NAN), [], [NAN, 3]),
    (condition(Operator.LESS_THAN_OR_EQUAL, None), [], [None, 0]),
    (condition(Operator.GREATER_THAN, "a"), ["b", "é"], ["a", b"b", 1]),
    (condition(Operator.ARRAY_CONTAINS, 1), [(0, 1.0)], [(), 1, (2,), {"x": 1}]),
    (condition(Operator.ARRAY_CONTAINS_ANY, (1, 2)), [(2,), (1, 5)], [(3,), 1]),
    (condition(Operator.IN, (1, None, NAN)), [1, 1.0], [None, NAN, 2]),
    (condition(Operator.NOT_IN, (1, 2)), [3, "1", NAN], [1, 2.0, None]),
    (condition(Operator.NOT_IN, (1, None)), [], [1, 2, None]),
    (condition(Operator.NOT_IN, (NAN,)), [NAN, 1], [None]),
    (condition(Operator.IS_NULL), [None], [NAN, 0]),
    (condition(Operator.IS_NOT_NULL), [NAN, 0], [None]),
    (condition(Operator.IS_NAN), [NAN], [None, 0, "NaN"]),
    (condition(Operator.IS_NOT_NAN), [0, "NaN"], [None, NAN]),
]


@pytest.mark.parametrize(("leaf", "found", "passed_over"), TABLE, ids=lambda part: repr(part)[:60])
def test_a_filter_matches(leaf: FieldFilter, found: list[Value], passed_over: list[Value]) -> None:
    for value in found:
        assert matches(leaf, document("a", {"x": value})), value
    for value in passed_over:
        assert not matches(leaf, document("a", {"x": value})), value


@pytest.mark.parametrize("leaf", [leaf for leaf, _, _ in TABLE], ids=lambda leaf: leaf.operator.name)
def test_no_filter_matches_a_missing_field(leaf: FieldFilter) -> None:
    assert not matches(leaf, document("a", {"y": 1}))


def query(where: Filter | None = None, **rest: object) -> Query:
    return Query(parent=ROOT, collection="c", where=where, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("where", "order_by", "expected"),
    [
        (None, (), ["__name__"]),
        (None, (Order(path=("x",), descending=True),), ["-x", "-__name__"]),
        (condition(Operator.EQUAL, 1), (), ["__name__"]),
        (
            every(condition(Operator.GREATER_THAN, 1, path="y"), condition(Operator.NOT_EQUAL, 2)),
            (),
            ["x", "y", "__name__"],
        ),
        (condition(Operator.LESS_THAN, 1), (Order(path=("y",), descending=True),), ["-y", "-x", "-__name__"]),
        (None, (Order(path=NAME),), ["__name__"]),
        (FieldFilter(path=NAME, operator=Operator.LESS_THAN, value=Reference(f"{ROOT}/c/a")), (), ["__name__"]),
    ],
)
def test_the_sort_ends_with_inequalities_and_the_name(
    where: Filter | None, order_by: tuple[Order, ...], expected: list[str]
) -> None:
    sort = query(where, order_by=order_by).sort
    assert ["-" * order.descending + ".".join(order.path) for order in sort] == expected


FIVE = condition(Operator.IN, tuple(range(5)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: query(limit=-1),
        lambda: query(offset=-1),
        every,
        lambda: condition(Operator.IN, ()),
        lambda: condition(Operator.IN, 1),
        lambda: condition(Operator.IN, tuple(range(31))),
        lambda: condition(Operator.ARRAY_CONTAINS_ANY, tuple(range(31))),
        lambda: condition(Operator.NOT_IN, tuple(range(11))),
        lambda: condition(Operator.EQUAL, "a", path="__name__"),
        lambda: condition(Operator.IN, (Reference("a"), "a"), path="__name__"),
        lambda: query(every(condition(Operator.NOT_EQUAL, 1), condition(Operator.IS_NOT_NULL))),
        lambda: query(every(condition(Operator.NOT_IN, (1,)), condition(Operator.IN, (1,)))),
        lambda: query(either(condition(Operator.NOT_IN, (1,)), condition(Operator.EQUAL, 1))),
        lambda: query(every(FIVE, either(FIVE, condition(Operator.IN, (7, 8))))),
        lambda: query(
            every(condition(Operator.ARRAY_CONTAINS, 1), condition(Operator.ARRAY_CONTAINS_ANY, (1,)))
        ),
        lambda: query(start=Cursor(values=(1,), before=True)),
        lambda: query(order_by=(Order(path=("x",)), Order(path=("x",), descending=True))),
        lambda: query(order_by=(Order(path=NAME), Order(path=("x",)))),
    ],
)
def test_what_firestore_would_refuse_is_refused(make: object) -> None:
    with pytest.raises(InvalidArgument):
        make()  # type: ignore[operator]


def test_names_are_not_scanned_backwards() -> None:
    with pytest.raises(FailedPrecondition):
        query(order_by=(Order(path=NAME, descending=True),))


def test_a_query_may_have_as_many_disjunctions_as_firestore_takes() -> None:
    six = condition(Operator.IN, tuple(range(6)), path="y")
    assert MAX_DISJUNCTIONS == 5 * 6
    query(every(FIVE, six))
    query(either(condition(Operator.ARRAY_CONTAINS, 1), condition(Operator.ARRAY_CONTAINS, 2)))


@pytest.mark.parametrize(
    ("asked", "collection", "covered"),
    [
        (query(), "c", True),
        (query(), "d", False),
        (query(), "c/x/c", False),
        (query(everywhere=True), "d/x/c", True),
        (query(everywhere=True), "c/x/d", False),
        (Query(parent=ROOT, collection="", everywhere=True), "c/x/d", True),
        (Query(parent=ParentName(f"{ROOT}/c/x"), collection="", everywhere=True), "c/xy/d", False),
        (Query(parent=ParentName(f"{ROOT}/c/x"), collection="d"), "c/x/d", True),
    ],
)
def test_a_query_covers_collections(asked: Query, collection: str, *, covered: bool) -> None:
    assert asked.covers(CollectionName(f"{ROOT}/{collection}")) is covered


def test_equal_sort_keys_are_told_apart_by_name() -> None:
    stored = [document(name, {"x": value}) for name, value in [("b", 1), ("a", 1.0), ("c", 0)]]
    ordered = run(query(order_by=(Order(path=("x",)),)), stored)
    assert [one.name[-1] for one in ordered] == ["c", "a", "b"]
    assert order_key(1) == order_key(1.0)
