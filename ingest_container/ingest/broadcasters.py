"""Broadcasters: who may publish, and what becomes of their frames."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from bucketcast.errors import BucketcastError, InvalidInput, InvalidName, NotFound, Refused, Unavailable
from bucketcast.stream.claim import LEASE
from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import RungName, StreamId
from bucketcast.stream.stream_key import key_matches, parse_stream_key
from bucketcast.stream.stream_record import StreamRecord
from bucketcast.stream_records import latest_stream_record
from ingest.encode.intake import SessionOver
from ingest.encode.opening import Opening
from ingest.encode.overload import EncoderOverloaded
from ingest.encode.session_encoder import EncoderFailed
from ingest.encode.source import Opened
from ingest.feed import CodecConfiguration, FeedItem
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.publishing import (
    KEPT_REASONS,
    CloseReason,
    PublisherConnection,
    PublishRefused,
    PublishRequest,
    RefusalReason,
)
from ingest.session import Session, Surroundings

_log = logging.getLogger(__name__)

TRY_AGAIN: Final = "Try again in a moment."
# A broadcaster whose connection sent media within this time is there, here as for every other ingest.
PRESENT_SECONDS: Final = LEASE.total_seconds()


class Broadcaster:
    """One connection of a broadcaster: its feed becomes a session, or several where one cannot go on."""

    def __init__(
        self,
        stream: StreamRecord,
        connection: PublisherConnection,
        surroundings: Surroundings,
        on_closed: Callable[["Broadcaster"], None],
    ) -> None:
        """Publish to *stream*; *on_closed* is told when nothing comes any more."""
        self._record = stream
        self._connection = connection
        self._surroundings = surroundings
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._media_at = self._loop.time()
        self._is_receiving = False
        self._metadata = SourceMetadata()
        self._configurations: dict[str, CodecConfiguration] = {}
        self._session: Session | None = None
        self._fault: InputFault | None = None  # what ended the session before
        # The last rung that was too much for the encoder, and that stays away as long as the connection lasts:
        # how much room a quicker scene leaves for it could only be guessed.
        self._shed: RungName | None = None
        self._may_pass_through = stream.configuration.pass_through
        self._opening = self._fresh_opening()

    @property
    def stream(self) -> StreamId:
        """See PublishSession.stream."""
        return self._record.stream

    @property
    def is_present(self) -> bool:
        """Whether media came a moment ago, or waits for us to take it."""
        return self._is_receiving or self._loop.time() - self._media_at < PRESENT_SECONDS

    def replace(self) -> None:
        """End the connection because its broadcaster came back over another one."""
        self._connection.close(CloseReason.REPLACED, "Another connection has taken over this stream.")

    def faults(self) -> tuple[InputFault, ...]:
        """See PublishSession.faults."""
        return self._session.faults() if self._session is not None else self._connection.faults()

    async def metadata(self, metadata: SourceMetadata) -> None:
        """See PublishSession.metadata."""
        self._metadata = metadata
        if not self._configurations:  # what comes after the media began cannot change the plan
            self._opening = self._fresh_opening()

    async def receive(self, item: FeedItem) -> None:
        """See PublishSession.receive."""
        self._media_at = self._loop.time()
        if isinstance(item, CodecConfiguration):
            self._configurations[item.track] = item
        self._is_receiving = True
        try:
            await self._take(item)
        except InvalidInput as error:
            raise PublishRefused(RefusalReason.SOURCE, str(error)) from error
        except Refused as error:
            raise PublishRefused(RefusalReason.ON_AIR, str(error)) from error
        except NotFound as error:
            raise PublishRefused(RefusalReason.KEY, str(error)) from error
        except EncoderFailed as error:
            _log.exception("session could not be encoded", extra={"stream": self.stream})
            raise PublishRefused(RefusalReason.UNAVAILABLE, "The stream cannot be encoded.") from error
        except Unavailable as error:
            _log.exception("session could not be opened", extra={"stream": self.stream})
            raise PublishRefused(RefusalReason.UNAVAILABLE, TRY_AGAIN) from error
        finally:
            self._is_receiving = False
            self._media_at = self._loop.time()

    async def close(self, reason: CloseReason) -> None:
        """See PublishSession.close."""
        self._on_closed(self)
        self._surroundings.metrics.connections_closed.labels(str(reason)).inc()
        try:
            if reason in KEPT_REASONS and (opened := self._opening.conclude()) is not None:
                self._session = await self._open(opened)
        except BucketcastError as error:
            _log.warning("short broadcast was not kept", extra={"stream": self.stream, "reason": str(error)})
        if self._session is not None:
            await self._session.finish()

    async def _open(self, opened: Opened) -> Session:
        self._opening = self._fresh_opening()  # the same frames never open a second session
        return await Session.open(
            self._record,
            opened,
            self._surroundings,
            self._over,
            connection_faults=self._connection.faults,
            fault=self._fault,
            shed=self._shed,
        )

    async def _take(self, item: FeedItem) -> None:
        try:
            if self._session is not None:
                await self._session.write(item)
            elif (opened := self._opening.add(item)) is not None:
                self._session = await self._open(opened)
        except SessionOver as over:
            await self._go_on(over, item)

    async def _go_on(self, over: SessionOver, item: FeedItem) -> None:
        """Go on with *item* after the session that is *over*."""
        _log.warning("session cannot go on", extra={"stream": self.stream, "reason": str(over)})
        session, self._session = self._session, None
        self._fault = over.fault
        # A sender that could not be passed through once would end the next session too.
        self._may_pass_through &= over.fault is not InputFault.NOT_PASSED_THROUGH
        if isinstance(over, EncoderOverloaded):
            self._shed = over.shed
        if session is not None:
            # First: what follows may refuse the new source.
            await session.finish(continues=True)
        if over.successor is None:
            self._opening = self._fresh_opening()
            self._opening.add(item)
        else:
            self._session = await self._open(over.successor)
            await self._take(item)

    def _fresh_opening(self) -> Opening:
        """An opening that knows the formats that were announced so far."""
        opening = Opening(
            self._metadata,
            pass_through=self._record.configuration if self._may_pass_through else None,
        )
        for item in self._configurations.values():
            opening.add(item)
        return opening

    def _over(self, holds: str) -> None:
        if holds == "replaced":
            self.replace()
        else:
            self._connection.close(CloseReason.ENDED, "The broadcast was ended.")


class Broadcasters:
    """Lets in who knows a stream's key, one broadcaster a stream."""

    def __init__(self, surroundings: Surroundings) -> None:
        """Use *surroundings* for every session."""
        self._surroundings = surroundings
        self._present: dict[StreamId, Broadcaster] = {}

    async def authorize(self, request: PublishRequest) -> Broadcaster:
        """See PublishHandler.authorize."""
        try:
            stream = await self._authenticate(request.stream_key.secret)
        except InvalidName as error:
            raise self._refused(RefusalReason.KEY, str(error)) from None
        except BucketcastError as error:
            _log.exception("stream key could not be checked")
            raise self._refused(RefusalReason.UNAVAILABLE, TRY_AGAIN) from error
        there = self._present.get(stream.stream)
        if there is not None:
            if there.is_present:
                text = "This stream is on air from another broadcaster: stop that one first."
                raise self._refused(RefusalReason.ON_AIR, text)
            there.replace()
        broadcaster = Broadcaster(stream, request.connection, self._surroundings, self._closed)
        self._present[stream.stream] = broadcaster
        _log.info(
            "broadcaster accepted",
            extra={"stream": stream.stream, "peer_address": request.peer_address},
        )
        return broadcaster

    async def _authenticate(self, text: str) -> StreamRecord:
        """The record of the stream whose key *text* is; raises InvalidName, never saying what was wrong."""
        key = parse_stream_key(text)
        record = await asyncio.get_running_loop().run_in_executor(
            self._surroundings.strangers, latest_stream_record, self._surroundings.ingest, key.stream
        )
        if record is None or not key_matches(key, record.key_hash):
            raise InvalidName("This stream key is not valid. Copy it again from where the stream was made.")
        return record

    def _refused(self, reason: RefusalReason, description: str) -> PublishRefused:
        self._surroundings.metrics.refused.labels(reason).inc()
        return PublishRefused(reason, description)

    def _closed(self, broadcaster: Broadcaster) -> None:
        if self._present.get(broadcaster.stream) is broadcaster:
            del self._present[broadcaster.stream]
