"""Rebuild: a stream's document made again from what the buckets hold.

Whoever asks for a document that is gone gets it back; only a stream that was never made has none.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile

from msgspec.structs import replace

from bucketcast.errors import PreconditionFailed
from bucketcast.handlers.evidence import EvidenceReader
from bucketcast.ports import Clock, StoredDocument, StreamDocuments, Version
from bucketcast.stream.claim import Lease
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import SessionNumber, StreamId
from bucketcast.stream.object_names import (
    numbered_sessions,
    seals_prefix,
    session_record_name,
    session_records_prefix,
)
from bucketcast.stream.published_objects import published_names, revision_of
from bucketcast.stream.remains import RecordedSession, Remains, rebuild
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.stream_record import StreamRecord
from bucketcast.stream.timeline import TIMELINE_SEGMENTS, TimelineSegment
from bucketcast.stream.window import live_window_duration
from bucketcast.stream_records import latest_stream_record

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuiltDocuments:
    """StreamDocuments that makes a document again when it is gone."""

    documents: StreamDocuments
    reader: EvidenceReader
    clock: Clock

    def read(self, stream: StreamId) -> StoredDocument | None:
        """See StreamDocuments.read; None only for a stream that has no record."""
        stored = self.documents.read(stream)
        if stored is not None or (remains := self._remains(stream)) is None:
            return stored
        _log.warning("stream's document is made again from its records", extra={"stream": stream})
        with suppress(PreconditionFailed):  # made by another in the meantime
            self.documents.create(rebuild(remains, now=self.clock.now()))
        return self.documents.read(stream)

    def create(self, document: StreamDocument) -> None:
        """See StreamDocuments.create."""
        self.documents.create(document)

    def replace(self, document: StreamDocument, *, version: Version) -> None:
        """See StreamDocuments.replace."""
        self.documents.replace(document, version=version)

    def all(self) -> Iterator[StreamDocument]:
        """See StreamDocuments.all."""
        return self.documents.all()

    def lease(self, stream: StreamId) -> Lease | None:
        """See StreamDocuments.lease."""
        return self.documents.lease(stream)

    def renew_lease(self, stream: StreamId, lease: Lease) -> None:
        """See StreamDocuments.renew_lease."""
        self.documents.renew_lease(stream, lease)

    def _remains(self, stream: StreamId) -> Remains | None:
        record = latest_stream_record(self.reader.ingest, stream)
        if record is None:
            return None
        recorded = numbered_sessions(self.reader.ingest.names(session_records_prefix(stream)))
        sealed = numbered_sessions(self.reader.ingest.names(seals_prefix(stream)))
        known = set(sealed)
        open_sessions = [self._session(stream, number) for number in recorded if number not in known]
        return Remains(
            record=record,
            sessions=(*self._shown(record, sealed), *filter(None, open_sessions)),
            newest_seal=self.reader.seal(stream, sealed[-1]) if sealed else None,
            next_session=SessionNumber(max([0, *recorded, *sealed]) + 1),
            newest_revision=self._newest_revision(record),
        )

    def _newest_revision(self, record: StreamRecord) -> int:
        names = published_names(record.stream, (slot.name for slot in record.configuration.rungs))
        facts = self.reader.executor.map(self.reader.media.facts, names)
        return max((revision_of(there) for there in facts if there), default=-1)

    def _session(self, stream: StreamId, number: SessionNumber) -> RecordedSession | None:
        facts = self.reader.ingest.facts(session_record_name(stream, number))
        record = self.reader.session_record(stream, number)
        return RecordedSession(record=record, claimed=facts.updated) if record and facts else None

    def _shown(self, record: StreamRecord, sealed: list[SessionNumber]) -> list[RecordedSession]:
        """The sealed sessions of the newest broadcast that a live window can still reach, oldest first."""
        shown: list[RecordedSession] = []
        wanted = live_window_duration(record.configuration)
        for number in reversed(sealed):
            seal = self.reader.seal(record.stream, number)
            session = self._session(record.stream, number)
            if seal is None or session is None or seal.last_index < 0:
                continue
            if wanted <= timedelta(0) or (shown and shown[0].record.broadcast != seal.broadcast):
                break
            segments = self._last_segments(session.record, seal, wanted)
            wanted -= sum((segment.duration for segment in segments), timedelta(0))
            shown.insert(0, replace(session, seal=seal, segments=segments))
        return shown

    def _last_segments(
        self, session: SessionRecord, seal: Seal, wanted: timedelta
    ) -> tuple[TimelineSegment, ...]:
        """The segments before *seal* that are *wanted* long together, oldest first."""
        segments: list[TimelineSegment] = []
        backwards = range(seal.last_index, max(-1, seal.last_index - TIMELINE_SEGMENTS), -1)
        for segment in takewhile(bool, self.reader.segments(session.stream, session, backwards)):
            assert segment is not None
            segments.insert(0, segment)
            wanted -= segment.duration
            if wanted <= timedelta(0):
                break
        return tuple(segments)
