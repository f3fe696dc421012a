"""A workflow as it is understood: routines of steps, of which only the values are still open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from local_cloud.workflows.expressions import Expression
from local_cloud.workflows.values import Value

END = "end"
BREAK = "break"
CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Computed:
    """A value that an expression gives."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is written out and neither a list nor a map."""

    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values that may be computed."""

    items: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map of values that may be computed; its keys are written out."""

    items: tuple[tuple[str, Template], ...]


Template: TypeAlias = Computed | Constant | ListOf | MapOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """*variable*, or what *path* leads to in it, becomes *value*."""

    variable: str
    path: tuple[Expression, ...]
    value: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    assignments: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Call *target*, a subworkflow, a function that waits or a connector; its answer is kept in *result*."""

    target: str
    arguments: Mapping[str, Template]
    result: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What follows when *condition* is true: *then*, and afterwards a jump to *next* where there is one."""

    condition: Template
    then: StepList | None
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The integers from *first* to *last*, both of them included."""

    first: Template
    last: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class For:
    value: str
    index: str | None
    items: Template | Range
    steps: StepList


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    name: str
    steps: StepList


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """*work* side by side, at most *concurrency* of it at a time; only *shared* variables change outside."""

    shared: tuple[str, ...]
    concurrency: Template | None
    work: tuple[Branch, ...] | For


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses in seconds: the first one, what each is multiplied with, and the longest."""

    initial_delay: Template
    max_delay: Template
    multiplier: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try again after an error that *predicate*, of the platform or a subworkflow, says yes to."""

    predicate: str
    max_retries: Template
    backoff: Backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Except:
    error: str
    steps: StepList


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    steps: StepList
    retry: Retry | None
    handler: Except | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise:
    error: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    value: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    steps: StepList


@dataclass(frozen=True, slots=True)
class Nothing:
    """A step that only jumps."""


Action: TypeAlias = Assign | Call | Switch | For | Parallel | Try | Raise | Return | Nested | Nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is done under *name*, and the step to go on with, if not the one below."""

    name: str
    line: int
    action: Action
    next: str | None = None


@dataclass(frozen=True, slots=True)
class StepList:
    """Steps that follow each other."""

    steps: tuple[Step, ...]
    positions: Mapping[str, int] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "positions", {step.name: at for at, step in enumerate(self.steps)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Routine:
    """The main workflow or a subworkflow; *defaults* are the values of parameters that may be left out."""

    name: str
    parameters: tuple[str, ...]
    defaults: Mapping[str, Value]
    steps: StepList


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One workflow file: its *name*, its *source* as it was read, and its routines."""

    name: str
    source: str
    routines: Mapping[str, Routine]

    @property
    def main(self) -> Routine:
        return self.routines["main"]
