"""A change of one thing in a module, which its tests should notice."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a mutant is known by: in *function* of *module*, *line* becomes *mutated*."""

    module: str
    function: str
    line: str
    mutated: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A module's *source* after *change*."""

    change: Change
    source: str
