"""What every protocol asks of the rest of the ingest, and tells it, about one publisher."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import StreamId
from ingest.feed.frames import FeedItem
from ingest.feed.source_metadata import SourceMetadata


@dataclass(frozen=True, slots=True, repr=False)
class StreamKey:
    """What a publisher publishes with: a secret, which neither `str` nor `repr` shows."""

    secret: str

    def __repr__(self) -> str:
        return "StreamKey(***)"


class RefusalReason(StrEnum):
    """Why a publisher may not publish, or not any more; each protocol has its own status for it."""

    KEY = "key"  # it is nobody's, or its stream is gone: trying again is no use
    ON_AIR = "on air"  # another publisher is there
    SOURCE = "source"  # what it sends cannot be encoded: its settings are to be changed
    UNAVAILABLE = "unavailable"  # the fault is here: later it may go


class PublishRefused(Exception):
    """A publisher is not let in, or no longer; *description* is one sentence for the person who publishes.

    It may be shown to the peer and written to a log: it never holds a stream key.
    """

    def __init__(self, reason: RefusalReason, description: str) -> None:
        super().__init__(description)
        self.reason = reason
        self.description = description


class CloseReason(StrEnum):
    """Why a session ended."""

    UNPUBLISHED = "unpublished"
    DISCONNECTED = "disconnected"
    TIMED_OUT = "timed out"
    PROTOCOL_ERROR = "protocol error"
    REFUSED_CODEC = "refused codec"
    REFUSED = "refused"
    REPLACED = "replaced"
    ENDED = "ended"
    SESSION_FAILED = "session failed"
    SHUTTING_DOWN = "shutting down"


# A broadcast that is too short to have begun is kept all the same, and what has come of any is handed on to its
# end, unless its publisher was sent away.
KEPT_REASONS: Final = frozenset(
    {CloseReason.UNPUBLISHED, CloseReason.DISCONNECTED, CloseReason.TIMED_OUT, CloseReason.SHUTTING_DOWN}
)


class PublisherConnection(Protocol):
    """What a session may ask of its connection."""

    def faults(self) -> tuple[InputFault, ...]:
        """What is wrong with the input now that no frame shows, but the way in which it comes."""

    def close(self, reason: CloseReason, description: str) -> None:
        """End the connection, telling the publisher *description*; the session is closed with *reason*.

        Returns at once and may be called at any time, also again, and from within the session.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """A publisher asks to publish."""

    stream_key: StreamKey
    peer_address: str
    connection: PublisherConnection = field(repr=False, compare=False)


class PublishSession(Protocol):
    """Takes what one publisher sends. One call is awaited before the next one is made."""

    @property
    def stream(self) -> StreamId:
        """The stream that is published to."""

    def faults(self) -> tuple[InputFault, ...]:
        """What is wrong with the input now, as far as the publisher may change it."""

    async def receive(self, item: FeedItem) -> None:
        """Take *item*. While this waits, nothing is read from the publisher.

        Raises:
            PublishRefused: the connection is to be ended with that reason.
        """

    async def metadata(self, metadata: SourceMetadata) -> None:
        """Take what the publisher declares of its source; may come never or again."""

    async def close(self, reason: CloseReason) -> None:
        """Nothing comes any more. Called exactly once, however the connection ended."""


class PublishHandler(Protocol):
    """Decides who may publish."""

    async def authorize(self, request: PublishRequest) -> PublishSession:
        """Return the session of a publisher who may publish; no media was read before.

        Is cancelled when it takes longer than a publisher may take to publish.

        Raises:
            PublishRefused: the publisher may not.
        """
