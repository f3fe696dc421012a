"""The world as an immutable value: numbered cells, and the operations that read and write them.

A world is a tuple that holds, for each cell, the number of the value in it, so that equal worlds are equal
tuples however they came about. Generations and versions count the writes of one name, for the same reason.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, NoReturn

World = tuple[int, ...]
"""For each cell the number of its value; cells behind the end are empty."""

EMPTY: Final = 0
"""The number of what is not there."""


@dataclass(frozen=True, slots=True)
class Returned:
    """An answer that is a value."""

    value: Any

    def unwrap(self) -> Any:
        """The value."""
        return self.value


@dataclass(frozen=True, slots=True)
class Raised:
    """An answer that is an error."""

    error: Exception

    def unwrap(self) -> NoReturn:
        """Raise the error, or rather its like: one that is raised again carries every traceback it ever had."""
        raise type(self.error)(*self.error.args)


Answer = Returned | Raised


@dataclass(frozen=True, slots=True)
class Stored:
    """A value of a cell, and *key*, by which two of them are told apart."""

    key: Hashable
    value: Any


@dataclass(frozen=True, slots=True)
class Effect:
    """What an operation does: its *answer*, known by *key*, and what it leaves in the cell that it writes."""

    answer: Answer
    key: Hashable
    stored: Stored | None = None


class Cells:
    """Names and numbers of cells, values and answers; it only grows."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._indexes: dict[str, int] = {}
        self._values: list[Stored | None] = [None]
        self._value_numbers: dict[Hashable, int] = {}
        self.answers: list[Answer] = []
        self._answer_numbers: dict[Hashable, int] = {}

    def index(self, name: str) -> int:
        """The place of the cell *name* in every world."""
        if name not in self._indexes:
            self._indexes[name] = len(self.names)
            self.names.append(name)
        return self._indexes[name]

    def number(self, stored: Stored) -> int:
        """The number of a value."""
        number = self._value_numbers.setdefault(stored.key, len(self._values))
        if number == len(self._values):
            self._values.append(stored)
        return number

    def answer_number(self, key: Hashable, answer: Answer) -> int:
        """The number of an answer."""
        number = self._answer_numbers.setdefault(key, len(self.answers))
        if number == len(self.answers):
            self.answers.append(answer)
        return number

    def value(self, number: int) -> Any:
        """The value of that *number*, or None."""
        stored = self._values[number]
        return None if stored is None else stored.value

    def get(self, world: World, name: str) -> Any:
        """What the cell *name* holds in *world*, or None."""
        return self.value(at(world, self.index(name)))

    def put(self, world: World, name: str, stored: Stored) -> World:
        """*world* with *stored* in the cell *name*."""
        return put(world, self.index(name), self.number(stored))

    def emptied(self, world: World, name: str) -> World:
        """*world* with nothing in the cell *name*."""
        world = put(world, self.index(name), EMPTY)
        while world and world[-1] == EMPTY:
            world = world[:-1]  # equal worlds are equal tuples
        return world

    def under(self, world: World, prefix: str) -> list[str]:
        """The names of the cells that start with *prefix* and hold something, in order."""
        held = zip(self.names, world, strict=False)
        return sorted(name for name, number in held if number and name.startswith(prefix))


def at(world: World, index: int) -> int:
    """The number of the value in cell *index*."""
    return world[index] if index < len(world) else EMPTY


def put(world: World, index: int, number: int) -> World:
    """*world* with another value in cell *index*."""
    if index < len(world):
        return (*world[:index], number, *world[index + 1 :])
    return (*world, *[EMPTY] * (index - len(world)), number)


class Operation:
    """A call of a port: it reads some cells, writes at most one, in one step that nothing divides."""

    def __init__(
        self,
        cells: Cells,
        text: str,
        reads: Sequence[str],
        effect: Callable[..., Effect],
        *,
        writes: str | None = None,
        at_once: bool = False,
        can_fail: bool = True,
    ) -> None:
        """Say what it *reads* and *writes*; *effect* gets the values that are read.

        One that happens *at_once* belongs to the step before it; one that *can_fail* may get no answer.
        """
        self.text = text
        self.reads: Final = tuple(reads)
        self.writes: Final = writes
        self.at_once: Final = at_once
        self.can_fail: Final = can_fail
        self._cells = cells
        self._inputs = tuple(cells.index(name) for name in reads)
        self._output = None if writes is None else cells.index(writes)
        self._effect = effect
        self._known: dict[tuple[int, ...], tuple[int | None, int]] = {}

    def inputs(self, world: World) -> tuple[int, ...]:
        """The numbers of the values that it reads."""
        return tuple([at(world, index) for index in self._inputs])

    def apply(self, world: World) -> tuple[World, int]:
        """The world after it, and the number of its answer."""
        inputs = self.inputs(world)
        if (known := self._known.get(inputs)) is None:
            effect = self._effect(*map(self._cells.value, inputs))
            number = None if effect.stored is None else self._cells.number(effect.stored)
            known = number, self._cells.answer_number(effect.key, effect.answer)
            self._known[inputs] = known
        number, answer = known
        if number is None or self._output is None:
            return world, answer
        return put(world, self._output, number), answer

    def settled_by(self, patterns: Sequence[str], is_final: Callable[[str], bool]) -> tuple[str, ...] | None:
        """The cells that must be held for it to be out of reach of writes to *patterns*; None if it never is.

        What *is_final* never changes once it is there.
        """
        reached = [name for name in self.reads if matches(name, patterns)]
        return tuple(reached) if all(map(is_final, reached)) else None


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether *name* is one that *patterns* describe."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


class Listing(Operation):
    """Lists the names under a prefix."""

    def __init__(self, cells: Cells, text: str, prefix: str, shown: Callable[[str], str]) -> None:
        """List what starts with *prefix*, each name as *shown*."""
        super().__init__(cells, text, (), lambda: Effect(Returned(None), None))
        self._prefix = prefix
        self._shown = shown

    def apply(self, world: World) -> tuple[World, int]:
        """Leave *world* as it is; the answer is a list of names."""
        names = [self._shown(name) for name in self._cells.under(world, self._prefix)]
        return world, self._cells.answer_number(("names", *names), Returned(names))

    def settled_by(self, patterns: Sequence[str], is_final: Callable[[str], bool]) -> tuple[str, ...] | None:
        """The names under the prefix that others may bring into being; objects are never deleted."""
        reached = [pattern for pattern in patterns if self._meets(pattern)]
        return None if any("*" in pattern for pattern in reached) else tuple(reached)

    def _meets(self, pattern: str) -> bool:
        fixed, star, _ = pattern.partition("*")
        return fixed.startswith(self._prefix) or bool(star and self._prefix.startswith(fixed))
