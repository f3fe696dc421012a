"""Costs are differences between two moments; memory is judged once a broadcast is long enough."""

import pytest

from benchmark.broadcast import Usage, cost_figures, memory_figures
from benchmark.figures import Figure, Outcome


def named(outcomes: list[Outcome], name: str) -> Figure:
    [figure] = [one for one in outcomes if isinstance(one, Figure) and one.name == name]
    return figure


def test_what_starting_cost_is_left_out() -> None:
    before = Usage(at=100.0, ffmpeg=7.0, ingest=3.0, cloud=5.0, machine=(0, 0))
    after = Usage(at=120.0, ffmpeg=17.0, ingest=3.4, cloud=6.0, machine=(0, 0))
    figures = cost_figures(before, after)
    assert named(figures, "CPU per stream-second: FFmpeg").value == 0.5
    share = named(figures, "ingest's Python in % of FFmpeg")
    assert share.value == pytest.approx(4)
    assert share.is_met


def test_growth_is_that_of_the_second_half() -> None:
    filling = [(float(second), 50.0 + second) for second in range(300)]
    flat = [(float(second), 350.0) for second in range(300, 601)]
    growth = named(memory_figures([*filling, *flat], peak=351.0), "ingest's growth")
    assert growth.value == pytest.approx(0, abs=0.2)
    assert growth.goal is not None
    assert named(memory_figures([*filling, *flat], peak=351.0), "ingest's peak memory").is_met is False


def test_a_short_broadcast_does_not_judge_growth() -> None:
    growth = named(memory_figures([(0.0, 50.0), (1.0, 60.0), (2.0, 61.0)], peak=61.0), "ingest's growth")
    assert growth.value == pytest.approx(60)
    assert growth.is_met is None
