"""Finalize: a broadcast's parts become its files, joined by storage; their bytes never pass through us.

Safe twice and when killed half-way: parts, headers and what is joined are named by what they hold and created
once; the files are replaced until the recording is finalized, and the parts go only after that.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from bucketcast.errors import InvalidName, InvalidRecord, NotFound, PreconditionFailed, Unavailable
from bucketcast.handlers.creation import create_once
from bucketcast.handlers.evidence import EvidenceReader
from bucketcast.objects import ABSENT, MadeObject, NewObject, ObjectFacts
from bucketcast.ports import Archive, Clock, RecordingDocuments
from bucketcast.recording.checksum import joined_crc32c
from bucketcast.recording.composition import Compose, compose_plan, outstanding
from bucketcast.recording.document import (
    MissingRange,
    RecordedFile,
    RecordedGap,
    RecordingDocument,
    RecordingFacts,
    finalized,
)
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.movie import Movie, Piece, write_movie
from bucketcast.recording.names import (
    SOURCE,
    PartFacts,
    header_name,
    joined_name,
    joined_prefix,
    newest_recording_name,
    parse_part,
    recording_facts_name,
    recording_file_name,
    recording_folder,
    session_parts_prefix,
)
from bucketcast.recording.part_head import PartHead, read_head
from bucketcast.recording.part_object import MP4, PRIVATE, part_objects
from bucketcast.recording.plan import (
    Hole,
    RecordingPlan,
    SealedSession,
    TakenPart,
    groups,
    plan_recording,
)
from bucketcast.recording.samples import SegmentSamples
from bucketcast.recording.segment_samples import read_segment
from bucketcast.records import JSON, decode_record, encode_record
from bucketcast.stream.document import ListedAs
from bucketcast.stream.identifiers import BroadcastNumber, SegmentIndex, StreamId
from bucketcast.stream.media_object import listed_as, timeline_segment
from bucketcast.stream.object_names import (
    numbered_sessions,
    parse_segment_name,
    seals_prefix,
    segment_name,
    session_segments_prefix,
)
from bucketcast.stream.published_objects import LIVE
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream_records import latest_stream_record

_log = logging.getLogger(__name__)

# Heads that are read at the same time, and held: some 12 KB each.
HEADS_AT_ONCE: Final = 32
# A broadcast's own file never changes; the newest one's address does with every broadcast.
IMMUTABLE: Final = "public, max-age=86400, immutable"
NEWEST: Final = "public, max-age=60, must-revalidate"
BROADCAST_KEY: Final = "broadcast"


@dataclass(frozen=True, slots=True)
class _Listed:
    """A part and its checksum."""

    facts: PartFacts
    crc32c: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalizer:
    """What finalizing needs of the world."""

    media: Archive
    recording: Archive
    reader: EvidenceReader
    documents: RecordingDocuments
    clock: Clock
    executor: Executor  # reads, joins and deletes several objects at the same time

    def finalize(self, stream: StreamId, broadcast: BroadcastNumber) -> RecordingDocument:
        """Make the files of *broadcast*, whose sessions are all sealed, and return its document.

        Raises NotFound for a recording that was never begun, Unavailable and TooManyWrites for what may pass,
        InvalidRecord where what was joined is not what it should be, Refused where its buckets lie too far
        apart. A copy that is killed between two calls begins anew, behind what was joined.
        """
        self._read(stream, broadcast)
        sessions = list(self._sessions(stream, broadcast))
        facts = self._known_facts(stream, broadcast) or self._make(stream, broadcast, sessions)
        self._show_newest(stream, broadcast, facts.files)
        document = self._store(facts)
        self._delete_parts(stream, broadcast, sessions)
        return document

    def _known_facts(self, stream: StreamId, broadcast: BroadcastNumber) -> RecordingFacts | None:
        """What the recording consists of, if it was made: parts and segments may be gone since."""
        content = self.media.read(recording_facts_name(stream, broadcast))
        return None if content is None else decode_record(RecordingFacts, content)

    def _make(
        self,
        stream: StreamId,
        broadcast: BroadcastNumber,
        sessions: Sequence[tuple[SessionRecord, SealedSession]],
    ) -> RecordingFacts:
        """Make the files and say so, once for all."""
        if not sessions:
            raise InvalidRecord(f"nothing is known any more of broadcast {broadcast} of {stream}")
        # Read before the parts are: whoever another one that finalizes has overtaken finds newer generations.
        there = {facts.name: facts for facts in self.media.listed(recording_folder(stream, broadcast))}
        listed, plan = self._plan(stream, sessions)
        if plan.holes:
            records = {record.session: record for record, _ in sessions}
            for hole in plan.holes:
                self._fill(records[hole.session], hole)
            listed, plan = self._plan(stream, sessions)
        missing = _missing(plan)
        for lost in missing:
            _log.warning("segments are missing in a recording", extra={"stream": stream, "lost": str(lost)})
        files = tuple(
            self._make_file(
                stream, broadcast, number, [(taken, listed[taken.part.name]) for taken in group], there
            )
            for number, group in enumerate(groups(plan.taken), 1)
        )
        facts = RecordingFacts(stream=stream, broadcast=broadcast, files=files, missing=missing)
        create_once(self.media, _facts_object(facts))
        return self._known_facts(stream, broadcast) or facts

    def _read(self, stream: StreamId, broadcast: BroadcastNumber) -> RecordingDocument:
        if (stored := self.documents.read(stream, broadcast)) is None:
            raise NotFound(f"there is no recording of broadcast {broadcast} of '{stream}'")
        return stored.document

    def _store(self, facts: RecordingFacts) -> RecordingDocument:
        """Store that the recording is finalized; raises PreconditionFailed where another decided since."""
        stream, broadcast = facts.stream, facts.broadcast
        if (stored := self.documents.read(stream, broadcast)) is None:
            raise NotFound(f"the recording of broadcast {broadcast} of '{stream}' was deleted")
        if stored.document.is_finalized:
            return stored.document
        record = latest_stream_record(self.reader.ingest, stream)
        with_vod = record is not None and record.configuration.vod
        document = finalized(stored.document, facts, with_vod=with_vod, now=self.clock.now())
        self.documents.replace(document, version=stored.version)
        _log.info(
            "recording finalized", extra={"stream": stream, "broadcast": broadcast, "files": len(facts.files)}
        )
        return document

    # What there is.

    def _sessions(
        self, stream: StreamId, broadcast: BroadcastNumber
    ) -> Iterator[tuple[SessionRecord, SealedSession]]:
        """The sessions of *broadcast* that published something, each with what lies in the media bucket."""
        for number in numbered_sessions(self.reader.ingest.names(seals_prefix(stream))):
            seal = self.reader.seal(stream, number)
            if seal is None or seal.broadcast != broadcast or seal.last_index < 0:
                continue
            record = self.reader.session_record(stream, number)
            if record is None:
                raise InvalidRecord(f"session {number} of {stream} has a seal and no record")
            rung = record.rungs[0].name
            segments = frozenset(
                parse_segment_name(facts.name).index
                for facts in self.media.listed(session_segments_prefix(stream, rung, number))
                if listed_as(facts) is ListedAs.SEGMENT
            )
            yield (
                record,
                SealedSession(session=number, rung=rung, last=seal.last_index, segments=segments),
            )

    def _plan(
        self, stream: StreamId, sessions: Sequence[tuple[SessionRecord, SealedSession]]
    ) -> tuple[dict[str, _Listed], RecordingPlan]:
        listed = {part.facts.name: part for _, sealed in sessions for part in self._parts(stream, sealed)}
        return listed, plan_recording(
            [sealed for _, sealed in sessions], [part.facts for part in listed.values()]
        )

    def _parts(self, stream: StreamId, sealed: SealedSession) -> Iterator[_Listed]:
        for facts in self.recording.listed(session_parts_prefix(stream, sealed.session)):
            try:
                part = parse_part(facts.name, size=facts.size, metadata=facts.metadata)
            except InvalidName:
                _log.warning("not a part of a recording", extra={"object": facts.name})
                continue
            except InvalidMedia:
                # Its name is a part's, and is wanted for one that can be read.
                _log.exception("a part cannot be read: it is made anew", extra={"object": facts.name})
                self.recording.delete(facts.name, generation=facts.generation)
                continue
            yield _Listed(part, facts.crc32c)

    # What no encoder recorded.

    def _fill(self, record: SessionRecord, hole: Hole) -> None:
        """Make the parts of *hole* of the segments that viewers had; what cannot be read stays missing."""
        indexes = map(SegmentIndex, range(hole.first, hole.last + 1))
        samples = self.executor.map(lambda index: self._samples(record, hole, index), indexes)
        for run in _runs(samples):
            for new in part_objects(record.stream, record.session, hole.rung, run):
                create_once(self.recording, new)

    def _samples(self, record: SessionRecord, hole: Hole, index: SegmentIndex) -> SegmentSamples | None:
        name = segment_name(record.stream, hole.rung, record.session, index)
        facts, content = self.media.facts(name), self.media.read(name)
        if facts is None or content is None:
            return None
        try:
            told = timeline_segment(index, {hole.rung: facts}, start=record.start)
            return read_segment(content, index=index, start=told.start, duration=told.duration)
        except InvalidRecord:
            _log.exception("a segment cannot be recorded", extra={"object": name})
            return None

    # A file.

    def _make_file(
        self,
        stream: StreamId,
        broadcast: BroadcastNumber,
        number: int,
        group: Sequence[tuple[TakenPart, _Listed]],
        there: Mapping[str, ObjectFacts],
    ) -> RecordedFile:
        movie = self._movie(group)
        header = NewObject(
            name=header_name(stream, broadcast, (bytes(buffer) for buffer in movie.header)),
            content=b"".join(movie.header),
            content_type=MP4,
            cache_control=PRIVATE,
        )
        create_once(self.recording, header)
        header_facts = self._facts(header.name)
        crc32c = joined_crc32c(
            [
                (header_facts.crc32c, header_facts.size),
                *((part.crc32c, part.facts.size) for _, part in group),
            ]
        )
        joined = self._join(stream, broadcast, [header.name, *(part.facts.name for _, part in group)])
        if (joined.size, joined.crc32c) != (movie.size, crc32c):
            raise InvalidRecord(f"{joined.name} is not what its parts are together")
        name = recording_file_name(stream, broadcast, number)
        # As long as there are no facts, no part was deleted: what was listed is all that there is.
        if self._known_facts(stream, broadcast):
            raise Unavailable("another one has finalized this recording")
        self._copy(joined, name, there.get(name), stream=stream, broadcast=broadcast)
        return _recorded(name, movie, crc32c)

    def _movie(self, group: Sequence[tuple[TakenPart, _Listed]]) -> Movie:
        """The movie of *group*; raises InvalidRecord, and Unavailable where a part is to be made anew."""
        taken: list[TakenPart] = []

        def pieces() -> Iterator[Piece]:
            for (one, _), piece in zip(group, self._pieces(group), strict=True):
                taken.append(one)
                yield piece

        try:
            return write_movie(pieces())
        except InvalidMedia as error:
            part = taken[-1].part
            if part.rung != SOURCE:
                raise InvalidRecord(f"{part.name} goes into no movie: {error}") from error
            # A broadcaster's times are what they are: viewers got something that can be shown.
            _log.warning(
                "a part of the source goes into no movie: it is made anew of what viewers got",
                extra={"object": part.name, "reason": str(error)},
            )
            self.recording.delete(part.name)
            raise Unavailable(f"{part.name} is to be made anew") from None

    def _pieces(self, group: Sequence[tuple[TakenPart, _Listed]]) -> Iterator[Piece]:
        for begin in range(0, len(group), HEADS_AT_ONCE):
            some = group[begin : begin + HEADS_AT_ONCE]
            heads = self.executor.map(lambda taken: self._head(taken[1].facts), some)
            for (taken, _), head in zip(some, heads, strict=True):
                yield Piece(session=taken.part.session, first=taken.first, last=taken.last, head=head)

    def _head(self, part: PartFacts) -> PartHead:
        head = self.recording.read_start(part.name, part.head_bytes)
        if head is None:
            raise Unavailable(f"{part.name} is gone: another one finalizes this recording")
        try:
            return read_head(head, size=part.size)
        except InvalidMedia:
            _log.exception("a part cannot be read: it is made anew", extra={"object": part.name})
            self.recording.delete(part.name)
            raise Unavailable(f"{part.name} could not be read, and is to be made anew") from None

    def _join(self, stream: StreamId, broadcast: BroadcastNumber, sources: Sequence[str]) -> ObjectFacts:
        target = joined_name(stream, broadcast, ["all", *sources])
        rounds = compose_plan(sources, target, intermediate=lambda some: joined_name(stream, broadcast, some))
        existing = set(self.recording.names(joined_prefix(stream, broadcast)))
        for some in outstanding(rounds, existing):
            list(self.executor.map(self._compose, some))
        return self._facts(target)

    def _compose(self, compose: Compose) -> None:
        made = MadeObject(name=compose.target, content_type=MP4, cache_control=PRIVATE)
        try:
            self.recording.compose(made, compose.sources, if_generation=ABSENT)
        except PreconditionFailed:
            _log.info("object was there already", extra={"object": compose.target})
        except NotFound:
            raise Unavailable("a part is gone: another one finalizes this recording") from None

    def _facts(self, name: str) -> ObjectFacts:
        if (facts := self.recording.facts(name)) is None:
            raise Unavailable(f"{name} is gone: another one finalizes this recording")
        return facts

    def _copy(
        self,
        joined: ObjectFacts,
        name: str,
        there: ObjectFacts | None,
        *,
        stream: StreamId,
        broadcast: BroadcastNumber,
    ) -> None:
        """Copy *joined* to *name* in the media bucket, unless it is there already.

        What else was *there* an earlier try has left, and nobody was told of it.
        """
        if there is not None and there.crc32c == joined.crc32c:
            return
        self.media.copy_from(
            self.recording,
            joined.name,
            _file(name, stream, broadcast, cache_control=IMMUTABLE),
            if_generation=there.generation if there else ABSENT,
        )

    # The newest.

    def _show_newest(self, stream: StreamId, broadcast: BroadcastNumber, files: Sequence[RecordedFile]) -> None:
        """Copy *files* to the newest recording's addresses, unless that is newer; more than they are goes."""
        for number, file in enumerate(files, 1):
            name = newest_recording_name(stream, number)
            there = self.media.facts(name)
            if there is not None and (_broadcast_of(there) > broadcast or there.crc32c == file.crc32c):
                continue
            self.media.copy_from(
                self.media,
                file.name,
                _file(name, stream, broadcast, cache_control=NEWEST),
                if_generation=there.generation if there else ABSENT,
            )
        number = len(files) + 1
        while files and (there := self.media.facts(newest_recording_name(stream, number))):
            if _broadcast_of(there) < broadcast:
                self.media.delete(there.name, generation=there.generation)
            number += 1

    def _delete_parts(
        self,
        stream: StreamId,
        broadcast: BroadcastNumber,
        sessions: Iterable[tuple[SessionRecord, SealedSession]],
    ) -> None:
        """Delete what the files were made of."""
        prefixes = [session_parts_prefix(stream, sealed.session) for _, sealed in sessions]
        for prefix in (*prefixes, joined_prefix(stream, broadcast)):
            list(self.executor.map(self.recording.delete, self.recording.names(prefix)))


def _runs(samples: Iterable[SegmentSamples | None]) -> Iterator[list[SegmentSamples]]:
    """The *samples* that follow each other."""
    run: list[SegmentSamples] = []
    for segment in samples:
        if segment is not None:
            run.append(segment)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _recorded(name: str, movie: Movie, crc32c: str) -> RecordedFile:
    return RecordedFile(
        name=name,
        size=movie.size,
        crc32c=crc32c,
        duration=movie.duration,
        frames=movie.frames,
        sessions=movie.sessions,
        gaps=tuple(RecordedGap(at=pause.at, duration=pause.duration) for pause in movie.pauses),
    )


def _missing(plan: RecordingPlan) -> tuple[MissingRange, ...]:
    """What of *plan* no file has: gaps, and holes that could not be filled."""
    ranges = [(hole.session, hole.first, hole.last) for hole in plan.holes]
    ranges += [(lost.session, lost.first, lost.last) for lost in plan.missing]
    return tuple(
        MissingRange(session=session, first=first, last=last) for session, first, last in sorted(ranges)
    )


def _facts_object(facts: RecordingFacts) -> NewObject:
    return NewObject(
        name=recording_facts_name(facts.stream, facts.broadcast),
        content=encode_record(facts),
        content_type=JSON,
        cache_control=LIVE,
    )


def _broadcast_of(facts: ObjectFacts) -> int:
    text = facts.metadata.get(BROADCAST_KEY, "")
    return int(text) if text.isdecimal() else 0


def _file(name: str, stream: StreamId, broadcast: BroadcastNumber, *, cache_control: str) -> MadeObject:
    return MadeObject(
        name=name,
        content_type=MP4,
        cache_control=cache_control,
        content_disposition=f'inline; filename="{stream}-{broadcast}.mp4"',
        metadata={BROADCAST_KEY: str(broadcast)},
    )
