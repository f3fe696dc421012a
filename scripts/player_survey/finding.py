"""What a player made of one disturbance, from how many pictures it had shown at which times."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

# Players that take two seconds of media at a time, as readers do, are quiet for as long in between.
ORDINARY_PAUSE: Final = 3.0
# Who shows pictures again at the end of an observation shows some of them in this many seconds.
LATELY: Final = 8.0
# Half of what the source has: a machine that is busy drops some, a player that stands still shows none.
PLAYING_RATE: Final = 15.0
# Below that nothing moves: a picture every other second may be a player that tries to begin.
HALTING_RATE: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How many *pictures* a player had shown since it was opened; None once it had gone. Times are seconds."""

    at: float
    pictures: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was seen of *player* from the beginning of *disturbance* on.

    *rate* is that of its pictures at the end, in pictures a second. *opened_again* is how long it took to show
    pictures where a person opened it again, None where that did not help or was not needed.
    """

    player: str
    disturbance: str
    longest_pause: float
    quiet: float
    rate: float
    gone: bool
    complaints: tuple[str, ...] = ()
    opened_again: float | None = None

    @property
    def plays(self) -> bool:
        """Whether it shows pictures at the end."""
        return not self.gone and self.rate >= PLAYING_RATE

    @property
    def cell(self) -> str:
        """The finding in a few words: what happened and what a person had to do."""
        if self.plays:
            if self.longest_pause <= ORDINARY_PAUSE:
                return f"plays on ({self.longest_pause:.1f} s)"
            return f"comes back, {self.longest_pause:.0f} s"
        if self.gone:
            what = "ends"
        elif self.rate >= HALTING_RATE:
            what = f"comes back halting, {self.longest_pause:.0f} s, {self.rate:.0f} pictures/s"
        else:
            what = "stands still"
        if self.opened_again is None:
            return f"{what}; opening again does not help"
        return f"{what}; opened again: {self.opened_again:.0f} s"


def pauses(samples: Sequence[Sample]) -> list[float]:
    """The seconds from each new picture to the next, and from the last one to the end of *samples*."""
    news = [samples[0].at]
    news += [after.at for before, after in pairwise(samples) if _shown(before, after)]
    return [later - earlier for earlier, later in pairwise([*news, samples[-1].at])]


def find(player: str, disturbance: str, samples: Sequence[Sample], complaints: Sequence[str] = ()) -> Finding:
    """What the *samples* of *player*, of which there is one at least, say of *disturbance*."""
    found = pauses(samples)
    end = samples[-1]
    lately = [sample for sample in samples if sample.at >= end.at - LATELY]
    shown = sum(_shown(before, after) for before, after in pairwise(lately))
    return Finding(
        player=player,
        disturbance=disturbance,
        longest_pause=max(found),
        quiet=sum(pause for pause in found if pause > ORDINARY_PAUSE),
        rate=shown / max(end.at - lately[0].at, 1.0),
        gone=end.pictures is None,
        complaints=tuple(complaints),
    )


def _shown(before: Sample, after: Sample) -> int:
    """The pictures between two samples; a count that went back began anew."""
    if before.pictures is None or after.pictures is None:
        return 0
    return after.pictures - (before.pictures if after.pictures >= before.pictures else 0)
