"""Remains: what the buckets hold of a stream whose document is gone, and the document that follows from it.

Pure. The document is a line of history that was decided once; its decisions are in the records. What is not
sealed is decided again, from the same timelines, by the next publication.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from bucketcast.stream.claim import DRAIN_SEGMENTS
from bucketcast.stream.document import SessionState, StreamDocument, WindowSegment, decided_rungs
from bucketcast.stream.identifiers import (
    DiscontinuitySequenceNumber,
    MediaSequenceNumber,
    Revision,
    SessionNumber,
)
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.stream_record import StreamRecord, document_of
from bucketcast.stream.timeline import TimelineSegment


class RecordedSession(Struct, frozen=True, kw_only=True):
    """A session whose record is there. A sealed one has its last *segments*, as many as a live window takes."""

    record: SessionRecord
    claimed: datetime
    seal: Seal | None = None
    segments: tuple[TimelineSegment, ...] = ()


class Remains(Struct, frozen=True, kw_only=True):
    """What there is of a stream: its record, its sessions that matter (oldest first), and its newest seal.

    *newest_revision* is the greatest that a published object has, or -1.
    """

    record: StreamRecord
    sessions: Sequence[RecordedSession]
    newest_seal: Seal | None
    next_session: SessionNumber
    newest_revision: int


def rebuild(remains: Remains, *, now: datetime) -> StreamDocument:
    """Return the document of *remains*, as it was before what is not sealed was published.

    Publishing it gives back the playlists that were there.
    """
    document = document_of(remains.record)
    seal = remains.newest_seal
    ended = _ended_broadcasts(remains)
    return replace(
        document,
        # Behind every revision that was ever written: of the objects that are there by looking, of those that
        # are gone by the clock, since none changes every millisecond.
        revision=Revision(max(int(now.timestamp() * 1000), remains.newest_revision + 1)),
        state=StreamState.ENDED if ended else StreamState.IDLE,
        since=now,
        ended_broadcasts=ended,
        unrestored=ended,
        next_session=remains.next_session,
        next_media_sequence=seal.next_media_sequence if seal else MediaSequenceNumber(0),
        next_discontinuity_sequence=(
            seal.next_discontinuity_sequence if seal else DiscontinuitySequenceNumber(0)
        ),
        sessions=_sessions(remains),
        window=tuple(segment for session in remains.sessions for segment in _window(session)),
    )


def _ended_broadcasts(remains: Remains) -> int:
    """How many broadcasts are over: a later one was claimed, or the last seal says so."""
    before = [session.record.broadcast - 1 for session in remains.sessions]
    seal = remains.newest_seal
    return max([*before, seal.broadcast - (not seal.ended)] if seal else before, default=0)


def _sessions(remains: Remains) -> tuple[SessionState, ...]:
    drain = DRAIN_SEGMENTS * remains.record.configuration.segment_duration
    claims = [session.claimed for session in remains.sessions]
    followers = [*(claimed + drain for claimed in claims[1:]), None]
    return tuple(
        SessionState(
            session=session.record.session,
            broadcast=session.record.broadcast,
            encoder=session.record.encoder,
            claimed=session.claimed,
            start=session.record.start,
            frame_rate=session.record.frame_rate,
            rungs=session.record.rungs,
            recorded=True,
            drain_until=drain_until,
            seal=session.seal,
            sealed=session.seal is not None,
        )
        for session, drain_until in zip(remains.sessions, followers[: len(claims)], strict=True)
    )


def _window(session: RecordedSession) -> list[WindowSegment]:
    """The last segments of a sealed session, numbered back from its seal."""
    seal = session.seal
    if seal is None:
        return []
    return [
        WindowSegment(
            media_sequence=MediaSequenceNumber(
                seal.next_media_sequence - 1 - (seal.last_index - segment.index)
            ),
            discontinuity_sequence=DiscontinuitySequenceNumber(seal.next_discontinuity_sequence - 1),
            session=seal.session,
            index=segment.index,
            duration=segment.duration,
            date=session.record.start + segment.start,
            rungs=decided_rungs(segment),
        )
        for segment in session.segments
    ]
