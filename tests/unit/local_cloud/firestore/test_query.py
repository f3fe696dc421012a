"""A query answers what a naive filter, sort and cut of all documents answers."""

from datetime import UTC, datetime
from functools import cmp_to_key

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
NAIVE = {
    Operator.LESS_THAN: lambda value, bound: value < bound,
    Operator.LESS_THAN_OR_EQUAL: lambda value, bound: value <= bound,
    Operator.GREATER_THAN: lambda value, bound: value > bound,
    Operator.GREATER_THAN_OR_EQUAL: lambda value, bound: value >= bound,
    Operator.EQUAL: lambda value, bound: value == bound,
}


def naive(query: Query, stored: list[Document]) -> list[Document]:
    """Answer *query*, whose one filter is of NAIVE, the slow and plain way."""

    def compare(one: Document, other: Document) -> int:
        for order in query.sort:
            left, right = (one.name, other.name)
            if order.path != NAME:
                (left, right) = (one.fields[order.path[0]], other.fields[order.path[0]])  # type: ignore[assignment]
            if left != right:
                return (1 if left > right else -1) * (-1 if order.descending else 1)
        return 0

    def beyond(one: Document, cursor: Cursor) -> int:
        for order, value in zip(query.sort, cursor.values, strict=False):
            held = one.fields[order.path[0]]
            if held != value:
                return (1 if held > value else -1) * (-1 if order.descending else 1)  # type: ignore[operator]
        return 0

    found = [
        one for one in stored if all(order.path == NAME or order.path[0] in one.fields for order in query.sort)
    ]
    if isinstance(query.where, FieldFilter):
        test, (field,), bound = NAIVE[query.where.operator], query.where.path, query.where.value
        found = [one for one in found if field in one.fields and test(one.fields[field], bound)]
    if query.start is not None:
        start = query.start
        found = [one for one in found if beyond(one, start) >= (0 if start.before else 1)]
    if query.end is not None:
        end = query.end
        found = [one for one in found if beyond(one, end) <= (-1 if end.before else 0)]
    found.sort(key=cmp_to_key(compare))
    found = found[query.offset :]
    return found if query.limit is None else found[: query.limit]


@given(
    documents,
    st.none() | ranges,
    orders,
    st.none() | st.tuples(st.booleans(), numbers),
    st.none() | st.tuples(st.booleans(), numbers, numbers),
    st.integers(0, 3),
    st.none() | st.integers(0, 4),
)
def test_a_query_answers_what_a_naive_filter_and_sort_does(
    stored: list[Document],
    where: tuple[Operator, Value] | None,
    order_by: list[Order],
    start: tuple[bool, Value] | None,
    end: tuple[bool, Value, Value] | None,
    offset: int,
    limit: int | None,
) -> None:
    bounds = len(order_by)
    query = Query(
        parent=ROOT,
        collection="c",
        where=None if where is None else condition(*where),
        order_by=tuple(order_by),
        start=None if start is None else Cursor(before=start[0], values=start[1:][:bounds]),
        end=None if end is None else Cursor(before=end[0], values=end[1:][:bounds]),
        offset=offset,
        limit=limit,
    )
    assert run(query, stored) == naive(query, stored)


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
        lambda: every(),
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
