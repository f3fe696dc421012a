import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.rtmp.amf0 import UNDEFINED, Date, EcmaArray, Value, decode, encode
from ingest.protocols.rtmp.errors import ProtocolError

NUMBERS = st.floats(allow_nan=False)
TEXT = st.text(max_size=20)
SCALARS: st.SearchStrategy[Value] = st.one_of(
    NUMBERS,
    st.booleans(),
    TEXT,
    st.none(),
    st.just(UNDEFINED),
    st.builds(Date, milliseconds=NUMBERS, time_zone=st.integers(-(1 << 15), (1 << 15) - 1)),
)


def _containers(children: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    properties = st.dictionaries(TEXT, children, max_size=4)
    return st.one_of(properties, properties.map(EcmaArray), st.lists(children, max_size=4))


VALUES = st.recursive(SCALARS, _containers, max_leaves=12)

CASES: list[tuple[str, Value, str]] = [
    ("number", 1.5, "00 3ff8000000000000"),
    ("true", True, "01 01"),
    ("false", False, "01 00"),
    ("string", "live", "02 0004 6c697665"),
    ("object", {"a": None}, "03 0001 61 05 0000 09"),
    ("null", None, "05"),
    ("undefined", UNDEFINED, "06"),
    ("ECMA array", EcmaArray(a=True), "08 00000001 0001 61 01 01 0000 09"),
    ("strict array", [None, "b"], "0a 00000002 05 02 0001 62"),
    ("date", Date(milliseconds=0.0, time_zone=60), "0b 0000000000000000 003c"),
    ("empty name", {"": 0.0}, "03 0000 00 0000000000000000 0000 09"),
]


def _decode(body: bytes) -> list[Value]:
    return decode(body, max_depth=64, max_values=1000)


@pytest.mark.parametrize(("value", "octets"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_value_and_octets_are_the_same(value: Value, octets: str) -> None:
    body = bytes.fromhex(octets)
    assert encode([value]) == body
    assert _decode(body) == [value]


@given(st.lists(VALUES, max_size=4))
def test_what_is_encoded_decodes(values: list[Value]) -> None:
    decoded = _decode(encode(values))
    assert decoded == values
    assert [type(value) for value in decoded] == [type(value) for value in values]


def test_long_string_has_a_marker_of_its_own() -> None:
    body = encode(["x" * 70_000])
    assert body[:5] == struct.pack(">BI", 0x0C, 70_000)
    assert _decode(body) == ["x" * 70_000]


def test_name_that_is_too_long_is_refused_by_the_encoder() -> None:
    with pytest.raises(ValueError, match="too long"):
        encode([{"x" * 70_000: None}])


def test_count_of_an_ecma_array_is_only_a_hint() -> None:
    assert _decode(bytes.fromhex("08 00000063 0001 61 05 0000 09")) == [EcmaArray(a=None)]


def test_text_that_is_not_utf_8_is_replaced() -> None:
    assert _decode(bytes.fromhex("02 0001 e9")) == ["\N{REPLACEMENT CHARACTER}"]


@pytest.mark.parametrize(
    "octets",
    [
        "00 00",
        "01",
        "02 0005 61",
        "02 00",
        "03 0001 61",
        "03 0001 61 05",
        "03 0000",
        "08 0000",
        "0a 00000002 05",
        "0a ffffffff",
        "0b 00",
        "0c ffffffff 61",
        "04",
        "07 0000",
        "0d",
        "0e",
        "0f 00000000",
        "10",
        "11",
        "ff",
    ],
)
def test_malformed_value_is_a_protocol_error(octets: str) -> None:
    with pytest.raises(ProtocolError):
        _decode(bytes.fromhex(octets))


def test_depth_is_bounded() -> None:
    nested: Value = {"a": [{"b": 1.0}]}
    body = encode([nested])
    assert decode(body, max_depth=3, max_values=10) == [nested]
    with pytest.raises(ProtocolError, match="deeply"):
        decode(body, max_depth=2, max_values=10)


def test_values_are_counted_through_all_levels() -> None:
    body = encode([[1.0, 2.0], 3.0])
    assert decode(body, max_depth=1, max_values=4) == [[1.0, 2.0], 3.0]
    with pytest.raises(ProtocolError, match="many"):
        decode(body, max_depth=1, max_values=3)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_a_protocol_error(body: bytes) -> None:
    try:
        values = decode(body, max_depth=4, max_values=50)
    except ProtocolError:
        return
    assert len(values) <= len(body)
