"""Firestore's protocol messages to values and back.

The message classes are those inside the official client's wrappers (``types.X.pb()``): the wrappers
themselves cost several times the work.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from google.cloud.firestore_v1 import types
from google.protobuf.timestamp_pb2 import Timestamp

from local_cloud.firestore.documents import Document, DocumentName, parse_reference
from local_cloud.firestore.errors import InvalidArgument, Unimplemented
from local_cloud.firestore.fields import FieldPath, parse_field_path, project
from local_cloud.firestore.values import Fields, GeoPoint, Reference, Value

DocumentMessage: Final = types.Document.pb()
ValueMessage: Final = types.Value.pb()


def decode_time(message: Timestamp) -> datetime:
    """Return *message* as a time; finer than microseconds "is rounded down" (Value.timestamp_value)."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except ValueError as error:
        raise InvalidArgument(f"a timestamp is out of range: {error}") from None


def encode_time(time: datetime) -> Timestamp:
    """Return *time* as a message."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


# How each member of the oneof Value.value_type is read.
_DECODERS: Final[Mapping[str, Callable[[Any], Value]]] = {
    "null_value": lambda _: None,
    "boolean_value": lambda message: bool(message.boolean_value),
    "integer_value": lambda message: int(message.integer_value),
    "double_value": lambda message: float(message.double_value),
    "timestamp_value": lambda message: decode_time(message.timestamp_value),
    "string_value": lambda message: str(message.string_value),
    "bytes_value": lambda message: bytes(message.bytes_value),
    "reference_value": lambda message: parse_reference(message.reference_value),
    "geo_point_value": lambda message: GeoPoint(
        message.geo_point_value.latitude, message.geo_point_value.longitude
    ),
    "array_value": lambda message: decode_array(message.array_value),
    "map_value": lambda message: decode_fields(message.map_value.fields),
}


def decode_value(message: Any) -> Value:
    """Return what a Value *message* holds."""
    kind = message.WhichOneof("value_type")
    if kind is None:
        raise InvalidArgument("a value has no type")
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise Unimplemented(f"the local cloud has no values of the kind {kind}")
    return decoder(message)


def decode_array(message: Any) -> tuple[Value, ...]:
    """Return the elements of an ArrayValue *message*."""
    return tuple(map(decode_value, message.values))


def decode_fields(message: Mapping[str, Any]) -> Fields:
    """Return the fields of a document or a map."""
    return {key: decode_value(value) for key, value in message.items()}


def _write_null(message: Any, _: Value) -> None:
    message.null_value = 0


def _writer(member: str) -> Callable[[Any, Any], None]:
    def write(message: Any, value: Value) -> None:
        setattr(message, member, value)

    return write


def _write_time(message: Any, value: datetime) -> None:
    message.timestamp_value.FromDatetime(value)


def _write_reference(message: Any, value: Reference) -> None:
    message.reference_value = value.name


def _write_geo_point(message: Any, value: GeoPoint) -> None:
    # An empty submessage must still be seen to be set.
    message.geo_point_value.SetInParent()
    message.geo_point_value.latitude = value.latitude
    message.geo_point_value.longitude = value.longitude


def _write_array(message: Any, value: tuple[Value, ...]) -> None:
    message.array_value.SetInParent()
    for element in value:
        write_value(message.array_value.values.add(), element)


def _write_map(message: Any, value: Fields) -> None:
    message.map_value.SetInParent()
    write_fields(message.map_value.fields, value)


_WRITERS: Final[Mapping[type, Callable[[Any, Any], None]]] = {
    type(None): _write_null,
    bool: _writer("boolean_value"),
    int: _writer("integer_value"),
    float: _writer("double_value"),
    datetime: _write_time,
    str: _writer("string_value"),
    bytes: _writer("bytes_value"),
    Reference: _write_reference,
    GeoPoint: _write_geo_point,
    tuple: _write_array,
    dict: _write_map,
}


def write_value(message: Any, value: Value) -> None:
    """Put *value* into the empty Value *message*: in place, as copying nested messages is what costs."""
    _WRITERS[type(value)](message, value)


def write_fields(message: Any, fields: Fields) -> None:
    """Put *fields* into the empty map of Value *message*."""
    for key, value in fields.items():
        write_value(message[key], value)


def encode_value(value: Value) -> Any:
    """Return *value* as a Value message."""
    message = ValueMessage()
    write_value(message, value)
    return message


def encode_document(document: Document, paths: tuple[FieldPath, ...] | None = None) -> Any:
    """Return *document* as a message, with only the fields that *paths* name, if given."""
    message = DocumentMessage(
        name=document.name,
        create_time=encode_time(document.create_time),
        update_time=encode_time(document.update_time),
    )
    write_fields(message.fields, document.fields if paths is None else project(document.fields, paths))
    return message


def decode_document(message: Any) -> Document:
    """Return the document that :func:`encode_document` made *message* of."""
    return Document(
        name=DocumentName(message.name),
        fields=decode_fields(message.fields),
        create_time=decode_time(message.create_time),
        update_time=decode_time(message.update_time),
    )


def decode_mask(message: Any) -> tuple[FieldPath, ...]:
    """Return the paths of a DocumentMask *message*."""
    return tuple(map(parse_field_path, message.field_paths))
