"""The local cloud's log of what was written, read for one stream."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Final

from bucketcast.records import decode_record
from bucketcast.stream.identifiers import RungName, SessionNumber, StreamId
from bucketcast.stream.object_names import (
    media_playlist_name,
    seals_prefix,
    session_records_prefix,
    state_name,
    stream_records_prefix,
    timelines_prefix,
)
from bucketcast.stream.stream_record import StreamRecord
from bucketcast.stream.timeline import TIMELINE_SEGMENTS
from local_cloud.storage.journal import ENTRIES_PER_ANSWER, Journal, JournalEntry
from local_system.system import INGEST_BUCKET, MEDIA_BUCKET
from operating.past import Past, Write

WRITES: Final = frozenset({"insert", "compose", "rewrite", "delete"})
# A window never holds more than a timeline's segments, and each generation of a playlist lists another one:
# what is listed came at most so many generations ago, and was created at most as long before.
REACH: Final = 2 * TIMELINE_SEGMENTS


class NotInLog(Exception):
    """The log does not know what is asked for; the text says so in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalLog:
    """What *journal* knows of *stream* until the instant *at*."""

    journal: Journal
    stream: StreamId
    at: datetime

    def slots(self, only: str | None = None) -> list[RungName]:
        """The stream's slots, or *only* that one; raises NotInLog if it has none such."""
        records = list(self._writes(INGEST_BUCKET, stream_records_prefix(self.stream)))
        if not records or (content := records[-1][1].content) is None:
            raise NotInLog(f"the log knows no stream '{self.stream}' at {self.at.isoformat()}")
        slots = [rung.name for rung in decode_record(StreamRecord, content).configuration.rungs]
        if only is not None and only not in slots:
            raise NotInLog(f"the stream '{self.stream}' has no slot {only}, but {', '.join(slots)}")
        return [slot for slot in slots if only in (None, slot)]

    def past(self, slot: RungName) -> Past:
        """All that the playlist of *slot* rested on."""
        name = media_playlist_name(self.stream, slot)
        playlists = [sequence for sequence, _ in self._writes(MEDIA_BUCKET, name)]
        since = playlists[-REACH] if len(playlists) > REACH else 0
        timelines = f"{PurePosixPath(timelines_prefix(self.stream, SessionNumber(0))).parent}/"
        media = [
            *self._writes(MEDIA_BUCKET, state_name(self.stream)),
            *self._writes(MEDIA_BUCKET, f"{self.stream}/", since=since),
        ]
        ingest = [
            *self._writes(INGEST_BUCKET, session_records_prefix(self.stream)),
            *self._writes(INGEST_BUCKET, seals_prefix(self.stream)),
            *self._writes(INGEST_BUCKET, timelines, since=since),
        ]
        return Past(
            self.stream,
            media=(write for _, write in media),
            ingest=(write for _, write in ingest),
            at=self.at,
        )

    def _writes(self, bucket: str, prefix: str, *, since: int = 0) -> Iterator[tuple[int, Write]]:
        """What was written below *prefix* behind entry number *since*, oldest first, each with its number."""
        while entries := self.journal.entries(
            bucket=bucket, prefix=prefix, since=since, limit=ENTRIES_PER_ANSWER
        ):
            until = list(takewhile(lambda entry: entry.time <= self.at, entries))
            yield from ((entry.sequence, _write(entry)) for entry in until if entry.operation in WRITES)
            if len(until) < len(entries):
                return
            since = entries[-1].sequence


def _write(entry: JournalEntry) -> Write:
    return Write(
        time=entry.time,
        name=entry.stored.name,
        generation=entry.stored.generation,
        metadata=entry.stored.attributes.metadata,
        content=entry.content,
        is_deletion=entry.operation == "delete",
    )
