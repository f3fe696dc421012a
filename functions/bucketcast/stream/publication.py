"""Publication: from a stream's document and what the bucket holds to the next document.

`advance` is pure, and what it lists depends only on the records, timelines and media objects behind its
evidence: every order, repetition and loss of wake-ups that is followed by one more wake-up leads to the same
playlists (P3). It never takes back what it listed (P2).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bucketcast.stream.document import (
    ListedAs,
    SessionState,
    StreamDocument,
    WindowSegment,
    decided_rungs,
)
from bucketcast.stream.identifiers import (
    DiscontinuitySequenceNumber,
    MediaSequenceNumber,
    RungName,
    SegmentIndex,
    SessionNumber,
)
from bucketcast.stream.lifecycle import StreamEvent, StreamState, advance_state
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.timeline import (
    TIMELINE_SEGMENTS,
    JoinedTimeline,
    TimelineSegment,
)
from bucketcast.stream.window import is_startable, live_window_start, slot_rungs

# A live session writes a timeline every segment duration; three missed ones and the time that an upload may
# be retried say that its broadcaster or its encoder is gone.
SILENT_SEGMENTS: Final = 3
SILENT_SLACK: Final = timedelta(seconds=4)
# A claimed session has its first segment after one segment duration and the encoder's start.
CLAIM_SEGMENTS: Final = 2
CLAIM_SLACK: Final = timedelta(seconds=10)


class Evidence(Struct, frozen=True, kw_only=True):
    """What the bucket held when it was read, after the document was."""

    records: Mapping[SessionNumber, SessionRecord] = {}
    timelines: Mapping[SessionNumber, JoinedTimeline]
    seals: Mapping[SessionNumber, Seal]
    # What lies in the bucket where a session lacked a rung's segment when its seal was decided.
    found: Mapping[tuple[SessionNumber, SegmentIndex, RungName], ListedAs] = {}
    # Whether viewers can read all that the document publishes.
    is_written: bool = True

    def timeline(self, session: SessionNumber) -> JoinedTimeline:
        """The join of all timelines of *session*."""
        return self.timelines.get(session, JoinedTimeline(segments={}))


def advance(document: StreamDocument, evidence: Evidence, *, now: datetime) -> StreamDocument:
    """Return *document* with everything published that *evidence* allows at *now*.

    Apart from its revision the result equals *document* where there is nothing to do. A session whose seal
    was decided goes on only when a later evidence holds the seal's record. A broadcast that becomes complete
    is left in the window until its ENDLIST is written, and only then does the next one take its place.
    """
    has_ended = is_complete(document) and evidence.is_written
    document = _confirm_records(document, evidence)
    document = _publish_sessions(document, evidence, now, has_ended=has_ended)
    document = _follow_life(document, evidence, now)
    document = _publish_sessions(document, evidence, now, has_ended=has_ended)  # an end seals at once
    return _forget(document)


def end_broadcast(document: StreamDocument, *, now: datetime) -> StreamDocument:
    """Return *document* with its broadcast ended at *now*, or raise IllegalTransition if none is on air.

    The sessions of the broadcast drain no longer; ENDLIST is rendered once the last of them is sealed.
    """
    state = document.state
    if not document.is_under_way and shown_broadcast(document) == document.broadcast:
        state = advance_state(state, StreamEvent.MEDIA_PUBLISHED)  # too short to begin, yet it has segments
    state = advance_state(state, StreamEvent.BROADCAST_ENDED)
    sessions = tuple(
        session if session.sealed or session.seal else replace(session, drain_until=now)
        for session in document.sessions
    )
    return replace(
        document,
        state=state,
        since=now,
        ended_broadcasts=document.ended_broadcasts + 1,
        sessions=sessions,
    )


def holes(
    document: StreamDocument, number: SessionNumber, timeline: JoinedTimeline
) -> tuple[SegmentIndex, ...]:
    """The segments of session *number* before the last of *timeline* that are to be asked for by name.

    An encoder that was lost may have uploaded what no timeline names, and its replacement begins behind that;
    or so many wake-ups were lost that no timeline reaches back. Of what is longer than a timeline only the end
    is worth reading: the live window lies there.
    """
    published = _published_last(document, number)
    named = [index for index in timeline.segments if index > published]
    if not named:
        return ()
    first = max(published + 1, min(named) - TIMELINE_SEGMENTS)
    indexes = map(SegmentIndex, range(first, max(named)))
    return tuple(index for index in indexes if index not in timeline.segments)


def next_unannounced(
    document: StreamDocument, number: SessionNumber, timeline: JoinedTimeline, *, now: datetime
) -> SegmentIndex | None:
    """The segment of session *number* behind all that *timeline* names, if it is to be asked for by name.

    An encoder that falls silent without saying that it ended may have left what was verified and not announced.
    """
    session = _session(document, number)
    if session.seal is not None or timeline.ended:
        return None
    if not _is_followed_session(document, session) and not _is_silent(document, timeline, now):
        return None
    return SegmentIndex(max((*timeline.segments, _published_last(document, number))) + 1)


def is_complete(document: StreamDocument) -> bool:
    """Whether the broadcast in the window is over and sealed: its playlists carry ENDLIST."""
    shown = shown_broadcast(document)
    return (
        shown is not None
        and shown <= document.ended_broadcasts
        and all(session.sealed for session in document.sessions if session.broadcast == shown)
    )


def has_begun(document: StreamDocument) -> bool:
    """Whether the broadcast in the window is on air, or was: its playlists are published."""
    shown = shown_broadcast(document)
    return shown is not None and (document.is_under_way or shown <= document.ended_broadcasts)


def pending_seals(document: StreamDocument) -> tuple[Seal, ...]:
    """The seals that are decided and whose records are still to be written."""
    return tuple(session.seal for session in document.sessions if session.seal and not session.sealed)


def shown_broadcast(document: StreamDocument) -> int | None:
    """The broadcast whose segments are in the window, if there are any."""
    if not document.window:
        return None
    return _session(document, document.window[-1].session).broadcast


def _session(document: StreamDocument, number: SessionNumber) -> SessionState:
    return next(session for session in document.sessions if session.session == number)


def _with_session(document: StreamDocument, changed: SessionState) -> StreamDocument:
    sessions = tuple(changed if s.session == changed.session else s for s in document.sessions)
    return replace(document, sessions=sessions)


def _confirm_records(document: StreamDocument, evidence: Evidence) -> StreamDocument:
    sessions = tuple(
        session
        if session.recorded or session.session not in evidence.records
        else session.recorded_as(evidence.records[session.session])
        for session in document.sessions
    )
    return replace(document, sessions=sessions)


def is_followed(document: StreamDocument) -> bool:
    """Whether the broadcast in the window is complete and a session of the next one was claimed."""
    return is_complete(document) and not document.sessions[-1].sealed


def _publish_sessions(
    document: StreamDocument, evidence: Evidence, now: datetime, *, has_ended: bool
) -> StreamDocument:
    """List what the sessions hold, in their order: the next begins only behind the seal of the one before."""
    for number in [session.session for session in document.sessions]:
        if is_complete(document) and not has_ended:
            break
        document = _list_segments(document, number, evidence.timeline(number))
        document = _seal(document, number, evidence, now)
        if not _session(document, number).sealed:
            break
    return document


def _list_segments(document: StreamDocument, number: SessionNumber, timeline: JoinedTimeline) -> StreamDocument:
    """Take from *timeline* what continues the window densely, and what was pending in it."""
    session = _session(document, number)
    if not session.recorded or session.sealed:
        return document
    window = [
        _with_rungs(segment, timeline.segments.get(segment.index)) if segment.session == number else segment
        for segment in document.window
    ]
    index = SegmentIndex(_published_last(document, number) + 1)
    while session.seal is None and (uploaded := _next_segment(timeline, index)):
        if window and _session(document, window[-1].session).broadcast != session.broadcast:
            window = []  # a new broadcast starts with none of the old one's segments
        if uploaded.index != index:
            window = []  # so many wake-ups were lost that the window has moved past all that it held
        window.append(_window_segment(document, session, uploaded))
        index = SegmentIndex(uploaded.index + 1)
    return replace(document, window=tuple(window))


def _next_segment(timeline: JoinedTimeline, index: SegmentIndex) -> TimelineSegment | None:
    """Segment *index* of *timeline*, or the first one behind it if no timeline reaches back to it any more."""
    if index in timeline.segments:
        return timeline.segments[index]
    behind = sorted(later for later in timeline.segments if later > index)
    return timeline.segments[behind[0]] if len(behind) >= TIMELINE_SEGMENTS else None


def _window_segment(
    document: StreamDocument, session: SessionState, uploaded: TimelineSegment
) -> WindowSegment:
    segment = WindowSegment(
        media_sequence=MediaSequenceNumber(document.next_media_sequence + uploaded.index),
        discontinuity_sequence=document.next_discontinuity_sequence,
        session=session.session,
        index=uploaded.index,
        duration=uploaded.duration,
        date=session.start + uploaded.start,
        rungs={},
    )
    return _with_rungs(segment, uploaded)


def _with_rungs(segment: WindowSegment, uploaded: TimelineSegment | None) -> WindowSegment:
    """Add the rungs that *uploaded* has decided; what is listed stays as it is listed."""
    if uploaded is None or uploaded.rungs.keys() <= segment.rungs.keys():
        return segment
    return replace(segment, rungs=decided_rungs(uploaded) | segment.rungs)


def _published_last(document: StreamDocument, number: SessionNumber) -> int:
    """The last index of session *number* in the window, or -1."""
    return max((segment.index for segment in document.window if segment.session == number), default=-1)


def _seal(document: StreamDocument, number: SessionNumber, evidence: Evidence, now: datetime) -> StreamDocument:
    """Decide the seal of a session that is over, and take it as sealed once its record is in the bucket."""
    session = _session(document, number)
    if session.sealed:
        return document
    if session.seal is None:
        if not _is_over(document, session, evidence.timeline(number), now):
            return document
        session = replace(session, seal=_decide_seal(document, session))
        document = _with_session(document, session)
    seal = evidence.seals.get(number)
    if seal is None or not _all_found(document, seal, evidence):
        return document
    document = _fill(document, seal, evidence)
    document = replace(
        document,
        next_media_sequence=seal.next_media_sequence,
        next_discontinuity_sequence=seal.next_discontinuity_sequence,
    )
    return _with_session(document, replace(session, seal=seal, sealed=True))


def _is_over(document: StreamDocument, session: SessionState, timeline: JoinedTimeline, now: datetime) -> bool:
    """Whether nothing of *session* may still come: something follows it, and it said so or had its time."""
    drained = session.drain_until is not None and session.drain_until <= now
    return _is_followed_session(document, session) and (timeline.ended or drained)


def _is_followed_session(document: StreamDocument, session: SessionState) -> bool:
    """Whether another session was claimed behind *session*, or its broadcast has ended."""
    return session.broadcast <= document.ended_broadcasts or session.session < document.sessions[-1].session


def _decide_seal(document: StreamDocument, session: SessionState) -> Seal:
    last = _published_last(document, session.session)
    return Seal(
        stream=document.stream,
        session=session.session,
        broadcast=session.broadcast,
        ended=session.broadcast <= document.ended_broadcasts,
        last_index=last,
        next_media_sequence=MediaSequenceNumber(document.next_media_sequence + last + 1),
        next_discontinuity_sequence=DiscontinuitySequenceNumber(
            document.next_discontinuity_sequence + (last >= 0)
        ),
    )


def _fill(document: StreamDocument, seal: Seal, evidence: Evidence) -> StreamDocument:
    """List what the bucket decided of the segments that the sealed session's rungs lacked."""
    missing = missing_at_seal(document, seal)
    window = tuple(
        replace(
            segment,
            rungs=segment.rungs
            | {
                rung: evidence.found[seal.session, segment.index, rung] for at, rung in missing if at is segment
            },
        )
        for segment in document.window
    )
    return replace(document, window=window)


def missing_at_seal(document: StreamDocument, seal: Seal) -> tuple[tuple[WindowSegment, RungName], ...]:
    """What the rungs of a session lack up to its *seal*: to be given up by creating gap objects first."""
    rungs = [rung.name for rung in _session(document, seal.session).rungs]
    return tuple(
        (segment, rung)
        for segment in document.window
        if segment.session == seal.session
        for rung in rungs
        if rung not in segment.rungs
    )


def _all_found(document: StreamDocument, seal: Seal, evidence: Evidence) -> bool:
    return all(
        (seal.session, segment.index, rung) in evidence.found
        for segment, rung in missing_at_seal(document, seal)
    )


def _follow_life(document: StreamDocument, evidence: Evidence, now: datetime) -> StreamDocument:
    """Take the transitions that the evidence asks for, in their order: wake-ups between them may be lost."""
    on_air = _on_air(document, evidence, now)
    begins = (
        not document.is_under_way
        and shown_broadcast(document) == document.broadcast
        # A broadcast that was cut short is one too.
        and (is_startable(document) or not (on_air or _is_newcomer_expected(document, evidence, now)))
    )
    if begins or (on_air and document.state is StreamState.INTERRUPTED):
        state = advance_state(document.state, StreamEvent.MEDIA_PUBLISHED)
        document = replace(document, state=state, since=now)
    if document.state is StreamState.LIVE and not (on_air or _is_newcomer_expected(document, evidence, now)):
        state = advance_state(document.state, StreamEvent.BROADCASTER_LEFT)
        document = replace(document, state=state, since=_left_at(document, evidence))
    if document.state is StreamState.INTERRUPTED and _window_is_over(document, evidence, now):
        document = end_broadcast(document, now=now)
    return document


def _on_air(document: StreamDocument, evidence: Evidence, now: datetime) -> bool:
    """Whether the newest session with published segments is of this broadcast and still receives media."""
    if shown_broadcast(document) != document.broadcast:
        return False
    timeline = _shown_timeline(document, evidence)
    left = timeline.ended and not timeline.continues
    return not left and not _is_silent(document, timeline, now)


def _is_silent(document: StreamDocument, timeline: JoinedTimeline, now: datetime) -> bool:
    """Whether no encoder of *timeline* has received media for too long."""
    silence = SILENT_SEGMENTS * document.configuration.segment_duration + SILENT_SLACK
    return timeline.media_at is None or now - timeline.media_at >= silence


def _left_at(document: StreamDocument, evidence: Evidence) -> datetime:
    """When the broadcaster left: its last media, however late that is noticed."""
    claimed = document.sessions[-1].claimed
    return max(claimed, _shown_timeline(document, evidence).media_at or claimed)


def _shown_timeline(document: StreamDocument, evidence: Evidence) -> JoinedTimeline:
    """The timeline of the newest session with published segments; a sealed one has nothing to say any more."""
    session = _session(document, document.window[-1].session)
    return JoinedTimeline(segments={}) if session.sealed else evidence.timeline(session.session)


def _window_is_over(document: StreamDocument, evidence: Evidence, now: datetime) -> bool:
    """Whether the reconnect window ran out, and nobody is about to go on."""
    opened = max(document.since, document.sessions[-1].claimed)
    over = now >= opened + document.configuration.reconnect_window
    return over and not _is_newcomer_expected(document, evidence, now)


def _is_newcomer_expected(document: StreamDocument, evidence: Evidence, now: datetime) -> bool:
    """Whether a session behind the published ones has segments to be published, or may still have its first."""
    newcomers = [session for session in document.sessions if session.session > document.window[-1].session]
    patience = CLAIM_SEGMENTS * document.configuration.segment_duration + CLAIM_SLACK
    return any(
        now - newcomer.claimed < patience
        or (newcomer.recorded and newcomer.seal is None and evidence.timeline(newcomer.session).segments)
        for newcomer in newcomers
    )


def _forget(document: StreamDocument) -> StreamDocument:
    """Drop the segments that no rendition lists any more, and the sealed sessions that have none left.

    What a timeline no longer holds can no longer be decided: a rendition that waits for it goes on behind it.
    """
    start = min(
        (
            live_window_start(document, rungs)
            for rungs in (slot_rungs(document, slot.name) for slot in document.configuration.rungs)
        ),
        default=0,
    )
    window = document.window[max(start, len(document.window) - TIMELINE_SEGMENTS) :]
    shown = {segment.session for segment in window}
    sessions = tuple(s for s in document.sessions if not s.sealed or s.session in shown)
    return replace(document, window=window, sessions=sessions)
