"""The seal: where a session ends in what is published, create-only; the next session begins behind it."""

from typing import Literal

from msgspec import Struct

from bucketcast.stream.identifiers import (
    BroadcastNumber,
    DiscontinuitySequenceNumber,
    MediaSequenceNumber,
    SessionNumber,
    StreamId,
)


class Seal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The end of *session*: no segment behind *last_index* is ever published; -1 says that none was.

    *ended* says that its broadcast was over: no later session belongs to it.
    """

    version: Literal[1] = 1
    stream: StreamId
    session: SessionNumber
    broadcast: BroadcastNumber
    ended: bool = False
    last_index: int
    next_media_sequence: MediaSequenceNumber
    next_discontinuity_sequence: DiscontinuitySequenceNumber
