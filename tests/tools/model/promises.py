"""The promises that hold after every step, and what a world must recover to.

What viewers saw so far is a cell of the world that no handler knows: each write of a playlist is held against
it, so a promise about a history is checked where it is broken, and equal worlds have seen equal histories.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from posixpath import dirname, join, normpath
from typing import Any, Final

from bucketcast.errors import BucketcastError
from bucketcast.hls import MediaPlaylist, MultivariantPlaylist, parse
from bucketcast.records import decode_record, encode_record
from bucketcast.stream import timeline as timelines
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import SessionNumber, StreamId
from bucketcast.stream.media_object import GAP_KEY
from bucketcast.stream.object_names import (
    SessionObjectName,
    parse_ingest_object_name,
    seal_name,
    session_record_name,
    timelines_prefix,
)
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.timeline import JoinedTimeline, Timeline
from tools.model.ports import CLOCK, DOCUMENTS, INGEST, MEDIA, Held
from tools.model.world import Answer, Cells, Raised, Stored, World

SEEN: Final = "seen by viewers"


class Broken(AssertionError):
    """A promise of the design is broken."""

    def __init__(self, promise: str, reason: str) -> None:
        """Say which one, and how."""
        super().__init__(f"{promise}: {reason}")
        self.promise = promise


@dataclass(frozen=True, slots=True)
class Entry:
    """A segment as a playlist lists it."""

    number: int
    discontinuity: int
    session: int
    index: int
    cell: str  # of the object that it names
    gap: bool
    facts: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A media playlist, read."""

    target_duration: int
    media_sequence: int
    discontinuity_sequence: int
    ended: bool
    entries: tuple[Entry, ...]


@cache
def listing(name: str, content: bytes) -> Listing:
    """The media playlist *content* under *name*."""
    playlist = parse(content.decode())
    assert isinstance(playlist, MediaPlaylist)
    entries = []
    for number, discontinuity, segment in playlist.numbered_segments():
        stem = segment.uri.rpartition("/")[2].removesuffix(".ts")
        _, session, index = stem.split("_")
        entries.append(
            Entry(
                number=number,
                discontinuity=discontinuity,
                session=int(session),
                index=int(index),
                cell=MEDIA + normpath(join(dirname(name), segment.uri)),
                gap=segment.gap,
                facts=(int(session), int(index), segment.program_date_time, segment.duration, discontinuity),
            )
        )
    return Listing(
        target_duration=playlist.target_duration,
        media_sequence=playlist.media_sequence,
        discontinuity_sequence=playlist.discontinuity_sequence,
        ended=playlist.ended,
        entries=tuple(entries),
    )


def is_gap(held: Held) -> bool:
    """Whether a media object is one that was given up."""
    return held.new.metadata.get(GAP_KEY) == "true"


@dataclass(frozen=True, slots=True)
class Promises:
    """What the design promises of one *stream*."""

    cells: Cells
    stream: StreamId

    def after_write(self, before: World, after: World, cell: str) -> World:
        """*after* with what viewers have seen by now, or Broken: *cell* was written."""
        new = self.cells.get(after, cell)
        if cell.startswith(MEDIA):
            return self._after_media(before, after, cell, new)
        if cell.startswith(INGEST):
            return self._after_record(before, after, cell, new)
        return after

    def after_act(self, world: World, outcome: Answer) -> None:
        """An act is over: it ended with a value or an error of ours, and a claim got what its record says."""
        if isinstance(outcome, Raised):
            if not isinstance(outcome.error, BucketcastError):
                raise Broken("P9", f"a handler ended with {outcome.error!r}") from outcome.error
        elif isinstance(record := outcome.value, SessionRecord):
            name = session_record_name(self.stream, record.session)
            held: Held | None = self.cells.get(world, INGEST + name)
            if held is None or held.new.content != encode_record(record):
                raise Broken("claim", f"{record.encoder} was given session {record.session} of another")

    def is_final(self, cell: str) -> bool:
        """Media objects, records and seals are created once; `after_write` holds them to it."""
        return cell.endswith(".ts") or cell.startswith((INGEST + "sessions/", INGEST + "seals/"))

    def _after_media(self, before: World, after: World, cell: str, new: Held) -> World:
        old: Held | None = self.cells.get(before, cell)
        if cell.endswith("/playlist.m3u8"):
            return self._after_playlist(after, new, old)
        if cell.endswith("/master.m3u8"):
            self._check_variants(after, new)
        elif old is not None and not cell.endswith("/state.json"):
            raise Broken("P2", f"{cell} was created, and is replaced")
        return after

    def _after_playlist(self, world: World, new: Held, old: Held | None) -> World:
        name = new.new.name
        written = listing(name, new.new.content)
        for entry in written.entries:
            self._check_object(world, entry)
        self._check_seals(world, written)
        if old is not None:
            check_succession(listing(name, old.new.content), written)
        seen = dict(self._seen(world))
        for key, fact in _facts(name, written):
            if seen.setdefault(key, fact) != fact:
                raise Broken("P2", f"{key} was {seen[key]}, and becomes {fact}")
        return self._with_seen(world, seen)

    def _check_object(self, world: World, entry: Entry) -> None:
        held: Held | None = self.cells.get(world, entry.cell)
        if held is None:
            raise Broken("P1" if not entry.gap else "P4", f"{entry.cell} is listed, and is not there")
        if is_gap(held) != entry.gap:
            raise Broken("P4", f"{entry.cell} is listed as {'a gap' if entry.gap else 'media'}, and is not")

    def _check_variants(self, world: World, new: Held) -> None:
        playlist = parse(new.new.content.decode())
        assert isinstance(playlist, MultivariantPlaylist)
        for variant in playlist.variant_streams:
            cell = MEDIA + join(dirname(new.new.name), variant.uri)
            if self.cells.get(world, cell) is None:
                raise Broken("P1", f"{cell} is a variant stream, and is not there")

    def _check_seals(self, world: World, written: Listing) -> None:
        """Nothing behind a seal is listed, and nothing of a session before the seals of all before it."""
        for entry in written.entries:
            own = self.seal(world, entry.session)
            if own is not None and entry.index > own.last_index:
                raise Broken("P7", f"session {entry.session} ends at {own.last_index}, {entry.cell} is listed")
            if entry.session == 1:
                continue
            before = self.seal(world, entry.session - 1)
            if before is None:
                raise Broken("P7", f"{entry.cell} is listed, session {entry.session - 1} is not sealed")
            if entry.number - entry.index != before.next_media_sequence:
                raise Broken("P2", f"{entry.cell} is number {entry.number} behind {before}")

    def seal(self, world: World, session: int) -> Seal | None:
        """The seal of *session*, if it was written."""
        held: Held | None = self.cells.get(world, INGEST + seal_name(self.stream, SessionNumber(session)))
        return decode_record(Seal, held.new.content) if held else None

    def _after_record(self, before: World, after: World, cell: str, new: Held) -> World:
        name = parse_ingest_object_name(new.new.name)
        if "timelines/" in cell and isinstance(name, SessionObjectName):
            return self._after_timeline(before, after, name.session)
        if self.cells.get(before, cell) is not None:
            raise Broken("P2", f"{cell} was created, and is replaced")
        if "seals/" in cell and isinstance(name, SessionObjectName):
            self._check_seal(after, decode_record(Seal, new.new.content))
        return after

    def _check_seal(self, world: World, seal: Seal) -> None:
        """A session is not sealed behind what viewers saw, nor before what was reported in time."""
        seen = self._seen(world)
        last = max((f[1] for key, f in seen.items() if key[0] == "number" and f[0] == seal.session), default=-1)
        if last > seal.last_index:
            raise Broken("P7", f"{seal} was written, viewers saw its session's segment {last}")
        if seen.get(("owed", seal.session), -1) > seal.last_index:
            raise Broken("P10", f"{seal} was written, more was reported before its session was drained")

    def _after_timeline(self, before: World, after: World, number: SessionNumber) -> World:
        """What an encoder reports while its session may be continued is owed to viewers."""
        if not self._may_report(before, number):
            return after
        joined = self.joined(after, number)
        owed = next(index for index in count() if index not in joined.segments) - 1
        return self._with_seen(after, {**self._seen(after), ("owed", number): owed})

    def _may_report(self, world: World, number: SessionNumber) -> bool:
        document: StreamDocument = self.cells.get(world, DOCUMENTS + self.stream).document
        now = self.cells.get(world, CLOCK)
        return not self.joined(world, number).ended and any(
            session.session == number
            and session.seal is None
            and (session.drain_until is None or now < session.drain_until)
            for session in document.sessions
        )

    def joined(self, world: World, session: SessionNumber) -> JoinedTimeline:
        """The join of all timelines of *session*."""
        names = self.cells.under(world, INGEST + timelines_prefix(self.stream, session))
        return timelines.join(
            decode_record(Timeline, self.cells.get(world, name).new.content) for name in names
        )

    def _seen(self, world: World) -> Mapping[Any, Any]:
        seen: Mapping[Any, Any] | None = self.cells.get(world, SEEN)
        return seen or {}

    def _with_seen(self, world: World, seen: Mapping[Any, Any]) -> World:
        return self.cells.put(world, SEEN, Stored((SEEN, frozenset(seen.items())), seen))


def _facts(name: str, written: Listing) -> Iterator[tuple[tuple[Any, ...], Hashable]]:
    """What may never change of what *written* lists."""
    yield ("target duration",), written.target_duration
    for entry in written.entries:
        yield ("base", entry.session), entry.number - entry.index
        yield ("number", entry.number), entry.facts
        yield (name, entry.number), (entry.cell, entry.gap)


def check_succession(before: Listing, after: Listing) -> None:
    """P2 of two versions: numbers never go back, and ENDLIST stays until a broadcast begins behind it."""
    if after.media_sequence < before.media_sequence:
        raise Broken("P2", f"media sequence {before.media_sequence} becomes {after.media_sequence}")
    if after.discontinuity_sequence < before.discontinuity_sequence:
        raise Broken("P2", f"discontinuity sequence {before.discontinuity_sequence} goes back")
    if after.entries[-1].number < before.entries[-1].number:
        raise Broken(
            "P2", f"segment {before.entries[-1].number} was listed, {after.entries[-1].number} is last"
        )
    if before.ended and after.entries[0].number <= before.entries[-1].number and after != before:
        raise Broken("P2", "a playlist goes on behind its ENDLIST")
