"""What a publisher's messages mean, and those that a server answers with (RTMP 1.0, sections 5.4, 6.2, 7.1).

Audio and video stay as they are: `flv` reads their bodies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ingest.protocols.rtmp import amf0
from ingest.protocols.rtmp.amf0 import Octets, Value
from ingest.protocols.rtmp.chunks import TIMESTAMP_MODULUS, Message, MessageType
from ingest.protocols.rtmp.errors import ProtocolError
from ingest.protocols.rtmp.limits import RtmpLimits

_FLV_TAG_HEADER_BYTES: Final = 11
_FLV_BACK_POINTER_BYTES: Final = 4
_AMF3_BODY_IS_AMF0: Final = 0x00
"""The octet before the values of an AMF3 command or data message that go on in AMF0, as all encoders' do."""


class UserControlType(IntEnum):
    """The user control events that a publisher and its server exchange (7.1.7)."""

    STREAM_BEGIN = 0
    PING_REQUEST = 6
    PING_RESPONSE = 7


class PeerBandwidthLimit(IntEnum):
    """How Set Peer Bandwidth is meant (5.4.5)."""

    HARD = 0
    SOFT = 1
    DYNAMIC = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A call or its answer (7.1.1): *arguments* are what follows the transaction's number."""

    name: str
    transaction: float
    arguments: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A data message (7.1.2), for example the metadata of a stream."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PingRequest:
    """A user control message that is to be answered with the same *timestamp*."""

    timestamp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAcknowledgementSize:
    """How many bytes the peer sends before it expects an acknowledgement (5.4.4)."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPeerBandwidth:
    """The window that the peer wishes us to announce (5.4.5)."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A message that means nothing to a server of publishers: other user control and the like."""


TypedMessage = Command | Data | PingRequest | WindowAcknowledgementSize | SetPeerBandwidth | Ignored


def parse(message: Message, limits: RtmpLimits) -> TypedMessage:
    """Return what *message* says, which is neither audio, video nor an aggregate.

    Raises:
        ProtocolError: the body does not fit the type.
    """
    match message.type_id:
        case MessageType.COMMAND_AMF0 | MessageType.COMMAND_AMF3:
            return _parse_command(message, limits)
        case MessageType.DATA_AMF0 | MessageType.DATA_AMF3:
            return Data(values=tuple(_amf_values(message, limits)))
        case MessageType.USER_CONTROL:
            return _parse_user_control(message.body)
        case MessageType.WINDOW_ACKNOWLEDGEMENT_SIZE:
            return WindowAcknowledgementSize(size=_number(message.body, octets=4))
        case MessageType.SET_PEER_BANDWIDTH:
            return SetPeerBandwidth(size=_number(message.body, octets=5) >> 8)
        case _:
            return Ignored()


def split_aggregate(message: Message) -> Iterator[Message]:
    """Yield the messages in an aggregate message (7.1.6), on the clock that the aggregate itself is on.

    The first one is taken to be at the aggregate's timestamp, and the others as far from it as their own
    timestamps say.

    Raises:
        ProtocolError: one of them is cut short, or an aggregate again.
    """
    body = memoryview(message.body)
    position = 0
    first: int | None = None
    while position < len(body):
        data = position + _FLV_TAG_HEADER_BYTES
        end = data + int.from_bytes(body[position + 1 : position + 4], "big")
        if end > len(body) or body[position] == MessageType.AGGREGATE:
            raise ProtocolError("An aggregate message is malformed.")
        # The fourth octet of a tag's timestamp is its highest.
        timestamp = body[position + 7] << 24 | int.from_bytes(body[position + 4 : position + 7], "big")
        first = timestamp if first is None else first
        yield Message(
            type_id=body[position],
            stream_id=message.stream_id,
            timestamp=(message.timestamp + timestamp - first) % TIMESTAMP_MODULUS,
            body=body[data:end],
        )
        position = end + _FLV_BACK_POINTER_BYTES


def command(name: str, transaction: float, *arguments: Value, stream_id: int = 0) -> Message:
    """Return the command message *name*; 0 is the transaction of a call that wants no answer."""
    return _message(MessageType.COMMAND_AMF0, amf0.encode((name, transaction, *arguments)), stream_id=stream_id)


def data(*values: Value, stream_id: int) -> Message:
    """Return the data message of *values*."""
    return _message(MessageType.DATA_AMF0, amf0.encode(values), stream_id=stream_id)


def set_chunk_size(size: int) -> Message:
    """Return the message that announces the chunk size of what follows it (5.4.1)."""
    return _message(MessageType.SET_CHUNK_SIZE, size.to_bytes(4, "big"))


def acknowledgement(received_bytes: int) -> Message:
    """Return the acknowledgement of all that was received so far (5.4.3); the counter wraps."""
    return _message(MessageType.ACKNOWLEDGEMENT, (received_bytes % (1 << 32)).to_bytes(4, "big"))


def window_acknowledgement_size(size: int) -> Message:
    """Return the announcement of the window after which acknowledgements are expected (5.4.4)."""
    return _message(MessageType.WINDOW_ACKNOWLEDGEMENT_SIZE, size.to_bytes(4, "big"))


def set_peer_bandwidth(size: int, limit: PeerBandwidthLimit) -> Message:
    """Return the wish for a window (5.4.5)."""
    return _message(MessageType.SET_PEER_BANDWIDTH, size.to_bytes(4, "big") + bytes((limit,)))


def user_control(event: UserControlType, event_data: bytes) -> Message:
    """Return a user control message (6.2)."""
    return _message(MessageType.USER_CONTROL, event.to_bytes(2, "big") + event_data)


def _message(type_id: MessageType, body: bytes, *, stream_id: int = 0) -> Message:
    return Message(type_id=type_id, stream_id=stream_id, timestamp=0, body=body)


def _amf_values(message: Message, limits: RtmpLimits) -> Sequence[Value]:
    body = memoryview(message.body)
    if message.type_id in (MessageType.COMMAND_AMF3, MessageType.DATA_AMF3) and body[:1] == bytes(
        (_AMF3_BODY_IS_AMF0,)
    ):
        body = body[1:]
    return amf0.decode(body, max_depth=limits.amf_depth, max_values=limits.amf_values)


def _parse_command(message: Message, limits: RtmpLimits) -> Command:
    match _amf_values(message, limits):
        case [str(name), float(transaction), *arguments]:
            return Command(name=name, transaction=transaction, arguments=tuple(arguments))
        case _:
            raise ProtocolError("A command has no name or no transaction number.")


def _parse_user_control(body: Octets) -> PingRequest | Ignored:
    if len(body) < 2:
        raise ProtocolError("A user control message has no event type.")
    if int.from_bytes(body[:2], "big") != UserControlType.PING_REQUEST:
        return Ignored()
    if len(body) != 6:
        raise ProtocolError("A ping request has no timestamp.")
    return PingRequest(timestamp=bytes(body[2:]))


def _number(body: Octets, *, octets: int) -> int:
    if len(body) != octets:
        raise ProtocolError("A protocol control message has the wrong length.")
    return int.from_bytes(body, "big")
