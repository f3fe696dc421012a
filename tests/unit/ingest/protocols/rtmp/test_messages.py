import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.rtmp import messages
from ingest.protocols.rtmp.amf0 import encode
from ingest.protocols.rtmp.chunks import Message, MessageType
from ingest.protocols.rtmp.errors import ProtocolError
from ingest.protocols.rtmp.limits import RtmpLimits
from ingest.protocols.rtmp.messages import (
    Command,
    Data,
    Ignored,
    PeerBandwidthLimit,
    PingRequest,
    SetPeerBandwidth,
    TypedMessage,
    UserControlType,
    WindowAcknowledgementSize,
    parse,
    split_aggregate,
)

LIMITS = RtmpLimits()


def _message(type_id: int, body: bytes, timestamp: int = 0) -> Message:
    return Message(type_id=type_id, stream_id=1, timestamp=timestamp, body=body)


def _tag(type_id: int, timestamp: int, body: bytes) -> bytes:
    header = bytes((type_id,)) + len(body).to_bytes(3, "big")
    low, high = timestamp & 0xFFFFFF, timestamp >> 24
    return header + low.to_bytes(3, "big") + bytes((high,)) + bytes(3) + body + bytes(4)


CALL = Command(name="publish", transaction=5.0, arguments=(None, "key"))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (messages.command("publish", 5, None, "key", stream_id=1), CALL),
        (_message(MessageType.COMMAND_AMF3, b"\x00" + encode(["publish", 5.0, None, "key"])), CALL),
        (_message(MessageType.COMMAND_AMF3, encode(["publish", 5.0, None, "key"])), CALL),
        (messages.data("onMetaData", {"a": 1.0}, stream_id=1), Data(values=("onMetaData", {"a": 1.0}))),
        (_message(MessageType.DATA_AMF3, b"\x00" + encode(["a"])), Data(values=("a",))),
        (
            messages.user_control(UserControlType.PING_REQUEST, b"\x00\x01\x02\x03"),
            PingRequest(timestamp=b"\x00\x01\x02\x03"),
        ),
        (messages.user_control(UserControlType.STREAM_BEGIN, bytes(4)), Ignored()),
        (messages.window_acknowledgement_size(2_500_000), WindowAcknowledgementSize(size=2_500_000)),
        (messages.set_peer_bandwidth(5_000, PeerBandwidthLimit.DYNAMIC), SetPeerBandwidth(size=5_000)),
        (messages.acknowledgement(1 << 33), Ignored()),
        (_message(99, b""), Ignored()),
    ],
)
def test_message_means_what_it_says(message: Message, expected: TypedMessage) -> None:
    assert parse(message, LIMITS) == expected


@pytest.mark.parametrize(
    "message",
    [
        _message(MessageType.COMMAND_AMF0, b""),
        _message(MessageType.COMMAND_AMF0, encode(["publish"])),
        _message(MessageType.COMMAND_AMF0, encode([5.0, "publish"])),
        _message(MessageType.COMMAND_AMF0, encode(["publish", True])),
        _message(MessageType.COMMAND_AMF0, b"\x02"),
        _message(MessageType.DATA_AMF0, b"\xff"),
        _message(MessageType.USER_CONTROL, b"\x00"),
        _message(MessageType.USER_CONTROL, b"\x00\x06\x00"),
        _message(MessageType.WINDOW_ACKNOWLEDGEMENT_SIZE, b"\x00"),
        _message(MessageType.SET_PEER_BANDWIDTH, bytes(4)),
    ],
)
def test_malformed_message_is_a_protocol_error(message: Message) -> None:
    with pytest.raises(ProtocolError):
        parse(message, LIMITS)


def test_acknowledgement_counts_modulo_32_bits() -> None:
    assert messages.acknowledgement((1 << 32) + 7).body == b"\x00\x00\x00\x07"


def test_aggregate_is_rebased_on_its_own_timestamp() -> None:
    body = _tag(9, 0x01000000, b"v") + _tag(8, 0x01000005, b"a") + _tag(9, 0x00FFFFFE, b"w")
    aggregate = _message(MessageType.AGGREGATE, body, timestamp=1)
    assert list(split_aggregate(aggregate)) == [
        _message(9, b"v", 1),
        _message(8, b"a", 6),
        _message(9, b"w", 0xFFFFFFFF),
    ]


def test_last_back_pointer_of_an_aggregate_may_be_missing() -> None:
    aggregate = _message(MessageType.AGGREGATE, _tag(9, 0, b"v")[:-4])
    assert [message.body for message in split_aggregate(aggregate)] == [b"v"]


@pytest.mark.parametrize(
    "body", [b"\x09", _tag(9, 0, b"v")[:-5], _tag(22, 0, _tag(9, 0, b"v"))], ids=["header", "body", "nested"]
)
def test_malformed_aggregate_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(split_aggregate(_message(MessageType.AGGREGATE, body)))


@given(st.binary(max_size=100))
def test_any_aggregate_splits_or_is_a_protocol_error(body: bytes) -> None:
    try:
        split = list(split_aggregate(_message(MessageType.AGGREGATE, body)))
    except ProtocolError:
        return
    assert sum(len(message.body) for message in split) <= len(body)


@given(st.integers(0, 30), st.binary(max_size=60))
def test_any_message_parses_or_is_a_protocol_error(type_id: int, body: bytes) -> None:
    try:
        parsed = parse(_message(type_id, body), LIMITS)
    except ProtocolError:
        return
    assert isinstance(parsed, TypedMessage)
