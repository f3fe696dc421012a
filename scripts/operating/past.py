"""The past: the buckets as they were at an instant, from the log of what was written to them. Pure."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bucketcast.records import Record, decode_record
from bucketcast.stream.identifiers import SessionNumber, StreamId
from bucketcast.stream.object_names import (
    SessionObjectName,
    parse_ingest_object_name,
    seal_name,
    session_record_name,
    timelines_prefix,
)
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One generation of an object, or its deletion; a log keeps no *content* of media."""

    time: datetime
    name: str
    generation: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = field(default=None, repr=False)
    is_deletion: bool = False


class Past:
    """The buckets of *stream* at an instant: what lay in them, and every write that had led there."""

    def __init__(
        self, stream: StreamId, *, media: Iterable[Write], ingest: Iterable[Write], at: datetime
    ) -> None:
        """Take of *media* and *ingest*, each oldest first, what was written until *at*."""
        self.stream = stream
        self.at = at
        self._media = _by_name(media, at)
        self._ingest = _by_name(ingest, at)
        self._decoded: dict[int, Timeline] = {}

    def generations(self, name: str) -> list[Write]:
        """Every generation of *name* in the media bucket, oldest first."""
        return [write for write in self._media.get(name, []) if not write.is_deletion]

    def current(self, name: str) -> Write | None:
        """What viewers found under *name*."""
        return _current(self._media, name)

    def media_names(self) -> Iterator[str]:
        """What lay in the media bucket."""
        return (name for name in self._media if _current(self._media, name))

    def sessions(self) -> set[SessionNumber]:
        """The sessions of which there was a record, a seal or a timeline."""
        parsed = map(parse_ingest_object_name, self._ingest)
        return {name.session for name in parsed if isinstance(name, SessionObjectName)}

    def session_record(self, number: SessionNumber) -> tuple[SessionRecord, Write] | None:
        """The record of session *number*, and when it was written."""
        return self._record(SessionRecord, session_record_name(self.stream, number))

    def seal(self, number: SessionNumber) -> tuple[Seal, Write] | None:
        """The seal of session *number*, and when it was written."""
        return self._record(Seal, seal_name(self.stream, number))

    def timelines(
        self, number: SessionNumber, *, since: datetime | None = None
    ) -> Iterator[tuple[Timeline, Write]]:
        """Every generation of session *number*'s timelines from *since* on, oldest first."""
        names = self._timeline_names(number)
        writes = sorted((w for name in names for w in self._ingest[name]), key=lambda write: write.time)
        start = bisect_left(writes, since, key=lambda write: write.time) if since else 0
        for write in writes[start:]:
            if write.content is not None:
                yield self._timeline(write.generation, write.content), write

    def last_timelines(self, number: SessionNumber) -> list[Timeline]:
        """The timelines of session *number* as they lay in the bucket."""
        last = (_current(self._ingest, name) for name in self._timeline_names(number))
        return [self._timeline(write.generation, write.content) for write in last if write and write.content]

    def _timeline_names(self, number: SessionNumber) -> list[str]:
        prefix = timelines_prefix(self.stream, number)
        return [name for name in self._ingest if name.startswith(prefix)]

    def _timeline(self, generation: int, content: bytes) -> Timeline:
        if generation not in self._decoded:
            self._decoded[generation] = decode_record(Timeline, content)
        return self._decoded[generation]

    def _record(self, kind: type[Record], name: str) -> tuple[Record, Write] | None:
        write = _current(self._ingest, name)
        return (decode_record(kind, write.content), write) if write and write.content is not None else None


def _by_name(writes: Iterable[Write], at: datetime) -> Mapping[str, list[Write]]:
    found: defaultdict[str, list[Write]] = defaultdict(list)
    for write in writes:
        if write.time <= at:
            found[write.name].append(write)
    return dict(found)


def _current(writes: Mapping[str, list[Write]], name: str) -> Write | None:
    last = writes[name][-1] if name in writes else None
    return last if last and not last.is_deletion else None
