"""Exploration: every order of the actors' calls, breadth first, so that a trace has the fewest steps.

The graph has no cycles, since a local history only grows. So one reduction is sound and simple: where an
actor's next call reads only what nobody else may write any more, that call is taken alone. It commutes with
all that others can still do and changes no world, so every world is reached as before, with every set of
actors dead in it: an actor that is never scheduled again is one that crashed. Actors of the same program are
interchangeable, so their order in a state is none.

Visited states are kept as 64-bit hashes: at a million states, the chance that two of them are taken for one is
below 1 in 10 million.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby
from typing import Final, Protocol

from bucketcast.errors import Unavailable
from tools.model.program import DONE, Act, Node, Program, Programs
from tools.model.world import EMPTY, Answer, Operation, Raised, World, at, matches

MAX_SHOWN: Final = 60
UNAVAILABLE: Final = Raised(Unavailable("no answer"))


class Fate(Enum):
    """What becomes of a call."""

    DONE = auto()
    REFUSED = auto()
    """Nothing is done, and the caller hears so."""
    ANSWER_LOST = auto()
    """It is done, and the caller hears that it was not."""


class Laws(Protocol):
    """What is checked on the way."""

    def after_write(self, before: World, after: World, cell: str) -> World:
        """Check a write, and return the world with what is remembered of it."""

    def after_act(self, world: World, outcome: Answer) -> None:
        """Check how an act ended."""

    def is_final(self, cell: str) -> bool:
        """Whether *cell* never changes once it holds something; a write that changes it breaks a law."""


@dataclass(frozen=True, slots=True)
class Step:
    """A call that was made, and what it was answered."""

    actor: str
    call: str
    answer: str

    def __str__(self) -> str:
        """In one line."""
        return f"{self.actor:>12}  {self.call} -> {self.answer}"


class Violation(AssertionError):
    """A promise was broken; *trace* is what led to it."""

    def __init__(self, error: AssertionError, trace: Sequence[Step]) -> None:
        """Tell *error* and the way to it."""
        super().__init__("\n".join([str(error), *map(str, trace)]))
        self.promise: Final = getattr(error, "promise", "")
        self.trace: Final = tuple(trace)


@dataclass(frozen=True, slots=True)
class Explored:
    """How large the graph was."""

    states: int
    transitions: int
    worlds: int
    histories: int

    def __str__(self) -> str:
        """In one line."""
        return (
            f"{self.states} states, {self.transitions} transitions, {self.worlds} worlds, "
            f"{self.histories} local histories"
        )


State = tuple[World, tuple[Node, ...]]
"""A world, and for each actor its local history."""


class Explorer:
    """Walks through all that actors can do from one world on."""

    def __init__(
        self,
        programs: Programs,
        laws: Laws,
        actors: Iterable[tuple[str, Program]],
        world: World,
        *,
        reached: Callable[[World], None] = lambda _: None,
    ) -> None:
        """Let *actors*, each with a name, begin in *world*; *reached* is called once for each world."""
        self.programs: Final = programs
        self._cells = programs.cells
        self._laws = laws
        self._world = world
        self.reached: Final = reached
        given = list(actors)
        places = {program: place for place, (_, program) in reversed(list(enumerate(given)))}
        self._actors = sorted(given, key=lambda actor: places[actor[1]])  # alike ones side by side
        self._alike = list(_alike([program for _, program in self._actors]))
        self._settled: dict[tuple[Operation, tuple[frozenset[str], ...]], tuple[int, ...] | None] = {}
        self.told: list[Step] | None = None  # what happens, while it is to be told
        self._names = [name for name, _ in self._actors]

    def explore(self, *, limit: int | None = None) -> Explored:
        """Visit everything, or raise Violation with a shortest trace.

        Raises RuntimeError where there are more than *limit* states.
        """
        parents, movers = array("L", [0]), array("B", [0])
        visited: set[int] = set()
        worlds: set[World] = set()
        frontier: list[tuple[int, State]] = []
        following: list[tuple[int, State]] = []
        transitions = place = mover = 0

        def visit(state: State) -> None:
            key = hash(state)
            if key in visited:
                return
            visited.add(key)
            parents.append(place)
            movers.append(mover)
            if state[0] not in worlds:
                worlds.add(state[0])
                self.reached(state[0])
            following.append((len(parents) - 1, state))

        try:
            visit(self.first())
            while following:
                frontier, following = following, []
                for place, state in frontier:  # noqa: B007 - visit takes it as the parent
                    for mover in self.able(state[1]):
                        transitions += 1
                        visit(self._moved(state, mover))
                if limit is not None and len(visited) > limit:
                    raise RuntimeError(f"more than {limit} states")
        except AssertionError as error:
            raise Violation(error, self._trace(parents, movers, place, mover)) from error
        return Explored(len(visited), transitions, len(worlds), len(self.programs))

    def first(self) -> State:
        """Where it begins."""
        roots = [self.programs.root(program, self._world) for _, program in self._actors]
        nodes = tuple([self._begun(root, self._world) for root in roots])
        return self._normal((self._world, nodes))

    def _moved(self, state: State, actor: int) -> State:
        return self._normal(self.step(state, actor))

    def _normal(self, state: State) -> State:
        """*state* after all calls that commute with all that others may still do, alike actors in order."""
        moved = True
        while moved:
            moved = False
            for actor in range(len(state[1])):
                while self._is_alone(state, actor):
                    state = self.step(state, actor)
                    moved = True
        return self._ordered(state)

    def step(self, state: State, actor: int, fate: Fate = Fate.DONE) -> State:
        """*state* after the next call of *actor*, of which *fate* says what becomes."""
        before, nodes = state
        node = nodes[actor]
        operation = self.programs.operation(node)
        assert operation is not None
        world, answer = operation.apply(before) if fate is not Fate.REFUSED else (before, EMPTY)
        if fate is not Fate.DONE:
            answer = self._cells.answer_number("unavailable", UNAVAILABLE)
        if self.told is not None:
            self._tell(actor, operation, answer)
        if world is not before:
            world = self._written(before, world, operation, self.programs.act(node))
        node = self._begun(self.programs.child(node, answer, world), world)
        return world, (*nodes[:actor], node, *nodes[actor + 1 :])

    def _begun(self, node: Node, world: World) -> Node:
        """*node*, or where it goes on behind acts that are over there."""
        while (outcome := self.programs.outcome(node)) is not None:
            self._laws.after_act(world, outcome)
            node = self.programs.following(node, world)
        return node

    def _tell(self, actor: int, operation: Operation, answer: int) -> None:
        assert self.told is not None
        self.told.append(Step(self._names[actor], operation.text, _shown(self._cells.answers[answer])))

    def _written(self, before: World, after: World, operation: Operation, act: Act) -> World:
        cell = operation.writes
        assert cell is not None
        if not matches(cell, act.writes):
            raise RuntimeError(f"{act.name} writes {cell}, which it does not declare")
        return self._laws.after_write(before, after, cell)

    def able(self, nodes: tuple[Node, ...]) -> list[int]:
        """The actors that have something to do; of several in the same place one."""
        return [i for i, node in enumerate(nodes) if node != DONE and node not in nodes[:i]]

    def _is_alone(self, state: State, actor: int) -> bool:
        """Whether the next call of *actor* commutes with all that others may still do, and changes no world."""
        world, nodes = state
        operation = self.programs.operation(nodes[actor])
        if operation is None or operation.writes is not None:
            return False
        if operation.at_once:
            return True
        writes = self.programs.writes
        others = tuple([writes(node) for i, node in enumerate(nodes) if i != actor])
        if (operation, others) not in self._settled:
            needed = operation.settled_by(sorted(frozenset().union(*others)), self._laws.is_final)
            cells = None if needed is None else tuple(map(self._cells.index, needed))
            self._settled[operation, others] = cells
        cells = self._settled[operation, others]
        return cells is not None and all(at(world, cell) for cell in cells)

    def _ordered(self, state: State) -> State:
        world, nodes = state
        for start, end in self._alike:
            order = sorted(range(start, end), key=nodes.__getitem__)
            nodes = (*nodes[:start], *[nodes[i] for i in order], *nodes[end:])
            if self.told is not None:
                self._names[start:end] = [self._names[i] for i in order]
        return world, nodes

    def _trace(self, parents: Sequence[int], movers: Sequence[int], last: int, mover: int) -> list[Step]:
        """What happens on the way to state *last*, and in the step of *mover* behind it."""
        way = [mover] if last else []
        while last > 1:
            way.append(movers[last])
            last = parents[last]
        told: list[Step] = []
        self.told = told
        with suppress(AssertionError):
            state = self.first()
            for actor in reversed(way):
                state = self._moved(state, actor)
        self.told = None
        return told


def _alike(programs: Sequence[Program]) -> Iterator[tuple[int, int]]:
    """Where actors of the same program stand side by side."""
    start = 0
    for _, group in groupby(programs):
        end = start + len(list(group))
        if end - start > 1:
            yield start, end
        start = end


def _shown(answer: Answer) -> str:
    """*answer* in a few words."""
    if isinstance(answer, Raised):
        return type(answer.error).__name__
    text = repr(answer.value)
    return text if len(text) < MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
