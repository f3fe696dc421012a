"""Writes, and what becomes of a document under one: pure decisions."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final, TypeAlias, assert_never

from local_cloud.firestore.documents import MAX_DOCUMENT_BYTES, Document, DocumentName, document_size
from local_cloud.firestore.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from local_cloud.firestore.fields import MISSING, FieldPath, Missing, read, remove, replace
from local_cloud.firestore.values import (
    Fields,
    Number,
    Value,
    check_fields,
    identical,
    is_nan,
    is_number,
    order_key,
)

_INT64_MIN: Final = -(1 << 63)
_INT64_MAX: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Precondition:
    """What must hold of the document before a write; nothing when both are None."""

    exists: bool | None = None
    update_time: datetime | None = None

    def check(self, name: DocumentName, before: Document | None) -> None:
        """Return if *before* satisfies this; else raise what Firestore answers for it."""
        if self.update_time is not None and (before is None or before.update_time != self.update_time):
            found = None if before is None else before.update_time.isoformat()
            raise FailedPrecondition(f"update time of {name} is {found}, not {self.update_time.isoformat()}")
        if self.exists is True and before is None:
            raise NotFound(f"no document to update: {name}")
        if self.exists is False and before is not None:
            raise AlreadyExists(f"document already exists: {name}")


class TransformKind(Enum):
    """What a transform makes of the field's present value and its operand."""

    SERVER_TIMESTAMP = auto()
    INCREMENT = auto()
    MAXIMUM = auto()
    MINIMUM = auto()
    ARRAY_UNION = auto()
    ARRAY_REMOVE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """A change of one field that the server computes; *operand* is None for the server's timestamp."""

    path: FieldPath
    kind: TransformKind
    operand: Value = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDocument:
    """Store *fields*; with a *mask* only the fields it names, those it names in vain being deleted."""

    name: DocumentName
    fields: Fields
    mask: tuple[FieldPath, ...] | None = None
    transforms: tuple[Transform, ...] = ()
    precondition: Precondition = Precondition()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteDocument:
    """Delete the document, if it is there."""

    name: DocumentName
    precondition: Precondition = Precondition()


Write: TypeAlias = SetDocument | DeleteDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The document after a write (None: there is none), and the results of its transforms."""

    after: Document | None
    transform_results: tuple[Value, ...] = ()


def apply(write: Write, before: Document | None, commit_time: datetime) -> Outcome:
    """Return what *write* makes of *before* at *commit_time*; a FirestoreError refuses it.

    A write that changes nothing leaves the document its update time.
    """
    write.precondition.check(write.name, before)
    match write:
        case DeleteDocument():
            return Outcome(after=None)
        case SetDocument():
            return _apply_set(write, before, commit_time)
        case _:
            assert_never(write)


def _apply_set(write: SetDocument, before: Document | None, commit_time: datetime) -> Outcome:
    fields = _masked(write, before)
    results: list[Value] = []
    for transform in write.transforms:
        value, result = _transformed(transform, read(fields, transform.path), commit_time)
        fields = replace(fields, transform.path, value)
        results.append(result)
    if before is not None and identical(fields, before.fields):
        return Outcome(after=before, transform_results=tuple(results))
    check_fields(fields)
    size = document_size(write.name, fields)
    if size > MAX_DOCUMENT_BYTES:
        raise InvalidArgument(f"{write.name} would be {size} bytes; at most {MAX_DOCUMENT_BYTES} are stored")
    after = Document(
        name=write.name,
        fields=fields,
        create_time=commit_time if before is None else before.create_time,
        update_time=commit_time,
    )
    return Outcome(after=after, transform_results=tuple(results))


def _masked(write: SetDocument, before: Document | None) -> Fields:
    if write.mask is None:
        return write.fields
    fields: Fields = {} if before is None else before.fields
    for path in write.mask:
        value = read(write.fields, path)
        fields = remove(fields, path) if value is MISSING else replace(fields, path, value)
    return fields


def _transformed(transform: Transform, present: Value | Missing, commit_time: datetime) -> tuple[Value, Value]:
    """Return the field's new value, and what the write result tells of it."""
    operand = transform.operand
    match transform.kind:
        case TransformKind.SERVER_TIMESTAMP:
            # REQUEST_TIME has "millisecond precision" (DocumentTransform.FieldTransform.ServerValue).
            time = commit_time.replace(microsecond=commit_time.microsecond // 1000 * 1000)
            return time, time
        case TransformKind.ARRAY_UNION | TransformKind.ARRAY_REMOVE:
            if not isinstance(operand, tuple):
                raise InvalidArgument("an array transform needs an array")
            elements = present if isinstance(present, tuple) else ()
            change = _union if transform.kind is TransformKind.ARRAY_UNION else _difference
            # "The corresponding transform_result will be the null value."
            return change(elements, operand), None
        case TransformKind.INCREMENT | TransformKind.MAXIMUM | TransformKind.MINIMUM:
            value = _combined(transform.kind, present, operand)
            return value, value
        case _:
            assert_never(transform.kind)


def _combined(kind: TransformKind, present: Value | Missing, operand: Value) -> Number:
    if not is_number(operand):
        raise InvalidArgument(f"{kind.name} needs a number")
    return _COMBINE[kind](present, operand) if is_number(present) else operand


def _sum(present: Number, operand: Number) -> Number:
    if isinstance(present, int) and isinstance(operand, int):
        # "If there is positive/negative integer overflow, the field is resolved to the largest magnitude".
        return max(_INT64_MIN, min(_INT64_MAX, present + operand))
    return float(present) + float(operand)


def _maximum(present: Number, operand: Number) -> Number:
    # "If they are equal the field does not change"; "the maximum of any numeric value x and NaN is NaN".
    if is_nan(present) or is_nan(operand):
        return math.nan
    return max(present, operand)


def _minimum(present: Number, operand: Number) -> Number:
    if is_nan(present) or is_nan(operand):
        return math.nan
    return min(present, operand)


_COMBINE: Final[Mapping[TransformKind, Callable[[Number, Number], Number]]] = {
    TransformKind.INCREMENT: _sum,
    TransformKind.MAXIMUM: _maximum,
    TransformKind.MINIMUM: _minimum,
}


def _union(elements: tuple[Value, ...], more: tuple[Value, ...]) -> tuple[Value, ...]:
    seen = set(map(order_key, elements))
    united = list(elements)
    for candidate in more:
        key = order_key(candidate)
        if key not in seen:
            seen.add(key)
            united.append(candidate)
    return tuple(united)


def _difference(elements: tuple[Value, ...], fewer: tuple[Value, ...]) -> tuple[Value, ...]:
    unwanted = set(map(order_key, fewer))
    return tuple(element for element in elements if order_key(element) not in unwanted)
