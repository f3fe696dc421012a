"""The figures of a way to be woken: waits of what was listed, and how much never was."""

import pytest

from benchmark.delivery import Delivery, RungIndex
from benchmark.figures import Figure, Outcome
from benchmark.wake_ups import OUTAGE, WAKE_UPS, WakeUp, figures
from benchmark.watching import Watched
from bucketcast.stream.identifiers import RungName, SegmentIndex

WATCHED = Watched(seconds=120, stalls=2, stalled_seconds=3.5, frames=3_510, latencies=[6.0, 6.5, 9.0])


def delivery(index: int, *, wait: float) -> Delivery:
    segment = RungIndex(RungName("360p"), SegmentIndex(index))
    return Delivery(segment=segment, cut=10.0, created=10.1, announced=10.2, listed=10 + wait)


def values(outcomes: list[Outcome]) -> dict[str, float]:
    return {one.name.partition(",")[0]: one.value for one in outcomes if isinstance(one, Figure)}


def test_the_longest_wait_and_what_was_never_listed_are_told() -> None:
    listed = [delivery(index, wait=0.5) for index in range(99)] + [delivery(99, wait=11)]
    cuts = [one.segment for one in listed] + [RungIndex(RungName("360p"), SegmentIndex(100))]
    found = values(figures(WAKE_UPS[0], WATCHED, cuts, listed, frame_rate=30, busy=0.5))
    assert found["encoder close to playlist visible p50"] == pytest.approx(0.5)
    assert found["encoder close to playlist visible max"] == pytest.approx(11)
    assert (found["segments never listed"], found["stalls"], found["time stalled"]) == (1, 2, 3.5)
    assert found["seconds not shown"] == pytest.approx(3)
    assert (found["behind live p50"], found["behind live max"]) == (6.5, 9.0)


def test_a_stall_misses_the_goal() -> None:
    [stalls] = [
        one
        for one in figures(WAKE_UPS[0], WATCHED, [], [], frame_rate=30, busy=0.5)
        if isinstance(one, Figure) and one.name.startswith("stalls")
    ]
    assert stalls.is_met is False


def test_the_table_says_what_happened_to_events() -> None:
    lost = WakeUp(name="lost", direct=True, lost=OUTAGE)
    [first, *_] = figures(lost, WATCHED, [], [], frame_rate=30, busy=0.25)
    assert isinstance(first, Figure)
    assert "all lost for 120 s" in first.method
    assert "CPU 25 %" in first.method
