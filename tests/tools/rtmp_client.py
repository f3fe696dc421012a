"""A publisher for tests: sends a ready-made list of feed items as OBS would send them."""

import asyncio
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from ingest.feed.frames import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track
from ingest.protocols.rtmp import messages
from ingest.protocols.rtmp.amf0 import EcmaArray, Value
from ingest.protocols.rtmp.chunks import TIMESTAMP_MODULUS, ChunkReader, ChunkWriter, Message, MessageType
from ingest.protocols.rtmp.handshake import PACKET_BYTES, VERSION
from ingest.protocols.rtmp.limits import RtmpLimits
from ingest.protocols.rtmp.messages import Command, UserControlType

_CONTROL, _COMMANDS, _MEDIA = 2, 3, 4
_LIMITS: Final = RtmpLimits()
_READ_BYTES: Final = 65536
_MILLISECOND: Final = timedelta(milliseconds=1)


class PublishFailed(Exception):
    """The server refused with the status *code*, or closed the connection (*code* is empty)."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


class RtmpPublisher:
    """One connection that publishes. Leaving the context closes it, whether it was unpublished or not."""

    def __init__(self, *, chunk_bytes: int = 4096, window_bytes: int | None = 2_500_000) -> None:
        self.acknowledged_bytes = 0
        self._chunk_bytes = chunk_bytes
        self._window_bytes = window_bytes
        self._chunks = ChunkReader(_LIMITS)
        self._writer = ChunkWriter()
        self._time = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        with suppress(OSError):
            await self._stream.wait_closed()

    async def publish(self, address: tuple[str, int], key: str, *, app: str = "live") -> None:
        """Go as far as ``NetStream.Publish.Start``.

        Raises:
            PublishFailed: the server has something against it.
        """
        host, port = address
        self._answers, self._stream = await asyncio.open_connection(host, port)
        self._stream.write(bytes((VERSION,)) + bytes(PACKET_BYTES))
        answer = await self._answers.readexactly(1 + 2 * PACKET_BYTES)
        self._stream.write(answer[1 : 1 + PACKET_BYTES])
        self.send(messages.set_chunk_size(self._chunk_bytes), _CONTROL)
        url = f"rtmp://{host}:{port}/{app}"
        properties: dict[str, Value] = {"app": app, "type": "nonprivate", "flashVer": "FMLE/3.0", "tcUrl": url}
        self.send(messages.command("connect", 1, properties), _COMMANDS)
        await self._answer("_result", transaction=1)
        if self._window_bytes is not None:
            self.send(messages.window_acknowledgement_size(self._window_bytes), _CONTROL)
        self.send(messages.command("releaseStream", 2, None, key), _COMMANDS)
        self.send(messages.command("FCPublish", 3, None, key), _COMMANDS)
        self.send(messages.command("createStream", 4, None), _COMMANDS)
        await self._answer("_result", transaction=4)
        self.send(messages.command("publish", 5, None, key, "live", stream_id=1), _COMMANDS)
        await self._answer("onStatus", transaction=0)

    def send_metadata(self, **properties: Value) -> None:
        """Send onMetaData."""
        body = EcmaArray(properties)
        self.send(messages.data("@setDataFrame", "onMetaData", body, stream_id=1), _MEDIA)

    async def send_item(self, item: FeedItem) -> None:
        """Send *item*; a configuration goes at the time of the frame before it.

        Raises:
            PublishFailed: the server has closed the connection.
        """
        if isinstance(item, EncodedFrame):
            self._time = item.decode_time // _MILLISECOND
        type_id = MessageType.VIDEO if item.track is Track.VIDEO else MessageType.AUDIO
        self.send(_media(type_id, flv_body(item), self._time % TIMESTAMP_MODULUS), _MEDIA)
        try:
            await self._stream.drain()
        except OSError:
            await self.wait_until_closed()

    async def unpublish(self) -> None:
        """Say that publishing has ended, and wait until the server has taken everything."""
        self.send(messages.command("FCUnpublish", 6, None, ""), _COMMANDS)
        self.send(messages.command("deleteStream", 7, None, 1.0), _COMMANDS)
        await self._answer("onStatus", transaction=0)

    async def wait_until_closed(self) -> None:
        """Read until the server refuses or closes, which is what is raised.

        Raises:
            PublishFailed: always.
        """
        while True:
            await self._answer("onStatus", transaction=0)

    async def wait_until_acknowledged(self) -> None:
        """Read until `acknowledged_bytes` is more than it was.

        Raises:
            PublishFailed: the server has closed the connection.
        """
        before = self.acknowledged_bytes
        while self.acknowledged_bytes == before:
            await self._next_message()

    def reset(self) -> None:
        """Close the connection as a peer does that crashed: what it has not read or sent is lost."""
        self._stream.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self._stream.transport.abort()

    def send(self, message: Message, chunk_stream_id: int) -> None:
        """Send any *message*."""
        self._stream.write(self._writer.write(message, chunk_stream_id))

    async def _answer(self, name: str, *, transaction: float) -> None:
        while True:
            command = await self._next_command()
            for value in command.arguments:
                if isinstance(value, dict) and value.get("level") == "error":
                    raise PublishFailed(str(value["code"]), str(value["description"]))
            if command.name == name and command.transaction == transaction:
                return

    async def _next_command(self) -> Command:
        while True:
            parsed = messages.parse(await self._next_message(), _LIMITS)
            if isinstance(parsed, Command):
                return parsed

    async def _next_message(self) -> Message:
        while (message := self._chunks.next_message()) is None:
            try:
                received = await self._answers.read(_READ_BYTES)
            except OSError as error:
                raise PublishFailed("", str(error)) from error
            if not received:
                raise PublishFailed("", "the server closed the connection")
            self._chunks.receive_data(received)
        if message.type_id == MessageType.ACKNOWLEDGEMENT:
            self.acknowledged_bytes = int.from_bytes(message.body, "big")
        return message


async def publish(
    address: tuple[str, int], key: str, items: Iterable[FeedItem], *, real_time: bool = False
) -> None:
    """Publish *items* in order, unpublish and close: as fast as the server takes them, or in *real_time*.

    Raises:
        PublishFailed: the server refused, or closed the connection.
    """
    loop = asyncio.get_running_loop()
    async with RtmpPublisher() as publisher:
        await publisher.publish(address, key)
        began = loop.time()
        for item in items:
            if real_time and isinstance(item, EncodedFrame):
                await asyncio.sleep(began + item.decode_time.total_seconds() - loop.time())
            await publisher.send_item(item)
        await publisher.unpublish()


def recorded_publication(key: str, *, chunk_bytes: int = 512) -> bytes:
    """Return all that a publisher sends from C0 to deleteStream, as if it were told what it waits for."""
    writer = ChunkWriter()
    video = b"\x27\x01\x00\x00\x00" + bytes(300)
    commands = [
        messages.set_chunk_size(chunk_bytes),
        messages.command("connect", 1, {"app": "live", "tcUrl": "rtmp://host/live"}),
        messages.window_acknowledgement_size(2_000),
        messages.command("releaseStream", 2, None, key),
        messages.command("createStream", 4, None),
        messages.command("publish", 5, None, key, "live", stream_id=1),
    ]
    media = [
        messages.data("@setDataFrame", "onMetaData", EcmaArray(width=640.0), stream_id=1),
        _media(MessageType.VIDEO, bytes.fromhex("17000000000142c01effe10000"), 0),
        _media(MessageType.AUDIO, b"\xaf\x00\x12\x10", 0),
        # Into the extended timestamps.
        *(_media(MessageType.VIDEO, video, 0xFFFFF0 + 40 * number) for number in range(10)),
        *(_media(MessageType.AUDIO, b"\xaf\x01" + bytes(20), 0xFFFFF0 + 23 * number) for number in range(10)),
    ]
    end = [
        messages.user_control(UserControlType.PING_REQUEST, bytes(4)),
        messages.command("deleteStream", 7, None, 1.0),
    ]
    sent = b"".join(writer.write(message, 2 + message.type_id) for message in commands + media + end)
    return bytes((VERSION,)) + bytes(2 * PACKET_BYTES) + sent


def flv_body(item: FeedItem) -> bytes:
    """Return *item* as the body of an audio or video message."""
    if isinstance(item, CodecConfiguration):
        header = b"\xaf\x00" if isinstance(item.codec, AudioCodec) else b"\x17\x00\x00\x00\x00"
        return header + item.data
    if item.track is Track.AUDIO:
        return b"\xaf\x01" + item.data
    composition_time = (item.presentation_time - item.decode_time) // _MILLISECOND
    first = 0x17 if item.keyframe else 0x27
    return bytes((first, 1)) + composition_time.to_bytes(3, "big", signed=True) + item.data


def _media(type_id: MessageType, body: bytes, timestamp: int) -> Message:
    return Message(type_id=type_id, stream_id=1, timestamp=timestamp, body=body)
