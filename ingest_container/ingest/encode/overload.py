"""What to do when FFmpeg is slower than its feed, so that latency never creeps.

One that has fallen behind is let catch up if it is fast enough for that. If it is not, the feed goes on in
another session without the largest rung. Beyond MAX_LAG, while that is found out or where one rung is left,
whole groups are left out.
"""

from collections import deque
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import RungName, SegmentIndex
from ingest.encode.intake import SessionOver
from ingest.encode.source import Opened

# What viewers' latency may grow by. Beyond it they are better served by a gap and the present.
MAX_LAG = timedelta(seconds=10)
# Half of it is no passing hiccup any more: it is reported before anything is left out.
NOTED_LAG = MAX_LAG / 2
# An encoder makes good MAX_LAG in half a minute if it is so much faster than real time. One that is slower has
# nothing in hand for the next difficult scene, either.
CATCH_UP_SPEED = 1.3
# How long that is measured: some segments, so that no single picture or scene decides; and so short that a rung
# is shed before lag has grown from NOTED_LAG to MAX_LAG.
MEASURED_FOR = timedelta(seconds=4)
# One that has just begun takes a moment for its first picture, and on a busy machine some seconds. What has put
# out none for longer is slow.
STARTS_WITHIN = timedelta(seconds=3)
# How long it is reported that something was left out: long enough for a person to read it.
REPORTED_FOR = timedelta(seconds=60)
# Media that FFmpeg holds back by design (decoder, lookahead, interleaving): less is no sign of anything.
HELD_BACK = timedelta(seconds=2)

# Arrivals are told apart this finely; 60 pictures a second need not all be kept.
_RESOLUTION = timedelta(milliseconds=100)


class EncoderOverloaded(SessionOver):
    """FFmpeg is too slow for all of its rungs: the sessions that follow have to do without *shed*."""

    def __init__(self, *, shed: RungName, successor: Opened) -> None:
        super().__init__(
            f"the encoder cannot keep up with {shed}", fault=InputFault.ENCODER_OVERLOADED, successor=successor
        )
        self.shed = shed


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How an encoder keeps up with its feed, as seen *at* a time, in seconds of any clock.

    *written* and *encoded* are how far the feed has come, and the encoder. *due* is how far one would be that
    encodes in real time: so no sender puts an encoder behind by being faster than that, or by making good what
    its network held back. *started* is when FFmpeg was started, until it puts out a picture. *measured_from* is
    when and where the encoder was, once it had fallen behind.
    """

    at: float
    written: timedelta
    encoded: timedelta
    due: timedelta
    started: float | None = None
    measured_from: tuple[float, timedelta] | None = None

    @property
    def behind(self) -> timedelta:
        """How far the encoder is behind."""
        return min(self.due, self.written) - self.encoded

    @property
    def speed(self) -> float | None:
        """Media per time since the encoder fell behind; None where it did not, or only a moment ago."""
        if self.measured_from is None:
            return None
        since, start = self.measured_from
        elapsed = timedelta(seconds=self.at - since)
        return (self.encoded - start) / elapsed if elapsed >= MEASURED_FOR else None

    @property
    def cannot_catch_up(self) -> bool:
        """Whether the encoder is too slow to make good what it has fallen behind."""
        speed = self.speed
        return speed is not None and speed < CATCH_UP_SPEED

    def advanced(self, *, at: float, written: timedelta, encoded: timedelta, held_up: bool = False) -> Self:
        """The pace *at* a later time; *held_up* tells that the feed is not *written* further for our sake."""
        real_time = self.due + timedelta(seconds=at - self.at)
        # What a writer who was held up brings afterwards at once was due all the time.
        due = max(self.due, encoded, real_time if held_up else min(written, real_time))
        moves = encoded > self.encoded
        started = None if moves else self.started
        pace = replace(self, at=at, written=written, encoded=encoded, due=due, started=started)
        if pace.behind <= NOTED_LAG:
            return replace(pace, measured_from=None)
        if pace.measured_from is None and (moves or (started is not None and _is_late(at - started))):
            # One that has put out pictures and stands still is not slow but hung, and is judged when it moves.
            return replace(pace, measured_from=(at, encoded))
        return pace

    def restarted(self, *, encoded: timedelta) -> Self:
        """The pace where another FFmpeg is started, which goes on at *encoded* and has yet to show its own."""
        due = max(self.due, encoded)
        return replace(self, encoded=encoded, due=due, started=self.at, measured_from=None)


def _is_late(seconds: float) -> bool:
    return seconds > STARTS_WITHIN.total_seconds()


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
