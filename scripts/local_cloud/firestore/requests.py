"""The writes and queries in requests, parsed into values that cannot be wrong."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from local_cloud.firestore.codec import decode_array, decode_fields, decode_mask, decode_time, decode_value
from local_cloud.firestore.documents import ParentName, check_id, parse_document, parse_parent
from local_cloud.firestore.errors import InvalidArgument, Unimplemented
from local_cloud.firestore.fields import NAME, FieldPath, parse_field_path
from local_cloud.firestore.query import CompositeFilter, Cursor, FieldFilter, Filter, Operator, Order, Query
from local_cloud.firestore.values import Value
from local_cloud.firestore.writes import (
    DeleteDocument,
    Precondition,
    SetDocument,
    Transform,
    TransformKind,
    Write,
)

# google.firestore.v1.StructuredQuery.FieldFilter.Operator, UnaryFilter.Operator, CompositeFilter.Operator
# and Direction, by their numbers.
_FIELD_OPERATORS: Final = {
    1: Operator.LESS_THAN,
    2: Operator.LESS_THAN_OR_EQUAL,
    3: Operator.GREATER_THAN,
    4: Operator.GREATER_THAN_OR_EQUAL,
    5: Operator.EQUAL,
    6: Operator.NOT_EQUAL,
    7: Operator.ARRAY_CONTAINS,
    8: Operator.IN,
    9: Operator.ARRAY_CONTAINS_ANY,
    10: Operator.NOT_IN,
}
_UNARY_OPERATORS: Final = {
    2: Operator.IS_NAN,
    3: Operator.IS_NULL,
    4: Operator.IS_NOT_NAN,
    5: Operator.IS_NOT_NULL,
}
_COMPOSITE_AND: Final = 1
_COMPOSITE_OR: Final = 2
_DESCENDING: Final = 2
_REQUEST_TIME: Final = 1

# How each member of the oneof FieldTransform.transform_type is read.
_TRANSFORMS: Final[Mapping[str, tuple[TransformKind, Callable[[Any], Value]]]] = {
    "increment": (TransformKind.INCREMENT, decode_value),
    "maximum": (TransformKind.MAXIMUM, decode_value),
    "minimum": (TransformKind.MINIMUM, decode_value),
    "append_missing_elements": (TransformKind.ARRAY_UNION, decode_array),
    "remove_all_from_array": (TransformKind.ARRAY_REMOVE, decode_array),
}


def refuse_fields(message: Any, *names: str) -> None:
    """Raise Unimplemented if *message* sets one of the fields *names*: nothing is ignored in silence."""
    present = {field.name for field, _ in message.ListFields()}
    for name in names:
        if name in present:
            raise Unimplemented(f"the local cloud does not offer {message.DESCRIPTOR.full_name}.{name}")


def parse_write(message: Any) -> Write:
    """Return the write that a Write *message* asks for, or raise a FirestoreError."""
    refuse_fields(message, "transform")
    precondition = _parse_precondition(message)
    match message.WhichOneof("operation"):
        case "delete":
            return DeleteDocument(name=parse_document(message.delete), precondition=precondition)
        case "update":
            return SetDocument(
                name=parse_document(message.update.name),
                fields=decode_fields(message.update.fields),
                mask=decode_mask(message.update_mask) if message.HasField("update_mask") else None,
                transforms=tuple(map(_parse_transform, message.update_transforms)),
                precondition=precondition,
            )
        case _:
            raise InvalidArgument("a write names no operation")


def _parse_precondition(message: Any) -> Precondition:
    condition = message.current_document
    match condition.WhichOneof("condition_type"):
        case "exists":
            return Precondition(exists=condition.exists)
        case "update_time":
            return Precondition(update_time=decode_time(condition.update_time))
        case _:
            return Precondition()


def _parse_transform(message: Any) -> Transform:
    path = parse_field_path(message.field_path)
    kind = message.WhichOneof("transform_type")
    if kind == "set_to_server_value":
        if message.set_to_server_value != _REQUEST_TIME:
            raise InvalidArgument("a transform names no server value")
        return Transform(path=path, kind=TransformKind.SERVER_TIMESTAMP)
    if kind not in _TRANSFORMS:
        raise InvalidArgument("a transform names no change")
    meaning, decode = _TRANSFORMS[kind]
    return Transform(path=path, kind=meaning, operand=decode(getattr(message, kind)))


def parse_query(parent: str, message: Any) -> Query:
    """Return the query of a StructuredQuery *message* below *parent*, or raise a FirestoreError."""
    refuse_fields(message, "find_nearest")
    name, collection, everywhere = _parse_from(parent, message)
    return Query(
        parent=name,
        collection=collection,
        everywhere=everywhere,
        where=_parse_filter(message.where) if message.HasField("where") else None,
        order_by=tuple(map(_parse_order, message.order_by)),
        start=_parse_cursor(message.start_at) if message.HasField("start_at") else None,
        end=_parse_cursor(message.end_at) if message.HasField("end_at") else None,
        offset=message.offset,
        limit=message.limit.value if message.HasField("limit") else None,
        select=_parse_select(message.select) if message.HasField("select") else None,
    )


def _parse_from(parent: str, message: Any) -> tuple[ParentName, str, bool]:
    if len(message.from_) != 1:
        raise InvalidArgument("a query names exactly one collection selector")
    (selector,) = message.from_
    if selector.collection_id:
        check_id(selector.collection_id)
    return parse_parent(parent), selector.collection_id, selector.all_descendants


def _parse_filter(message: Any) -> Filter:
    match message.WhichOneof("filter_type"):
        case "composite_filter":
            return _parse_composite_filter(message.composite_filter)
        case "field_filter":
            part = message.field_filter
            operator = _FIELD_OPERATORS.get(part.op)
            value = decode_value(part.value)
        case "unary_filter":
            part = message.unary_filter
            operator = _UNARY_OPERATORS.get(part.op)
            value = None
        case _:
            raise InvalidArgument("a filter is empty")
    if operator is None:
        raise InvalidArgument("a filter names no operator")
    return FieldFilter(path=parse_field_path(part.field.field_path), operator=operator, value=value)


def _parse_composite_filter(message: Any) -> CompositeFilter:
    if message.op not in {_COMPOSITE_AND, _COMPOSITE_OR}:
        raise InvalidArgument("a composite filter names no operator")
    return CompositeFilter(
        every=message.op == _COMPOSITE_AND, filters=tuple(map(_parse_filter, message.filters))
    )


def _parse_order(message: Any) -> Order:
    return Order(path=parse_field_path(message.field.field_path), descending=message.direction == _DESCENDING)


def _parse_cursor(message: Any) -> Cursor:
    return Cursor(values=decode_array(message), before=message.before)


def _parse_select(message: Any) -> tuple[FieldPath, ...]:
    """Return the fields that are wanted beside the name, which always comes."""
    paths = (parse_field_path(field.field_path) for field in message.fields)
    return tuple(path for path in paths if path != NAME)
