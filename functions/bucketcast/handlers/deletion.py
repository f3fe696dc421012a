"""Deletion: a stream goes, with everything of its own and nothing else.

The tombstone is written first, so that whatever is interrupted goes on with the next clean-up; then the stream
records, after which nothing can be rebuilt or claimed; then the documents; then what they were about.
"""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final, TypeVar

from msgspec.structs import replace

from bucketcast.errors import NotFound, PreconditionFailed, Refused, TooManyWrites, Unavailable
from bucketcast.objects import ABSENT, ObjectFacts
from bucketcast.ports import (
    MAX_ROUNDS,
    Archive,
    Clock,
    DeletableStreamDocuments,
    RecordingDocuments,
    StreamDocuments,
)
from bucketcast.recording.document import resting_broadcast
from bucketcast.recording.names import recordings_folder, stream_parts_prefix
from bucketcast.records import decode_record, record_object
from bucketcast.stream.claim import LEASE
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


# Names that are held, and objects that are deleted, before the time is looked at again.
SLICE: Final = 1000

Found = TypeVar("Found")


def in_slices(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Yield *found*, SLICE at a time."""
    rest = iter(found)
    while some := list(islice(rest, SLICE)):
        yield some


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletions:
    """What deleting streams needs of the world."""

    media: Archive
    ingest: Archive
    recording: Archive
    documents: DeletableStreamDocuments
    rebuilt: StreamDocuments
    recordings: RecordingDocuments
    clock: Clock
    executor: Executor  # deletes several objects at the same time

    def delete(self, stream: StreamId, *, keep_recordings: bool, within: timedelta) -> bool:
        """Delete *stream*; with *keep_recordings* its recordings and what was made of them stay.

        What was kept is deleted by deleting the stream once more, without. Returns whether nothing of it is
        left; what takes longer than *within*, or is interrupted, goes on with the next clean-up. Raises
        NotFound, and Refused while it is on air, or what is to be kept is still being made.
        """
        if latest_stream_record(self.ingest, stream) is None:
            if self._read(stream) is None:
                raise NotFound(f"there is no stream '{stream}'")
        else:
            self._require_rest(stream, keep_recordings=keep_recordings)
        stone = self._tombstone(stream, keep_recordings=keep_recordings)
        until = self.clock.now() + within
        done = all(self.clock.now() < until for _ in self._erase(stone))
        _log.info("stream deleted", extra={"stream": stream, "done": done})
        return done

    def _require_rest(self, stream: StreamId, *, keep_recordings: bool) -> None:
        """Raise Refused while somebody may be on air, or what is to be kept is still being made."""
        stored, lease = self.rebuilt.read(stream), self.documents.lease(stream)
        holds = lease is not None and self.clock.now() - lease.media_at < LEASE
        if holds or (stored is not None and stored.document.is_under_way):
            raise Refused(f"'{stream}' is on air: end its broadcast first")
        if not keep_recordings or stored is None:
            return
        known = {recording.broadcast: recording for recording in self.recordings.of_stream(stream)}
        last = resting_broadcast(stored.document)
        if (last is not None and last not in known) or any(not one.is_settled for one in known.values()):
            raise Refused(f"a recording of '{stream}' is still being made: wait for it, or delete it too")

    def _tombstone(self, stream: StreamId, *, keep_recordings: bool) -> Tombstone:
        """Write the tombstone of *stream*, over one that kept what is not to be kept any more."""
        stone = Tombstone(stream=stream, deleted=self.clock.now(), keep_recordings=keep_recordings)
        new = record_object(tombstone_name(stream), stone)
        for _ in range(MAX_ROUNDS):
            there, known = self.ingest.facts(new.name), self._read(stream)
            if known is not None and (keep_recordings or not known.keep_recordings):
                return known
            with suppress(PreconditionFailed):
                self.ingest.write(new, if_generation=there.generation if there else ABSENT)
                return stone
        raise Unavailable(f"deleting {stream} found no end in {MAX_ROUNDS} rounds")

    def bury(self) -> Iterator[list[str]]:
        """Erase what appeared of deleted streams since, and forget those that were deleted long ago.

        Yields the names of what went, some at a time. A stream whose recordings were kept keeps its tombstone:
        its id would give them to another one.
        """
        for stone in self._tombstones():
            there, is_buried = self.ingest.facts(tombstone_name(stone.stream)), self._is_buried(stone)
            yield from self._erase(stone)
            if there is not None and is_buried:
                with suppress(PreconditionFailed, TooManyWrites):
                    self._lay_to_rest(stone, there)

    def unburied(self) -> Iterator[list[str]]:
        """The names of what `bury` would erase, some at a time."""
        for stone in self._tombstones():
            for some in in_slices(self._remains(stone)):
                yield [name for _, name in some]

    def _is_buried(self, stone: Tombstone) -> bool:
        return self.clock.now() - stone.deleted >= BURIED

    def _lay_to_rest(self, stone: Tombstone, there: ObjectFacts) -> None:
        """Forget *stone*, or where it keeps recordings that there is anything to erase beside them."""
        if stone.keep_recordings:
            rested = record_object(there.name, replace(stone, at_rest=True))
            self.ingest.write(rested, if_generation=there.generation)
        else:
            self.ingest.delete(there.name, generation=there.generation)

    def _tombstones(self) -> Iterator[Tombstone]:
        """The tombstones that are not at rest."""
        for _, name in list(parsed_names(self.ingest.names(TOMBSTONES))):
            if (stone := self._read(name.stream)) is not None and not stone.at_rest:
                yield stone

    def _read(self, stream: StreamId) -> Tombstone | None:
        content = self.ingest.read(tombstone_name(stream))
        return None if content is None else decode_record(Tombstone, content)

    def _erase(self, stone: Tombstone) -> Iterator[list[str]]:
        """Delete all that there is of *stone*'s stream, and yield the names of the objects, some at a time."""
        record = latest_stream_record(self.ingest, stone.stream)
        if record is not None and record.created > stone.deleted:
            return  # another one has its id since
        for name in self.ingest.names(stream_records_prefix(stone.stream)):
            self.ingest.delete(name)
        self.documents.delete(stone.stream)
        if not stone.keep_recordings:
            for recording in list(self.recordings.of_stream(stone.stream)):
                self.recordings.delete(recording.stream, recording.broadcast)
        for some in in_slices(self._remains(stone)):
            list(self.executor.map(lambda found: found[0].delete(found[1]), some))
            yield [name for _, name in some]

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
            for facts in bucket.listed(prefix):
                if kept is None or not facts.name.startswith(kept):
                    yield bucket, facts.name
