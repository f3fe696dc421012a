"""Expiry: which of a stream's media nobody needs any more.

Pure. Live segments go a day after their broadcast ended; what a playlist names stays, and so does what a
recording may still be made of.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from bucketcast.stream.configuration import RecordingMode
from bucketcast.stream.document import CleanedUp, StreamDocument
from bucketcast.stream.identifiers import BroadcastNumber, SegmentIndex, SessionNumber
from bucketcast.stream.publication import is_over
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
    ends = _ends(sealed)
    named = _first_named(document)
    return tuple(
        ExpiredSession(
            session=seal.session,
            broadcast=seal.broadcast,
            until=named.get(seal.session),
            is_newest=seal == sealed[-1].seal,
        )
        for seal in (session.seal for session in sealed)
        if is_over(document, seal.broadcast)
        and seal.broadcast not in carried
        and now - ends[seal.broadcast] >= _kept(document, seal.broadcast, settled)
    )


def has_expired(document: StreamDocument, now: datetime) -> bool:
    """Whether something of *document*'s stream may have expired since it was cleaned up last."""
    known = document.cleaned_up
    if known is None or known.shown != document.shown_session:
        return True
    # Nothing is kept for longer: a clock was wrong.
    return not timedelta(0) < known.until - now <= KEPT


def cleaned_up(
    document: StreamDocument,
    sealed: Sequence[SealedSession],
    *,
    carried: AbstractSet[BroadcastNumber],
    now: datetime,
) -> CleanedUp | None:
    """Say how long nothing more of *sealed*, whose expired sessions are gone, expires.

    None where that cannot be said: as soon as one of the recordings *carried* is made, what it is made of goes.
    """
    ends = _ends(sealed)
    if any(broadcast in carried and now - end >= KEPT for broadcast, end in ends.items()):
        return None
    return kept(document, ends.values(), now=now)


def kept(document: StreamDocument, ends: Iterable[datetime], *, now: datetime) -> CleanedUp:
    """Say how long all is kept that ended at *ends*, and is not gone yet.

    Never longer than KEPT: what is sealed from now on is kept as long.
    """
    times = [now, *ends]
    expiries = [time + duration for time in times for duration in (KEPT, KEPT_FOR_A_RECORDING)]
    return CleanedUp(until=min(time for time in expiries if time > now), shown=document.shown_session)


def _ends(sealed: Iterable[SealedSession]) -> Mapping[BroadcastNumber, datetime]:
    """When the last session of each broadcast was sealed."""
    ends: dict[BroadcastNumber, datetime] = {}
    for session in sealed:
        ends[session.seal.broadcast] = max(session.sealed, ends.get(session.seal.broadcast, session.sealed))
    return ends


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
