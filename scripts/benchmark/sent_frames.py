"""When each frame of a clip that is sent over and over left the sender. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFrames:
    """*times* (seconds since the epoch) by frame number; numbers run on where the clip begins again.

    *clip_frames* is how many frames the clip has: a frame's strip carries its number modulo that.
    """

    times: Sequence[float]
    clip_frames: int

    def last_of(self, first: int, end: int) -> float | None:
        """When the last of the frames from *first* up to, not including, *end* was sent; None if not all were.

        Frames are sent in the order of decoding, so the last one sent need not be the last one shown.
        """
        if not 0 <= first < end <= len(self.times):
            return None
        return max(self.times[first:end])

    def number_before(self, shown: int, at: float) -> int | None:
        """The number of the frame whose strip says *shown* and that was sent last before *at*."""
        laps = self.times[shown :: self.clip_frames]
        lap = bisect_right(laps, at) - 1
        return None if lap < 0 else shown + lap * self.clip_frames

    def sent_at(self, shown: int, at: float) -> float | None:
        """When the frame whose strip says *shown* was sent last before *at*; None if it was not."""
        number = self.number_before(shown, at)
        return None if number is None else self.times[number]


def parse_sent_frames(lines: Iterable[str], *, clip_frames: int) -> SentFrames:
    """Read what the sender wrote: a frame's number and its time on each line, numbers in any order.

    Frames after the first one that is missing are left out: the sender was stopped between them.
    """
    times: dict[int, float] = {}
    for line in lines:
        number, _, time = line.partition(" ")
        times[int(number)] = float(time)
    whole = next((number for number in range(len(times)) if number not in times), len(times))
    return SentFrames(times=[times[number] for number in range(whole)], clip_frames=clip_frames)
