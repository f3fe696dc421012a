"""Claim and renew: what an encoder asks of the functions while it is on air."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from bucketcast.errors import NotFound, PreconditionFailed, Unavailable
from bucketcast.handlers.publish import create_once
from bucketcast.ports import Bucket, Clock, StreamDocuments
from bucketcast.records import record_object
from bucketcast.stream.claim import ClaimRequest, Lease, Renewal, Renewed, claim, holding
from bucketcast.stream.document import SessionState, StreamDocument
from bucketcast.stream.identifiers import EncoderId, Revision
from bucketcast.stream.object_names import session_record_name
from bucketcast.stream.session_record import SessionRecord

_log = logging.getLogger(__name__)

# A claim meets the publishers of the session before on its document; see publish.MAX_ROUNDS.
MAX_ROUNDS: Final = 12
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
        for _ in range(MAX_ROUNDS):
            stored = self.documents.read(request.stream)
            if stored is None:
                raise NotFound(f"there is no stream '{request.stream}'")
            now = self.clock.now()
            lease = self.documents.lease(request.stream)
            claimed = claim(stored.document, request, lease=lease, now=now)
            session = _session_of(claimed, request.encoder)
            if claimed != stored.document:
                revised = replace(claimed, revision=Revision(claimed.revision + 1))
                try:
                    self.documents.replace(revised, version=stored.version)
                except PreconditionFailed:
                    continue
            if holding(claimed, session.session) == "on":
                self.documents.renew_lease(
                    request.stream, Lease(session=session.session, encoder=request.encoder, media_at=now)
                )
            record = session.record(request.stream, claimed.configuration.segment_duration)
            create_once(
                self.ingest,
                record_object(session_record_name(request.stream, session.session), record),
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


def _session_of(document: StreamDocument, encoder: EncoderId) -> SessionState:
    return next(session for session in document.sessions if session.encoder == encoder)
