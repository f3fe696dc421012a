"""The timeline: what one encoder says it has uploaded for a session, and the join of several.

It is the raw playlist that the functions publish from: cumulative over more than the live window, replaced
by its single writer.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex, SessionNumber, StreamId

# How many segments a timeline holds: ten times the live window's six, so that a publisher may miss a minute
# or two of wake-ups before it has to ask the bucket by name; at eight rungs it is some 40 KB.
TIMELINE_SEGMENTS = 64

# While the bucket takes writes, something is verified once a segment duration, and half of one is more jitter
# than there is: a longer pause is an outage, and time in which nothing can be written counts for nobody.
LONGEST_USUAL_PAUSE = 1.5  # segment durations


class UploadedSegment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="segment"):
    """A media object that was verified in the bucket."""

    size: int
    crc32c: str


class GapSegment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="gap"):
    """A segment that cannot be had: its name is taken by an empty object."""


RungSegment = UploadedSegment | GapSegment


class TimelineSegment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Segment *index* of the session: its place on the grid, and every rung that is decided."""

    index: SegmentIndex
    start: timedelta
    duration: timedelta
    rungs: dict[RungName, RungSegment]


class Timeline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The recent segments of *encoder*, in order of their index."""

    version: Literal[1] = 1
    stream: StreamId
    session: SessionNumber
    encoder: EncoderId
    ended: bool  # this encoder will add nothing
    continues: bool = False  # although its broadcaster goes on, in a session that is about to be claimed
    media_at: datetime  # when it last received media: what keeps the broadcast from being interrupted
    segments: tuple[TimelineSegment, ...] = ()


class JoinedTimeline(Struct, frozen=True, kw_only=True):
    """What all encoders of a session have uploaded."""

    ended: bool = False
    continues: bool = False
    media_at: datetime | None = None
    segments: Mapping[SegmentIndex, TimelineSegment]

    def joined_with(self, segments: Iterable[TimelineSegment]) -> "JoinedTimeline":
        """The same with *segments*, which were found in the bucket by name."""
        return replace(self, segments=_join_all((*self.segments.values(), *segments)))


NOTHING_REPORTED = JoinedTimeline(segments={})


def join(timelines: Iterable[Timeline]) -> JoinedTimeline:
    """Join *timelines* of one session: commutative, associative and idempotent.

    The bucket has already decided who made an object, so two timelines never contradict each other; should
    they, the greater fact is taken, so that the join stays the same in every order.
    """
    taken = tuple(timelines)
    return JoinedTimeline(
        ended=bool(taken) and all(timeline.ended for timeline in taken),
        continues=any(timeline.continues for timeline in taken),
        media_at=max((timeline.media_at for timeline in taken), default=None),
        segments=_join_all(segment for timeline in taken for segment in timeline.segments),
    )


def _join_all(parts: Iterable[TimelineSegment]) -> dict[SegmentIndex, TimelineSegment]:
    segments: dict[SegmentIndex, TimelineSegment] = {}
    for segment in parts:
        known = segments.get(segment.index)
        segments[segment.index] = segment if known is None else _join_segments(known, segment)
    return segments


def _join_segments(one: TimelineSegment, other: TimelineSegment) -> TimelineSegment:
    start, duration = max((one.start, one.duration), (other.start, other.duration))
    rungs = dict(one.rungs)
    for rung, fact in other.rungs.items():
        rungs[rung] = max(fact, rungs.get(rung, fact), key=_order)
    return TimelineSegment(index=one.index, start=start, duration=duration, rungs=rungs)


def _order(fact: RungSegment) -> tuple[int, str]:
    return (fact.size, fact.crc32c) if isinstance(fact, UploadedSegment) else (-1, "")
