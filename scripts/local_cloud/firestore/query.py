"""Structured queries: which documents match, in what order, between which cursors. Pure.

google.firestore.v1.StructuredQuery is the specification; the limits are those of
cloud.google.com/firestore/docs/query-data/queries, on OR queries, ``in`` and ``not-in``.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from operator import itemgetter
from typing import Any, Final, TypeAlias

from local_cloud.firestore.documents import CollectionName, Document, ParentName, collection_id
from local_cloud.firestore.errors import FailedPrecondition, InvalidArgument
from local_cloud.firestore.fields import MISSING, NAME, FieldPath, Missing, read
from local_cloud.firestore.values import OrderKey, Reference, Value, equal, is_nan, order_key, same_type

MAX_IN_VALUES: Final = 30
MAX_NOT_IN_VALUES: Final = 10
# "Cloud Firestore limits a query to a maximum of 30 disjunctions", counted in disjunctive normal form.
MAX_DISJUNCTIONS: Final = 30


class Operator(Enum):
    """How a field is compared with a filter's value."""

    LESS_THAN = auto()
    LESS_THAN_OR_EQUAL = auto()
    GREATER_THAN = auto()
    GREATER_THAN_OR_EQUAL = auto()
    EQUAL = auto()
    NOT_EQUAL = auto()
    ARRAY_CONTAINS = auto()
    ARRAY_CONTAINS_ANY = auto()
    IN = auto()
    NOT_IN = auto()
    IS_NULL = auto()
    IS_NOT_NULL = auto()
    IS_NAN = auto()
    IS_NOT_NAN = auto()


_NEGATIVE: Final = frozenset({Operator.NOT_EQUAL, Operator.NOT_IN, Operator.IS_NOT_NULL, Operator.IS_NOT_NAN})
_RANGE: Final = frozenset(
    {
        Operator.LESS_THAN,
        Operator.LESS_THAN_OR_EQUAL,
        Operator.GREATER_THAN,
        Operator.GREATER_THAN_OR_EQUAL,
    }
)
_LISTS: Final = {
    Operator.IN: MAX_IN_VALUES,
    Operator.ARRAY_CONTAINS_ANY: MAX_IN_VALUES,
    Operator.NOT_IN: MAX_NOT_IN_VALUES,
}
_DISJUNCTIVE: Final = frozenset({Operator.IN, Operator.ARRAY_CONTAINS_ANY})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFilter:
    """One comparison; *value* is None where the operator takes none."""

    path: FieldPath
    operator: Operator
    value: Value = None

    def __post_init__(self) -> None:
        """Raise InvalidArgument for a value that the operator or the field cannot be compared with."""
        bound = _LISTS.get(self.operator)
        values = self.value if bound is not None else (self.value,)
        if not isinstance(values, tuple) or not values:
            raise InvalidArgument(f"{self.operator.name} needs a non-empty array")
        if bound is not None and len(values) > bound:
            raise InvalidArgument(f"{self.operator.name} takes up to {bound} values")
        if self.path == NAME and not all(isinstance(value, Reference) for value in values):
            raise InvalidArgument("__name__ compares with references only")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeFilter:
    """All (*every*), or at least one, of *filters* must match."""

    every: bool
    filters: "tuple[Filter, ...]"

    def __post_init__(self) -> None:
        """Raise InvalidArgument when nothing is combined."""
        if not self.filters:
            raise InvalidArgument("a composite filter needs at least one filter")


Filter: TypeAlias = FieldFilter | CompositeFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One key of the sort."""

    path: FieldPath
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A place in the sort: right before or right after all that equals *values* so far as they go."""

    values: tuple[Value, ...]
    before: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query whose limits were checked; InvalidArgument or FailedPrecondition when one is broken.

    An empty *collection* stands for collections of every id; *everywhere* for all depths below *parent*.
    """

    parent: ParentName
    collection: str
    everywhere: bool = False
    where: Filter | None = None
    order_by: tuple[Order, ...] = ()
    start: Cursor | None = None
    end: Cursor | None = None
    offset: int = 0
    limit: int | None = None
    select: tuple[FieldPath, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what Firestore refuses, so that code that works here works there."""
        if self.offset < 0 or (self.limit is not None and self.limit < 0):
            raise InvalidArgument("offset and limit cannot be negative")
        _check_filters(self.where)
        for cursor in (self.start, self.end):
            if cursor is not None and len(cursor.values) > len(self.order_by):
                raise InvalidArgument("a cursor has more values than the query has orders")
        paths = [order.path for order in self.order_by]
        if len(set(paths)) < len(paths) or NAME in paths[:-1]:
            raise InvalidArgument("a query orders by each field once, and by nothing after the name")
        if self.sort[0] == Order(path=NAME, descending=True):
            raise FailedPrecondition("Firestore does not support descending key scans")

    @property
    def sort(self) -> tuple[Order, ...]:
        """The whole sort: what was asked for, then fields of inequalities, then the name."""
        descending = self.order_by[-1].descending if self.order_by else False
        given = {order.path for order in self.order_by}
        unequal = {leaf.path for leaf in _leaves(self.where) if leaf.operator in _RANGE | _NEGATIVE}
        implied = [*sorted(unequal - given - {NAME}), *({NAME} - given)]
        return (*self.order_by, *(Order(path=path, descending=descending) for path in implied))

    def covers(self, collection: CollectionName) -> bool:
        """Tell whether documents of *collection* are asked for."""
        if self.collection and collection_id(collection) != self.collection:
            return False
        if self.everywhere:
            return collection.startswith(f"{self.parent}/")
        return collection.rpartition("/")[0] == self.parent


def run(query: Query, documents: Iterable[Document]) -> list[Document]:
    """Return what *query* answers when *documents* are all that the collections it covers hold."""
    sort = query.sort
    found = [(sort_key(sort, document), document) for document in _matching(query, sort, documents)]
    if query.start is not None:
        start = query.start
        found = [entry for entry in found if not _is_before(sort, entry[0], start)]
    if query.end is not None:
        end = query.end
        found = [entry for entry in found if _is_before(sort, entry[0], end)]
    found.sort(key=itemgetter(0))
    stop = None if query.limit is None else query.offset + query.limit
    return [document for _, document in found[query.offset : stop]]


def field(document: Document, path: FieldPath) -> Value | Missing:
    """Return what *document* holds at *path*; its own name is a reference."""
    return Reference(document.name) if path == NAME else read(document.fields, path)


def _matching(query: Query, sort: tuple[Order, ...], documents: Iterable[Document]) -> Iterator[Document]:
    for document in documents:
        # A document without the field is in no index of it.
        has_fields = all(field(document, order.path) is not MISSING for order in sort)
        if has_fields and (query.where is None or matches(query.where, document)):
            yield document


class _Descending:
    """A sort key turned round."""

    __slots__ = ("key",)

    def __init__(self, key: OrderKey) -> None:
        self.key = key

    def __lt__(self, other: "_Descending") -> bool:
        return self.key > other.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def sort_key(sort: tuple[Order, ...], document: Document) -> tuple[Any, ...]:
    """Return what sorts *document*, which has every field of *sort*, among others."""
    values = (field(document, order.path) for order in sort)
    return _sort_key(sort, [value for value in values if value is not MISSING])


def _sort_key(sort: tuple[Order, ...], values: Iterable[Value]) -> tuple[Any, ...]:
    return tuple(
        _Descending(order_key(value)) if order.descending else order_key(value)
        for order, value in zip(sort, values, strict=False)
    )


def _is_before(sort: tuple[Order, ...], key: tuple[Any, ...], cursor: Cursor) -> bool:
    """Tell whether *key* stands before the place of *cursor*."""
    place = _sort_key(sort, cursor.values)
    prefix = key[: len(place)]
    return prefix < place or (prefix == place and not cursor.before)


def matches(condition: Filter, document: Document) -> bool:
    """Tell whether *document* satisfies *condition*."""
    if isinstance(condition, CompositeFilter):
        combine = all if condition.every else any
        return combine(matches(part, document) for part in condition.filters)
    value = field(document, condition.path)
    return value is not MISSING and _TESTS[condition.operator](value, condition.value)


def _equals(value: Value, wanted: Value) -> bool:
    # Null and NaN equal nothing: IS_NULL and IS_NAN find them.
    return wanted is not None and not is_nan(wanted) and equal(value, wanted)


def _in_range(value: Value, bound: Value) -> bool:
    return value is not None and same_type(value, bound) and not is_nan(value) and not is_nan(bound)


def _any_equals(value: Value, wanted: Value) -> bool:
    return isinstance(wanted, tuple) and any(_equals(value, one) for one in wanted)


def _none_equals(value: Value, unwanted: Value) -> bool:
    # "not-in" with null in the list matches nothing, and null is never "not in" a list.
    nulls = value is None or (isinstance(unwanted, tuple) and None in unwanted)
    return not nulls and not _any_equals(value, unwanted)


def _contains(value: Value, wanted: Value) -> bool:
    return isinstance(value, tuple) and any(_equals(element, wanted) for element in value)


_TESTS: Final[Mapping[Operator, Callable[[Value, Value], bool]]] = {
    Operator.LESS_THAN: lambda value, bound: _in_range(value, bound) and order_key(value) < order_key(bound),
    Operator.LESS_THAN_OR_EQUAL: (
        lambda value, bound: _in_range(value, bound) and order_key(value) <= order_key(bound)
    ),
    Operator.GREATER_THAN: lambda value, bound: _in_range(value, bound) and order_key(value) > order_key(bound),
    Operator.GREATER_THAN_OR_EQUAL: (
        lambda value, bound: _in_range(value, bound) and order_key(value) >= order_key(bound)
    ),
    Operator.EQUAL: _equals,
    Operator.NOT_EQUAL: (
        lambda value, unwanted: value is not None and unwanted is not None and not _equals(value, unwanted)
    ),
    Operator.ARRAY_CONTAINS: _contains,
    Operator.ARRAY_CONTAINS_ANY: (
        lambda value, wanted: isinstance(wanted, tuple) and any(_contains(value, one) for one in wanted)
    ),
    Operator.IN: _any_equals,
    Operator.NOT_IN: _none_equals,
    Operator.IS_NULL: lambda value, _: value is None,
    Operator.IS_NOT_NULL: lambda value, _: value is not None,
    Operator.IS_NAN: lambda value, _: is_nan(value),
    Operator.IS_NOT_NAN: lambda value, _: value is not None and not is_nan(value),
}


def _leaves(condition: Filter | None) -> Iterator[FieldFilter]:
    if isinstance(condition, FieldFilter):
        yield condition
    elif isinstance(condition, CompositeFilter):
        for part in condition.filters:
            yield from _leaves(part)


def _check_filters(condition: Filter | None) -> None:
    if condition is None:
        return
    operators = [leaf.operator for leaf in _leaves(condition)]
    if sum(operator in _NEGATIVE for operator in operators) > 1:
        raise InvalidArgument("a query takes one NOT_EQUAL, NOT_IN, IS_NOT_NULL or IS_NOT_NAN only")
    if Operator.NOT_IN in operators and (not _DISJUNCTIVE.isdisjoint(operators) or _has_or(condition)):
        raise InvalidArgument("NOT_IN does not go with IN, ARRAY_CONTAINS_ANY or OR")
    if _disjunctions(condition) > MAX_DISJUNCTIONS:
        raise InvalidArgument(f"a query takes up to {MAX_DISJUNCTIONS} disjunctions")
    if _array_filters(condition) > 1:
        raise InvalidArgument("a disjunction takes one ARRAY_CONTAINS or ARRAY_CONTAINS_ANY only")


def _has_or(condition: Filter) -> bool:
    if isinstance(condition, FieldFilter):
        return False
    return (not condition.every and len(condition.filters) > 1) or any(map(_has_or, condition.filters))


def _disjunctions(condition: Filter) -> int:
    """Return how many conjunctions the disjunctive normal form of *condition* has."""
    if isinstance(condition, CompositeFilter):
        parts = map(_disjunctions, condition.filters)
        return math.prod(parts) if condition.every else sum(parts)
    if condition.operator in _DISJUNCTIVE and isinstance(condition.value, tuple):
        return len(condition.value)
    return 1


def _array_filters(condition: Filter) -> int:
    """Return the most array filters that one conjunction of the normal form of *condition* has."""
    if isinstance(condition, CompositeFilter):
        parts = map(_array_filters, condition.filters)
        return sum(parts) if condition.every else max(parts)
    return int(condition.operator in {Operator.ARRAY_CONTAINS, Operator.ARRAY_CONTAINS_ANY})
