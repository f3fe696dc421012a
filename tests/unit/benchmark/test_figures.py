"""Figures are what the observations say: nearest ranks, least squares, goals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.figures import Charge, Figure, Skipped, as_json, distribution, percentile, slope, table

FINITE = st.floats(min_value=-1e6, max_value=1e6)


def test_percentiles_are_nearest_ranks() -> None:
    values = [float(value) for value in range(1, 101)]
    assert percentile(reversed(values), 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile(values, 1) == 100
    assert percentile([7.0], 0.01) == 7


@given(values=st.lists(FINITE, min_size=1), share=st.floats(min_value=0.001, max_value=1))
def test_a_percentile_is_an_observation_that_the_share_does_not_exceed(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6
    assert sum(value < found for value in values) < share * len(values) + 1e-6


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 0.5)


@given(points=st.lists(st.integers(0, 1000), min_size=2, unique=True), rise=st.integers(-100, 100))
def test_the_slope_of_a_line_is_its_own(points: list[int], rise: int) -> None:
    assert slope([(x, rise * x + 3.0) for x in points]) == pytest.approx(rise, abs=1e-6)


def test_the_slope_of_one_moment_is_flat() -> None:
    assert slope([(1.0, 5.0), (1.0, 9.0)]) == 0


def test_the_goal_of_a_distribution_is_its_99th_percentile() -> None:
    median, last = distribution("wait", [0.1] * 50 + [0.4] * 50, unit="s", method="a clock", goal=0.3)
    assert isinstance(median, Figure)
    assert isinstance(last, Figure)
    assert (median.value, median.is_met) == (0.1, None)
    assert (last.value, last.is_met, last.count) == (0.4, False, 100)


def test_what_was_not_observed_is_skipped_by_name() -> None:
    [outcome] = distribution("wait", [], unit="s", method="a clock")
    assert outcome == Skipped(name="wait", reason="nothing was observed")
    assert as_json(outcome) == {"name": "wait", "skipped": "nothing was observed"}
    assert table([outcome]).split() == ["wait", "skipped:", "nothing", "was", "observed"]


def test_the_table_states_each_method_once_and_says_whether_goals_are_met() -> None:
    figures = [
        Figure(name=name, value=value, unit="s", method="a clock", goal=goal)
        for name, value, goal in (("one", 1.0, 2.0), ("two", 2.0, None), ("three", 3.0, 2.0))
    ]
    head, one, two, three = table(figures).splitlines()
    assert head == "  a clock:"
    assert one.endswith("goal 2: met")
    assert "goal" not in two
    assert three.endswith("goal 2: MISSED")
    assert as_json(figures[0])["met"] is True


def test_a_charge_is_told_with_its_dollars() -> None:
    charge = Charge(name="lists", count=3600.4, dollars=0.018002, method="counted")
    assert table([charge]).splitlines()[1].split() == ["lists", "3600", "$", "0.018002"]
    assert as_json(charge) == {"name": "lists", "count": 3600.4, "dollars": 0.018002, "method": "counted"}
