"""How storage joins any number of objects, of which it takes a few at a time: round by round."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from bucketcast.objects import MAX_COMPOSE_SOURCES


@dataclass(frozen=True, slots=True, kw_only=True)
class Compose:
    """The object *target* is to be made of *sources*, one behind the other."""

    sources: tuple[str, ...]
    target: str


def compose_plan(
    sources: Sequence[str], target: str, *, intermediate: Callable[[Sequence[str]], str]
) -> tuple[tuple[Compose, ...], ...]:
    """Return the rounds in which *target* is made of *sources*, at least one; a round's need no order.

    *intermediate* names what is made of some objects; equal ones have to get equal names, so that what is there
    need not be made again.
    """
    rounds: list[tuple[Compose, ...]] = []
    while len(sources) > MAX_COMPOSE_SOURCES:
        made: list[Compose] = []
        following: list[str] = []
        for begin in range(0, len(sources), MAX_COMPOSE_SOURCES):
            some = tuple(sources[begin : begin + MAX_COMPOSE_SOURCES])
            # What is alone needs no copy.
            following.append(some[0] if len(some) == 1 else intermediate(some))
            made += [Compose(sources=some, target=following[-1])] if len(some) > 1 else []
        rounds.append(tuple(made))
        sources = following
    rounds.append((Compose(sources=tuple(sources), target=target),))
    return tuple(rounds)


def outstanding(
    rounds: Sequence[Sequence[Compose]], existing: Collection[str]
) -> tuple[tuple[Compose, ...], ...]:
    """Return what of *rounds* is still to be done where the objects *existing* are there already.

    What went into them may be gone.
    """
    needed = {compose.target for compose in rounds[-1]}
    left: list[tuple[Compose, ...]] = []
    for some in reversed(rounds):
        todo = tuple(one for one in some if one.target in needed and one.target not in existing)
        needed.update(source for one in todo for source in one.sources)
        left.append(todo)
    return tuple(filter(None, reversed(left)))
