"""AMF0, the serialisation of RTMP's commands and metadata (Action Message Format -- AMF 0, Adobe 2007).

Numbers are floats, objects are dicts, ECMA arrays are `EcmaArray`, strict arrays are lists, null is None.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final, final

from ingest.protocols.rtmp.errors import ProtocolError

Octets = bytes | bytearray | memoryview


class _Marker(IntEnum):
    NUMBER = 0x00
    BOOLEAN = 0x01
    STRING = 0x02
    OBJECT = 0x03
    NULL = 0x05
    UNDEFINED = 0x06
    ECMA_ARRAY = 0x08
    OBJECT_END = 0x09
    STRICT_ARRAY = 0x0A
    DATE = 0x0B
    LONG_STRING = 0x0C


_MAX_STRING_BYTES: Final = 0xFFFF
"""What the 16-bit length of a string or of a property's name can say (AMF 0, 1.4)."""


class Undefined(Enum):
    """The type of `UNDEFINED`."""

    UNDEFINED = "undefined"


UNDEFINED: Final = Undefined.UNDEFINED


@final
class EcmaArray(dict[str, "Value"]):
    """An associative array (AMF 0, 2.10): an object in all but its marker."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Date:
    """A date (AMF 0, 2.13): milliseconds since 1970; the time zone is reserved and said to be zero."""

    milliseconds: float
    time_zone: int = 0


Value = float | bool | str | dict[str, "Value"] | EcmaArray | list["Value"] | Date | Undefined | None


def decode(body: Octets, *, max_depth: int, max_values: int) -> list[Value]:
    """Return all values in *body*, in order.

    At most *max_values* of them, counted through all levels, and *max_depth* levels of objects and arrays.
    Text that is not UTF-8 is decoded with replacement characters: encoders put all sorts into their names.

    Raises:
        ProtocolError: *body* is cut short, has a type that RTMP commands do not use, or breaks a bound.
    """
    decoder = _Decoder(body, max_values=max_values)
    values: list[Value] = []
    while not decoder.at_end:
        values.append(decoder.value(depth=max_depth))
    return values


def encode(values: Sequence[Value]) -> bytes:
    """Return *values* one after the other; what `decode` reads back.

    Raises:
        ValueError: a property's name is longer than AMF0 can say.
    """
    parts: list[bytes] = []
    for value in values:
        _encode_value(value, parts)
    return b"".join(parts)


class _Decoder:
    __slots__ = ("_body", "_position", "_values_left")

    def __init__(self, body: Octets, *, max_values: int) -> None:
        self._body = memoryview(body)
        self._position = 0
        self._values_left = max_values

    @property
    def at_end(self) -> bool:
        return self._position == len(self._body)

    def value(self, *, depth: int) -> Value:
        self._values_left -= 1
        if self._values_left < 0:
            raise ProtocolError("An AMF0 message holds too many values.")
        marker = self._octet()
        if marker in (_Marker.OBJECT, _Marker.ECMA_ARRAY, _Marker.STRICT_ARRAY):
            return self._container(marker, depth=depth - 1)
        return self._scalar(marker)

    def _scalar(self, marker: int) -> Value:  # noqa: PLR0911 (a table of types reads best as one)
        match marker:
            case _Marker.NUMBER:
                (number,) = struct.unpack(">d", self._take(8))
                return float(number)
            case _Marker.BOOLEAN:
                return self._octet() != 0
            case _Marker.STRING:
                return self._text(self._length(2))
            case _Marker.NULL:
                return None
            case _Marker.UNDEFINED:
                return UNDEFINED
            case _Marker.DATE:
                milliseconds, time_zone = struct.unpack(">dh", self._take(10))
                return Date(milliseconds=milliseconds, time_zone=time_zone)
            case _Marker.LONG_STRING:
                return self._text(self._length(4))
            case _:
                raise ProtocolError(f"An AMF0 value has the unsupported type 0x{marker:02x}.")

    def _container(self, marker: int, *, depth: int) -> Value:
        if depth < 0:
            raise ProtocolError("An AMF0 value is nested too deeply.")
        if marker == _Marker.OBJECT:
            return self._properties(depth=depth)
        count = self._length(4)
        if marker == _Marker.STRICT_ARRAY:
            # Each element takes a value from the bound: a huge count ends there, or with the body.
            return [self.value(depth=depth) for _ in range(count)]
        # The count of an ECMA array is a hint that encoders get wrong; its end is marked as an object's is.
        return EcmaArray(self._properties(depth=depth))

    def _properties(self, *, depth: int) -> dict[str, Value]:
        properties: dict[str, Value] = {}
        while True:
            name = self._text(self._length(2))
            if not name and self._peek() == _Marker.OBJECT_END:
                self._position += 1
                return properties
            properties[name] = self.value(depth=depth)

    def _peek(self) -> int:
        if self.at_end:
            raise ProtocolError("An AMF0 value is cut short.")
        return self._body[self._position]

    def _octet(self) -> int:
        octet = self._peek()
        self._position += 1
        return octet

    def _length(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _text(self, length: int) -> str:
        return str(self._take(length), "utf-8", "replace")

    def _take(self, count: int) -> memoryview:
        start = self._position
        if count > len(self._body) - start:
            raise ProtocolError("An AMF0 value is cut short.")
        self._position = start + count
        return self._body[start : self._position]


def _encode_value(value: Value, parts: list[bytes]) -> None:
    match value:
        case bool():
            parts.append(bytes((_Marker.BOOLEAN, value)))
        case float() | int():
            parts.append(struct.pack(">Bd", _Marker.NUMBER, value))
        case str():
            parts.append(_encode_text(value))
        case None:
            parts.append(bytes((_Marker.NULL,)))
        case Undefined():
            parts.append(bytes((_Marker.UNDEFINED,)))
        case Date():
            parts.append(struct.pack(">Bdh", _Marker.DATE, value.milliseconds, value.time_zone))
        case _:
            _encode_container(value, parts)


def _encode_container(value: dict[str, Value] | list[Value], parts: list[bytes]) -> None:
    if isinstance(value, list):
        parts.append(struct.pack(">BI", _Marker.STRICT_ARRAY, len(value)))
        for element in value:
            _encode_value(element, parts)
        return
    if isinstance(value, EcmaArray):
        parts.append(struct.pack(">BI", _Marker.ECMA_ARRAY, len(value)))
    else:
        parts.append(bytes((_Marker.OBJECT,)))
    for name, element in value.items():
        encoded = name.encode()
        if len(encoded) > _MAX_STRING_BYTES:
            raise ValueError("a property's name is too long for AMF0")
        parts.append(struct.pack(">H", len(encoded)) + encoded)
        _encode_value(element, parts)
    parts.append(b"\0\0" + bytes((_Marker.OBJECT_END,)))


def _encode_text(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > _MAX_STRING_BYTES:
        return struct.pack(">BI", _Marker.LONG_STRING, len(encoded)) + encoded
    return struct.pack(">BH", _Marker.STRING, len(encoded)) + encoded
