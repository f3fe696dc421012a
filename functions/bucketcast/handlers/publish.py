"""Publish: bring a stream's document and its published objects up to what the bucket holds.

Safe to run twice, in any order, at the same time and when killed half-way: the document is replaced only as it
was read, gap objects and seals are created once, and a published object is replaced only by a newer revision.
"""

import logging
from collections import OrderedDict
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from threading import Lock
from typing import Final

from msgspec.structs import replace

from bucketcast.errors import NotFound, PreconditionFailed, TooManyWrites, Unavailable
from bucketcast.handlers.creation import create_once
from bucketcast.handlers.evidence import EvidenceReader
from bucketcast.objects import ABSENT, WRITE_INTERVAL, NewObject, ObjectFacts
from bucketcast.ports import MAX_ROUNDS, Bucket, Clock, StreamDocuments
from bucketcast.records import record_object
from bucketcast.stream.document import StreamDocument, WrittenObject
from bucketcast.stream.identifiers import Revision, StreamId
from bucketcast.stream.media_object import gap_object, timeline_segment
from bucketcast.stream.object_names import seal_name, segment_name
from bucketcast.stream.publication import (
    Evidence,
    Overtaken,
    advance,
    has_waited_long,
    is_followed,
    missing_at_seal,
    overtaken,
    pending_seals,
)
from bucketcast.stream.published_objects import (
    REVISION_KEY,
    PublishedObject,
    digest,
    published_objects,
    revision_of,
)
from bucketcast.stream.timeline import TimelineSegment

_log = logging.getLogger(__name__)

# Some hundred streams of an instance; an object that was forgotten costs one read.
SEEN_OBJECTS: Final = 1024


class SeenObjects:
    """What an instance has seen of published objects: hints that save reading them again.

    An object that was seen at a revision is never older afterwards, since it is replaced by newer ones only. A
    hint that is out of date costs a refused write, nothing else.
    """

    def __init__(self, *, limit: int = SEEN_OBJECTS) -> None:
        """Keep the facts of the *limit* objects that were seen last."""
        self._limit = limit
        self._facts: OrderedDict[str, ObjectFacts] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> ObjectFacts | None:
        """What was seen last under *name*, if it is still known."""
        return self._facts.get(name)

    def put(self, facts: ObjectFacts) -> None:
        """Keep *facts*."""
        with self._lock:
            self._facts[facts.name] = facts
            self._facts.move_to_end(facts.name)
            while len(self._facts) > self._limit:
                self._facts.popitem(last=False)

    def forget(self, name: str) -> None:
        """Drop what was seen under *name*."""
        with self._lock:
            self._facts.pop(name, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """What publishing needs of the world."""

    media: Bucket
    ingest: Bucket
    documents: StreamDocuments
    clock: Clock
    executor: Executor  # reads and writes of several objects go at the same time
    seen: SeenObjects = field(default_factory=SeenObjects)

    @property
    def _reader(self) -> EvidenceReader:
        return EvidenceReader(media=self.media, ingest=self.ingest, executor=self.executor)

    def publish(self, stream: StreamId) -> StreamDocument:
        """Publish whatever can be published of *stream* and return its document.

        Raises NotFound for an unknown stream and Unavailable when the rounds run out (wake again).
        """
        written = None
        for _ in range(MAX_ROUNDS):
            try:
                document = self._advance(stream)
                seals = self._write_seals(document)
            except PreconditionFailed:
                continue
            except TooManyWrites:
                self.clock.sleep(WRITE_INTERVAL.total_seconds())
                continue
            if seals and not is_followed(document):
                continue
            if (wait := self._write_objects(document)) is None:
                if document.revision == written or not is_followed(document):
                    return document
                written, wait = document.revision, timedelta(0)  # the ENDLIST; now what follows
            self.clock.sleep(wait.total_seconds())
        raise Unavailable(f"publishing {stream} found no end in {MAX_ROUNDS} rounds")

    def _advance(self, stream: StreamId) -> StreamDocument:
        stored = self.documents.read(stream)
        if stored is None:
            raise NotFound(f"there is no stream '{stream}'")
        document, now = stored.document, self.clock.now()
        # Only an ENDLIST has to be there before anything else may follow.
        is_written = not is_followed(document) or self._is_written(document)
        evidence = self._reader.evidence(document, is_written=is_written, now=now)
        evidence = self._give_up(document, evidence, now)
        advanced = advance(document, evidence, now=now)
        advanced = stamp(document, advanced)
        if advanced is not document:
            self.documents.replace(advanced, version=stored.version)
        return advanced

    def _give_up(self, document: StreamDocument, evidence: Evidence, now: datetime) -> Evidence:
        """Decide by creation what holds up the playlists and has no encoder any more."""
        timelines = dict(evidence.timelines)
        written: dict[str, datetime | None] = {}
        for open_one in overtaken(document, evidence, now=now):
            times = self._written(document.stream, open_one, written)
            duration = document.configuration.segment_duration
            if has_waited_long(open_one, times, segment_duration=duration, now=now):
                segment = self._decided(document, open_one)
                timelines[open_one.session] = timelines[open_one.session].joined_with([segment])
        return replace(evidence, timelines=timelines)

    def _written(
        self, stream: StreamId, open_one: Overtaken, known: dict[str, datetime | None]
    ) -> list[datetime]:
        """When the witnesses of *open_one* were written; what is *known* is not asked for again."""
        rung, session = open_one.witness_rung, open_one.session
        names = [segment_name(stream, rung, session, index) for index in open_one.witnesses]
        for name in names:
            if name not in known:
                facts = self.media.facts(name)
                known[name] = facts.updated if facts else None
        return [time for name in names if (time := known[name]) is not None]

    def _decided(self, document: StreamDocument, open_one: Overtaken) -> TimelineSegment:
        """What lies under the name of *open_one*: if nothing did, a gap now does."""
        gap = gap_object(
            document.stream,
            open_one.rung,
            open_one.session,
            open_one.index,
            start=open_one.start,
            duration=open_one.duration,
            date=open_one.date,
        )
        facts = self.media.facts(gap.name)
        if facts is None:
            create_once(self.media, gap)
            facts = self.media.facts(gap.name)
        if facts is None:
            raise Unavailable(f"{gap.name} was there and is gone")
        start = open_one.date - open_one.start
        return timeline_segment(open_one.index, {open_one.rung: facts}, start=start)

    def _is_written(self, document: StreamDocument) -> bool:
        """Whether the published objects are as new as *document* wants them."""
        return all(
            (there := self.seen.get(name) or self.media.facts(name)) and revision_of(there) >= wanted.revision
            for name, wanted in document.objects.items()
        )

    def _write_seals(self, document: StreamDocument) -> bool:
        """Give up what the sealed sessions lack, then write their seals; say whether there were any."""
        seals = pending_seals(document)
        for seal in seals:
            start = next(s.start for s in document.sessions if s.session == seal.session)
            for segment, rung in missing_at_seal(document, seal):
                gap = gap_object(
                    document.stream,
                    rung,
                    segment.session,
                    segment.index,
                    start=segment.date - start,
                    duration=segment.duration,
                    date=segment.date,
                )
                create_once(self.media, gap)
            create_once(self.ingest, record_object(seal_name(document.stream, seal.session), seal))
            _log.info("session sealed", extra={"stream": seal.stream, "session": seal.session})
        return bool(seals)

    def _write_objects(self, document: StreamDocument) -> timedelta | None:
        """Replace the published objects that are older than *document*; playlists before what names them.

        Returns None once all are as new as *document*, else how long to wait before reading it again.
        """
        waits: list[timedelta] = []
        for rank in published_objects(document):
            results = self.executor.map(lambda new: self._write_object(document, new), rank)
            waits += [wait for wait in results if wait is not None]
            if waits:
                return max(waits)
        return None

    def _write_object(self, document: StreamDocument, new: PublishedObject) -> timedelta | None:
        revision = document.objects[new.name].revision
        there = self.seen.get(new.name) or self.media.facts(new.name)
        if there is not None and revision_of(there) >= revision:
            self.seen.put(there)
            return None
        if there is not None and (age := self.clock.now() - there.updated) < WRITE_INTERVAL:
            return min(WRITE_INTERVAL, WRITE_INTERVAL - age)  # our clock may be behind the bucket's
        try:
            written = self.media.write(
                NewObject(
                    name=new.name,
                    content=new.content,
                    content_type=new.content_type,
                    cache_control=new.cache_control,
                    metadata={REVISION_KEY: str(revision)},
                ),
                if_generation=there.generation if there else ABSENT,
            )
        except PreconditionFailed:
            self.seen.forget(new.name)
            return timedelta(0)
        except TooManyWrites:
            return WRITE_INTERVAL
        self.seen.put(written)
        return None


def stamp(document: StreamDocument, advanced: StreamDocument) -> StreamDocument:
    """Give *advanced* its revision, and every object whose content it changes that revision too.

    Returns *document* itself where nothing changed.
    """
    revision = Revision(document.revision + 1)
    objects = dict(document.objects)
    for new in chain.from_iterable(published_objects(advanced)):
        known = objects.get(new.name)
        if known is None or known.digest != digest(new.content):
            objects[new.name] = WrittenObject(revision=revision, digest=digest(new.content))
    stamped = replace(advanced, objects=objects)
    return document if stamped == document else replace(stamped, revision=revision)
