"""Waiting and trying again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from local_cloud.workflows.errors import WorkflowError, type_error, value_error
from local_cloud.workflows.host import Clock
from local_cloud.workflows.limits import MAX_SLEEP
from local_cloud.workflows.policies import PREDICATES
from local_cloud.workflows.values import Value, type_name

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """Pauses that grow from *first* by *multiplier* up to *longest*."""

    first: timedelta
    longest: timedelta
    multiplier: float

    def __iter__(self) -> Iterator[timedelta]:
        pause = min(self.first, self.longest)
        while True:
            yield pause
            pause = min(pause * self.multiplier, self.longest) if pause < self.longest else pause


DEFAULT_PAUSES = Pauses(first=timedelta(seconds=1), longest=timedelta(seconds=60), multiplier=1.25)
"""retry.default_backoff, and the connectors' polling_policy when there is none."""

CONNECTOR_RETRIES = 5  # max_retries of http.default_retry, which connectors apply by themselves


def seconds(value: Value, what: str) -> timedelta:
    """*value* as a duration; raises a TypeError or ValueError of the language."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise type_error(f"{what} must be a number, not {type_name(value)}")
    if not 0 <= value <= MAX_SLEEP.total_seconds():
        raise value_error(f"{what} must be from 0 to {MAX_SLEEP.total_seconds():.0f} seconds")
    return timedelta(seconds=value)


def growth(value: Value) -> float:
    """*value* as the multiplier of pauses; raises a TypeError or ValueError of the language."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise type_error(f"multiplier must be a number, not {type_name(value)}")
    if value < 1:
        raise value_error("multiplier must be at least 1")
    return float(value)


async def with_retries(attempt: Callable[[], Awaitable[_Result]], clock: Clock, predicate: str) -> _Result:
    """What *attempt* returns, tried again as the policy of *predicate* says; raises WorkflowError."""
    for pause, _ in zip(DEFAULT_PAUSES, range(CONNECTOR_RETRIES), strict=False):
        try:
            return await attempt()
        except WorkflowError as error:
            if error.fatal or not PREDICATES[predicate](error.value):
                raise
        await clock.sleep(pause)
    return await attempt()
