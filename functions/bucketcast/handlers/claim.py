"""Claim and renew: what an encoder asks of the functions while it is on air."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from bucketcast.errors import NotFound, PreconditionFailed, Unavailable
from bucketcast.handlers.creation import create_once
from bucketcast.handlers.evidence import announced_timeline
from bucketcast.ports import MAX_ROUNDS, Bucket, Clock, StreamDocuments, Version
from bucketcast.records import decode_record, record_object
from bucketcast.stream.claim import ClaimRequest, Lease, Renewal, Renewed, claim, holding
from bucketcast.stream.document import SessionState, StreamDocument
from bucketcast.stream.identifiers import EncoderId, Revision
from bucketcast.stream.object_names import session_record_name
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.timeline import NOTHING_REPORTED, JoinedTimeline

_log = logging.getLogger(__name__)

# A lease is judged within seconds; an hour says "long ago" as well as any number.
MAX_SILENT_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What claiming needs of the world."""

    ingest: Bucket
    documents: StreamDocuments
    clock: Clock

    def claim(self, request: ClaimRequest) -> SessionRecord:
        """Give *request*'s encoder the next session and write its record.

        Raises NotFound for an unknown stream, Refused while another encoder is on air, InvalidInput for rungs
        that the stream has no slots for. Claiming again gives the same session.
        """
        another: SessionRecord | None = None
        for _ in range(MAX_ROUNDS):
            stored = self.documents.read(request.stream)
            if stored is None:
                raise NotFound(f"there is no stream '{request.stream}'")
            now = self.clock.now()
            lease = self.documents.lease(request.stream)
            records = {another.session: another} if another else {}
            document = stored.document.with_records(records)
            reported = self._newest_timeline(document)
            claimed = claim(document, request, lease=lease, reported=reported, now=now)
            session = _session_of(claimed, request.encoder)
            if claimed != stored.document and not self._replace(claimed, stored.version):
                continue
            record = session.record(request.stream, claimed.configuration.segment_duration)
            if (written := self._write_record(record)) != record:
                _log.warning("session's number is another's", extra={"stream": record.stream})
                another = written
                continue
            if holding(claimed, session.session) == "on":
                self.documents.renew_lease(
                    request.stream, Lease(session=session.session, encoder=request.encoder, media_at=now)
                )
            _log.info("session claimed", extra={"stream": record.stream, "session": record.session})
            return record
        raise Unavailable(f"claiming {request.stream} found no end in {MAX_ROUNDS} rounds")

    def renew(self, renewal: Renewal) -> Renewed:
        """Renew the lease of *renewal*'s encoder, unless its session is over; say which.

        Raises NotFound for an unknown stream.
        """
        stored = self.documents.read(renewal.stream)
        if stored is None:
            raise NotFound(f"there is no stream '{renewal.stream}'")
        holds = holding(stored.document, renewal.session)
        if holds == "on":
            silent = min(max(renewal.silent_seconds, 0.0), MAX_SILENT_SECONDS)
            self.documents.renew_lease(
                renewal.stream,
                Lease(
                    session=renewal.session,
                    encoder=renewal.encoder,
                    media_at=self.clock.now() - timedelta(seconds=silent),
                    report=renewal.report,
                ),
            )
        return Renewed(holds=holds)

    def _newest_timeline(self, document: StreamDocument) -> JoinedTimeline:
        if not document.sessions:
            return NOTHING_REPORTED
        return announced_timeline(self.ingest, document.stream, document.sessions[-1].session)

    def _replace(self, document: StreamDocument, version: Version) -> bool:
        """Store *document* under its next revision; say whether nobody else was first."""
        try:
            self.documents.replace(replace(document, revision=Revision(document.revision + 1)), version=version)
        except PreconditionFailed:
            return False
        return True

    def _write_record(self, record: SessionRecord) -> SessionRecord:
        """Create *record*, or return the one that took its name."""
        new = record_object(session_record_name(record.stream, record.session), record)
        if create_once(self.ingest, new):
            return record
        content = self.ingest.read(new.name)
        if content is None:
            raise Unavailable(f"the record of a session of {record.stream} was there and is gone")
        return decode_record(SessionRecord, content)


def _session_of(document: StreamDocument, encoder: EncoderId) -> SessionState:
    return next(session for session in document.sessions if session.encoder == encoder)
