"""Publication: from a stream's document and what the bucket holds to the next document.

`advance` is pure, and what it lists depends only on the records, timelines and media objects behind its
evidence: every order, repetition and loss of wake-ups that is followed by one more wake-up leads to the same
playlists (P3). It never takes back what it listed (P2).
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from itertools import count, pairwise, takewhile
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
    LONGEST_USUAL_PAUSE,
    NOTHING_REPORTED,
    TIMELINE_SEGMENTS,
    JoinedTimeline,
    TimelineSegment,
)
from bucketcast.stream.window import (
    MIN_WINDOW_SEGMENTS,
    MIN_WINDOW_TARGET_DURATIONS,
    is_startable,
    live_window_start,
    settled_start,
    slot_rungs,
    target_duration,
)

# A live session writes a timeline every segment duration; three missed ones and the time that an upload may
# be retried say that its broadcaster or its encoder is gone.
SILENT_SEGMENTS: Final = 3
SILENT_SLACK: Final = timedelta(seconds=4)
# What a session may show beyond its successor's start: RFC 8216bis, 6.2.1, lets dates overlap by less than a
# second. An encoder that was replaced and does not know it would show viewers the same minute twice.
OVERLAP: Final = timedelta(seconds=1)
# Encoders give up after one segment duration what a later segment has overtaken. What is still open after three
# has no encoder.
OVERTAKEN_SEGMENTS: Final = 3
# As many segments as are verified in the time that is waited, twice over.
MAX_WITNESSES: Final = 8
# A rung that is so far behind the others that it is about to fall out of the timelines.
OUTLIVED_SEGMENTS: Final = TIMELINE_SEGMENTS // 2
# What a document keeps at most: with so many undecided segments that nowhere in a whole timeline all renditions
# have a whole window, playlists would have to name what nobody decides.
MAX_WINDOW_SEGMENTS: Final = 2 * TIMELINE_SEGMENTS
# Players keep three target durations in hand (RFC 8216bis, 6.3.3). Where they have run dry, a session begins
# with as much: with less VLC 3 never has anything in hand again, and soon stands still.
BEGINNING_SEGMENTS: Final = 3
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
    is_written: bool

    def timeline(self, session: SessionNumber) -> JoinedTimeline:
        """The join of all timelines of *session*."""
        return self.timelines.get(session, NOTHING_REPORTED)


def advance(document: StreamDocument, evidence: Evidence, *, now: datetime) -> StreamDocument:
    """Return *document* with everything published that *evidence* allows at *now*.

    Apart from its revision the result equals *document* where there is nothing to do. A session whose seal
    was decided goes on only when a later evidence holds the seal's record. A broadcast that becomes complete
    is left in the window until its ENDLIST is written, and only then does the next one take its place.
    """
    has_ended = is_complete(document) and evidence.is_written
    document = document.with_records(evidence.records)
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
    return replace(
        document,
        state=state,
        since=now,
        ended_broadcasts=document.ended_broadcasts + 1,
        sessions=tuple(replace(session, drain_until=now) for session in document.sessions),
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

    An encoder that falls silent, or that is replaced, may have left what was verified and not announced.
    """
    session = _session(document, number)
    if session.seal is not None:
        return None
    if not _is_followed_session(document, session) and not _is_silent(document, session, timeline, now):
        return None
    return SegmentIndex(max((*timeline.segments, _published_last(document, number))) + 1)


def undecided(
    document: StreamDocument, number: SessionNumber, timeline: JoinedTimeline
) -> tuple[SegmentIndex, ...]:
    """The segments of session *number*, listed or in *timeline*, that neither decides in every rung."""
    rungs = {rung.name for rung in _session(document, number).rungs}
    known = {index: set(segment.rungs) for index, segment in timeline.segments.items()}
    for segment in document.window:
        if segment.session == number:
            known.setdefault(segment.index, set()).update(segment.rungs)
    return tuple(index for index in sorted(known) if rungs - known[index])


class Overtaken(Struct, frozen=True, kw_only=True):
    """A rung's segment that nobody decided, although later ones are: *witnesses*, of one rung, oldest first.

    *is_left* says that its session's encoders are silent, or ended.
    """

    session: SessionNumber
    rung: RungName
    index: SegmentIndex
    start: timedelta
    duration: timedelta
    date: datetime
    witness_rung: RungName  # another than *rung* where all of that is far behind
    witnesses: tuple[SegmentIndex, ...]
    is_left: bool


def overtaken(document: StreamDocument, evidence: Evidence, *, now: datetime) -> tuple[Overtaken, ...]:
    """What would hold up the playlists of *document*: to be given up if it has been so for too long."""
    document = document.with_records(evidence.records)
    return tuple(
        found
        for session in document.sessions
        if session.recorded and session.seal is None
        for found in _overtaken_in(document, session, evidence.timeline(session.session), now)
    )


def has_waited_long(
    open_one: Overtaken, written: Sequence[datetime], *, segment_duration: timedelta, now: datetime
) -> bool:
    """Whether *open_one* has been overtaken for longer than any encoder waits.

    *written* is when its witnesses were: only their bucket's clock counts, and no time in which nothing at all
    could be written. Where no encoder is left, *now* counts.
    """
    times = sorted(written)
    if open_one.is_left and times:
        waited = now - times[0]
    else:
        pauses = [after - before for before, after in pairwise(times)]
        waited = sum((p for p in pauses if p <= LONGEST_USUAL_PAUSE * segment_duration), timedelta(0))
    return waited >= OVERTAKEN_SEGMENTS * segment_duration


def _overtaken_in(
    document: StreamDocument, session: SessionState, timeline: JoinedTimeline, now: datetime
) -> Iterator[Overtaken]:
    decided = {(i, rung) for i, segment in timeline.segments.items() for rung in segment.rungs} | {
        (segment.index, rung)
        for segment in document.window
        if segment.session == session.session
        for rung in segment.rungs
    }
    if not decided:
        return
    newest, foremost = max(decided)
    listed = [segment.index for segment in document.window if segment.session == session.session]
    first = max(min(listed, default=0), newest - TIMELINE_SEGMENTS + 1)
    grid = session.grid(document.configuration.segment_duration)
    is_left = timeline.ended or _is_silent(document, session, timeline, now)
    for rung in (rung.name for rung in session.rungs):
        for index in map(SegmentIndex, range(first, newest)):
            witnesses = _decided_behind(decided, rung, index)
            if not witnesses:
                far = SegmentIndex(index + OUTLIVED_SEGMENTS - 1)
                witnesses = _decided_behind(decided, foremost, far)
            if witnesses and (index, rung) not in decided:
                known = timeline.segments.get(index)
                start = known.start if known else grid.start(index)
                yield Overtaken(
                    session=session.session,
                    rung=rung,
                    index=index,
                    start=start,
                    duration=known.duration if known else grid.duration(index),
                    date=session.start + start,
                    witness_rung=witnesses[0][1],
                    witnesses=tuple(witness for witness, _ in witnesses),
                    is_left=is_left,
                )


def _decided_behind(
    decided: AbstractSet[tuple[SegmentIndex, RungName]], rung: RungName, index: SegmentIndex
) -> list[tuple[SegmentIndex, RungName]]:
    """The first segments of *rung* behind *index* that are decided, as many as it takes to tell a pause."""
    return sorted(one for one in decided if one[1] == rung and one[0] > index)[:MAX_WITNESSES]


def is_complete(document: StreamDocument) -> bool:
    """Whether the broadcast in the window is over and sealed: its playlists carry ENDLIST."""
    shown = shown_broadcast(document)
    return shown is not None and is_over(document, shown)


def is_over(document: StreamDocument, broadcast: int) -> bool:
    """Whether *broadcast* of *document* has ended, and every session of it is sealed."""
    return broadcast <= document.ended_broadcasts and all(
        session.sealed for session in document.sessions if session.broadcast == broadcast
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
        document = _list_segments(document, number, evidence.timeline(number), now)
        document = _seal(document, number, evidence, now)
        if not _session(document, number).sealed:
            break
    return document


def _list_segments(
    document: StreamDocument, number: SessionNumber, timeline: JoinedTimeline, now: datetime
) -> StreamDocument:
    """Take from *timeline* what continues the window densely, and what was pending in it."""
    session = _session(document, number)
    if not session.recorded or session.sealed:
        return document
    window = (
        _with_rungs(segment, timeline.segments.get(segment.index)) if segment.session == number else segment
        for segment in document.window
    )
    document = replace(document, window=tuple(window))
    if session.seal is not None or _gathers(document, session, timeline, now):
        return document
    first = SegmentIndex(_published_last(document, number) + 1)
    last = next(index for index in count(first) if index not in timeline.segments) - 1
    document = _with_segments(document, session, _whole(document, session, timeline, first, last))
    moved = _move_on(document, session, timeline)
    return document if moved is document else _list_segments(moved, number, timeline, now)


def _move_on(document: StreamDocument, session: SessionState, timeline: JoinedTimeline) -> StreamDocument:
    """Begin the window anew if so many wake-ups were lost that no timeline reaches back to what continues it.

    It begins where every rendition has a whole one; until there is such a place, players keep what they have.
    """
    behind = [index for index in timeline.segments if index > _published_last(document, session.session)]
    if len(behind) < TIMELINE_SEGMENTS:
        return document
    window = _whole(document, session, timeline, min(behind), max(behind))
    start = settled_start(replace(document, window=window), 0)
    return document if start is None else _with_segments(document, session, window[start : start + 1])


def _gathers(document: StreamDocument, session: SessionState, timeline: JoinedTimeline, now: datetime) -> bool:
    """Whether *session* still has too little to begin with, after a pause in which players have run dry."""
    before = document.window[-1] if document.window else None
    if before is None:
        return False
    if _session(document, before.session).broadcast != session.broadcast:
        return False
    dry = timedelta(seconds=MIN_WINDOW_TARGET_DURATIONS * target_duration(document.configuration))
    pause = session.start - (before.date + before.duration)  # less than nothing within a session
    return (
        pause + document.configuration.segment_duration >= dry
        and max(timeline.segments, default=-1) + 1 < BEGINNING_SEGMENTS
        and not timeline.ended
        and not _is_silent(document, session, timeline, now)
    )


def _list_rest(document: StreamDocument, number: SessionNumber, timeline: JoinedTimeline) -> StreamDocument:
    """List all that *timeline* names of a session that is over; what is missing in between is undecided."""
    session = _session(document, number)
    if not session.recorded:
        return document
    expected, last = _published_last(document, number) + 1, max(timeline.segments, default=-1)
    first = max(expected, last - TIMELINE_SEGMENTS + 1)
    rest = _whole(document, session, timeline, first, last)
    if first > expected and len(rest) < MIN_WINDOW_SEGMENTS:
        return document  # of what is behind a hole nearly all comes too late
    return _with_segments(document, session, rest)


def _whole(
    document: StreamDocument, session: SessionState, timeline: JoinedTimeline, first: int, last: int
) -> tuple[WindowSegment, ...]:
    """The segments *first* to *last* that are in time; what *timeline* lacks in between is undecided."""
    grid = session.grid(document.configuration.segment_duration)
    segments = (
        timeline.segments.get(index)
        or TimelineSegment(index=index, start=grid.start(index), duration=grid.duration(index), rungs={})
        for index in map(SegmentIndex, range(first, last + 1))
    )
    in_time = takewhile(lambda segment: _is_in_time(document, session, segment), segments)
    return tuple(_window_segment(document, session, segment) for segment in in_time)


def _with_segments(
    document: StreamDocument, session: SessionState, segments: Sequence[WindowSegment]
) -> StreamDocument:
    """List *segments* behind the window, or alone where they do not continue it.

    A new broadcast starts with none of the old one's.
    """
    if not segments:
        return document
    continued = shown_broadcast(document) == session.broadcast and (
        segments[0].index == _published_last(document, session.session) + 1
    )
    return replace(document, window=(*document.window, *segments) if continued else tuple(segments))


def _is_in_time(document: StreamDocument, session: SessionState, segment: TimelineSegment) -> bool:
    """Whether *segment* ends before the session that follows begins, give or take OVERLAP."""
    follower = next((other for other in document.sessions if other.session > session.session), None)
    end = session.start + segment.start + segment.duration
    return follower is None or end <= follower.start + OVERLAP


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
    return replace(segment, rungs=decided_rungs(uploaded) | segment.rungs) if uploaded else segment


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
        document = _list_rest(document, number, evidence.timeline(number))
        session = replace(session, seal=_decide_seal(document, session))
        document = _with_session(document, session)
    seal = evidence.seals.get(number)
    if seal is None or not _all_found(document, seal, evidence):
        return document
    document = _fill(document, seal, evidence)
    # A document that was rebuilt may have listed more than the lost one had at its seal.
    listed = _decide_seal(document, session)
    document = replace(
        document,
        next_media_sequence=max(seal.next_media_sequence, listed.next_media_sequence),
        next_discontinuity_sequence=max(seal.next_discontinuity_sequence, listed.next_discontinuity_sequence),
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
    if shown_broadcast(document) != document.broadcast:
        return document
    on_air = _on_air(document, evidence, now)
    begins = (
        not document.is_under_way
        # A broadcast that was cut short is one too.
        and (is_startable(document) or not (on_air or _is_newcomer_expected(document, evidence, now)))
    )
    if begins or (on_air and document.state is StreamState.INTERRUPTED):
        state = advance_state(document.state, StreamEvent.MEDIA_PUBLISHED)
        document = replace(document, state=state, since=_heard_at(document, evidence))
    if document.state is StreamState.LIVE and not (on_air or _is_newcomer_expected(document, evidence, now)):
        state = advance_state(document.state, StreamEvent.BROADCASTER_LEFT)
        document = replace(document, state=state, since=_heard_at(document, evidence))
    if document.state is StreamState.INTERRUPTED and _window_is_over(document, evidence, now):
        document = end_broadcast(document, now=now)
    return document


def _on_air(document: StreamDocument, evidence: Evidence, now: datetime) -> bool:
    """Whether the newest session with published segments still receives media."""
    session = _session(document, document.window[-1].session)
    timeline = evidence.timeline(session.session)
    left = session.sealed or (timeline.ended and not timeline.continues)
    return not left and not _is_silent(document, session, timeline, now)


def _is_silent(
    document: StreamDocument, session: SessionState, timeline: JoinedTimeline, now: datetime
) -> bool:
    """Whether no encoder of *session* has received media for too long, or none ever said that it has."""
    if timeline.media_at is None:
        return now - session.claimed >= _patience(document)
    silence = SILENT_SEGMENTS * document.configuration.segment_duration + SILENT_SLACK
    return now - timeline.media_at >= silence


def _patience(document: StreamDocument) -> timedelta:
    """How long a session that was claimed may be without a segment."""
    return CLAIM_SEGMENTS * document.configuration.segment_duration + CLAIM_SLACK


def _heard_at(document: StreamDocument, evidence: Evidence) -> datetime:
    """When the broadcaster was last heard of, however late that is noticed: it never goes back."""
    claimed = document.sessions[-1].claimed
    return max(claimed, _shown_timeline(document, evidence).media_at or claimed)


def _shown_timeline(document: StreamDocument, evidence: Evidence) -> JoinedTimeline:
    """The timeline of the newest session with published segments, which says nothing behind a seal."""
    session = _session(document, document.window[-1].session)
    return NOTHING_REPORTED if session.seal else evidence.timeline(session.session)


def reconnect_until(document: StreamDocument) -> datetime:
    """When the reconnect window of *document*, whose broadcast is interrupted, runs out."""
    return max(document.since, document.sessions[-1].claimed) + document.configuration.reconnect_window


def _window_is_over(document: StreamDocument, evidence: Evidence, now: datetime) -> bool:
    """Whether the reconnect window ran out, and nobody is about to go on."""
    return now >= reconnect_until(document) and not _is_newcomer_expected(document, evidence, now)


def _is_newcomer_expected(document: StreamDocument, evidence: Evidence, now: datetime) -> bool:
    """Whether a session behind the published ones has segments to be published, or may still have its first."""
    newcomers = [session for session in document.sessions if session.session > document.window[-1].session]
    return any(
        now - newcomer.claimed < _patience(document)
        or (newcomer.recorded and newcomer.seal is None and evidence.timeline(newcomer.session).segments)
        for newcomer in newcomers
    )


def _forget(document: StreamDocument) -> StreamDocument:
    """Drop the segments that no rendition lists any more, and the sealed sessions that have none left.

    What a timeline no longer holds can no longer be decided: a rendition that waits for it goes on behind it,
    as soon as all have a whole window there.
    """
    start = min(
        live_window_start(document, slot_rungs(document, slot.name)) for slot in document.configuration.rungs
    )
    outlived = len(document.window) - TIMELINE_SEGMENTS
    if start < outlived:
        settled = settled_start(document, outlived)
        start = max(start, len(document.window) - MAX_WINDOW_SEGMENTS) if settled is None else settled
    window = document.window[start:]
    shown = {segment.session for segment in window}
    sessions = tuple(s for s in document.sessions if not s.sealed or s.session in shown)
    return replace(document, window=window, sessions=sessions)
