"""The server's side of one publisher's connection, without any I/O: bytes in, events and bytes to send out.

Which command is lawful when is the table `_COMMANDS`; what is not raises and ends the connection.
"""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, NoReturn

from ingest.feed.frames import FeedItem
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.publishing import StreamKey
from ingest.protocols.rtmp import messages
from ingest.protocols.rtmp.amf0 import Octets, Value
from ingest.protocols.rtmp.chunks import ChunkReader, ChunkWriter, Message, MessageType
from ingest.protocols.rtmp.errors import ProtocolError, Refusal
from ingest.protocols.rtmp.flv import FlvReader
from ingest.protocols.rtmp.handshake import ServerHandshake
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
)
from ingest.protocols.rtmp.metadata import read_metadata

APPLICATION: Final = "live"
"""The address is rtmp://host/live/{stream-key}."""

_WINDOW_BYTES: Final = 2_500_000
"""What is announced as the window in both directions; the value that encoders themselves announce."""
_CHUNK_BYTES: Final = 4096
"""Of what is sent: every answer fits into one chunk."""
_CONTROL_CHUNK_STREAM: Final = 2
_COMMAND_CHUNK_STREAM: Final = 3
_MESSAGE_STREAM: Final = 1
"""The only message stream: a connection publishes once."""


class Stage(StrEnum):
    """How far a connection has come."""

    HANDSHAKE = "handshake"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    AUTHORIZING = "authorizing"
    PUBLISHING = "publishing"
    CLOSED = "closed"


_CONNECTED_OR_PUBLISHING: Final = frozenset({Stage.CONNECTED, Stage.PUBLISHING})


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequested:
    """The publisher asks to publish; nothing more is read until that was accepted or refused."""

    stream_key: StreamKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpublished:
    """The publisher said that it has ended."""


Event = PublishRequested | Unpublished | SourceMetadata | FeedItem


class ServerConnection:
    """One connection: `receive_data`, then `next_event` until it gives None, then send `data_to_send`."""

    def __init__(self, *, limits: RtmpLimits, random: bytes) -> None:
        """*random* is what the handshake takes, see `ServerHandshake`."""
        self.stage = Stage.HANDSHAKE
        self._limits = limits
        self._handshake = ServerHandshake(random)
        self._reader = ChunkReader(limits)
        self._writer = ChunkWriter()
        self._flv = FlvReader()
        self._aggregated: Iterator[Message] = iter(())
        self._output = bytearray()
        self._received_bytes = 0
        self._acknowledged_bytes = 0
        self._peer_window: int | None = None
        self._announced_window = _WINDOW_BYTES

    def receive_data(self, data: bytes) -> None:
        """Take *data* in.

        Raises:
            ProtocolError: this is not RTMP.
        """
        if self.stage is Stage.HANDSHAKE:
            answer, data = self._handshake.receive_data(data)
            self._output += answer
            if not self._handshake.complete:
                return
            self.stage = Stage.CONNECTING
        self._received_bytes += len(data)
        self._reader.receive_data(data)

    def next_event(self) -> Event | None:
        """Return what happened next, or None when more bytes, or an answer to `PublishRequested`, are needed.

        Raises:
            ProtocolError: the peer broke the protocol or the limits; `fail` tells it so.
            Refusal: the peer asked for what it does not get; it has been answered.
        """
        while self.stage not in (Stage.HANDSHAKE, Stage.AUTHORIZING, Stage.CLOSED):
            message = next(self._aggregated, None) or self._reader.next_message()
            if message is None:
                return None
            event = self._handle(message)
            if len(self._output) > self._limits.write_bytes:
                raise ProtocolError("Too many requests at once.")
            if event is not None:
                return event
        return None

    def data_to_send(self) -> bytes:
        """Return, once, what is to be sent."""
        output = bytes(self._output)
        self._output.clear()
        return output

    @property
    def is_between_messages(self) -> bool:
        """Whether all that came were whole messages, and all of them are handled."""
        return self._reader.is_between_messages

    @property
    def acknowledgement_due(self) -> bool:
        """Whether the peer's window is full: it may be waiting for `acknowledge` (5.4.3)."""
        unacknowledged = self._received_bytes - self._acknowledged_bytes
        return self._peer_window is not None and 0 < self._peer_window <= unacknowledged

    def acknowledge(self) -> None:
        """Acknowledge all that was received."""
        self._acknowledged_bytes = self._received_bytes
        self._send(messages.acknowledgement(self._received_bytes), chunk_stream_id=_CONTROL_CHUNK_STREAM)

    def accept_publish(self) -> None:
        """Let the publisher send media."""
        assert self.stage is Stage.AUTHORIZING
        self.stage = Stage.PUBLISHING
        self._reader.media_allowed = True
        self._send(
            messages.user_control(UserControlType.STREAM_BEGIN, _MESSAGE_STREAM.to_bytes(4, "big")),
            chunk_stream_id=_CONTROL_CHUNK_STREAM,
        )
        self._send_status("NetStream.Publish.Start", "Publishing has started.")

    def close(self, code: str, description: str) -> None:
        """End the connection with the status *code*, if the peer has come so far that it understands it."""
        if self.stage not in (Stage.HANDSHAKE, Stage.CONNECTING, Stage.CLOSED):
            self._send_status(code, description)
        self.stage = Stage.CLOSED

    def fail(self, description: str) -> None:
        """End the connection since the peer broke the protocol, with the status that fits its stage."""
        publishing = self.stage in (Stage.AUTHORIZING, Stage.PUBLISHING)
        self.close("NetStream.Failed" if publishing else "NetConnection.Call.Failed", description)

    def time_out(self) -> str:
        """End the connection since the peer let too much time pass; return what it was told."""
        description = _TIMED_OUT[self.stage]
        publishing = self.stage is Stage.PUBLISHING
        self.close("NetStream.Publish.Idle" if publishing else "NetConnection.Connect.IdleTimeOut", description)
        return description

    def _handle(self, message: Message) -> Event | None:
        match message.type_id:
            case MessageType.VIDEO:
                return self._flv_item(self._flv.video, message)
            case MessageType.AUDIO:
                return self._flv_item(self._flv.audio, message)
            case MessageType.AGGREGATE:
                self._require_publishing()
                self._aggregated = messages.split_aggregate(message)
                return None
            case _:
                return self._handle_typed(messages.parse(message, self._limits))

    def _handle_typed(self, message: TypedMessage) -> Event | None:
        match message:
            case Command() as command:
                return self._handle_command(command)
            case Data(values=values):
                return self._handle_data(values)
            case PingRequest(timestamp=timestamp):
                pong = messages.user_control(UserControlType.PING_RESPONSE, timestamp)
                self._send(pong, chunk_stream_id=_CONTROL_CHUNK_STREAM)
            case WindowAcknowledgementSize(size=size):
                self._peer_window = size
            case SetPeerBandwidth(size=size):
                self._announce_window(size)
            case Ignored():  # pragma: no branch
                return None
        return None

    def _flv_item(self, read: Callable[[Octets, int], FeedItem | None], message: Message) -> FeedItem | None:
        self._require_publishing()
        try:
            return read(message.body, message.timestamp)
        except Refusal as refusal:
            self.close(refusal.code, refusal.description)
            raise

    def _require_publishing(self) -> None:
        if self.stage is not Stage.PUBLISHING:
            raise ProtocolError("Media came before publishing was accepted.")

    def _announce_window(self, size: int) -> None:
        if size != self._announced_window:
            self._announced_window = size
            self._send(messages.window_acknowledgement_size(size), chunk_stream_id=_CONTROL_CHUNK_STREAM)

    def _handle_data(self, values: tuple[Value, ...]) -> SourceMetadata | None:
        match values:
            case ["@setDataFrame", "onMetaData", dict(properties), *_] | ["onMetaData", dict(properties), *_]:
                self._require_publishing()
                return read_metadata(properties)
            case _:
                return None

    def _handle_command(self, command: Command) -> Event | None:
        known = self._COMMANDS.get(command.name)
        if known is None:
            self._reject_call(command)
            return None
        stages, handle = known
        if self.stage not in stages:
            raise ProtocolError(f"The command {command.name} came at the wrong time.")
        return handle(self, command)

    def _connect(self, command: Command) -> None:
        properties = command.arguments[0] if command.arguments else None
        if not isinstance(properties, dict):
            raise ProtocolError("The command connect has no properties.")
        app = _application(properties.get("app"))
        if app != APPLICATION:
            self._refuse_connect(command, f"The address is rtmp://host/{APPLICATION}/, then the stream key.")
        for message in (
            messages.window_acknowledgement_size(_WINDOW_BYTES),
            messages.set_peer_bandwidth(_WINDOW_BYTES, PeerBandwidthLimit.DYNAMIC),
            messages.set_chunk_size(_CHUNK_BYTES),
        ):
            self._send(message, chunk_stream_id=_CONTROL_CHUNK_STREAM)
        # What Flash Media Server says of itself is what encoders look for, if for anything.
        self._answer(
            command,
            {"fmsVer": "FMS/3,5,7,7009", "capabilities": 31.0},
            {
                "level": "status",
                "code": "NetConnection.Connect.Success",
                "description": "Connection succeeded.",
                "objectEncoding": 0.0,
            },
        )
        self.stage = Stage.CONNECTED

    def _refuse_connect(self, command: Command, description: str) -> NoReturn:
        code = "NetConnection.Connect.Rejected"
        self._answer(command, None, {"level": "error", "code": code, "description": description}, name="_error")
        self.stage = Stage.CLOSED
        raise Refusal(code, description)

    def _create_stream(self, command: Command) -> None:
        self._answer(command, None, float(_MESSAGE_STREAM))

    def _agree(self, command: Command) -> None:
        """Answer a command of Flash's that has no meaning here but is waited for."""
        self._answer(command, None)

    def _reject_call(self, command: Command) -> None:
        if command.transaction and self.stage is not Stage.CONNECTING:
            information: dict[str, Value] = {
                "level": "error",
                "code": "NetConnection.Call.Failed",
                "description": "There is no such command here.",
            }
            self._answer(command, None, information, name="_error")

    def _publish(self, command: Command) -> PublishRequested:
        if self.stage is Stage.PUBLISHING:
            self._refuse("NetStream.Publish.BadName", "This connection publishes already.")
        match command.arguments:
            case [_, str(name), *_]:
                # Whatever a client appends as a query is not part of the key.
                key = name.partition("?")[0]
            case _:
                key = ""
        if not key or len(key) > self._limits.stream_key_characters:
            self._refuse("NetStream.Publish.BadName", "The stream key is missing or too long.")
        self.stage = Stage.AUTHORIZING
        return PublishRequested(stream_key=StreamKey(key))

    def _play(self, _command: Command) -> None:
        self._refuse("NetStream.Play.Failed", "Nothing can be played here: this server takes publishers.")

    def _unpublish(self, _command: Command) -> Unpublished:
        self._send_status("NetStream.Unpublish.Success", "Publishing has ended.")
        self.stage = Stage.CLOSED
        return Unpublished()

    def _refuse(self, code: str, description: str) -> NoReturn:
        self.close(code, description)
        raise Refusal(code, description)

    def _answer(self, command: Command, *values: Value, name: str = "_result") -> None:
        self._send(messages.command(name, command.transaction, *values), chunk_stream_id=_COMMAND_CHUNK_STREAM)

    def _send_status(self, code: str, description: str) -> None:
        information: dict[str, Value] = {"level": _level(code), "code": code, "description": description}
        stream_id = _MESSAGE_STREAM if code.startswith("NetStream.") else 0
        self._send(
            messages.command("onStatus", 0, None, information, stream_id=stream_id),
            chunk_stream_id=_COMMAND_CHUNK_STREAM,
        )

    def _send(self, message: Message, *, chunk_stream_id: int) -> None:
        self._output += self._writer.write(message, chunk_stream_id)

    _COMMANDS: ClassVar[
        Mapping[str, tuple[AbstractSet[Stage], Callable[["ServerConnection", Command], Event | None]]]
    ] = {
        "connect": ({Stage.CONNECTING}, _connect),
        "releaseStream": (_CONNECTED_OR_PUBLISHING, _agree),
        "FCPublish": (_CONNECTED_OR_PUBLISHING, _agree),
        "createStream": (_CONNECTED_OR_PUBLISHING, _create_stream),
        "publish": (_CONNECTED_OR_PUBLISHING, _publish),
        "play": (_CONNECTED_OR_PUBLISHING, _play),
        "play2": (_CONNECTED_OR_PUBLISHING, _play),
        "FCUnpublish": (_CONNECTED_OR_PUBLISHING, _unpublish),
        "closeStream": (_CONNECTED_OR_PUBLISHING, _unpublish),
        "deleteStream": (_CONNECTED_OR_PUBLISHING, _unpublish),
    }


_TIMED_OUT: Final = {
    Stage.HANDSHAKE: "The handshake took too long.",
    Stage.CONNECTING: "Connecting took too long.",
    Stage.CONNECTED: "Publishing was not asked for in time.",
    Stage.AUTHORIZING: "The stream key could not be checked in time. Try again.",
    Stage.PUBLISHING: "No audio or video came for too long.",
    Stage.CLOSED: "The connection was closed already.",
}


def _application(value: Value) -> str | None:
    """Return the application's name without its query and slashes."""
    return value.partition("?")[0].strip("/") if isinstance(value, str) else None


def _level(code: str) -> str:
    """Return whether *code* says that all is well; encoders show an error to their user."""
    return "status" if code.endswith((".Success", ".Start")) else "error"
