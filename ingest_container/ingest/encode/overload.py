"""What to do when FFmpeg is slower than its feed: leave whole groups out, so that latency never creeps."""

from collections import deque
from datetime import timedelta

from bucketcast.stream.identifiers import SegmentIndex

# What viewers' latency may grow by. Beyond it they are better served by a gap and the present.
MAX_LAG = timedelta(seconds=10)
# Half of it is no passing hiccup any more: it is reported before anything is left out.
NOTED_LAG = MAX_LAG / 2
# How long it is reported that something was left out: long enough for a person to read it.
REPORTED_FOR = timedelta(seconds=60)
# Media that FFmpeg holds back by design (decoder, lookahead, interleaving): less is no sign of anything.
HELD_BACK = timedelta(seconds=2)

# Arrivals are told apart this finely; 60 pictures a second need not all be kept.
_RESOLUTION = timedelta(milliseconds=100)


class Arrivals:
    """Remembers when pictures came, until they are encoded. Times of arrival are seconds of any clock."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[timedelta, float]] = deque()

    def note(self, time: timedelta, *, arrived: float) -> None:
        """Take note that the picture of media time *time* has *arrived*."""
        if not self._arrivals or time >= self._arrivals[-1][0] + _RESOLUTION:
            self._arrivals.append((time, arrived))

    def waiting(self, encoded: timedelta, *, now: float) -> timedelta:
        """How long the feed waits to be encoded where it is *encoded* so far, but for what is held back."""
        while self._arrivals and self._arrivals[0][0] <= encoded + HELD_BACK:
            self._arrivals.popleft()
        return timedelta(seconds=now - self._arrivals[0][1]) if self._arrivals else timedelta(0)


def is_overloaded(*, lag: timedelta, waiting: timedelta, held_up: bool) -> bool:
    """Whether encoding has fallen so far back that part of the feed must be left out.

    *lag* is media that was written and is not encoded, *waiting* is for how long; see Arrivals. Both must be
    long: a sender that is faster than real time, or that makes good what its network held back, is only far
    ahead. *held_up* tells that a writer waits, so that *lag* cannot grow any more.
    """
    return waiting > MAX_LAG - HELD_BACK and (held_up or lag > MAX_LAG)


def is_noted(*, lag: timedelta, waiting: timedelta) -> bool:
    """Whether it is to be reported that encoding falls back."""
    return lag > NOTED_LAG and waiting > NOTED_LAG - HELD_BACK


def skip_to(
    *, missing: frozenset[SegmentIndex], encoding: SegmentIndex, newest: SegmentIndex
) -> SegmentIndex | None:
    """Return the segment at which an overloaded encoder goes on, None where it has to go on as it is.

    *missing* has the first missing segment of each rung, *encoding* is the segment that FFmpeg is at, *newest*
    the first that the newest group of the feed gives whole. While rungs are not level nothing is left out, so
    that all of them lack the same.
    """
    return newest if len(missing) == 1 and newest > max(encoding, *missing) else None
