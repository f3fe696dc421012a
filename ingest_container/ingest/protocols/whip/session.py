"""One publisher's session: its transport, its media, and the PublishSession that takes it."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress

from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import StreamId
from ingest.feed import EncodedFrame, FeedItem, Track
from ingest.protocols.publishing import KEPT_REASONS, CloseReason, PublishRefused, PublishSession
from ingest.protocols.whip.ice_lite import Credentials
from ingest.protocols.whip.limits import WhipLimits
from ingest.protocols.whip.media import MediaReceiver, TrackStatistics
from ingest.protocols.whip.secure_transport import Datagrams, SecureTransport
from ingest.protocols.whip.session_status import SessionState, SessionStatus
from ingest.protocols.whip.udp import Peer, UdpEndpoint
from ingest.protocols.whip.waiting_items import WaitingItems

_log = logging.getLogger(__name__)

# Feedback is due within tens of milliseconds: a lost packet has to be asked for before its frame is.
_POLL_SECONDS = 0.02


class WhipSession:
    """Serves one publisher with `serve`; is the `PublisherConnection` of its PublishSession."""

    def __init__(
        self,
        *,
        session_id: str,
        credentials: Credentials,
        endpoint: UdpEndpoint,
        peer_address: str,
        is_dtls_server: bool,
        limits: WhipLimits,
    ) -> None:
        """Make the session's side of the transport; nothing is received before `serve`."""
        self.session_id = session_id
        self.peer_address = peer_address
        self.peer = Peer(credentials, self._received)
        self._endpoint = endpoint
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._datagrams = Datagrams(self.peer.send)
        self._transport = SecureTransport(
            self._datagrams,
            is_server=is_dtls_server,
            on_rtp=self._rtp,
            on_rtcp=self._rtcp,
            on_closed=lambda: self._end(CloseReason.DISCONNECTED, "The publisher closed the connection."),
        )
        self._items = WaitingItems(max_bytes=limits.queued_bytes, max_items=limits.queued_items)
        self._ended: asyncio.Future[CloseReason] = self._loop.create_future()
        self._media_at = self._connected_at = self._loop.time()
        self._has_pictures = False
        self._media: MediaReceiver | None = None
        self._publishing: PublishSession | None = None
        self._state = SessionState.CONNECTING
        self._detail = ""

    @property
    def fingerprint(self) -> str:
        """Our certificate's fingerprint, for the answer."""
        return self._transport.fingerprint

    @property
    def stream(self) -> StreamId | None:
        """The stream that is published to."""
        return self._publishing.stream if self._publishing else None

    @property
    def state(self) -> SessionState:
        """How far it has come."""
        return self._state

    @property
    def status(self) -> SessionStatus | None:
        """What the publisher may know, once it publishes."""
        if self._publishing is None:
            return None
        faults = self._publishing.faults()
        return SessionStatus(
            stream=self._publishing.stream,
            state=self._state,
            faults=faults,
            reason=self._ended.result() if self._ended.done() else None,
            detail=self._detail,
        )

    @property
    def statistics(self) -> tuple[TrackStatistics, ...]:
        """What came so far, by track."""
        return self._media.statistics if self._media else ()

    @property
    def datagrams_dropped(self) -> int:
        """How many came faster than they were read."""
        return self._datagrams.dropped

    @property
    def datagrams_malformed(self) -> int:
        """How many were decrypted, and are neither RTP of the tracks that were agreed upon nor RTCP."""
        return self._media.malformed if self._media else 0

    @property
    def frames_not_taken(self) -> int:
        """How many came faster than the session behind takes them."""
        return self._items.dropped

    def faults(self) -> tuple[InputFault, ...]:
        """What its packets show; see `PublisherConnection`."""
        return self._media.faults() if self._media else ()

    def close(self, reason: CloseReason, description: str) -> None:
        """End the session; see `PublisherConnection`. WebRTC has no words for *description*: it is logged."""
        self._end(reason, description)

    async def serve(
        self, publishing: PublishSession, media: MediaReceiver, fingerprints: Sequence[tuple[str, str]]
    ) -> None:
        """Receive *media* from the peer with *fingerprints* for *publishing*, until either side ends it."""
        self._publishing, self._media = publishing, media
        self._endpoint.add(self.peer)
        reason = CloseReason.SHUTTING_DOWN
        try:
            reason = await self._until_ended(fingerprints)
        finally:
            self._state = SessionState.ENDED
            self._endpoint.remove(self.peer)
            try:
                await self._transport.close()
            finally:
                await self._close_publishing(publishing, reason)

    async def _until_ended(self, fingerprints: Sequence[tuple[str, str]]) -> CloseReason:
        receiving = asyncio.create_task(self._receive(fingerprints), name="whip-receive")
        polling = asyncio.create_task(self._poll(), name="whip-poll")
        for task in (receiving, polling):
            task.add_done_callback(self._task_ended)
        try:
            reason = await self._ended
            polling.cancel()
            if self._state is not SessionState.CONNECTING:
                await self._finish(receiving, reason)
            return reason
        finally:
            receiving.cancel()
            polling.cancel()
            await asyncio.wait([receiving, polling])

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End this session for a fault of ours: it must not end the others."""
        _log.error("WHIP session failed", exc_info=error, extra={"session_id": self.session_id})
        self._end(CloseReason.SESSION_FAILED, "Something went wrong here.")

    async def _finish(self, receiving: asyncio.Task[None], reason: CloseReason) -> None:
        """Hand on what is still on its way, or waits, if it is kept; let whoever takes it come to an end."""
        assert self._media is not None
        kept = reason in KEPT_REASONS
        if kept:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.rest_seconds):
                    await self._until_quiet()
            self._take(self._media.flush())
        self._items.end(drop=not kept)
        await asyncio.wait([receiving], timeout=self._limits.finish_seconds)

    async def _until_quiet(self) -> None:
        while (left := self._media_at + self._limits.quiet_seconds - self._loop.time()) > 0:  # noqa: ASYNC110 - for nothing to happen
            await asyncio.sleep(left)

    async def _receive(self, fingerprints: Sequence[tuple[str, str]]) -> None:
        """Connect, and hand on what comes."""
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                await self.peer.reached.wait()  # as the DTLS client, we are the first to send
                connected = await self._transport.connect(fingerprints)
        except TimeoutError:
            text = "No connection came about: UDP is blocked, or the announced address cannot be reached."
            self._end(CloseReason.TIMED_OUT, text)
            return
        if not connected:
            self._end(CloseReason.PROTOCOL_ERROR, "The DTLS handshake failed.")
            return
        self._state, self._media_at = SessionState.WAITING, self._loop.time()
        self._connected_at = self._media_at
        assert self._publishing is not None
        try:
            while (item := await self._items.get()) is not None:
                await self._publishing.receive(item)
        except PublishRefused as refused:
            self._end(CloseReason.REFUSED, refused.description)

    async def _poll(self) -> None:
        """Send feedback, hand on what was waited for in vain, and notice silence."""
        assert self._media is not None
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            now = self._loop.time()
            if self._state is SessionState.CONNECTING:
                continue
            if now - self._media_at > self._limits.idle_media_seconds:
                self._end(CloseReason.TIMED_OUT, "No media came.")
                return
            if not self._has_pictures and now - self._connected_at > self._limits.picture_seconds:
                self._end(
                    CloseReason.REFUSED, "No picture came, or none that is a keyframe: set its interval to 2 s."
                )
                return
            poll = self._media.poll(now=now)
            self._take(poll.items)
            try:
                for packet in poll.rtcp:
                    await self._transport.send_rtcp(packet)
            except ConnectionError:
                return  # it is closed: whoever closed it said so

    def _received(self, datagram: bytes) -> None:
        self._datagrams.put(datagram)

    def _rtp(self, packet: bytes) -> None:
        assert self._media is not None
        self._media_at = self._loop.time()
        self._state = SessionState.LIVE
        try:
            self._take(self._media.receive_rtp(packet, arrived=self._media_at))
        except Exception as error:  # noqa: BLE001 - aiortc would take it for the peer's goodbye
            self._fail(error)

    def _rtcp(self, packet: bytes) -> None:
        assert self._media is not None
        try:
            self._media.receive_rtcp(packet, arrived=self._loop.time())
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)
        if self._media.has_ended:
            self._end(CloseReason.DISCONNECTED, "The publisher said goodbye.")

    def _take(self, items: Iterable[FeedItem]) -> None:
        for item in items:
            self._has_pictures |= isinstance(item, EncodedFrame) and item.track is Track.VIDEO
            self._items.put(item)

    def _end(self, reason: CloseReason, description: str) -> None:
        if self._ended.done():
            return
        self._ended.set_result(reason)
        self._detail = description
        _log.info(
            "WHIP session ended",
            extra={
                "session_id": self.session_id,
                "peer_address": self.peer_address,
                "stream": self.stream,
                "reason": reason.value,
                "detail": description,
            },
        )

    async def _close_publishing(self, publishing: PublishSession, reason: CloseReason) -> None:
        try:
            await publishing.close(reason)
        except Exception:  # noqa: BLE001 - it must not end the others
            _log.exception("WHIP session failed to close", extra={"session_id": self.session_id})
