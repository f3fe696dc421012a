"""The weather: which faults are on, and for how long. Pure; all that is drawn comes from one seed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Final

from local_cloud.faults import (
    Delay,
    EventFaults,
    FaultPlan,
    FirestoreFaults,
    FunctionFaults,
    ReadFaults,
    UploadFaults,
)

# Storage events "are typically delivered within seconds": never at once, also when the sun shines.
USUAL_EVENTS: Final = EventFaults(delay=Delay(median=0.5, p99=5.0), repeat=0.05)
USUAL: Final = FaultPlan(events=(USUAL_EVENTS,))
# Of all spells so many are fair: a protocol that is never left in peace would show only that it does not break,
# not that it recovers.
FAIR: Final = 0.3
MOST_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """The faults of one spell: a *plan*, and how often a function's process is *killed* half-way."""

    names: tuple[str, ...] = ()
    plan: FaultPlan = USUAL
    killed: float = 0.0
    lasts: timedelta


def _deaf(_: Random) -> FaultPlan:
    return FaultPlan(events=(EventFaults(loss=1),), functions=(FunctionFaults(name="publish", error=1),))


def _unreaped(_: Random) -> FaultPlan:
    return FaultPlan(functions=(FunctionFaults(name="reap", error=1),))


def _events_lost(random: Random) -> FaultPlan:
    return FaultPlan(events=(EventFaults(loss=random.choice((0.3, 1.0))),))


def _events_late(random: Random) -> FaultPlan:
    late = EventFaults(
        delay=Delay(median=random.uniform(0.5, 5), p99=random.uniform(10, 60)),
        repeat=0.3,
        reorder=0.5,
        reorder_seconds=20,
    )
    return FaultPlan(events=(late,))


def _too_many_requests(random: Random) -> FaultPlan:
    name = random.choice(("*.m3u8", "*.json", "*.ts", "*"))
    return FaultPlan(uploads=(UploadFaults(name=name, too_many_requests=random.uniform(0.2, 0.9)),))


def _unavailable(random: Random) -> FaultPlan:
    chance = random.uniform(0.1, 0.6)
    return FaultPlan(uploads=(UploadFaults(unavailable=chance),), reads=(ReadFaults(unavailable=chance / 2),))


def _outage(random: Random) -> FaultPlan:
    bucket = random.choice(("*", "media", "ingest"))
    return FaultPlan(
        uploads=(UploadFaults(bucket=bucket, unavailable=1),), reads=(ReadFaults(bucket=bucket, unavailable=1),)
    )


def _rung_lost(random: Random) -> FaultPlan:
    rung = random.choice(("360p", "240p", "144p"))
    return FaultPlan(uploads=(UploadFaults(bucket="media", name=f"*/{rung}/*.ts", unavailable=0.95),))


def _slow(random: Random) -> FaultPlan:
    # A segment of the story has some 1,500 bytes: half a second to some ten.
    return FaultPlan(uploads=(UploadFaults(bucket="media", bytes_per_second=random.randint(150, 3000)),))


def _cut(random: Random) -> FaultPlan:
    cut = UploadFaults(cut=random.uniform(0.1, 0.5), cut_after_bytes=random.randint(0, 2000))
    return FaultPlan(uploads=(cut,), reads=(ReadFaults(cut=random.uniform(0, 0.2)),))


def _answers_lost(random: Random) -> FaultPlan:
    chance = random.uniform(0.05, 0.4)
    return FaultPlan(
        uploads=(UploadFaults(lose_answer=chance),),
        firestore=(FirestoreFaults(name="Commit", lose_answer=chance),),
        functions=(FunctionFaults(lose_answer=chance),),
    )


def _firestore(random: Random) -> FaultPlan:
    return FaultPlan(
        firestore=(
            FirestoreFaults(
                aborted=random.uniform(0, 0.3),
                unavailable=random.uniform(0, 0.3),
                deadline_exceeded=random.uniform(0, 0.1),
                lose_answer=random.uniform(0, 0.1),
            ),
        )
    )


def _functions(random: Random) -> FaultPlan:
    name = random.choice(("*", "publish", "claim", "renew"))
    return FaultPlan(functions=(FunctionFaults(name=name, error=random.uniform(0.2, 0.9)),))


def _nothing(_: Random) -> FaultPlan:
    return FaultPlan()


KILLS: Final = "functions killed half-way"
TROUBLES: Final[Mapping[str, Callable[[Random], FaultPlan]]] = {
    "no wake-up at all": _deaf,
    "outage of a bucket": _outage,
    "no reaper": _unreaped,
    "events lost": _events_lost,
    "events late, twice, shuffled": _events_late,
    "429": _too_many_requests,
    "503": _unavailable,
    "a rung lost": _rung_lost,
    "slow uploads": _slow,
    "connections cut": _cut,
    "answers lost": _answers_lost,
    "Firestore": _firestore,
    "functions answer 500": _functions,
    KILLS: _nothing,
}


def weathers(random: Random) -> Iterator[Weather]:
    """Spell after spell, without end; what *random* draws decides."""
    while True:
        lasts = timedelta(seconds=random.uniform(10, 60))
        if random.random() < FAIR:
            yield Weather(lasts=lasts)
            continue
        # In the order of TROUBLES: of two rules that match, the worse one's holds.
        drawn = random.sample(sorted(TROUBLES), random.randint(1, MOST_AT_ONCE))
        names = tuple(name for name in TROUBLES if name in drawn)
        plans = [TROUBLES[name](random) for name in names]
        # Now and then minutes, or a blow that is over before anybody has tried again.
        lasts *= random.choice((0.1, 1, 1, 1, 3))
        yield Weather(
            names=names,
            plan=_together(plans),
            killed=random.uniform(0.1, 0.6) if KILLS in names else 0.0,
            lasts=min(lasts, timedelta(seconds=10)) if "outage of a bucket" in names else lasts,
        )


def _together(plans: list[FaultPlan]) -> FaultPlan:
    """All of *plans*: of the rules that match, the first one's holds, and the usual one's where none does."""
    return FaultPlan(
        events=(*(rule for plan in plans for rule in plan.events), USUAL_EVENTS),
        uploads=tuple(rule for plan in plans for rule in plan.uploads),
        reads=tuple(rule for plan in plans for rule in plan.reads),
        firestore=tuple(rule for plan in plans for rule in plan.firestore),
        functions=tuple(rule for plan in plans for rule in plan.functions),
    )
