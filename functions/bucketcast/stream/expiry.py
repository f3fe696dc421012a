"""Expiry: which of a stream's media nobody needs any more.

Pure. Live segments go a day after their broadcast ended; what a playlist names stays, and so does what a
recording may still be made of.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from bucketcast.stream.configuration import RecordingMode
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import BroadcastNumber, SegmentIndex, SessionNumber
from bucketcast.stream.seal import Seal

KEPT: Final = timedelta(hours=24)
# A recording that failed is started again by somebody who looks: within a week, or never.
KEPT_FOR_A_RECORDING: Final = timedelta(days=7)


class SealedSession(Struct, frozen=True, kw_only=True):
    """A session of which nothing more is published, since *sealed*."""

    seal: Seal
    sealed: datetime


class ExpiredSession(Struct, frozen=True, kw_only=True):
    """A session whose segments may go: those before *until*; where that is None all, and its records too.

    The newest seal stays, since the next session's numbers follow from it.
    """

    session: SessionNumber
    broadcast: BroadcastNumber
    until: SegmentIndex | None
    is_newest: bool


def expired_sessions(
    document: StreamDocument,
    sealed: Sequence[SealedSession],
    *,
    settled: AbstractSet[BroadcastNumber],
    carried: AbstractSet[BroadcastNumber],
    now: datetime,
) -> tuple[ExpiredSession, ...]:
    """Which of *sealed*, oldest first, may go.

    The recordings of the broadcasts *settled* are there; those of the broadcasts *carried* are being made.
    """
    ends: dict[BroadcastNumber, datetime] = {}
    for session in sealed:
        ends[session.seal.broadcast] = max(session.sealed, ends.get(session.seal.broadcast, session.sealed))
    named = _first_named(document)
    return tuple(
        ExpiredSession(
            session=seal.session,
            broadcast=seal.broadcast,
            until=named.get(seal.session),
            is_newest=seal == sealed[-1].seal,
        )
        for seal in (session.seal for session in sealed)
        if seal.broadcast <= document.ended_broadcasts
        and seal.broadcast not in carried
        and now - ends[seal.broadcast] >= _kept(document, seal.broadcast, settled)
    )


def _kept(
    document: StreamDocument, broadcast: BroadcastNumber, settled: AbstractSet[BroadcastNumber]
) -> timedelta:
    recorded = document.configuration.recording is not RecordingMode.OFF
    return KEPT_FOR_A_RECORDING if recorded and broadcast not in settled else KEPT


def _first_named(document: StreamDocument) -> Mapping[SessionNumber, SegmentIndex]:
    """The first segment of each session that some playlist may name."""
    firsts: dict[SessionNumber, SegmentIndex] = {}
    for segment in document.window:
        firsts.setdefault(segment.session, segment.index)
    return firsts
