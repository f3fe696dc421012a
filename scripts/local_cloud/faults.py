"""Faults that can be turned on and off at run time.

Events come late, twice or never; uploads are refused, slow or cut; reads, Firestore calls and functions fail,
or do what was asked and their answer is lost.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from random import Random
from threading import Lock
from typing import Any, Final, TypeVar

MAX_RULES: Final = 100  # per kind; each is looked at for every event or upload
MAX_SECONDS: Final = 86_400.0  # an event is retained for a day; a longer delay is a loss
_P99_DEVIATIONS: Final = 2.326  # standard deviations between the median and the 99th percentile


class InvalidFaults(ValueError):
    """A description of faults that cannot be followed; the text says which part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """A log-normal distribution by *median* and *p99*, in seconds; a fixed delay when both are equal."""

    median: float = 0.0
    p99: float = 0.0

    def draw(self, random: Random) -> timedelta:
        if self.p99 <= self.median or self.median == 0:
            return timedelta(seconds=max(self.median, self.p99))
        sigma = math.log(self.p99 / self.median) / _P99_DEVIATIONS
        drawn = random.lognormvariate(math.log(self.median), sigma)
        return timedelta(seconds=min(drawn, MAX_SECONDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFaults:
    """What happens to events of objects that match *bucket* and *name*; numbers are probabilities or seconds.

    *lose_seconds* loses every event for that long from when the rule was set. *repeat* sends an event once
    more. *reorder* holds an event back for up to *reorder_seconds*, so that later ones overtake it.
    """

    bucket: str = "*"
    name: str = "*"
    delay: Delay = Delay()
    loss: float = 0.0
    lose_seconds: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0
    reorder_seconds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFaults:
    """What happens to uploads that match *bucket* and *name*; the numbers but bytes are probabilities.

    *too_many_requests* and *unavailable* answer 429 and 503. *bytes_per_second* reads the body that slowly.
    *cut* closes the connection after *cut_after_bytes* of the body: no object is created. *lose_answer*
    creates the object and closes the connection without an answer.
    """

    bucket: str = "*"
    name: str = "*"
    too_many_requests: float = 0.0
    unavailable: float = 0.0
    bytes_per_second: int | None = None
    cut: float = 0.0
    cut_after_bytes: int = 0
    lose_answer: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFaults:
    """What happens to reads and listings that match *bucket* and *name*, by probability.

    *too_many_requests* and *unavailable* answer 429 and 503; *cut* closes the connection without an answer. The
    name of a listing is its prefix.
    """

    bucket: str = "*"
    name: str = "*"
    too_many_requests: float = 0.0
    unavailable: float = 0.0
    cut: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FirestoreFaults:
    """What happens to Firestore calls whose *name*, such as Commit, matches, by probability.

    *aborted*, *unavailable* and *deadline_exceeded* end the call with that status before it did anything.
    *lose_answer* lets it do what was asked, and ends it with UNAVAILABLE.
    """

    name: str = "*"
    aborted: float = 0.0
    unavailable: float = 0.0
    deadline_exceeded: float = 0.0
    lose_answer: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionFaults:
    """What happens to calls of functions whose *name* matches, by probability.

    *error* answers 500 and does nothing. *lose_answer* lets the function do its work and closes the connection
    without an answer.
    """

    name: str = "*"
    error: float = 0.0
    lose_answer: float = 0.0


class Refusal(StrEnum):
    """The errors with which a request can be refused."""

    TOO_MANY_REQUESTS = "too_many_requests"
    UNAVAILABLE = "unavailable"
    ABORTED = "aborted"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFate:
    """What was drawn for one upload."""

    refusal: Refusal | None = None
    bytes_per_second: int | None = None
    cut_after_bytes: int | None = None
    answer_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFate:
    """What was drawn for one read, Firestore call or function; a cut read is one whose answer is lost."""

    refusal: Refusal | None = None
    answer_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """All faults that are on: of each kind the first rule that matches holds."""

    events: tuple[EventFaults, ...] = ()
    uploads: tuple[UploadFaults, ...] = ()
    reads: tuple[ReadFaults, ...] = ()
    firestore: tuple[FirestoreFaults, ...] = ()
    functions: tuple[FunctionFaults, ...] = ()


Rule = TypeVar("Rule", EventFaults, UploadFaults, ReadFaults, FirestoreFaults, FunctionFaults)

KINDS: Final[Mapping[str, type]] = {
    "events": EventFaults,
    "uploads": UploadFaults,
    "reads": ReadFaults,
    "firestore": FirestoreFaults,
    "functions": FunctionFaults,
}
NO_FAULTS: Final = FaultPlan()
UNHARMED: Final = UploadFate()
ANSWERED: Final = CallFate()


def event_deliveries(rule: EventFaults, *, since: timedelta, random: Random) -> tuple[timedelta, ...]:
    """When to deliver one event: a delay for each copy, none when it is lost; the rule was set *since* ago."""
    if since < timedelta(seconds=rule.lose_seconds) or random.random() < rule.loss:
        return ()
    copies = 2 if random.random() < rule.repeat else 1
    return tuple(_delivery_delay(rule, random) for _ in range(copies))


def upload_fate(rule: UploadFaults, *, random: Random) -> UploadFate:
    """What happens to one upload."""
    refusal = None
    if random.random() < rule.too_many_requests:
        refusal = Refusal.TOO_MANY_REQUESTS
    elif random.random() < rule.unavailable:
        refusal = Refusal.UNAVAILABLE
    return UploadFate(
        refusal=refusal,
        bytes_per_second=rule.bytes_per_second,
        cut_after_bytes=rule.cut_after_bytes if random.random() < rule.cut else None,
        answer_lost=random.random() < rule.lose_answer,
    )


def call_fate(rule: ReadFaults | FirestoreFaults | FunctionFaults, *, random: Random) -> CallFate:
    """What happens to one read, Firestore call or call of a function."""
    for refusal in Refusal:
        if random.random() < getattr(rule, refusal, 0.0):
            return CallFate(refusal=refusal)
    lost = rule.cut if isinstance(rule, ReadFaults) else rule.lose_answer
    return CallFate(answer_lost=random.random() < lost)


@dataclass(slots=True)
class Faults:
    """The faults that are on now, and the *random* numbers that decide; the same seed, the same fates.

    *drawn* counts what was done, by kind and fault. Safe to use from several threads.
    """

    random: Random
    plan: FaultPlan = NO_FAULTS
    drawn: Counter[str] = field(default_factory=Counter)
    _set_at: datetime | None = field(default=None, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def set(self, plan: FaultPlan, *, now: datetime) -> None:
        """Replace all faults by *plan* from *now* on."""
        self.plan = plan
        self._set_at = now

    def event_deliveries(self, bucket: str, name: str, *, now: datetime) -> tuple[timedelta, ...]:
        """When to deliver an event of this object: a delay for each copy."""
        rule = _first_match(self.plan.events, bucket, name)
        if rule is None:
            return (timedelta(0),)
        with self._lock:
            delays = event_deliveries(rule, since=now - (self._set_at or now), random=self.random)
            self._count("events", lost=not delays, repeated=len(delays) > 1, delayed=any(delays))
        return delays

    def upload_fate(self, bucket: str, name: str) -> UploadFate:
        """What happens to an upload of this object."""
        rule = _first_match(self.plan.uploads, bucket, name)
        if rule is None:
            return UNHARMED
        with self._lock:
            fate = upload_fate(rule, random=self.random)
            self._count(
                "uploads",
                **{str(fate.refusal): fate.refusal is not None},
                slow=fate.bytes_per_second is not None,
                cut=fate.cut_after_bytes is not None,
                lose_answer=fate.answer_lost and fate.refusal is None and fate.cut_after_bytes is None,
            )
        return fate

    def read_fate(self, bucket: str, name: str) -> CallFate:
        """What happens to a read of this object, or to a listing of what starts with *name*."""
        return self._call_fate("reads", _first_match(self.plan.reads, bucket, name))

    def firestore_fate(self, name: str) -> CallFate:
        """What happens to a call of the Firestore method *name*."""
        return self._call_fate("firestore", _first_match(self.plan.firestore, "", name))

    def function_fate(self, name: str) -> CallFate:
        """What happens to a call of the function *name*."""
        return self._call_fate("functions", _first_match(self.plan.functions, "", name))

    def _call_fate(self, kind: str, rule: ReadFaults | FirestoreFaults | FunctionFaults | None) -> CallFate:
        if rule is None:
            return ANSWERED
        with self._lock:
            fate = call_fate(rule, random=self.random)
            self._count(kind, **{str(fate.refusal): fate.refusal is not None}, lose_answer=fate.answer_lost)
        return fate

    def _count(self, kind: str, **happened: bool) -> None:
        self.drawn.update(f"{kind}.{fault}" for fault, did in happened.items() if did)


def parse_plan(description: object) -> FaultPlan:
    """The plan that *description* asks for: {"events": [{...}], ...} by KINDS; raises InvalidFaults."""
    if not isinstance(description, Mapping) or description.keys() - KINDS.keys():
        raise InvalidFaults(f"faults: an object with any of {', '.join(KINDS)} is needed")
    return FaultPlan(
        **{
            kind: tuple(rule_type(**_parse_rule(kind, rule_type, rule)) for rule in _rules(description, kind))
            for kind, rule_type in KINDS.items()
        }
    )


def parse_options(options: Sequence[str]) -> FaultPlan:
    """The plan of command line *options* such as `uploads.unavailable=0.1`; raises InvalidFaults.

    Each kind has one rule; `events.delay` takes seconds, or median and 99th percentile as `0.2,1.5`.
    """
    rules: dict[str, dict[str, object]] = {}
    for option in options:
        key, equals, value = option.partition("=")
        kind, dot, name = key.partition(".")
        if not (equals and dot):
            raise InvalidFaults(f"{option!r}: KIND.FAULT=VALUE is needed, such as uploads.unavailable=0.1")
        rules.setdefault(kind, {})[name] = _parse_option(name, value)
    return parse_plan({kind: [rule] for kind, rule in rules.items()})


def plan_json(plan: FaultPlan) -> dict[str, Any]:
    """*plan* as `parse_plan` reads it, with every value spelt out."""
    return {kind: [asdict(rule) for rule in getattr(plan, kind)] for kind in KINDS}


def _first_match(rules: Sequence[Rule], bucket: str, name: str) -> Rule | None:
    for rule in rules:
        if fnmatchcase(name, rule.name) and fnmatchcase(bucket, getattr(rule, "bucket", "*")):
            return rule
    return None


def _delivery_delay(rule: EventFaults, random: Random) -> timedelta:
    delay = rule.delay.draw(random)
    if random.random() < rule.reorder:
        delay += timedelta(seconds=random.uniform(0, rule.reorder_seconds))
    return delay


def _rules(description: Mapping[Any, Any], kind: str) -> Sequence[object]:
    rules = description.get(kind, ())
    if not isinstance(rules, list | tuple) or len(rules) > MAX_RULES:
        raise InvalidFaults(f"{kind}: a list of at most {MAX_RULES} rules is needed")
    return rules


def _parse_rule(kind: str, rule_type: type, rule: object) -> dict[str, Any]:
    known = {field.name for field in fields(rule_type)}
    if not isinstance(rule, Mapping):
        raise InvalidFaults(f"{kind}: each rule must be an object")
    for key in rule.keys() - known:
        raise InvalidFaults(f"{kind}: no fault is called {key!r}; there are {', '.join(sorted(known))}")
    return {key: _parse_value(f"{kind}.{key}", key, value) for key, value in rule.items()}


def _parse_value(where: str, key: str, value: object) -> object:
    match key:
        case "bucket" | "name":
            if not isinstance(value, str):
                raise InvalidFaults(f"{where}: a pattern is needed")
            return value
        case "delay":
            return _parse_delay(where, value)
        case "bytes_per_second" if value is None:
            return None
        case "bytes_per_second" | "cut_after_bytes":
            return int(_parse_number(where, value, least=key == "bytes_per_second", most=2**40))
        case "lose_seconds" | "reorder_seconds":
            return _parse_number(where, value, most=MAX_SECONDS)
        case _:
            return _parse_number(where, value, most=1.0)


def _parse_delay(where: str, value: object) -> Delay:
    if isinstance(value, Mapping) and value.keys() == {"median", "p99"}:
        median, p99 = (_parse_number(where, value[key], most=MAX_SECONDS) for key in ("median", "p99"))
        if p99 < median:
            raise InvalidFaults(f"{where}: the p99 must not be below the median")
        return Delay(median=median, p99=p99)
    seconds = _parse_number(where, value, most=MAX_SECONDS)
    return Delay(median=seconds, p99=seconds)


def _parse_number(where: str, value: object, *, least: float = 0, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidFaults(f"{where}: a number from {least:g} to {most:g} is needed, not {value!r}")
    return float(value)


def _parse_option(name: str, value: str) -> object:
    if name in ("bucket", "name"):
        return value
    try:
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        raise InvalidFaults(f"{name}: {value!r} is not a number") from None
    if name == "delay" and len(numbers) == 2:
        return {"median": numbers[0], "p99": numbers[1]}
    if len(numbers) != 1:
        raise InvalidFaults(f"{name}: {value!r} is not one number")
    return numbers[0]
