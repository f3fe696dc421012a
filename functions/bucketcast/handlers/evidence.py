"""Evidence: what the buckets hold of a stream's sessions, read for a decision."""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from bucketcast.errors import InvalidRecord
from bucketcast.ports import Bucket
from bucketcast.records import Record, decode_record
from bucketcast.stream.document import ListedAs, SessionState, StreamDocument, WindowSegment
from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.media_object import listed_as, timeline_segment
from bucketcast.stream.object_names import seal_name, segment_name, session_record_name, timelines_prefix
from bucketcast.stream.publication import (
    Evidence,
    holes,
    missing_at_seal,
    next_unannounced,
    pending_seals,
    undecided,
)
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.timeline import (
    TIMELINE_SEGMENTS,
    JoinedTimeline,
    Timeline,
    TimelineSegment,
    join,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReader:
    """Reads media objects, records and timelines; several at the same time where that is quicker."""

    media: Bucket
    ingest: Bucket
    executor: Executor

    def evidence(self, document: StreamDocument, *, is_written: bool, now: datetime) -> Evidence:
        """Read what may have come to the sessions of *document* that are not sealed.

        *is_written* says whether viewers can read all that *document* publishes.
        """
        stream = document.stream
        sessions = [session for session in document.sessions if not session.sealed]
        announced = self.executor.map(lambda s: announced_timeline(self.ingest, stream, s.session), sessions)
        seals = {
            seal.session: written
            for seal in pending_seals(document)
            if (written := self.seal(stream, seal.session))
        }
        return Evidence(
            records={
                session.session: record
                for session in sessions
                if not session.recorded and (record := self.session_record(stream, session.session))
            },
            timelines={
                session.session: timeline.joined_with(self._named(document, session, timeline, now))
                for session, timeline in zip(sessions, announced, strict=True)
            },
            seals=seals,
            found={
                (segment.session, segment.index, rung): found
                for seal in seals.values()
                for segment, rung in missing_at_seal(document, seal)
                if (found := self._found(stream, segment, rung))
            },
            is_written=is_written,
        )

    def session_record(self, stream: StreamId, number: SessionNumber) -> SessionRecord | None:
        """The record of session *number*, if it was written."""
        return _record(self.ingest, SessionRecord, session_record_name(stream, number))

    def seal(self, stream: StreamId, number: SessionNumber) -> Seal | None:
        """The seal of session *number*, if it was written."""
        return _record(self.ingest, Seal, seal_name(stream, number))

    def segments(
        self, stream: StreamId, session: SessionState | SessionRecord, indexes: Iterable[int]
    ) -> Iterator[TimelineSegment | None]:
        """What lies under the names of the segments *indexes* of *session*: None where nothing does."""
        for index in map(SegmentIndex, indexes):
            names = {r.name: segment_name(stream, r.name, session.session, index) for r in session.rungs}
            facts = zip(names, self.executor.map(self.media.facts, names.values()), strict=True)
            found = {rung: there for rung, there in facts if there is not None}
            yield timeline_segment(index, found, start=session.start) if found else None

    def _named(
        self, document: StreamDocument, session: SessionState, timeline: JoinedTimeline, now: datetime
    ) -> Iterator[TimelineSegment]:
        """What *timeline* does not tell of *session*, because an encoder was lost or wake-ups were."""
        lost = self.segments(document.stream, session, holes(document, session.session, timeline))
        yield from filter(None, lost)
        first = next_unannounced(document, session.session, timeline, now=now)
        if first is not None:
            open_ones = undecided(document, session.session, timeline)
            yield from filter(None, self.segments(document.stream, session, open_ones))
            behind = self.segments(document.stream, session, range(first, first + TIMELINE_SEGMENTS))
            yield from filter(None, takewhile(bool, behind))

    def _found(self, stream: StreamId, segment: WindowSegment, rung: RungName) -> ListedAs | None:
        facts = self.media.facts(segment_name(stream, rung, segment.session, segment.index))
        return None if facts is None else listed_as(facts)


def announced_timeline(ingest: Bucket, stream: StreamId, number: SessionNumber) -> JoinedTimeline:
    """What all encoders of session *number* say that they have uploaded."""
    names = ingest.names(timelines_prefix(stream, number))
    return join(timeline for name in names if (timeline := _timeline(ingest, name)))


def _timeline(ingest: Bucket, name: str) -> Timeline | None:
    """The timeline under *name*; one that cannot be read must not keep the others from being published."""
    try:
        return _record(ingest, Timeline, name)
    except InvalidRecord:
        _log.exception("a timeline cannot be read", extra={"object": name})
        return None


def _record(bucket: Bucket, record_type: type[Record], name: str) -> Record | None:
    content = bucket.read(name)
    return None if content is None else decode_record(record_type, content)
