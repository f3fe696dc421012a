"""One accepted socket: reads it, keeps its time, and carries events to the handler and the session."""

import asyncio
import logging
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from bucketcast.stream.encoder_report import InputFault
from ingest.feed.frames import EncodedFrame, FeedItem, Track
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.publishing import (
    CloseReason,
    PublishHandler,
    PublishRefused,
    PublishRequest,
    PublishSession,
)
from ingest.protocols.rtmp import statuses
from ingest.protocols.rtmp.connection import PublishRequested, ServerConnection, Stage, Unpublished
from ingest.protocols.rtmp.errors import ProtocolError, Refusal, RtmpError, UnsupportedCodec
from ingest.protocols.rtmp.handshake import RANDOM_BYTES
from ingest.protocols.rtmp.limits import RtmpLimits
from ingest.protocols.rtmp.socket_reader import DeadlinePassed, SocketReader
from ingest.protocols.rtmp.wake_size import WakeSize

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a connection ended: *detail* is what the peer was told."""

    reason: CloseReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _CloseRequest:
    reason: CloseReason
    description: str


class Publisher:
    """Serves one connection with `run`; is the `PublisherConnection` of its session."""

    def __init__(
        self, connected: socket.socket, peer_address: str, handler: PublishHandler, limits: RtmpLimits
    ) -> None:
        """Take over *connected*, which does not block."""
        self.peer_address = peer_address
        self._socket = connected
        self._reader = SocketReader(connected, piece_bytes=limits.read_bytes)
        self._handler = handler
        self._limits = limits
        self._connection = ServerConnection(limits=limits, random=os.urandom(RANDOM_BYTES))
        self._session: PublishSession | None = None
        self._loop = asyncio.get_running_loop()
        self._accepted_at = self._last_frame_at = self._loop.time()
        self._first_frame_at: float | None = None
        self._first_decode_time = self._last_decode_time = timedelta()
        self._wake_size = WakeSize()
        self._writable = True
        self._said_goodbye = False
        # Never due by itself: `close` makes it due, and so interrupts whatever is being awaited.
        self._interrupt = asyncio.timeout(None)
        self._interruptible = False
        self._close_request: _CloseRequest | None = None

    @property
    def published(self) -> bool:
        """Whether a session was opened."""
        return self._session is not None

    def faults(self) -> tuple[InputFault, ...]:
        """None: TCP loses nothing, and frames come with both of their times."""
        return ()

    def close(self, reason: CloseReason, description: str) -> None:
        """End the connection; see `PublisherConnection`."""
        if self._close_request is None:
            self._close_request = _CloseRequest(reason, description)
            if self._interruptible:
                self._interrupt.reschedule(self._loop.time())

    async def run(self) -> None:
        """Serve until either side ends it; then the session is closed and the socket is."""
        ending = _Ending(CloseReason.SHUTTING_DOWN)
        try:
            ending = await self._serve()
            await self._say_goodbye()
        finally:
            try:
                await self._close_session(ending)
                if self._said_goodbye:
                    await self._linger()
            finally:
                self._reader.close()
                self._socket.close()

    async def _serve(self) -> _Ending:
        try:
            async with self._interrupt:
                self._interruptible = True
                try:
                    return await self._converse()
                finally:
                    self._interruptible = False
        except PublishRefused as refused:
            code = statuses.REFUSED[refused.reason]
            self._connection.close(code, refused.description)
            return _Ending(CloseReason.REFUSED, f"{code}: {refused.description}")
        except Refusal as refusal:
            self._connection.close(refusal.code, refusal.description)
            is_codec = isinstance(refusal, UnsupportedCodec)
            return _Ending(CloseReason.REFUSED_CODEC if is_codec else CloseReason.REFUSED, str(refusal))
        except ProtocolError as error:
            self._connection.fail(error.description)
            return _Ending(CloseReason.PROTOCOL_ERROR, error.description)
        except DeadlinePassed:
            return _Ending(CloseReason.TIMED_OUT, self._connection.time_out())
        except OSError:
            # A TimeoutError is one too: that of the interrupt, or the kernel's for a peer that is gone.
            return self._end_as_requested() or _Ending(CloseReason.DISCONNECTED)

    def _end_as_requested(self) -> _Ending | None:
        request = self._close_request
        if request is None:
            return None
        self._connection.close(statuses.close_code(request.reason), request.description)
        return _Ending(request.reason, request.description)

    async def _converse(self) -> _Ending:
        # A request from before the first wait, or from a session that swallowed the interrupt, is seen here.
        while (requested := self._end_as_requested()) is None:
            data = await self._receive()
            if not data:
                return _Ending(CloseReason.DISCONNECTED)
            self._connection.receive_data(data)
            if (ending := await self._carry_events()) is not None:
                return ending
            if self._connection.acknowledgement_due and not self._is_ahead():
                self._connection.acknowledge()
            await self._send()
            # Of a message that has begun, not a byte waits.
            self._reader.wait_for(self._wake_size.bytes if self._connection.is_between_messages else 1)
        return requested

    async def _carry_events(self) -> _Ending | None:
        """Carry what happened to the handler or the session; return how the connection ends, if it does."""
        try:
            while (event := self._connection.next_event()) is not None:
                if isinstance(event, Unpublished):
                    return _Ending(CloseReason.UNPUBLISHED)
                await self._carry(event)
        except (RtmpError, PublishRefused, DeadlinePassed):
            raise
        except Exception:
            # Whatever goes wrong behind this connection must not end the others.
            logger.exception("RTMP session failed", extra={"peer_address": self.peer_address})
            description = "Something went wrong here. Try again."
            self._connection.close("NetStream.Failed", description)
            return _Ending(CloseReason.SESSION_FAILED, description)
        return None

    def _is_ahead(self) -> bool:
        """Whether the publisher sends, or has sent, faster than real time.

        Such a one may have closed already, with the rest still on its way: a byte sent to it now would reset
        the connection and destroy that. So it gets its acknowledgement when it falls silent.
        """
        if self._first_frame_at is not None:
            elapsed = self._loop.time() - self._first_frame_at
            media_time = self._last_decode_time - self._first_decode_time
            if media_time.total_seconds() > elapsed + self._limits.ahead_seconds:
                return True
        return self._reader.has_more

    async def _receive(self) -> bytes:
        """Return what the peer sent next; b"" when it has ended."""
        deadline = self._deadline
        if self._connection.acknowledgement_due:
            silence = self._loop.time() + self._limits.acknowledgement_seconds
            with suppress(DeadlinePassed):
                return await self._reader.read(min(silence, deadline))
            self._connection.acknowledge()
            await self._send()
        return await self._reader.read(deadline)

    @property
    def _deadline(self) -> float:
        """When the peer must have sent something."""
        match self._connection.stage:
            case Stage.HANDSHAKE:
                return self._accepted_at + self._limits.handshake_seconds
            case Stage.PUBLISHING:
                return self._last_frame_at + self._limits.idle_media_seconds
            case _:
                return self._publish_deadline

    @property
    def _publish_deadline(self) -> float:
        return self._accepted_at + self._limits.publish_seconds

    async def _carry(self, event: PublishRequested | SourceMetadata | FeedItem) -> None:
        if isinstance(event, PublishRequested):
            await self._authorize(event)
            return
        assert self._session is not None
        began = self._loop.time()
        if isinstance(event, SourceMetadata):
            await self._session.metadata(event)
        else:
            await self._session.receive(event)
        # What the session took is not the peer's time.
        self._last_frame_at += self._loop.time() - began
        if isinstance(event, EncodedFrame):
            self._note_frame(event)

    def _note_frame(self, frame: EncodedFrame) -> None:
        self._last_frame_at = self._loop.time()
        self._last_decode_time = frame.decode_time
        if self._first_frame_at is None:
            self._first_frame_at = self._last_frame_at
            self._first_decode_time = frame.decode_time
        if frame.track is Track.VIDEO:
            self._wake_size.note_picture(len(frame.data))

    async def _authorize(self, requested: PublishRequested) -> None:
        await self._send()
        request = PublishRequest(
            stream_key=requested.stream_key,
            peer_address=self.peer_address,
            connection=self,
        )
        scope = asyncio.timeout_at(self._publish_deadline)
        try:
            async with scope:
                self._session = await self._handler.authorize(request)
        except TimeoutError:
            if scope.expired():
                raise DeadlinePassed from None
            raise
        self._last_frame_at = self._loop.time()
        self._connection.accept_publish()
        await self._send()
        logger.info("RTMP publish accepted", extra={"peer_address": self.peer_address})

    async def _send(self) -> bool:
        """Send what there is to send; return whether there was and it went.

        A peer that does not take it is read from until it has ended: a publisher that closes with unread
        answers has its connection reset, but what it sent before that is in the kernel's buffer still.
        """
        data = self._connection.data_to_send()
        if not data or not self._writable:
            return False
        try:
            async with asyncio.timeout(self._limits.write_seconds):
                await self._loop.sock_sendall(self._socket, data)
        except OSError:
            self._writable = False
        return self._writable

    async def _say_goodbye(self) -> None:
        self._said_goodbye = await self._send()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    async def _linger(self) -> None:
        """Wait until the peer has read the last answer and closed: see `RtmpLimits.linger_seconds`."""
        deadline = self._loop.time() + self._limits.linger_seconds
        with suppress(OSError, DeadlinePassed):
            while await self._reader.read(deadline):
                pass

    async def _close_session(self, ending: _Ending) -> None:
        logger.info(
            "RTMP connection ended",
            extra={
                "peer_address": self.peer_address,
                "reason": ending.reason.value,
                "detail": ending.detail,
                "published": self.published,
            },
        )
        if self._session is None:
            return
        try:
            await self._session.close(ending.reason)
        except Exception:
            logger.exception("RTMP session failed to close", extra={"peer_address": self.peer_address})
