"""A stream at rest: what its playlists must list, told from nothing but what the buckets hold.

It is a second, slow answer to the question that the publisher answers: no document, no revisions, no
transitions.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, takewhile

from bucketcast.records import decode_record
from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber
from bucketcast.stream.object_names import segment_name, session_record_name
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.timeline import JoinedTimeline
from bucketcast.stream.window import MIN_WINDOW_SEGMENTS, rung_for_slot
from tools.model.ports import INGEST, MEDIA, Held
from tools.model.promises import Broken, Entry, Listing, Promises, listing
from tools.model.world import World

Bucket = frozenset[tuple[str, Hashable]]
"""What both buckets hold but published objects: names and contents."""


@dataclass(frozen=True, slots=True)
class Past:
    """One session as its records and reports tell it."""

    record: SessionRecord
    base: int
    discontinuity: int
    length: int | None  # None while it is not sealed
    reported: JoinedTimeline


@dataclass(frozen=True, slots=True)
class Rest:
    """What is checked of the stream of *promises* when nobody is at work any more."""

    promises: Promises
    slots: tuple[RungName, ...]

    def check(self, world: World, *, ended: bool) -> None:
        """Raise Broken unless the playlists of *world* list what its buckets hold; *ended*, with ENDLIST."""
        sessions = tuple(self._sessions(world))
        for slot in self.slots:
            listed = self._listed(world, slot)
            surely = list(self._members(world, sessions, slot, reported=True))
            perhaps = list(self._members(world, sessions, slot, reported=False))
            if listed is None:
                if surely:
                    raise Broken("P4", f"{slot} has no playlist, and should list {surely[-1]}")
                continue
            if listed.entries[-1].number < (surely[-1][0] if surely else -1):
                raise Broken("P4", f"{slot} stalls at {listed.entries[-1].number} before {surely[-1]}")
            _check_window(listed, perhaps, slot)
            if ended and not listed.ended:
                raise Broken("P4", f"{slot} has no ENDLIST")

    def bucket(self, world: World) -> Bucket:
        """What is in the buckets of *world* apart from what is published."""
        held = ((name, self.promises.cells.get(world, name)) for name in self._names(world))
        return frozenset(
            (name, (there.new.content, tuple(sorted(there.new.metadata.items()))))
            for name, there in held
            if not name.endswith((".m3u8", "state.json"))
        )

    def playlists(self, world: World) -> Bucket:
        """The playlists of *world*."""
        return frozenset(
            (name, self.promises.cells.get(world, name).new.content)
            for name in self._names(world)
            if name.endswith(".m3u8")
        )

    def _names(self, world: World) -> Iterator[str]:
        for prefix in (MEDIA, INGEST):
            yield from self.promises.cells.under(world, prefix)

    def _listed(self, world: World, slot: RungName) -> Listing | None:
        name = f"{self.promises.stream}/{slot}/playlist.m3u8"
        held: Held | None = self.promises.cells.get(world, MEDIA + name)
        return listing(name, held.new.content) if held else None

    def _sessions(self, world: World) -> Iterator[Past]:
        base = discontinuity = 0
        for number in map(SessionNumber, count(1)):
            name = INGEST + session_record_name(self.promises.stream, number)
            held: Held | None = self.promises.cells.get(world, name)
            seal = self.promises.seal(world, number)
            if held is None and seal is None:
                return
            length = seal.last_index + 1 if seal else None
            if held is not None:
                record = decode_record(SessionRecord, held.new.content)
                yield Past(record, base, discontinuity, length, self.promises.joined(world, number))
            if seal is None:
                if self.promises.cells.get(world, name.replace(f"{number:08}", f"{number + 1:08}")):
                    raise Broken("P4", f"session {number} is followed, and was never sealed")
                return
            base += seal.last_index + 1
            discontinuity += seal.last_index >= 0
            if (seal.next_media_sequence, seal.next_discontinuity_sequence) != (base, discontinuity):
                raise Broken("P2", f"{seal} does not go on at {base}, {discontinuity}")

    def _members(
        self, world: World, sessions: Iterable[Past], slot: RungName, *, reported: bool
    ) -> Iterator[tuple[int, int, str]]:
        """Number, discontinuity and cell of all that *slot* can list of the newest broadcast.

        Of a session that is not sealed, what is *reported*, or all that lies in the bucket in a row.
        """
        members: list[tuple[int, int, int, str]] = []
        for past in sessions:
            rung = rung_for_slot(slot, past.record.rungs).name
            indexes = map(SegmentIndex, range(past.length) if past.length is not None else count())
            decided = takewhile(lambda i: self._is_decided(world, past, i, rung, reported=reported), indexes)  # noqa: B023 - used up in this round
            for index in decided:
                cell = MEDIA + segment_name(self.promises.stream, rung, past.record.session, index)
                members.append((past.record.broadcast, past.base + index, past.discontinuity, cell))
        for broadcast, number, sequence, cell in members:
            if broadcast == members[-1][0]:
                yield number, sequence, cell

    def _is_decided(
        self, world: World, past: Past, index: SegmentIndex, rung: RungName, *, reported: bool
    ) -> bool:
        cell = MEDIA + segment_name(self.promises.stream, rung, past.record.session, index)
        there = self.promises.cells.get(world, cell) is not None
        if past.length is not None:
            if not there:
                raise Broken("P4", f"{cell} is sealed, and is not there")
            return True
        known = past.reported.segments.get(index)
        return (known is not None and rung in known.rungs) or (there and not reported)


def _check_window(listed: Listing, members: list[tuple[int, int, str]], slot: RungName) -> None:
    """The window is the newest of *members* up to the last listed, in a row."""
    end = next((i for i, member in enumerate(members, 1) if member[0] == listed.entries[-1].number), 0)
    entries = [(entry.number, entry.discontinuity, entry.cell) for entry in listed.entries]
    expected = members[max(0, end - MIN_WINDOW_SEGMENTS) : end]
    if entries != expected:
        raise Broken("P3", f"{slot} lists {_short(listed.entries)}, the buckets hold {members}")


def _short(entries: Iterable[Entry]) -> list[tuple[int, int, str]]:
    return [(entry.number, entry.discontinuity, entry.cell) for entry in entries]
