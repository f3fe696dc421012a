"""Clean-up: what nobody needs any more goes, a day after its broadcast ended.

Safe twice and when killed half-way: a session's seal goes last, and until then the next clean-up finds it. A
stream's document remembers how long nothing expires: an hourly clean-up costs what goes, not what there was.
"""

import logging
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bucketcast.errors import BucketcastError, PreconditionFailed
from bucketcast.handlers.deletion import Deletions, in_slices
from bucketcast.handlers.recordings import Recordings
from bucketcast.objects import ObjectFacts
from bucketcast.ports import Archive
from bucketcast.recording.document import RecordingDocument, RecordingState
from bucketcast.recording.names import joined_prefix, session_parts_prefix, vod_workplace
from bucketcast.records import decode_record
from bucketcast.stream.configuration import RecordingMode
from bucketcast.stream.document import CleanedUp, StreamDocument
from bucketcast.stream.expiry import (
    KEPT,
    ExpiredSession,
    SealedSession,
    cleaned_up,
    expired_sessions,
    has_expired,
    kept,
)
from bucketcast.stream.identifiers import BroadcastNumber, Revision, RungName, SegmentIndex, StreamId
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
# Half of what the bucket's lifecycle rule waits for: what playlists name outlives it by far.
KEPT_ANEW: Final = timedelta(days=15)


class CleanUpResult(Struct, frozen=True, kw_only=True):
    """What went, or would go: how many objects, the *names* of some, and whether there is *more* to do."""

    objects: int
    names: tuple[str, ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanUp:
    """What cleaning up needs of the world."""

    deletions: Deletions
    recordings: Recordings
    executor: Executor  # deletes several objects at the same time

    def clean_up(self, *, dry_run: bool, within: timedelta) -> CleanUpResult:
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
        return CleanUpResult(objects=count, names=tuple(names), more=more)

    def _expired(self, *, dry_run: bool) -> Iterator[list[str]]:
        for document in list(self.deletions.documents.all()):
            try:
                yield from self._of_stream(document, dry_run=dry_run)
            except BucketcastError:
                # One stream's trouble must not keep the others' storage from being freed.
                _log.exception("a stream could not be cleaned up", extra={"stream": document.stream})
        yield from self.deletions.unburied() if dry_run else self.deletions.bury()

    def _of_stream(self, document: StreamDocument, *, dry_run: bool) -> Iterator[list[str]]:
        now = self.deletions.clock.now()
        if not has_expired(document, now):
            return
        seals = list(self.deletions.ingest.listed(seals_prefix(document.stream)))
        if any(now - seal.updated >= KEPT for seal in seals):
            result = yield from self._of_sessions(document, self._sealed(seals), now=now, dry_run=dry_run)
        else:
            result = kept(document, [seal.updated for seal in seals], now=now)
        if not dry_run and result is not None:
            self._remember(document.stream, result)

    def _of_sessions(
        self, document: StreamDocument, sealed: Sequence[SealedSession], *, now: datetime, dry_run: bool
    ) -> Generator[list[str], None, CleanedUp | None]:
        """Delete what has expired of *sealed*, and return how long nothing more of them does."""
        known = self._recordings(document.stream, sealed)
        if not dry_run and self._begin_missed(document, sealed, known):
            known = self._recordings(document.stream, sealed)
        carried = {broadcast for broadcast, recording in known.items() if not recording.is_settled}
        settled = {broadcast for broadcast, recording in known.items() if recording.is_finalized}
        for session in expired_sessions(document, sealed, settled=settled, carried=carried, now=now):
            for some in in_slices(self._objects(document, session)):
                if not dry_run:
                    list(self.executor.map(lambda found: found[0].delete(found[1]), some))
                yield [name for _, name in some]
            if not dry_run and session.until is not None:
                self._keep(document, session, session.until)
            if not dry_run and session.until is None and not session.is_newest:
                # Only now: until then the next clean-up finds what this one has left.
                for name in (
                    session_record_name(document.stream, session.session),
                    seal_name(document.stream, session.session),
                ):
                    self.deletions.ingest.delete(name)
        return cleaned_up(document, sealed, carried=carried, now=now)

    def _remember(self, stream: StreamId, result: CleanedUp) -> None:
        """Store *result*, unless the document is just being replaced: then the next clean-up looks again."""
        documents = self.deletions.documents
        if (stored := documents.read(stream)) is not None:
            revision = Revision(stored.document.revision + 1)
            with suppress(PreconditionFailed):
                documents.replace(
                    replace(stored.document, cleaned_up=result, revision=revision), version=stored.version
                )

    def _recordings(
        self, stream: StreamId, sealed: Iterable[SealedSession]
    ) -> dict[BroadcastNumber, RecordingDocument]:
        """What is known of the recordings of the broadcasts that *sealed* belong to."""
        broadcasts = {session.seal.broadcast for session in sealed}
        found = self.executor.map(lambda number: self.deletions.recordings.read(stream, number), broadcasts)
        return {stored.document.broadcast: stored.document for stored in found if stored is not None}

    def _sealed(self, facts: Sequence[ObjectFacts]) -> list[SealedSession]:
        """The sealed sessions whose seals are listed as *facts*."""
        contents = self.executor.map(self.deletions.ingest.read, [seal.name for seal in facts])
        return [
            SealedSession(seal=decode_record(Seal, content), sealed=seal.updated)
            for seal, content in zip(facts, contents, strict=True)
            if content is not None
        ]

    def _begin_missed(
        self,
        document: StreamDocument,
        sealed: Iterable[SealedSession],
        known: Mapping[BroadcastNumber, RecordingDocument],
    ) -> bool:
        """Start the recordings of broadcasts whose end nobody saw in time; say whether there were any."""
        if document.configuration.recording is RecordingMode.OFF:
            return False
        missed = [
            broadcast
            for broadcast in sorted({session.seal.broadcast for session in sealed})
            if broadcast <= document.ended_broadcasts and _is_missed(known.get(broadcast))
        ]
        for broadcast in missed:
            self.recordings.begin(document.stream, broadcast)
        return bool(missed)

    def _objects(self, document: StreamDocument, expired: ExpiredSession) -> Iterator[tuple[Archive, str]]:
        """What goes of a session, but for its record and its seal."""
        stream, session, world = document.stream, expired.session, self.deletions
        for rung in self._rungs(document, expired):
            for facts in world.media.listed(session_segments_prefix(stream, rung, session)):
                if expired.until is None or parse_segment_name(facts.name).index < expired.until:
                    yield world.media, facts.name
        for prefix in (
            session_parts_prefix(stream, session),
            joined_prefix(stream, expired.broadcast),
            vod_workplace(stream, expired.broadcast),
        ):
            for facts in world.recording.listed(prefix):
                yield world.recording, facts.name
        if expired.until is None and not expired.is_newest:
            for facts in world.ingest.listed(timelines_prefix(stream, session)):
                yield world.ingest, facts.name

    def _keep(self, document: StreamDocument, expired: ExpiredSession, until: SegmentIndex) -> None:
        """Let the safety net count anew for what playlists still name."""
        now, world = self.deletions.clock.now(), self.deletions
        for rung in self._rungs(document, expired):
            for facts in world.media.listed(session_segments_prefix(document.stream, rung, expired.session)):
                named = parse_segment_name(facts.name).index >= until
                if named and facts.custom_time is not None and now - facts.custom_time >= KEPT_ANEW:
                    world.media.keep(facts.name, now)

    def _rungs(self, document: StreamDocument, expired: ExpiredSession) -> list[RungName]:
        record = self._record(document.stream, expired)
        return sorted({rung.name for rung in (record.rungs if record else document.configuration.rungs)})

    def _record(self, stream: StreamId, expired: ExpiredSession) -> SessionRecord | None:
        content = self.deletions.ingest.read(session_record_name(stream, expired.session))
        return None if content is None else decode_record(SessionRecord, content)


def _is_missed(recording: RecordingDocument | None) -> bool:
    return recording is None or recording.state is RecordingState.RECORDING
