"""Deletion: a stream goes, with everything of its own and nothing else.

The tombstone is written first, so that whatever is interrupted goes on with the next clean-up; then the stream
records, after which nothing can be rebuilt or claimed; then the documents; then what they were about.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

from bucketcast.errors import NotFound, Refused
from bucketcast.handlers.creation import create_once
from bucketcast.ports import Archive, Clock, DeletableStreamDocuments, RecordingDocuments
from bucketcast.recording.names import recordings_folder, stream_parts_prefix
from bucketcast.records import decode_record, record_object
from bucketcast.stream.identifiers import StreamId
from bucketcast.stream.object_names import (
    TOMBSTONES,
    media_prefix,
    parsed_names,
    seals_prefix,
    session_records_prefix,
    stream_records_prefix,
    stream_timelines_prefix,
    tombstone_name,
)
from bucketcast.stream.tombstone import BURIED, Tombstone
from bucketcast.stream_records import latest_stream_record

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletions:
    """What deleting streams needs of the world."""

    media: Archive
    ingest: Archive
    recording: Archive
    documents: DeletableStreamDocuments
    recordings: RecordingDocuments
    clock: Clock
    executor: Executor  # deletes several objects at the same time

    def delete(self, stream: StreamId, *, keep_recordings: bool) -> None:
        """Delete *stream*; with *keep_recordings* its recordings and what was made of them stay.

        Raises NotFound, and Refused while it is on air. What is interrupted goes on with the next clean-up.
        """
        if latest_stream_record(self.ingest, stream) is None:
            raise NotFound(f"there is no stream '{stream}'")
        stored = self.documents.read(stream)
        if stored is not None and stored.document.is_under_way:
            raise Refused(f"'{stream}' is on air: end its broadcast first")
        stone = Tombstone(stream=stream, deleted=self.clock.now(), keep_recordings=keep_recordings)
        create_once(self.ingest, record_object(tombstone_name(stream), stone))
        self._erase(self._read(stream) or stone)
        _log.info("stream deleted", extra={"stream": stream})

    def bury(self) -> Iterator[str]:
        """Erase what appeared of deleted streams since, and forget those that were deleted long ago.

        Yields the names of what went.
        """
        for stone in self._tombstones():
            yield from self._erase(stone)
            if self.clock.now() - stone.deleted >= BURIED:
                self.ingest.delete(tombstone_name(stone.stream))

    def unburied(self) -> Iterator[str]:
        """The names of what `bury` would erase."""
        for stone in self._tombstones():
            yield from (name for _, name in self._remains(stone))

    def _tombstones(self) -> Iterator[Tombstone]:
        for _, name in list(parsed_names(self.ingest.names(TOMBSTONES))):
            if (stone := self._read(name.stream)) is not None:
                yield stone

    def _read(self, stream: StreamId) -> Tombstone | None:
        content = self.ingest.read(tombstone_name(stream))
        return None if content is None else decode_record(Tombstone, content)

    def _erase(self, stone: Tombstone) -> list[str]:
        """Delete all that there is of *stone*'s stream, and return the names of the objects."""
        for name in self.ingest.names(stream_records_prefix(stone.stream)):
            self.ingest.delete(name)
        self.documents.delete(stone.stream)
        if not stone.keep_recordings:
            for recording in list(self.recordings.of_stream(stone.stream)):
                self.recordings.delete(recording.stream, recording.broadcast)
        remains = list(self._remains(stone))
        list(self.executor.map(lambda found: found[0].delete(found[1]), remains))
        return [name for _, name in remains]

    def _remains(self, stone: Tombstone) -> Iterator[tuple[Archive, str]]:
        stream = stone.stream
        kept = recordings_folder(stream) if stone.keep_recordings else None
        for bucket, prefix in (
            (self.ingest, stream_records_prefix(stream)),
            (self.ingest, session_records_prefix(stream)),
            (self.ingest, seals_prefix(stream)),
            (self.ingest, stream_timelines_prefix(stream)),
            (self.media, media_prefix(stream)),
            (self.recording, stream_parts_prefix(stream)),
        ):
            for name in bucket.names(prefix):
                if kept is None or not name.startswith(kept):
                    yield bucket, name
