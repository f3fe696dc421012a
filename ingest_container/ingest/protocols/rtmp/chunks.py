"""The chunk stream (RTMP 1.0, section 5.3): messages cut into chunks, and put together again.

Set Chunk Size and Abort (5.4.1, 5.4.2) belong to this layer: the reader obeys them and passes them to nobody.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ingest.protocols.rtmp.amf0 import Octets
from ingest.protocols.rtmp.errors import ProtocolError
from ingest.protocols.rtmp.limits import RtmpLimits

DEFAULT_CHUNK_BYTES: Final = 128
TIMESTAMP_MODULUS: Final = 1 << 32

_EXTENDED: Final = 0xFFFFFF
"""In the 24-bit timestamp field: the 32-bit extended timestamp follows the header (5.3.1.3)."""
_MESSAGE_HEADER_BYTES: Final = (11, 7, 3, 0)
"""Of the four chunk types (5.3.1.2)."""
_MAX_CHUNK_STREAM_ID: Final = 65599
_MAX_ABSOLUTE_AS_DELTA: Final = 10_000
"""A type 3 header after one of type 0 takes its timestamp as the delta (5.3.1.2.4). FFmpeg writes so,
GStreamer and librtmp mean a delta of zero: above these milliseconds, which no frame lasts, they are right."""


class MessageType(IntEnum):
    """The message types of RTMP 1.0 (5.4, 7.1)."""

    SET_CHUNK_SIZE = 1
    ABORT = 2
    ACKNOWLEDGEMENT = 3
    USER_CONTROL = 4
    WINDOW_ACKNOWLEDGEMENT_SIZE = 5
    SET_PEER_BANDWIDTH = 6
    AUDIO = 8
    VIDEO = 9
    DATA_AMF3 = 15
    COMMAND_AMF3 = 17
    DATA_AMF0 = 18
    COMMAND_AMF0 = 20
    AGGREGATE = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message; *timestamp* is the 32-bit counter of milliseconds as it was sent, which wraps."""

    type_id: int
    stream_id: int
    timestamp: int
    body: Octets


class _ChunkStream:
    """What the headers of one chunk stream have said so far, and the message that is being put together."""

    __slots__ = ("body", "continuation", "delta", "extended", "length", "stream_id", "timestamp", "type_id")

    def __init__(self, chunk_stream_id: int) -> None:
        # The whole of a type 3 header, where that is one octet; no octet, where it is more.
        self.continuation = 3 << 6 | chunk_stream_id if chunk_stream_id < 64 else -1
        self.timestamp = 0
        self.delta = 0
        self.length = 0
        self.type_id = 0
        self.stream_id = 0
        self.extended: bytes | None = None
        self.body: bytearray | None = None

    def tell_time(self, value: int, *, absolute: bool) -> None:
        """Take the timestamp field of a header that begins a message."""
        if absolute:
            self.timestamp = value
            self.delta = value if value <= _MAX_ABSOLUTE_AS_DELTA else 0
        else:
            self.timestamp = (self.timestamp + value) % TIMESTAMP_MODULUS
            self.delta = value


class ChunkReader:
    """Puts messages together: `receive_data` takes bytes in, `next_message` gives what is complete.

    Holds no more than *limits* allow of messages that are not complete, and of the bytes received last.
    """

    def __init__(self, limits: RtmpLimits) -> None:
        self._limits = limits
        self._max_bytes: dict[int, int] = {
            MessageType.VIDEO: limits.video_message_bytes,
            MessageType.AGGREGATE: limits.video_message_bytes,
            MessageType.AUDIO: limits.audio_message_bytes,
        }
        self._data = b""
        self._position = 0
        self._chunk_bytes = DEFAULT_CHUNK_BYTES
        self._streams: dict[int, _ChunkStream] = {}
        # The chunk whose payload is being read, and how much of it has not come yet.
        self._stream: _ChunkStream | None = None
        self._missing = 0
        self._partial_messages = 0
        self._partial_bytes = 0
        self.media_allowed = False
        """Whether messages may be as large as media is; until then they may be as large as commands."""

    @property
    def is_between_messages(self) -> bool:
        """Whether nothing of a message has come that is not complete, and nothing waits to be read."""
        return not self._partial_messages and self._position == len(self._data)

    def receive_data(self, data: bytes) -> None:
        """Take *data* in; what it completes comes from `next_message`."""
        unread = self._data[self._position :]
        self._data = unread + data if unread else data
        self._position = 0

    def next_message(self) -> Message | None:
        """Return the next complete message, or None when more bytes are needed.

        Raises:
            ProtocolError: the bytes are not a chunk stream, or break the limits; all further ones do too.
        """
        while (stream := self._stream or self._read_header()) is not None:
            message = self._read_payload(stream)
            if message is None:
                if self._missing:
                    return None
                self._read_whole_chunks(stream)
            elif message.type_id == MessageType.SET_CHUNK_SIZE:
                self._set_chunk_size(message.body)
            elif message.type_id == MessageType.ABORT:
                self._abort(message.body)
            else:
                return message
        return None

    def _read_header(self) -> _ChunkStream | None:
        """Read one chunk's header and return its stream, or read nothing when it has not come whole."""
        data, position = self._data, self._position
        if position == len(data):
            return None
        chunk_type = data[position] >> 6
        parsed = _basic_header(data, position)
        if parsed is None:
            return None
        chunk_stream_id, position = parsed
        stream = self._streams.get(chunk_stream_id) or self._open(chunk_stream_id, chunk_type)
        end = position + _MESSAGE_HEADER_BYTES[chunk_type]
        if end > len(data):
            return None
        if chunk_type == 3:
            return self._read_type_3(stream, end)
        if stream.body is not None:
            raise ProtocolError("A message begins within another one of its chunk stream.")
        field = data[position : position + 3]
        extended = field == b"\xff\xff\xff"
        if extended:
            field = data[end : end + 4]
            end += 4
            if end > len(data):
                return None
        stream.extended = field if extended else None
        if chunk_type < 2:
            stream.length = int.from_bytes(data[position + 3 : position + 6], "big")
            stream.type_id = data[position + 6]
        self._begin_message(stream)
        stream.tell_time(int.from_bytes(field, "big"), absolute=chunk_type == 0)
        if chunk_type == 0:
            stream.stream_id = int.from_bytes(data[position + 7 : position + 11], "little")
        return self._begin_chunk(stream, end)

    def _read_type_3(self, stream: _ChunkStream, position: int) -> _ChunkStream | None:
        """Go on with a message, or begin one with the last one's header and delta (5.3.1.2.4)."""
        if stream.extended is not None:
            # FFmpeg and OBS repeat the extended timestamp in these chunks, as 5.3.1.3 says; senders that go
            # back to an old librtmp do not: theirs is told by the value.
            field = self._data[position : position + 4]
            if field == stream.extended:
                position += 4
            elif len(field) < 4 and stream.extended.startswith(field):
                return None
        if stream.body is None:
            self._begin_message(stream)
            stream.tell_time(stream.delta, absolute=False)
        return self._begin_chunk(stream, position)

    def _open(self, chunk_stream_id: int, chunk_type: int) -> _ChunkStream:
        # librtmp opens the control stream with a header of type 1: what it leaves out is zero.
        if chunk_type > 1:
            raise ProtocolError("A chunk stream begins with a header that refers to an earlier one.")
        if len(self._streams) >= self._limits.chunk_streams:
            raise ProtocolError("Too many chunk streams.")
        return self._streams.setdefault(chunk_stream_id, _ChunkStream(chunk_stream_id))

    def _begin_message(self, stream: _ChunkStream) -> None:
        limit = self._limits.command_message_bytes
        if self.media_allowed:
            limit = self._max_bytes.get(stream.type_id, limit)
        if stream.length > limit:
            raise ProtocolError(
                f"A message of type {stream.type_id} has {stream.length} bytes; {limit} are allowed."
            )
        self._partial_messages += 1
        self._partial_bytes += stream.length
        if (
            self._partial_messages > self._limits.partial_messages
            or self._partial_bytes > self._limits.partial_message_bytes
        ):
            raise ProtocolError("Too many messages are interleaved.")
        stream.body = bytearray()

    def _begin_chunk(self, stream: _ChunkStream, position: int) -> _ChunkStream:
        self._stream = stream
        assert stream.body is not None
        self._missing = min(stream.length - len(stream.body), self._chunk_bytes)
        self._position = position
        return stream

    def _read_payload(self, stream: _ChunkStream) -> Message | None:
        """Read what has come of the chunk's payload; return the message, if that was its last octet."""
        payload = self._data[self._position : self._position + self._missing]
        self._position += len(payload)
        self._missing -= len(payload)
        body = stream.body
        assert body is not None
        body += payload
        if self._missing:
            return None
        self._stream = None
        if len(body) < stream.length:
            return None
        self._discard(stream)
        return Message(
            type_id=stream.type_id, stream_id=stream.stream_id, timestamp=stream.timestamp, body=body
        )

    def _read_whole_chunks(self, stream: _ChunkStream) -> None:
        """Read the chunks that go on with the same message and have come whole.

        All of it could be left to `_read_header`; librtmp cuts a stream of 6 Mb/s into 6,000 chunks a second.
        """
        body = stream.body
        assert body is not None
        if stream.extended is not None:
            return
        data, position, size = self._data, self._position, self._chunk_bytes
        come_whole = (len(data) - position) // (1 + size)
        before_the_last = (stream.length - len(body) - 1) // size
        for _ in range(min(come_whole, before_the_last)):
            if data[position] != stream.continuation:
                break
            body += data[position + 1 : position + 1 + size]
            position += 1 + size
        self._position = position

    def _discard(self, stream: _ChunkStream) -> None:
        self._partial_messages -= 1
        self._partial_bytes -= stream.length
        stream.body = None

    def _set_chunk_size(self, body: Octets) -> None:
        size = int.from_bytes(body, "big")
        if len(body) != 4 or size < self._limits.min_chunk_bytes:
            raise ProtocolError("The chunk size that was set is not allowed.")
        self._chunk_bytes = min(size, self._limits.max_chunk_bytes)

    def _abort(self, body: Octets) -> None:
        if len(body) != 4:
            raise ProtocolError("An abort message names no chunk stream.")
        stream = self._streams.get(int.from_bytes(body, "big"))
        if stream is not None and stream.body is not None:
            self._discard(stream)


class ChunkWriter:
    """Cuts messages into chunks, with the shortest header that says what changed since the last message.

    *repeat_extended_timestamp* is what 5.3.1.3 asks for; False writes as librtmp's older relatives do.
    """

    def __init__(self, *, repeat_extended_timestamp: bool = True) -> None:
        self._chunk_bytes = DEFAULT_CHUNK_BYTES
        self._repeat = repeat_extended_timestamp
        self._streams: dict[int, _ChunkStream] = {}

    def write(self, message: Message, chunk_stream_id: int) -> bytes:
        """Return *message* in chunks of *chunk_stream_id*; a Set Chunk Size is obeyed from the next one on."""
        return b"".join(self.chunks(message, chunk_stream_id))

    def chunks(self, message: Message, chunk_stream_id: int) -> list[bytes]:
        """Return the chunks of `write` one by one, so that others can be put between them."""
        if not 2 <= chunk_stream_id <= _MAX_CHUNK_STREAM_ID:
            raise ValueError("no such chunk stream id")
        chunk_type, header, extended = self._header(message, chunk_stream_id)
        body = message.body
        chunks = [_encode_basic_header(chunk_type, chunk_stream_id) + header + extended]
        chunks[0] += body[: self._chunk_bytes]
        continuation = _encode_basic_header(3, chunk_stream_id) + (extended if self._repeat else b"")
        starts = range(self._chunk_bytes, len(body), self._chunk_bytes)
        chunks.extend(continuation + body[start : start + self._chunk_bytes] for start in starts)
        if message.type_id == MessageType.SET_CHUNK_SIZE:
            self._chunk_bytes = int.from_bytes(body, "big")
        return chunks

    def _header(self, message: Message, chunk_stream_id: int) -> tuple[int, bytes, bytes]:
        last = self._streams.get(chunk_stream_id)
        stream = _ChunkStream(chunk_stream_id)
        stream.timestamp = message.timestamp
        stream.length = len(message.body)
        stream.type_id = message.type_id
        stream.stream_id = message.stream_id
        self._streams[chunk_stream_id] = stream
        # A timestamp that went back has no delta, save one that wraps.
        forward = (message.timestamp - (last.timestamp if last else 0)) % TIMESTAMP_MODULUS
        if last is None or last.stream_id != stream.stream_id or forward >= 1 << 31:
            chunk_type, field = 0, message.timestamp
            # Readers differ in the delta that they take from a header of type 0: none is to be repeated.
            stream.delta = -1
        else:
            field = stream.delta = forward
            same = last.length == stream.length and last.type_id == stream.type_id
            chunk_type = 1 if not same else 2 if last.delta != forward else 3
        header, extended = b"", b""
        if field >= _EXTENDED:
            extended = field.to_bytes(4, "big")
        if chunk_type < 3:
            header = min(field, _EXTENDED).to_bytes(3, "big")
        if chunk_type < 2:
            header += stream.length.to_bytes(3, "big") + bytes((stream.type_id,))
        if chunk_type == 0:
            header += stream.stream_id.to_bytes(4, "little")
        if chunk_type == 3 and not self._repeat:
            return chunk_type, header, b""
        return chunk_type, header, extended


def _basic_header(data: bytes, position: int) -> tuple[int, int] | None:
    """Return the chunk stream id and where the message header begins, or None if bytes lack (5.3.1.1)."""
    small = data[position] & 0x3F
    if small > 1:
        return small, position + 1
    end = position + 2 + small
    if end > len(data):
        return None
    return 64 + int.from_bytes(data[position + 1 : end], "little"), end


def _encode_basic_header(chunk_type: int, chunk_stream_id: int) -> bytes:
    first = chunk_type << 6
    if chunk_stream_id < 64:
        return bytes((first | chunk_stream_id,))
    if chunk_stream_id < 64 + 256:
        return bytes((first, chunk_stream_id - 64))
    return bytes((first | 1,)) + (chunk_stream_id - 64).to_bytes(2, "little")
