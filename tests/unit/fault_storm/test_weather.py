"""The weather: it changes with the seed alone, and every trouble comes."""

from itertools import islice
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from fault_storm.weather import KILLS, TROUBLES, USUAL_EVENTS, weathers
from local_cloud.faults import parse_plan, plan_json


@given(st.integers(0, 1 << 32))
def test_the_same_seed_brings_the_same_weather(seed: int) -> None:
    assert list(islice(weathers(Random(seed)), 20)) == list(islice(weathers(Random(seed)), 20))


@given(st.integers(0, 1 << 32))
def test_the_local_cloud_takes_every_plan(seed: int) -> None:
    for weather in islice(weathers(Random(seed)), 20):
        assert parse_plan(plan_json(weather.plan)) == weather.plan
        assert weather.plan.events[-1] == USUAL_EVENTS
        assert weather.lasts.total_seconds() > 0


def test_every_trouble_comes_and_so_does_the_sun() -> None:
    seen = list(islice(weathers(Random(1)), 300))
    assert {name for weather in seen for name in weather.names} == set(TROUBLES)
    assert 50 < sum(not weather.names for weather in seen) < 130


def test_functions_are_killed_only_when_it_is_their_weather() -> None:
    for weather in islice(weathers(Random(2)), 300):
        assert (weather.killed > 0) == (KILLS in weather.names)
