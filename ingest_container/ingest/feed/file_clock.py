"""The clock of the files in which FFmpeg reads a feed: the session's, moved so that no time is below zero."""

from datetime import timedelta

# Containers count time without a sign: this much is added to every time, so that decode times before the first
# picture (frames out of order, sound that began earlier) stay above zero. The reader takes it off again.
LEAD = timedelta(seconds=10)
# FLV's 32 bits of milliseconds are 49.7 days. FFmpeg takes a wrap for an ordinary one, but a replacement could
# not know where it stands, so a feed ends before. Matroska would go on for longer; one bound is enough.
MAX_DURATION = timedelta(days=49)


class UnwritableFrame(ValueError):
    """An item that a file has no room for: too large, before the feed's beginning, or days after it."""


def file_time(time: timedelta, *, origin: timedelta) -> timedelta:
    """Return what *time* is in a file of the session that begins at *origin*; raises UnwritableFrame."""
    since = time - (origin - LEAD)
    if not timedelta(0) <= since <= MAX_DURATION:
        raise UnwritableFrame("a frame's time is not within the session")
    return since
