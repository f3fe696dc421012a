"""What the server asks of the rest of the ingest, and tells it, about one publisher."""

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Protocol

from ingest.feed.frames import FeedItem


@dataclass(frozen=True, slots=True, repr=False)
class StreamKey:
    """The name that a publisher publishes under: a secret, which neither `str` nor `repr` shows."""

    secret: str

    def __repr__(self) -> str:
        return "StreamKey(***)"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMetadata:
    """What the encoder claims in onMetaData, as far as it is used and makes sense."""

    frame_rate: Fraction | None = None


class PublisherConnection(Protocol):
    """The way in which a session ends its connection from the other side."""

    def close(self, code: str, description: str, *, reason: CloseReason = CloseReason.ENDED) -> None:
        """End the connection with the status *code* and *description*; the session is closed with *reason*.

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

    async def receive(self, item: FeedItem) -> None:
        """Take *item*. While this waits, nothing is read from the publisher.

        Raises:
            PublishRefused: the connection is to be ended with that status.
        """

    async def metadata(self, metadata: SourceMetadata) -> None:
        """Take what the encoder says about itself; may come never or again."""

    async def close(self, reason: CloseReason) -> None:
        """Nothing comes any more. Called exactly once, however the connection ended."""


class PublishHandler(Protocol):
    """Decides who may publish."""

    async def authorize(self, request: PublishRequest) -> PublishSession:
        """Return the session of a publisher who may publish; no media was read before.

        Is cancelled when it takes longer than a publisher may take to publish.

        Raises:
            PublishRefused: the publisher may not, with the status that is sent.
        """
