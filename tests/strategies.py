"""Hypothesis strategies: the histories that a stream may have."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from hypothesis import strategies as st

from bucketcast.errors import IllegalTransition
from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex, SessionNumber
from bucketcast.stream.session_record import FrameRate
from bucketcast.stream.timeline import RungSegment, TimelineSegment
from fakes import EPOCH
from stream_world import GAP, SEGMENT, SLOTS, STREAM, UPLOADED, World

# Its segments of 2 s take 59 or 60 frames.
FRAME_RATE: Final = FrameRate(numerator=30000, denominator=1001)
GRID: Final = SegmentGrid(frame_rate=FRAME_RATE.fraction, segment_duration=SEGMENT)
# Between two events: more than a publisher waits between two writes of a name, so that none outlasts a step.
STEP_SECONDS: Final = 1.1
# After a claim, what may come in before the session before is drained (2 segments of 2 s).
MAX_TAIL: Final = 2
MAX_SEGMENTS: Final = 9
MAX_LAG: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A broadcaster comes; in the bucket lie already the objects *unreported*, which no timeline will name."""

    session: SessionNumber
    rungs: tuple[RungName, ...]
    unreported: tuple[tuple[RungName, SegmentIndex], ...]

    def happen(self, world: World) -> None:
        """Claim, once the broadcaster before has gone."""
        world.release(SessionNumber(self.session - 1))
        claimed = world.claim(
            EncoderId(f"{self.session}-0"),
            self.rungs,
            EPOCH + self.session * timedelta(hours=1),
            FRAME_RATE,
        )
        assert claimed == self.session
        for rung, index in self.unreported:
            world.upload(claimed, segment(index, {rung: UPLOADED}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An encoder replaces its timeline."""

    session: SessionNumber
    encoder: int
    segments: tuple[TimelineSegment, ...]
    ended: bool

    def happen(self, world: World) -> None:
        """Write it."""
        encoder = EncoderId(f"{self.session}-{self.encoder}")
        world.report(self.session, encoder, self.segments, ended=self.ended)


@dataclass(frozen=True, slots=True)
class Wake:
    """A wake-up that arrives in every run."""

    def happen(self, world: World) -> None:
        """Publish."""
        world.wake()


@dataclass(frozen=True, slots=True)
class End:
    """The owner ends the broadcast."""

    def happen(self, world: World) -> None:
        """End what is on air, if anything is."""
        with suppress(IllegalTransition):
            world.streams.end(STREAM)


Event = Claim | Report | Wake | End


@dataclass(frozen=True, slots=True)
class History:
    """What happens to a stream, in order, and how many wake-ups arrive after each event."""

    events: tuple[Event, ...]
    wakes: tuple[int, ...]

    def play(
        self, world: World, *, after_each: Callable[[], None] = lambda: None, all_wakes: bool = True
    ) -> None:
        """Let it happen in *world*, with its wake-ups or with only those that always arrive."""
        start = world.clock.now()
        for step, (event, wakes) in enumerate(zip(self.events, self.wakes, strict=True), 1):
            world.clock.time = start + step * timedelta(seconds=STEP_SECONDS)
            event.happen(world)
            for _ in range(wakes if all_wakes else 0):
                world.wake()
                after_each()


def segment(index: int, rungs: Mapping[RungName, RungSegment]) -> TimelineSegment:
    """Segment *index*, now and then a frame longer or shorter than its neighbours."""
    place = SegmentIndex(index)
    return TimelineSegment(
        index=place, start=GRID.start(place), duration=GRID.duration(place), rungs=dict(rungs)
    )


@st.composite
def sessions(draw: st.DrawFn, number: SessionNumber) -> tuple[Claim, tuple[Report, ...]]:
    """One session: its claim and its reports, by one encoder or by two that overlap."""
    rungs = draw(
        st.lists(st.sampled_from(SLOTS), min_size=1, unique=True).map(lambda r: tuple(sorted(r))[::-1])
    )
    count = draw(st.integers(0, MAX_SEGMENTS))
    cells = [(rung, SegmentIndex(index)) for index in range(count) for rung in rungs]
    gaps = draw(st.sets(st.sampled_from(cells), max_size=4)) if cells else set()
    later = [cell for cell in cells if cell[1] > 0]
    silent = draw(st.sets(st.sampled_from(later), max_size=3)) if later else set()
    unreported = tuple(sorted(draw(st.sets(st.sampled_from(sorted(silent)))))) if silent else ()
    decided_at = {cell: cell[1] + draw(st.integers(0, MAX_LAG)) for cell in cells if cell not in silent}

    def timeline(step: int, indexes: range) -> tuple[TimelineSegment, ...]:
        found: dict[int, dict[RungName, RungSegment]] = {}
        for (rung, index), at in decided_at.items():
            if at <= step and index in indexes:
                found.setdefault(index, {})[rung] = GAP if (rung, index) in gaps else UPLOADED
        return tuple(segment(index, found[index]) for index in sorted(found))

    steps = max(decided_at.values(), default=0) + 1
    handover = draw(st.integers(1, steps)) if draw(st.booleans()) else steps
    seam = draw(st.integers(0, count))
    first, second = range(draw(st.integers(seam, count))), range(seam, count)
    two = handover < steps
    # Not every step is a report: a timeline may grow by several at once.
    reported = sorted({*draw(st.sets(st.sampled_from(range(steps)))), steps - 1})
    reports = []
    for step in reported:
        whole = timeline(step, first if two else range(count))
        reports.append(Report(session=number, encoder=0, segments=whole, ended=False))
        if two and step >= handover:
            reports.append(Report(session=number, encoder=1, segments=timeline(step, second), ended=False))
    if draw(st.booleans()):
        # Each encoder is known before one of them says that it is done: nobody seals between the two.
        last = {report.encoder: report for report in reports}
        reports += [replace(report, ended=True) for report in last.values()]
    return Claim(session=number, rungs=rungs, unreported=unreported), tuple(reports)


@st.composite
def histories(draw: st.DrawFn, *, max_sessions: int = 3) -> History:
    """Several sessions of different ladders, some in broadcasts of their own."""
    events: list[Event] = []
    for number in range(1, draw(st.integers(1, max_sessions)) + 1):
        claim, reports = draw(sessions(SessionNumber(number)))
        tail = draw(st.integers(0, MAX_TAIL))
        apart = draw(st.booleans())
        if events and apart:
            events += [Wake(), End(), claim]
        else:
            # The newcomer's claim overtakes the last reports of the session before.
            place = len(events)
            for before in events[: -tail - 1 : -1] if tail else ():
                if not isinstance(before, Report):
                    break
                place -= 1
            events.insert(place, claim)
        events += reports
    if draw(st.booleans()):
        events += [Wake(), End()]
    wakes = draw(st.lists(st.integers(0, 2), min_size=len(events), max_size=len(events)))
    return History(tuple(events), tuple(wakes))
