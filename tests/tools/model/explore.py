"""Exploration: what the actors can do from a state on, call by call.

The graph of states has no cycles, since a local history only grows. Two reductions are sound and simple, and
can be left out, to see that the worlds are the same without:

- Where an actor's next call reads only what nobody else may write any more, that call is taken alone. It
  commutes with all that others can still do and changes no world, so every world is reached as before, with
  every set of actors dead in it: an actor that is never scheduled again is one that crashed.
- Actors of the same program are interchangeable, so their order in a state is none: a trace in which they are
  swapped has the same calls, and leads to the same world.

What an act may still write is declared, and held against every call that is reached: where a declaration
lacked a write, the first such call would be reached too, since all calls before it keep to what was declared.
"""

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


State = tuple[World, tuple[Node, ...]]
"""A world, and for each actor its local history."""

Sides = tuple[int, ...]
"""What each actor may still write, by number."""


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
        reduced: bool = True,
    ) -> None:
        """Let *actors*, each with a name, begin in *world*; *reached* is to be called once for each world.

        Unless it is *reduced*, every order of calls is another, also of those that commute.
        """
        self.programs: Final = programs
        self._cells = programs.cells
        self._laws = laws
        self._world = world
        self.reached: Final = reached
        self._reduced = reduced
        given = list(actors)
        places = {program: place for place, (_, program) in reversed(list(enumerate(given)))}
        self._actors = sorted(given, key=lambda actor: places[actor[1]])  # alike ones side by side
        self._alike = list(_alike([program for _, program in self._actors])) if reduced else []
        self._pairs = [i for start, end in self._alike for i in range(start, end - 1)]
        self._sides = _Sides(programs.writes)
        self._settled: dict[tuple[int, Node, Sides], tuple[int, ...] | None] = {}
        self.told: list[Step] | None = None  # what happens, while it is to be told
        self._names = [name for name, _ in self._actors]

    def first(self) -> State:
        """Where it begins."""
        roots = [self.programs.root(program, self._world) for _, program in self._actors]
        nodes = [self._begun(root, self._world) for root in roots]
        return self._world, self.settled(self._world, nodes)

    def settled(self, world: World, nodes: Sequence[Node]) -> tuple[Node, ...]:
        """*nodes* after all calls that commute with all that others may still do, alike actors in order."""
        nodes, sides = tuple(nodes), self.sides(nodes)
        moved = True
        while moved:
            moved = False
            for actor in range(len(nodes)):
                while self.is_alone(world, actor, nodes[actor], sides):
                    _, nodes = self.step((world, nodes), actor)
                    sides = self.sides(nodes)
                    moved = True
        return self.ordered(nodes)

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
        """The actors that have something to do; of alike ones in the same place one."""
        return [i for i, node in enumerate(nodes) if node != DONE and not (self._reduced and node in nodes[:i])]

    def sides(self, nodes: Iterable[Node]) -> Sides:
        """What each of *nodes* may still write."""
        return tuple([self._sides[node] for node in nodes])

    def is_alone(self, world: World, actor: int, node: Node, sides: Sides) -> bool:
        """Whether the next call of *actor* commutes with all that others may still do, and changes no world."""
        try:
            cells = self._settled[actor, node, sides]
        except KeyError:
            cells = self._settled[actor, node, sides] = self._settling(actor, node, sides)
        if cells is None:
            return False
        for cell in cells:  # noqa: SIM110 - asked millions of times, and a generator takes three times as long
            if not at(world, cell):
                return False
        return True

    def _settling(self, actor: int, node: Node, sides: Sides) -> tuple[int, ...] | None:
        """The cells that must be held for the next call of *actor* to be taken alone; None if it never is."""
        operation = self.programs.operation(node)
        if operation is None or operation.writes is not None:
            return None
        if operation.at_once:
            return ()
        if not self._reduced:
            return None
        others = [self._sides.patterns[side] for i, side in enumerate(sides) if i != actor]
        needed = operation.settled_by(sorted(frozenset().union(*others)), self._laws.is_final)
        return None if needed is None else tuple(map(self._cells.index, needed))

    def ordered(self, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        """*nodes* with alike actors in order."""
        for left in self._pairs:
            if nodes[left] > nodes[left + 1]:
                break
        else:
            return nodes
        for start, end in self._alike:
            order = sorted(range(start, end), key=nodes.__getitem__)
            nodes = (*nodes[:start], *[nodes[i] for i in order], *nodes[end:])
            if self.told is not None:
                self._names[start:end] = [self._names[i] for i in order]
        return nodes

    def trace(self, movers: Iterable[int]) -> list[Step]:
        """What happens when *movers* take their steps, one after the other, until a promise breaks."""
        told: list[Step] = []
        self.told, names = told, list(self._names)
        with suppress(AssertionError):
            state = self.first()
            for mover in movers:
                world, nodes = self.step(state, mover)
                state = world, self.settled(world, nodes)
        self.told, self._names = None, names
        return told


class _Sides(dict[Node, int]):
    """For each local history the number of what may still be written: few differ."""

    def __init__(self, writes: Callable[[Node], frozenset[str]]) -> None:
        super().__init__()
        self._writes = writes
        self._numbers: dict[frozenset[str], int] = {}
        self.patterns: list[frozenset[str]] = []

    def __missing__(self, node: Node) -> int:
        patterns = self._writes(node)
        number = self[node] = self._numbers.setdefault(patterns, len(self.patterns))
        if number == len(self.patterns):
            self.patterns.append(patterns)
        return number


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
