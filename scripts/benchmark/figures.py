"""Figures: what was measured, how, and what it should be. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number: *value* in *unit*, from *count* observations by *method*; *goal* is the most it should be."""

    name: str
    value: float
    unit: str
    method: str
    count: int | None = None
    goal: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        return None if self.goal is None else self.value <= self.goal


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A measurement that could not be taken, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """*count* operations of one kind and the *dollars* that they cost, by *method*."""

    name: str
    count: float
    dollars: float
    method: str


Outcome = Figure | Skipped | Charge


def percentile(values: Iterable[float], share: float) -> float:
    """The nearest rank: the least of *values* that a *share* of them (above 0, up to 1) does not exceed.

    Raises ValueError where there are none.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("nothing was measured")
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def distribution(
    name: str, values: Sequence[float], *, unit: str, method: str, goal: float | None = None
) -> list[Outcome]:
    """The median and the 99th percentile of *values*; the *goal* is the latter's."""
    if not values:
        return [Skipped(name=name, reason="nothing was observed")]
    shares = (("p50", 0.5, None), ("p99", 0.99, goal))
    return [
        Figure(
            name=f"{name}, {label}",
            value=percentile(values, share),
            unit=unit,
            method=method,
            count=len(values),
            goal=aim,
        )
        for label, share, aim in shares
    ]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the line of least squares through *points* (x, y); 0 where x never changes."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def table(outcomes: Iterable[Outcome]) -> str:
    """*outcomes* for a person: a line for each, and its method where it is not that of the line before."""
    lines: list[str] = []
    method = ""
    for outcome in outcomes:
        if isinstance(outcome, Skipped):
            lines.append(f"{outcome.name:<58} skipped: {outcome.reason}")
            continue
        if outcome.method != method:
            method = outcome.method
            lines.append(f"  {method}:")
        if isinstance(outcome, Charge):
            lines.append(f"{outcome.name:<58} {outcome.count:>9.0f} {'':<9} $ {outcome.dollars:.6f}")
            continue
        count = "" if outcome.count is None else f"n={outcome.count}"
        goal = "" if outcome.goal is None else f"goal {outcome.goal:g}: {'met' if outcome.is_met else 'MISSED'}"
        lines.append(f"{outcome.name:<58} {outcome.value:>9.3f} {outcome.unit:<9} {count:<7} {goal}".rstrip())
    return "\n".join(lines)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """*outcome* for a program."""
    if isinstance(outcome, Skipped):
        return {"name": outcome.name, "skipped": outcome.reason}
    if isinstance(outcome, Charge):
        return {
            "name": outcome.name,
            "count": round(outcome.count, 3),
            "dollars": round(outcome.dollars, 9),
            "method": outcome.method,
        }
    return {
        "name": outcome.name,
        "value": round(outcome.value, 6),
        "unit": outcome.unit,
        "count": outcome.count,
        "goal": outcome.goal,
        "met": outcome.is_met,
        "method": outcome.method,
    }
