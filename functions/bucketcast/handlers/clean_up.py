"""Clean-up: what nobody needs any more goes, a day after its broadcast ended.

Safe twice and when killed half-way: a session's seal goes last, and until then the next clean-up finds it.
"""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from msgspec import Struct

from bucketcast.errors import BucketcastError
from bucketcast.handlers.deletion import Deletions
from bucketcast.ports import Archive
from bucketcast.recording.names import joined_prefix, session_parts_prefix
from bucketcast.recording.vod import vod_workplace
from bucketcast.records import decode_record
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.expiry import KEPT, ExpiredSession, SealedSession, expired_sessions
from bucketcast.stream.identifiers import StreamId
from bucketcast.stream.object_names import (
    parse_segment_name,
    seal_name,
    seals_prefix,
    session_record_name,
    session_segments_prefix,
    timelines_prefix,
)
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import SessionRecord

_log = logging.getLogger(__name__)

# A dry run is read by people; what goes beyond is counted.
NAMES_SHOWN: Final = 100


class CleanedUp(Struct, frozen=True, kw_only=True):
    """What went, or would go: how many objects, the *names* of some, and whether there is *more* to do."""

    objects: int
    names: tuple[str, ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanUp:
    """What cleaning up needs of the world."""

    deletions: Deletions
    executor: Executor  # deletes several objects at the same time

    def clean_up(self, *, dry_run: bool, within: timedelta) -> CleanedUp:
        """Delete what has expired, or with *dry_run* say what would go; begin nothing after *within*."""
        until = self.deletions.clock.now() + within
        names: list[str] = []
        count, more = 0, False
        for found in self._expired(dry_run=dry_run):
            count += len(found)
            names += found[: NAMES_SHOWN - len(names)]
            if self.deletions.clock.now() >= until:
                more = True
                break
        _log.info("cleaned up", extra={"objects": count, "dry_run": dry_run, "more": more})
        return CleanedUp(objects=count, names=tuple(names), more=more)

    def _expired(self, *, dry_run: bool) -> Iterator[list[str]]:
        for document in list(self.deletions.documents.all()):
            try:
                for expired in self._sessions(document):
                    yield self._clean(document, expired, dry_run=dry_run)
            except BucketcastError:
                # One stream's trouble must not keep the others' storage from being freed.
                _log.exception("a stream could not be cleaned up", extra={"stream": document.stream})
        yield list(self.deletions.unburied() if dry_run else self.deletions.bury())

    def _sessions(self, document: StreamDocument) -> Iterable[ExpiredSession]:
        now = self.deletions.clock.now()
        facts = list(self.deletions.ingest.listed(seals_prefix(document.stream)))
        if not any(now - seal.updated >= KEPT for seal in facts):
            return ()
        sealed = [
            SealedSession(seal=decode_record(Seal, content), sealed=seal.updated)
            for seal, content in zip(
                facts,
                self.executor.map(self.deletions.ingest.read, [seal.name for seal in facts]),
                strict=True,
            )
            if content is not None
        ]
        settled = {
            recording.broadcast
            for recording in self.deletions.recordings.of_stream(document.stream)
            if recording.is_finalized and not recording.is_encoding
        }
        return expired_sessions(document, sealed, settled, now=now)

    def _clean(self, document: StreamDocument, expired: ExpiredSession, *, dry_run: bool) -> list[str]:
        """Delete, or only name, what *expired* leaves; the records behind the media, and the seal last."""
        ranks = list(self._ranks(document, expired))
        if not dry_run:
            for rank in ranks:
                list(self.executor.map(lambda found: found[0].delete(found[1]), rank))
        return [name for rank in ranks for _, name in rank]

    def _ranks(self, document: StreamDocument, expired: ExpiredSession) -> Iterator[list[tuple[Archive, str]]]:
        stream, session, world = document.stream, expired.session, self.deletions
        record = self._record(stream, expired)
        rungs = {rung.name for rung in (record.rungs if record else document.configuration.rungs)}
        media = [
            name
            for rung in sorted(rungs)
            for name in world.media.names(session_segments_prefix(stream, rung, session))
            if expired.until is None or parse_segment_name(name).index < expired.until
        ]
        yield [(world.media, name) for name in media]
        if expired.until is not None:
            return
        for prefix in (
            session_parts_prefix(stream, session),
            joined_prefix(stream, expired.broadcast),
            vod_workplace(stream, expired.broadcast),
        ):
            yield [(world.recording, name) for name in world.recording.names(prefix)]
        if expired.is_newest:
            return
        yield [(world.ingest, name) for name in world.ingest.names(timelines_prefix(stream, session))]
        for name in (session_record_name(stream, session), seal_name(stream, session)):
            yield [(world.ingest, name)]

    def _record(self, stream: StreamId, expired: ExpiredSession) -> SessionRecord | None:
        content = self.deletions.ingest.read(session_record_name(stream, expired.session))
        return None if content is None else decode_record(SessionRecord, content)
