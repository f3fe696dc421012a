"""Claiming: a broadcaster's session takes its place in the line of sessions."""

from datetime import datetime, timedelta
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from bucketcast.errors import InvalidInput, Refused
from bucketcast.stream.document import SessionState, StreamDocument
from bucketcast.stream.encoder_report import EncoderReport
from bucketcast.stream.identifiers import (
    EncoderId,
    SessionNumber,
    StreamId,
    parse_encoder_id,
    parse_stream_id,
)
from bucketcast.stream.session_record import EncodedRung, FrameRate
from bucketcast.stream.timeline import NOTHING_REPORTED, JoinedTimeline

# A holder that received media within this time is there; one that did not lost its broadcaster, and the
# newcomer takes over (a half-open TCP connection must not lock a broadcaster out).
LEASE: Final = timedelta(seconds=3)
# How long the session before may still deliver its tail after a claim.
DRAIN_SEGMENTS: Final = 2


class ClaimRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an encoder asks for: the next session, with this grid and these rungs."""

    stream: StreamId
    encoder: EncoderId
    start: datetime
    frame_rate: FrameRate
    rungs: tuple[EncodedRung, ...]

    def __post_init__(self) -> None:
        """Raise InvalidInput where the request names nothing that can be encoded."""
        parse_stream_id(self.stream)
        parse_encoder_id(self.encoder)
        if not self.rungs or len({rung.name for rung in self.rungs}) < len(self.rungs):
            raise InvalidInput("a session has at least one rung, and each once")
        if self.start.utcoffset() != timedelta(0):
            raise InvalidInput("a session's start date is in UTC, and says so")


class Lease(Struct, frozen=True, kw_only=True):
    """Who holds a stream, and when that encoder last received media."""

    session: SessionNumber
    encoder: EncoderId
    media_at: datetime
    report: EncoderReport = EncoderReport()


class Renewal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An encoder says that it still receives media."""

    stream: StreamId
    session: SessionNumber
    encoder: EncoderId
    silent_seconds: float = 0.0  # since it last received media
    report: EncoderReport = EncoderReport()

    def __post_init__(self) -> None:
        """Raise InvalidInput where the stream or the encoder cannot be one."""
        parse_stream_id(self.stream)
        parse_encoder_id(self.encoder)


class Renewed(Struct, frozen=True, kw_only=True):
    """What an encoder has to know: whether its session goes on."""

    holds: Literal["on", "replaced", "ended"]


def claim(
    document: StreamDocument,
    request: ClaimRequest,
    *,
    lease: Lease | None,
    reported: JoinedTimeline = NOTHING_REPORTED,
    now: datetime,
) -> StreamDocument:
    """Return *document* with a session for *request*, or raise Refused while another encoder is on air.

    Claiming again as the same encoder changes nothing: its session is there already. The session starts no
    earlier than where the media before it ends, which *reported*, the newest session's timeline, may know
    better than *document*: its encoder may have had another clock, or been faster than real time.
    """
    if any(session.encoder == request.encoder for session in document.sessions):
        return document
    if _is_held(document, lease, now):
        raise Refused("this stream is on air from another broadcaster: stop that one first")
    foreign = {rung.name for rung in request.rungs} - {rung.name for rung in document.configuration.rungs}
    if foreign:
        raise InvalidInput(f"the stream has no slot for {', '.join(sorted(foreign))}")
    drain_until = now + DRAIN_SEGMENTS * document.configuration.segment_duration
    before = tuple(
        session if session.drain_until else replace(session, drain_until=drain_until)
        for session in document.sessions
    )
    newcomer = SessionState(
        session=document.next_session,
        broadcast=document.broadcast,
        encoder=request.encoder,
        claimed=now,
        start=max(request.start, _media_until(document, reported) or request.start),
        frame_rate=request.frame_rate,
        rungs=request.rungs,
    )
    return replace(
        document,
        sessions=(*before, newcomer),
        next_session=SessionNumber(document.next_session + 1),
    )


def _media_until(document: StreamDocument, reported: JoinedTimeline) -> datetime | None:
    """Where the media of *document* ends, published or only *reported* by its newest session."""
    ends = [segment.date + segment.duration for segment in document.window]
    ends += [
        session.start + segment.start + segment.duration
        for session in document.sessions[-1:]
        for segment in reported.segments.values()
    ]
    return max(ends, default=None)


def _is_held(document: StreamDocument, lease: Lease | None, now: datetime) -> bool:
    """Whether the holder was there within LEASE; between a claim and its lease only *document* knows of it."""
    times = [lease.media_at] if lease else []
    if document.sessions and (lease is None or lease.session < document.sessions[-1].session):
        times.append(document.sessions[-1].claimed)
    return any(now - time < LEASE for time in times)


def holding(document: StreamDocument, number: SessionNumber) -> Literal["on", "replaced", "ended"]:
    """Whether session *number* goes on, a later one took its place, or its broadcast was ended."""
    session = next((s for s in document.sessions if s.session == number), None)
    if number < document.next_session - 1:
        return "replaced"
    if session is None or session.seal is not None or session.broadcast <= document.ended_broadcasts:
        return "ended"
    return "on"
