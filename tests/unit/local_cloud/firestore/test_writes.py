"""What becomes of a document under a write."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.firestore.documents import MAX_DOCUMENT_BYTES, Document, DocumentName
from local_cloud.firestore.errors import (
    AlreadyExists,
    FailedPrecondition,
    FirestoreError,
    InvalidArgument,
    NotFound,
)
from local_cloud.firestore.values import Fields, Value
from local_cloud.firestore.writes import (
    DeleteDocument,
    Precondition,
    SetDocument,
    Transform,
    TransformKind,
    Write,
    apply,
)

NAME = DocumentName("projects/p/databases/d/documents/c/a")
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
NOW = BEFORE + timedelta(days=1, microseconds=123456)
STORED = Document(name=NAME, fields={"a": {"b": 1}, "n": 1}, create_time=BEFORE, update_time=BEFORE)


def after(write: Write, before: Document | None = STORED) -> Document:
    document = apply(write, before, NOW).after
    assert document is not None
    return document


@pytest.mark.parametrize(
    ("precondition", "before", "error"),
    [
        (Precondition(), None, None),
        (Precondition(exists=True), STORED, None),
        (Precondition(exists=True), None, NotFound),
        (Precondition(exists=False), None, None),
        (Precondition(exists=False), STORED, AlreadyExists),
        (Precondition(update_time=BEFORE), STORED, None),
        (Precondition(update_time=NOW), STORED, FailedPrecondition),
        (Precondition(update_time=BEFORE), None, FailedPrecondition),
    ],
)
def test_a_precondition_holds_for_every_kind_of_write(
    precondition: Precondition, before: Document | None, error: type[FirestoreError] | None
) -> None:
    writes: tuple[Write, ...] = (
        DeleteDocument(name=NAME, precondition=precondition),
        SetDocument(name=NAME, fields={}, precondition=precondition),
    )
    for write in writes:
        if error is None:
            apply(write, before, NOW)
        else:
            with pytest.raises(error):
                apply(write, before, NOW)


def test_a_new_document_has_the_time_of_its_commit_twice() -> None:
    document = after(SetDocument(name=NAME, fields={"x": 1}), None)
    assert (document.create_time, document.update_time) == (NOW, NOW)


def test_a_set_replaces_all_and_keeps_the_create_time() -> None:
    document = after(SetDocument(name=NAME, fields={"x": 1}))
    assert (document.fields, document.create_time, document.update_time) == ({"x": 1}, BEFORE, NOW)


@pytest.mark.parametrize(
    ("fields", "mask", "expected"),
    [
        ({"a": {"c": 2}}, (("a", "c"),), {"a": {"b": 1, "c": 2}, "n": 1}),
        ({"a": {"c": 2}}, (("a",),), {"a": {"c": 2}, "n": 1}),
        ({}, (("a", "b"),), {"a": {}, "n": 1}),
        ({"z": 1}, (("n",),), {"a": {"b": 1}}),
        ({"n": {"m": 1}}, (("n", "m"),), {"a": {"b": 1}, "n": {"m": 1}}),
    ],
)
def test_a_mask_sets_and_deletes_what_it_names(
    fields: Fields, mask: tuple[tuple[str, ...], ...], expected: Fields
) -> None:
    assert after(SetDocument(name=NAME, fields=fields, mask=mask)).fields == expected


def test_a_write_that_changes_nothing_leaves_the_very_same_document() -> None:
    assert after(SetDocument(name=NAME, fields=dict(STORED.fields))) is STORED
    assert after(SetDocument(name=NAME, fields={}, mask=())) is STORED
    assert after(SetDocument(name=NAME, fields={"a": {"b": 1.0}, "n": 1})) is not STORED


def test_an_empty_mask_makes_an_empty_document() -> None:
    assert after(SetDocument(name=NAME, fields={"x": 1}, mask=()), None).fields == {}


def test_a_document_larger_than_the_limit_is_refused() -> None:
    overhead = len("c") + 1 + len("a") + 1 + 16 + 32 + len("x") + 1 + 1
    text = "t" * (MAX_DOCUMENT_BYTES - overhead)
    after(SetDocument(name=NAME, fields={"x": text}))
    with pytest.raises(InvalidArgument):
        after(SetDocument(name=NAME, fields={"x": text + "t"}))


def transformed(kind: TransformKind, before: Value, operand: Value) -> Value:
    document = Document(name=NAME, fields={"f": before}, create_time=BEFORE, update_time=BEFORE)
    transform = Transform(path=("f",), kind=kind, operand=operand)
    return after(SetDocument(name=NAME, fields={}, mask=(), transforms=(transform,)), document).fields["f"]


numbers = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.floats(allow_nan=False))


@given(numbers, numbers)
def test_maximum_and_minimum_are_one_of_both_and_bound_both(one: float, other: float) -> None:
    high = transformed(TransformKind.MAXIMUM, one, other)
    low = transformed(TransformKind.MINIMUM, one, other)
    assert high == max(one, other)
    assert low == min(one, other)
    if one == other:
        assert type(high) is type(low) is type(one)


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-(1 << 63), (1 << 63) - 1))
def test_an_increment_of_integers_stays_in_64_bits(one: int, other: int) -> None:
    total = transformed(TransformKind.INCREMENT, one, other)
    assert isinstance(total, int)
    assert total == max(-(1 << 63), min((1 << 63) - 1, one + other))


@pytest.mark.parametrize("kind", [TransformKind.MAXIMUM, TransformKind.MINIMUM])
@pytest.mark.parametrize(("before", "operand"), [(1, math.nan), (math.nan, 1)])
def test_nan_wins(kind: TransformKind, before: Value, operand: Value) -> None:
    value = transformed(kind, before, operand)
    assert isinstance(value, float)
    assert math.isnan(value)


@given(st.lists(st.integers(0, 4)).map(tuple), st.lists(st.integers(0, 4)).map(tuple))
def test_array_transforms_are_those_of_sets_that_keep_their_order(
    before: tuple[int, ...], operand: tuple[int, ...]
) -> None:
    united = transformed(TransformKind.ARRAY_UNION, before, operand)
    assert isinstance(united, tuple)
    assert united[: len(before)] == before
    assert set(united) == {*before, *operand}
    left = transformed(TransformKind.ARRAY_REMOVE, before, operand)
    assert left == tuple(element for element in before if element not in operand)


@pytest.mark.parametrize(
    ("kind", "operand"),
    [
        (TransformKind.INCREMENT, "1"),
        (TransformKind.MAXIMUM, True),
        (TransformKind.ARRAY_UNION, 1),
    ],
)
def test_a_transform_takes_an_operand_of_its_kind(kind: TransformKind, operand: Value) -> None:
    with pytest.raises(InvalidArgument):
        transformed(kind, 1, operand)


def test_the_server_timestamp_has_milliseconds_and_is_told() -> None:
    transform = Transform(path=("t", "u"), kind=TransformKind.SERVER_TIMESTAMP)
    outcome = apply(SetDocument(name=NAME, fields={}, transforms=(transform,)), None, NOW)
    time = NOW.replace(microsecond=123000)
    assert outcome.transform_results == (time,)
    assert outcome.after is not None
    assert outcome.after.fields == {"t": {"u": time}}
    assert outcome.after.update_time == NOW
