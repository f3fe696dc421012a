"""What a server hands its publishers to in tests: sessions that remember."""

import asyncio
from collections.abc import Callable

from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import parse_stream_id
from ingest.feed.frames import EncodedFrame, FeedItem
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.publishing import CloseReason, PublishRefused, PublishRequest, RefusalReason

KEY = "stream-key-of-tests"


class RecordingSession:
    """Remembers what it was given; *on_item* may look at each item, and wait or raise."""

    stream = parse_stream_id("demo")

    def __init__(self, on_item: Callable[[FeedItem], object] | None = None) -> None:
        self.items: list[FeedItem] = []
        self.said: list[SourceMetadata] = []
        self.reasons: list[CloseReason] = []
        self.gate = asyncio.Event()
        """Clear it, and the session takes nothing until it is set again."""
        self.gate.set()
        self.began = asyncio.Event()
        self.closed = asyncio.Event()
        self._on_item = on_item

    @property
    def frames(self) -> list[EncodedFrame]:
        """The frames among the items."""
        return [item for item in self.items if isinstance(item, EncodedFrame)]

    def faults(self) -> tuple[InputFault, ...]:
        """None."""
        return ()

    async def receive(self, item: FeedItem) -> None:
        """Remember *item*, when the gate is open."""
        self.began.set()
        await self.gate.wait()
        self.items.append(item)
        if self._on_item is not None:
            self._on_item(item)

    async def metadata(self, metadata: SourceMetadata) -> None:
        """Remember *metadata*."""
        self.said.append(metadata)

    async def close(self, reason: CloseReason) -> None:
        """Remember *reason*."""
        self.reasons.append(reason)
        self.closed.set()


class RecordingHandler:
    """Lets publishers with `KEY` in, and nobody else."""

    def __init__(self, on_item: Callable[[FeedItem], object] | None = None) -> None:
        self.requests: list[PublishRequest] = []
        self.sessions: list[RecordingSession] = []
        self._on_item = on_item

    async def authorize(self, request: PublishRequest) -> RecordingSession:
        """Open a session for a publisher who knows the key."""
        if request.stream_key.secret != KEY:
            raise PublishRefused(RefusalReason.KEY, "The stream key is wrong.")
        self.requests.append(request)
        self.sessions.append(RecordingSession(self._on_item))
        return self.sessions[-1]
