"""A check of one stream: its cells and promises, and the recovery of every world that is reached.

After every step the whole world might be left alone, so every distinct world is recovered: fresh publishers run
long after everything, then once more when the reconnect window is over. Two worlds that come to hold the same
in their buckets must come to publish the same bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from bucketcast.objects import Generation
from bucketcast.ports import StoredDocument
from bucketcast.stream.identifiers import RungName, StreamId
from tools.model.exhaust import Explored, exhaust
from tools.model.explore import Explorer
from tools.model.ports import CLOCK, DOCUMENTS, MEDIA, Held, held, set_clock, stored_document
from tools.model.program import Act, Program, Programs
from tools.model.promises import Broken, Promises
from tools.model.rest import Bucket, Rest
from tools.model.world import Cells, Stored, World, at, put

Actors = Sequence[tuple[str, Program]]


class Check:
    """What is checked of *stream*, from its first object on."""

    def __init__(
        self,
        stream: StreamId,
        slots: Sequence[RungName],
        *,
        start: datetime,
        recovery: Sequence[Act],
        at_rest: datetime,
        at_its_end: datetime,
    ) -> None:
        """Let time begin at *start*.

        *recovery* is what runs *at_rest*, when no encoder can still be at work, and again *at_its_end*, when
        the reconnect window is over too.
        """
        self.cells: Final = Cells()
        self.promises: Final = Promises(self.cells, stream)
        self.world: World = self.cells.put((), CLOCK, set_clock(start))
        self._programs = Programs(self.cells)
        self._rest = Rest(self.promises, tuple(slots))
        self._start = start
        self._recovery = recovery
        self._moments = ((at_rest, False), (at_its_end, True))
        self._recovered: set[tuple[World, datetime]] = set()
        self._rested: set[tuple[World, datetime]] = set()
        self._published: dict[Bucket, Bucket] = {}
        self._aged: dict[tuple[int, int], int] = {}

    @property
    def recoveries(self) -> int:
        """How many different worlds were recovered."""
        return len(self._recovered)

    def after(self, world: World, *acts: Act) -> World:
        """*world* after *acts*, one after the other, each of which has to come to its end."""
        for act in acts:
            world, outcome = self._programs.run_alone(act, world, self.promises.after_write)
            self.promises.after_act(world, outcome)
            outcome.unwrap()
        return world

    def explorer(self, world: World, actors: Actors) -> Explorer:
        """What walks from *world* through all that *actors* can do."""
        return Explorer(Programs(self.cells), self.promises, actors, world, reached=self.recover)

    def explore(
        self,
        world: World,
        actors: Actors,
        *,
        limit: int | None = None,
        progress: Callable[[Explored], None] = lambda _: None,
    ) -> Explored:
        """Check everything that *actors* can do from *world* on, or raise Violation; see `exhaust`."""
        return exhaust(self.explorer(world, actors), limit=limit, progress=progress)

    def recover(self, world: World) -> None:
        """Raise Broken unless *world*, left alone, comes to publish all that its buckets hold."""
        try:
            for moment, ended in self._moments:
                if (aged := (self._old(world), moment)) in self._recovered:
                    return
                self._recovered.add(aged)
                world = self.after(self.cells.put(aged[0], CLOCK, set_clock(moment)), *self._recovery)
                if (world, moment) not in self._rested:
                    self._rested.add((world, moment))
                    self._check_rested(world, ended=ended)
        except Broken as error:
            raise Broken(error.promise, f"after recovery, {error}") from error

    def _check_rested(self, world: World, *, ended: bool) -> None:
        self._rest.check(world, ended=ended)
        playlists = self._rest.playlists(world)
        bucket = self._rest.bucket(world) | {("ended", ended)}
        if (before := self._published.setdefault(bucket, playlists)) != playlists:
            raise Broken("P3", f"the same buckets came to publish otherwise: {_difference(before, playlists)}")
        again = self._rest.playlists(self.after(self._without_memory(world), *self._recovery))
        if again != playlists:
            raise Broken("P3", f"what was deleted comes back otherwise: {_difference(playlists, again)}")

    def _old(self, world: World) -> World:
        """*world* when all that is published is old: generations and dates make no difference any more."""
        world = self.cells.put(world, CLOCK, set_clock(self._start))
        for index, name in enumerate(self.cells.names[: len(world)]):
            if number := at(world, index):
                if (known := self._aged.get((index, number))) is None:
                    aged = self._aged_value(name, self.cells.value(number))
                    known = self._aged[index, number] = number if aged is None else self.cells.number(aged)
                if known != number:
                    world = put(world, index, known)
        return world

    def _aged_value(self, name: str, value: Held | StoredDocument) -> Stored | None:
        if name.startswith(DOCUMENTS) and isinstance(value, StoredDocument):
            return stored_document(value.document, 1)
        if name.startswith(MEDIA) and isinstance(value, Held) and not name.endswith(".ts"):
            return held(value.new, replace(value.facts, generation=Generation(1), updated=self._start))
        return None

    def _without_memory(self, world: World) -> World:
        """*world* without its documents and all that is published."""
        for name in (*self.cells.under(world, MEDIA), *self.cells.under(world, DOCUMENTS)):
            if not name.endswith(".ts"):
                world = self.cells.emptied(world, name)
        return world


def _difference(before: Bucket, after: Bucket) -> str:
    return f"{sorted(map(repr, before - after))}, and then {sorted(map(repr, after - before))}"
