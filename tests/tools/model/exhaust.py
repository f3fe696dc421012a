"""Every order: all states that actors can reach, breadth first, so that a trace has the fewest steps.

A state is one integer that holds it whole, in 48 bytes for five actors: no two of them are taken for one, as
digests might be. What a call does depends on its world and on its caller's history alone, so it is worked out
once for all the states that share both.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tools.model.explore import Explorer, Sides, Violation
from tools.model.program import DONE, Node
from tools.model.world import World

# Histories and worlds are numbered; the largest graph that fits into 8 GB has some 100 000 of each.
NUMBER_BITS: Final = 24
NUMBER_MASK: Final = (1 << NUMBER_BITS) - 1
# Steps that are kept, of each actor: some 300 MB. Those of the states that come next are mostly new ones.
MAX_STEPS: Final = 1_000_000

State = int
"""The number of its world, and behind it, from the lowest bits on, the local histories of all actors."""


@dataclass(frozen=True, slots=True)
class Explored:
    """How large the graph was, or what was seen of it if that is not all."""

    states: int
    transitions: int
    worlds: int
    histories: int
    deepest: int  # calls on the way to what is farthest from the beginning
    is_all: bool

    def __str__(self) -> str:
        """In one line."""
        return (
            f"{self.states} states, {self.transitions} transitions, {self.worlds} worlds, "
            f"{self.histories} local histories, {self.deepest} calls deep"
        )


def exhaust(
    explorer: Explorer, *, limit: int | None = None, progress: Callable[[Explored], None] = lambda _: None
) -> Explored:
    """Visit every state, or the first *limit* and a few more; raise Violation with a shortest trace.

    *progress* is told as the distance from the beginning grows.
    """
    parents, movers = array("I", [0]), array("B", [0])
    graph = Graph(explorer)
    following: list[State] = []
    visited: set[State] = set()
    transitions = expanded = place = 0

    def explored() -> Explored:
        return Explored(
            states=len(visited),
            transitions=transitions,
            worlds=graph.worlds,
            histories=len(explorer.programs),
            deepest=len(explorer.trace(_way(parents, movers, len(parents) - 1))),
            is_all=not following,
        )

    try:
        following.append(graph.first())
        visited.add(following[0])
        while following and (limit is None or len(visited) < limit):
            frontier, following = following, []
            for place, state in enumerate(frontier, expanded):
                for mover, successor in graph.edges(state):
                    transitions += 1
                    if successor not in visited:
                        visited.add(successor)
                        parents.append(place)
                        movers.append(mover)
                        following.append(successor)
            expanded += len(frontier)
            progress(explored())
    except AssertionError as error:
        way = [] if graph.mover is None else [*_way(parents, movers, place), graph.mover]
        raise Violation(error, explorer.trace(way)) from error
    return explored()


def _way(parents: Sequence[int], movers: Sequence[int], place: int) -> list[int]:
    """Who moves on the way to the state that was found as number *place*."""
    way = []
    while place:
        way.append(movers[place])
        place = parents[place]
    return way[::-1]


class Graph:
    """The states of an explorer as integers, and what leads from one to others."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._worlds: list[World] = []
        self._numbers: dict[World, int] = {}
        self._shifts: tuple[int, ...] = ()
        self._steps: list[dict[tuple[int, Node, Sides], tuple[int, Node, bool]]] = []
        self.mover: int | None = None  # whose step is worked out

    @property
    def worlds(self) -> int:
        """How many different worlds were reached."""
        return len(self._worlds)

    def first(self) -> State:
        """Where it begins."""
        world, nodes = self._explorer.first()
        self._shifts = tuple(range(0, NUMBER_BITS * len(nodes), NUMBER_BITS))
        self._steps = [{} for _ in nodes]
        return self._packed(self._number(world), nodes)

    def edges(self, state: State) -> Iterator[tuple[int, State]]:
        """Each actor that can move in *state*, and where that leads."""
        explorer, steps = self._explorer, self._steps
        number = state >> NUMBER_BITS * len(steps)
        nodes = tuple([state >> shift & NUMBER_MASK for shift in self._shifts])
        sides = explorer.sides(nodes)
        for mover in explorer.able(nodes):
            self.mover = mover
            step = number, nodes[mover], sides
            if (found := steps[mover].get(step)) is None:
                found = self._step(mover, *step)
            change, node, is_quiet = found
            moved = (*nodes[:mover], node, *nodes[mover + 1 :])
            after = state + change
            world = number if is_quiet else after >> NUMBER_BITS * len(steps)
            settled = explorer.ordered(moved) if is_quiet else explorer.settled(self._worlds[world], moved)
            yield mover, after if settled is moved else self._packed(world, settled)

    def _step(self, mover: int, number: int, node: Node, sides: Sides) -> tuple[int, Node, bool]:
        """Work out a step: by how much it changes a state, where it leads, and whether it is quiet.

        It is, if no other actor's call is to be taken alone because of it: neither the world changes nor what
        *mover* may still write.
        """
        if len(self._steps[mover]) >= MAX_STEPS:
            self._steps[mover].clear()
        explorer, before = self._explorer, self._worlds[number]
        alone = tuple([node if actor == mover else DONE for actor in range(len(sides))])
        world, nodes = explorer.step((before, alone), mover)
        while explorer.is_alone(world, mover, nodes[mover], sides):
            world, nodes = explorer.step((world, nodes), mover)
        _check_fits(nodes[mover])
        change = (self._number(world) - number) << NUMBER_BITS * len(sides)
        change += (nodes[mover] - node) << self._shifts[mover]
        is_quiet = world == before and explorer.sides(nodes)[mover] == sides[mover]
        self._steps[mover][number, node, sides] = change, nodes[mover], is_quiet
        return change, nodes[mover], is_quiet

    def _number(self, world: World) -> int:
        number = self._numbers.setdefault(world, len(self._worlds))
        if number == len(self._worlds):
            _check_fits(number)
            self._worlds.append(world)
            self._explorer.reached(world)
        return number

    def _packed(self, number: int, nodes: Sequence[Node]) -> State:
        packed = number
        for node in reversed(nodes):
            _check_fits(node)
            packed = packed << NUMBER_BITS | node
        return packed


def _check_fits(number: int) -> None:
    if number > NUMBER_MASK:
        raise RuntimeError(f"more than {NUMBER_MASK} worlds or local histories")
