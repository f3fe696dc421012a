"""What a recording is made of: which parts, which segments of them, and what has to be made or is missing.

Pure: from what listings of the buckets say, in whatever order, follows the same plan.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from bucketcast.recording.names import SOURCE, PartFacts
from bucketcast.recording.part import MAX_PART_BYTES
from bucketcast.recording.segment_samples import MAX_SEGMENT_BYTES
from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber

# A hole's segments are read at once, to make one part of them, which takes so many of the largest.
MAX_HOLE_SEGMENTS: Final = MAX_PART_BYTES // MAX_SEGMENT_BYTES
# A day of the shortest segments, six of the longest: less than a movie may last, and its tables take at most
# half a gigabyte of memory.
MAX_FILE_SEGMENTS: Final = 86_400
_FIRST: Final = SegmentIndex(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSession:
    """A session whose end is known: *last* is its seal's, -1 if nothing of it was published.

    *rung* is its best, of which *segments* are in the media bucket, gaps excepted.
    """

    session: SessionNumber
    rung: RungName
    last: int
    segments: Collection[SegmentIndex]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenPart:
    """Of *part*, the segments from *first* to *last* are shown."""

    part: PartFacts
    first: SegmentIndex
    last: SegmentIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Segments of *session*, *first* to *last*, that no part holds: they are in the media bucket, in *rung*."""

    session: SessionNumber
    rung: RungName
    first: SegmentIndex
    last: SegmentIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingSegments:
    """Segments of *session*, *first* to *last*, that cannot be had."""

    session: SessionNumber
    first: SegmentIndex
    last: SegmentIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPlan:
    """Everything in order of playing. While there are *holes*, parts are to be made of them."""

    taken: tuple[TakenPart, ...]
    holes: tuple[Hole, ...]
    missing: tuple[MissingSegments, ...]


def plan_recording(sessions: Iterable[SealedSession], parts: Iterable[PartFacts]) -> RecordingPlan:
    """Return what the recording of *sessions* is made of, *parts* being those that there are.

    A part holds all of the segments that its name and metadata tell. Parts of one session may overlap, since
    two encoders may have made them: whatever reaches furthest is taken, and nothing twice. The source itself is
    taken before the best rung. Segments behind a session's last are not taken, as nobody saw them; neither are
    parts of another rung or session.
    """
    by_session: dict[tuple[SessionNumber, RungName], dict[str, PartFacts]] = {}
    for part in parts:
        by_session.setdefault((part.session, part.rung), {})[part.name] = part
    taken: list[TakenPart] = []
    holes: list[Hole] = []
    missing: list[MissingSegments] = []
    for sealed in sorted(sessions, key=lambda sealed: sealed.session):
        of_source = tuple(
            _shown(_take(by_session.get((sealed.session, SOURCE), {}).values(), _FIRST, sealed.last))
        )
        rest = _without(of_source, sealed.last)
        there = by_session.get((sealed.session, sealed.rung), {}).values()
        of_rung = tuple(one for first, last in _ranges(rest) for one in _take(there, first, last))
        wanted = {index for index in sealed.segments if index <= sealed.last}
        taken += sorted((*of_source, *of_rung), key=lambda one: one.first)
        holes += [
            Hole(session=sealed.session, rung=sealed.rung, first=first, last=last)
            for first, last in _shortened(_ranges(wanted & rest - _covered(of_rung)))
        ]
        missing += [
            MissingSegments(session=sealed.session, first=first, last=last)
            for first, last in _ranges(rest - wanted - _covered(of_rung) - _covered(of_source))
        ]
    return RecordingPlan(taken=tuple(taken), holes=tuple(holes), missing=tuple(missing))


def _shown(of_source: Iterable[TakenPart]) -> Iterator[TakenPart]:
    """Those of one session's parts that can be shown, or heard: there are pictures in them, or right before.

    Of what has sound alone, and follows nothing, the best rung has the pictures too.
    """
    reached = None
    for one in of_source:
        if one.part.media_format or one.first == reached:
            yield one
            reached = one.last + 1


def _without(of_source: Sequence[TakenPart], last: int) -> set[SegmentIndex]:
    """The segments up to *last* that are to be had elsewhere, where *of_source* is taken.

    A part of the source may begin in the midst of its first segment: where it follows nothing, that segment is
    among them. Better some of it twice than not at all.
    """
    rest = {*map(SegmentIndex, range(last + 1))} - _covered(of_source)
    return rest | {one.first for one in of_source if one.first - 1 in rest}


def _covered(parts: Iterable[TakenPart]) -> set[SegmentIndex]:
    return {SegmentIndex(index) for one in parts for index in range(one.first, one.last + 1)}


def groups(taken: Iterable[TakenPart]) -> tuple[tuple[TakenPart, ...], ...]:
    """Return which of *taken* are one file's, file by file: what comes together and has one format.

    A source's own pictures are not joined with those that viewers got, which begin and end elsewhere. What has
    no pictures goes with what is before it, or else behind it. A file has MAX_FILE_SEGMENTS at most, give or
    take a part.
    """
    files: list[list[TakenPart]] = []
    at_hand: str | None = None
    segments, from_source = 0, False
    for one in taken:
        found, is_source = one.part.media_format, one.part.rung == SOURCE
        is_other = is_source != from_source or (at_hand and found not in {None, at_hand})
        if not files or segments >= MAX_FILE_SEGMENTS or is_other:
            files.append([])
            segments, at_hand = 0, None
        files[-1].append(one)
        segments += one.last - one.first + 1
        from_source, at_hand = is_source, found or at_hand
    return tuple(tuple(file) for file in files if any(one.part.media_format for one in file))


def _take(parts: Iterable[PartFacts], first: SegmentIndex, last: int) -> Iterator[TakenPart]:
    """What is taken of one session's *parts*, from segment *first* to segment *last*."""
    waiting = sorted(parts, key=lambda part: part.first, reverse=True)
    place, best = int(first), None
    while place <= last:
        while waiting and waiting[-1].first <= place:
            part = waiting.pop()
            best = part if best is None or part.last > best.last else best
        if best is not None and best.last >= place:
            end = min(best.last, last)
            yield TakenPart(part=best, first=SegmentIndex(place), last=SegmentIndex(end))
            place = end + 1
        elif waiting:
            place = waiting[-1].first
        else:
            return


def _ranges(indexes: Iterable[int]) -> Iterator[tuple[SegmentIndex, SegmentIndex]]:
    """The first and the last of *indexes* that follow each other."""
    for _, run in groupby(enumerate(sorted(indexes)), key=lambda numbered: numbered[1] - numbered[0]):
        found = [index for _, index in run]
        yield SegmentIndex(found[0]), SegmentIndex(found[-1])


def _shortened(
    ranges: Iterable[tuple[SegmentIndex, SegmentIndex]],
) -> Iterator[tuple[SegmentIndex, SegmentIndex]]:
    for first, last in ranges:
        for begin in range(first, last + 1, MAX_HOLE_SEGMENTS):
            yield SegmentIndex(begin), SegmentIndex(min(last, begin + MAX_HOLE_SEGMENTS - 1))
