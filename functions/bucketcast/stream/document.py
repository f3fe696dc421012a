"""The stream document: the line of history, kept in Firestore; playlists are rendered from it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from bucketcast.stream.configuration import StreamConfiguration
from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import (
    BroadcastNumber,
    DiscontinuitySequenceNumber,
    EncoderId,
    MediaSequenceNumber,
    Revision,
    RungName,
    SegmentIndex,
    SessionNumber,
    StreamId,
)
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import EncodedRung, FrameRate, SessionRecord
from bucketcast.stream.timeline import TimelineSegment, UploadedSegment


class ListedAs(StrEnum):
    """How a rung's segment is listed."""

    SEGMENT = "segment"
    GAP = "gap"


class WindowSegment(Struct, frozen=True, kw_only=True):
    """A segment at or behind the live edge; rungs that are missing in *rungs* are pending."""

    media_sequence: MediaSequenceNumber
    discontinuity_sequence: DiscontinuitySequenceNumber
    session: SessionNumber
    index: SegmentIndex
    duration: timedelta
    date: datetime
    rungs: dict[RungName, ListedAs]


def decided_rungs(segment: TimelineSegment) -> dict[RungName, ListedAs]:
    """How every rung of *segment* that is decided is listed."""
    return {
        rung: ListedAs.SEGMENT if isinstance(fact, UploadedSegment) else ListedAs.GAP
        for rung, fact in segment.rungs.items()
    }


class SessionState(Struct, frozen=True, kw_only=True):
    """A session that was claimed and whose segments are not all out of the window yet."""

    session: SessionNumber
    broadcast: BroadcastNumber
    encoder: EncoderId
    claimed: datetime
    start: datetime
    frame_rate: FrameRate
    rungs: tuple[EncodedRung, ...]
    recorded: bool = False  # the session record was seen: its segments may be published
    drain_until: datetime | None = None  # when a later claim ends it, whatever its encoders say
    seal: Seal | None = None  # decided here; it holds once its record is in the bucket
    sealed: bool = False  # the record is in the bucket

    def grid(self, segment_duration: timedelta) -> SegmentGrid:
        """The grid that its encoders cut by."""
        return SegmentGrid(frame_rate=self.frame_rate.fraction, segment_duration=segment_duration)

    def recorded_as(self, record: SessionRecord) -> "SessionState":
        """This session as *record* has it, which holds whoever was meant to write it."""
        return replace(
            self,
            broadcast=record.broadcast,
            encoder=record.encoder,
            start=record.start,
            frame_rate=record.frame_rate,
            rungs=record.rungs,
            recorded=True,
        )

    def record(self, stream: StreamId, segment_duration: timedelta) -> SessionRecord:
        """The session record that this was claimed with."""
        return SessionRecord(
            stream=stream,
            session=self.session,
            broadcast=self.broadcast,
            encoder=self.encoder,
            start=self.start,
            segment_duration=segment_duration,
            frame_rate=self.frame_rate,
            rungs=self.rungs,
        )


class WrittenObject(Struct, frozen=True, kw_only=True):
    """What a published object holds by now: a writer replaces only what is of an older *revision*."""

    revision: Revision
    digest: str


class CleanedUp(Struct, frozen=True, kw_only=True):
    """Nothing of a stream expires before *until*, as long as *shown* is the first session in its window."""

    until: datetime
    shown: SessionNumber | None


class StreamDocument(Struct, frozen=True, kw_only=True):
    """All that is decided about one stream. *revision* grows with every change of it."""

    version: Literal[1] = 1
    stream: StreamId
    configuration: StreamConfiguration
    key_hash: str
    record_number: int  # of the stream record that this follows
    created: datetime
    revision: Revision = Revision(0)
    state: StreamState = StreamState.IDLE
    since: datetime
    ended_broadcasts: int = 0
    next_session: SessionNumber = SessionNumber(1)
    next_media_sequence: MediaSequenceNumber = MediaSequenceNumber(0)  # behind the last seal
    next_discontinuity_sequence: DiscontinuitySequenceNumber = DiscontinuitySequenceNumber(0)
    sessions: tuple[SessionState, ...] = ()  # oldest first
    window: tuple[WindowSegment, ...] = ()  # dense, oldest first
    objects: dict[str, WrittenObject] = {}
    # What is safe to lose: without it more is looked at than has to be.
    cleaned_up: CleanedUp | None = None
    # The recordings of broadcasts up to this one may have lost their documents (handlers/recordings.py).
    unrestored: int = 0

    def with_records(self, records: Mapping[SessionNumber, SessionRecord]) -> "StreamDocument":
        """Return this document with the sessions that are not recorded as *records* have them.

        A document that was rebuilt may not know of a claim that was under way, and give its number away again.
        """
        sessions = tuple(
            session
            if session.recorded or session.session not in records
            else session.recorded_as(records[session.session])
            for session in self.sessions
        )
        return replace(self, sessions=sessions)

    @property
    def broadcast(self) -> BroadcastNumber:
        """The broadcast that is on air, or would be next."""
        return BroadcastNumber(self.ended_broadcasts + 1)

    @property
    def last_broadcast(self) -> int:
        """The broadcast that is under way, else the last one that was; 0 before the first."""
        return self.broadcast if self.is_under_way else self.ended_broadcasts

    @property
    def shown_session(self) -> SessionNumber | None:
        """The first session that playlists may name, if there is one."""
        return self.window[0].session if self.window else None

    @property
    def is_live(self) -> bool:
        """Whether a broadcaster's media is being published."""
        return self.state is StreamState.LIVE

    @property
    def is_under_way(self) -> bool:
        """Whether a broadcast is live or interrupted."""
        return self.state in (StreamState.LIVE, StreamState.INTERRUPTED)
