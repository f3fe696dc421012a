"""The story: who broadcasts what, and what goes wrong at the broadcasters' and the encoders' side.

Pure; all that is drawn comes from one seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from random import Random
from typing import Final

RUNGS: Final = {"360p": 800, "240p": 400, "144p": 150}
"""The slots that a stream can have, with their video bitrate in kb/s."""
# Writing playlists once a second is all that a name takes; longer segments are cheaper to play through.
SEGMENT_SECONDS: Final = (1.0, 2.0, 2.0, 2.5, 4.0)
RECONNECT_SECONDS: Final = (0, 10, 20, 40)


class Ending(StrEnum):
    """How a connection is lost."""

    CLEAN = "ended"
    """The broadcaster says goodbye, and the encoder delivers the tail."""
    CRASH = "encoder crashed"
    """The encoder's process is gone: no end of the timeline, objects that no timeline names."""
    HALF_OPEN = "half-open"
    """The network is gone, and nobody told the encoder: it waits for media."""
    ZOMBIE = "zombie"
    """The encoder loses its functions and goes on with what it has, also after its seal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """The segments from *first* to *last* of *rung* come *by* later than the other rungs'."""

    rung: str
    first: int
    last: int
    by: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """A second encoder makes the session from segment *first*; the one before it goes on for *overlap* more.

    With *crash* the one before is gone without a word.
    """

    first: int
    overlap: int
    crash: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One broadcaster's connection, from its media on.

    *pause* is since the one before lost its broadcaster; with *ends_before* the owner ends what is on air then.
    *gaps* are segments that the encoder never makes. *lingers* says for how long a lost encoder stays.
    """

    pause: timedelta
    ends_before: bool
    rungs: tuple[str, ...]
    segments: int
    ending: Ending
    lingers: timedelta
    gaps: frozenset[tuple[str, int]] = frozenset()
    late: Late | None = None
    handover: Handover | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """All that happens on one stream."""

    stream: str
    rungs: tuple[str, ...]
    segment_duration: timedelta
    reconnect_window: timedelta
    connections: tuple[Connection, ...]

    @property
    def media(self) -> timedelta:
        """How much media its connections send."""
        return sum(connection.segments for connection in self.connections) * self.segment_duration


def tell(seed: int, *, media: timedelta, streams: int) -> tuple[Show, ...]:
    """The story of *seed*: *streams* streams that send *media* together, or a little more."""
    return tuple(_show(Random(f"{seed}/{number}"), number, media / streams) for number in range(streams))  # noqa: S311


def _show(random: Random, number: int, media: timedelta) -> Show:
    # The lowest slot is always there, so that a session without it has something to fill it with.
    slots = tuple(sorted(random.sample(sorted(RUNGS), random.randint(2, 3)), key=lambda rung: -RUNGS[rung]))
    duration = timedelta(seconds=random.choice(SEGMENT_SECONDS))
    window = timedelta(seconds=random.choice(RECONNECT_SECONDS))
    return Show(
        stream=f"storm-{number}",
        rungs=slots,
        segment_duration=duration,
        reconnect_window=window,
        connections=tuple(_connections(random, slots, duration, window, media)),
    )


def _connections(
    random: Random, slots: tuple[str, ...], duration: timedelta, window: timedelta, media: timedelta
) -> Iterator[Connection]:
    left = int(media / duration) + 1
    while left > 0:
        segments = min(left, _segments(random, duration))
        left -= segments
        rungs = slots if random.random() < 0.6 else _some(random, slots)
        ending = random.choice((*Ending, Ending.CLEAN, Ending.CRASH))
        yield Connection(
            pause=_pause(random, window),
            ends_before=random.random() < 0.12,
            rungs=rungs,
            segments=segments,
            ending=ending,
            lingers=timedelta(seconds=random.uniform(5, 40)),
            gaps=frozenset(_gaps(random, rungs, segments)),
            late=_late(random, rungs, segments) if random.random() < 0.25 else None,
            handover=_handover(random, segments) if segments > 6 and random.random() < 0.25 else None,
        )


def _segments(random: Random, duration: timedelta) -> int:
    """Mostly a minute or two; now and then nothing at all, or less than a player can start with."""
    seconds = random.choice((0.0, random.uniform(1, 10), *(random.uniform(20, 150) for _ in range(6))))
    return int(timedelta(seconds=seconds) / duration)


def _some(random: Random, slots: tuple[str, ...]) -> tuple[str, ...]:
    chosen = random.sample(slots, random.randint(1, len(slots)))
    return tuple(slot for slot in slots if slot in chosen)


def _pause(random: Random, window: timedelta) -> timedelta:
    """At once, within the reconnect window, at its very end, or behind it."""
    return random.choice(
        (
            timedelta(seconds=random.uniform(0, 2)),
            window * random.random(),
            window + timedelta(seconds=random.uniform(-1, 1)) if window else timedelta(0),
            window + timedelta(seconds=random.uniform(5, 60)),
        )
    )


def _gaps(random: Random, rungs: tuple[str, ...], segments: int) -> Iterator[tuple[str, int]]:
    if not segments or random.random() < 0.5:
        return
    lost = rungs if random.random() < 0.4 else (random.choice(rungs),)
    # Never the last one: an encoder says that it did not make a segment when it makes a later one.
    first = random.choice((0, random.randrange(segments), max(0, segments - 3)))
    for index in range(first, min(first + random.randint(1, 4), segments - 1)):
        yield from ((rung, index) for rung in lost)


def _late(random: Random, rungs: tuple[str, ...], segments: int) -> Late:
    first = random.randrange(segments + 1)
    return Late(
        rung=random.choice(rungs),
        first=first,
        last=first + random.randint(0, 8),
        by=timedelta(seconds=random.uniform(0.5, 15)),
    )


def _handover(random: Random, segments: int) -> Handover:
    return Handover(
        first=random.randint(3, segments - 2), overlap=random.randint(0, 3), crash=random.random() < 0.5
    )
