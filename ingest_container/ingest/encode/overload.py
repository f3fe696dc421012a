"""What to do when FFmpeg is slower than its feed: leave whole groups out, so that latency never creeps."""

from datetime import timedelta

from bucketcast.stream.identifiers import SegmentIndex

# What viewers' latency may grow by. Beyond it they are better served by a gap and the present.
MAX_LAG = timedelta(seconds=10)
# Half of it is no passing hiccup any more: the broadcaster is told before anything is left out.
NOTED_LAG = MAX_LAG / 2
# How long it is reported that something was left out: long enough for a person to read it.
REPORTED_FOR = timedelta(seconds=60)


def is_overloaded(*, lag: timedelta, behind: timedelta, held_up: bool) -> bool:
    """Whether encoding has fallen so far back that part of the feed must be left out.

    *lag* is media that was written and is not encoded, *behind* how far what is encoded is behind a clock that
    started with the session: a sender that is faster than real time makes lag, but is itself held up by it.
    *held_up* tells that a writer waits, so that lag cannot grow any more.
    """
    return behind > MAX_LAG and (held_up or lag > MAX_LAG)


def is_noted(*, lag: timedelta, behind: timedelta) -> bool:
    """Whether it is to be reported that encoding falls back."""
    return min(lag, behind) > NOTED_LAG


def skip_to(
    *, missing: frozenset[SegmentIndex], encoding: SegmentIndex, newest: SegmentIndex
) -> SegmentIndex | None:
    """Return the segment at which an overloaded encoder goes on, None where it has to go on as it is.

    *missing* has the first missing segment of each rung, *encoding* is the segment that FFmpeg is at, *newest*
    the first that the newest group of the feed gives whole. While rungs are not level nothing is left out, so
    that all of them lack the same.
    """
    return newest if len(missing) == 1 and newest > max(encoding, *missing) else None
