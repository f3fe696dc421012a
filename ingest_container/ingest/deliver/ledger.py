"""The ledger: what became of each segment of a session, and when the timeline has to be written.

Pure: times are arguments, in seconds of a monotonic clock where they are compared.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bucketcast.objects import WRITE_INTERVAL
from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.timeline import (
    LONGEST_USUAL_PAUSE,
    TIMELINE_SEGMENTS,
    RungSegment,
    Timeline,
    TimelineSegment,
)

# The rungs of one segment are verified within a few milliseconds of each other; a rung that takes longer must
# not hold the others back.
STRAGGLER_PATIENCE: Final = timedelta(milliseconds=250)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedSegment:
    """A segment of one rung whose object is in the bucket: media, or a gap."""

    rung: RungName
    index: SegmentIndex
    start: timedelta
    duration: timedelta
    fact: RungSegment


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What is decided so far, and what of it is not written yet."""

    rungs: frozenset[RungName]
    segments: tuple[TimelineSegment, ...] = ()  # by index
    unwritten_since: float | None = None
    written_at: float | None = None

    def with_segment(self, decided: DecidedSegment, *, now: float) -> "Ledger":
        """Return the ledger with *decided* in it."""
        known = {segment.index: segment for segment in self.segments}
        before = known.get(decided.index)
        known[decided.index] = TimelineSegment(
            index=decided.index,
            start=before.start if before else decided.start,
            duration=before.duration if before else decided.duration,
            rungs=(before.rungs if before else {}) | {decided.rung: decided.fact},
        )
        recent = tuple(known[index] for index in sorted(known))[-TIMELINE_SEGMENTS:]
        since = now if self.unwritten_since is None else self.unwritten_since
        return replace(self, segments=recent, unwritten_since=since)

    def written(self, *, at: float) -> "Ledger":
        """Return the ledger after all of it was written."""
        return replace(self, unwritten_since=None, written_at=at)

    def write_at(self, *, ending: bool) -> float | None:
        """When the timeline is to be written next; None while there is nothing to write.

        As soon as the newest index has all its rungs, or a straggler's patience is over; never within a second
        of the last time.
        """
        if self.unwritten_since is None and not ending:
            return None
        due = self.unwritten_since or 0.0
        complete = bool(self.segments) and self.segments[-1].rungs.keys() >= self.rungs
        if not complete and not ending:
            due += STRAGGLER_PATIENCE.total_seconds()
        if self.written_at is not None:
            due = max(due, self.written_at + WRITE_INTERVAL.total_seconds())
        return due

    def timeline(
        self,
        *,
        stream: StreamId,
        session: SessionNumber,
        encoder: EncoderId,
        media_at: datetime,
        ended: bool,
        continues: bool = False,
    ) -> Timeline:
        """The timeline that says all this."""
        return Timeline(
            stream=stream,
            session=session,
            encoder=encoder,
            ended=ended,
            continues=continues,
            media_at=media_at,
            segments=self.segments,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WritableTime:
    """How long the bucket has taken writes: a clock that stands still while nothing at all can be written."""

    elapsed: timedelta = timedelta(0)
    success_at: float | None = None

    def after_success(self, *, at: float, segment_duration: timedelta) -> "WritableTime":
        """Return the time after something was verified *at* this time; a pause without any does not count."""
        since = timedelta(seconds=0.0 if self.success_at is None else at - self.success_at)
        counted = since if since <= LONGEST_USUAL_PAUSE * segment_duration else timedelta(0)
        return WritableTime(elapsed=self.elapsed + counted, success_at=at)


def is_given_up(*, overtaken_at: timedelta | None, now: timedelta, segment_duration: timedelta) -> bool:
    """Whether a segment becomes a gap instead of being tried on; both times are of WritableTime.

    Only once a later one of its rung was verified, at *overtaken_at*, and after one segment duration of trying
    since.
    """
    return overtaken_at is not None and now - overtaken_at >= segment_duration
