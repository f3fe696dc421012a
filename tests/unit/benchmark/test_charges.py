"""What was counted becomes operations per hour and dollars; compute and viewers are kept apart."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark import charges
from benchmark.charges import Counts
from benchmark.figures import Charge, Figure, Outcome
from benchmark.prices import PRICES
from bucketcast.stream.configuration import StreamConfiguration
from local_cloud.operations import CountedOperation, PriceClass

LIST = CountedOperation(PriceClass.STORAGE_A, "storage.objects.list", "ingest")
INSERT = CountedOperation(PriceClass.STORAGE_A, "storage.objects.insert", "media")
DELETE = CountedOperation(PriceClass.FREE, "storage.objects.delete", "media")
VIEW = CountedOperation(PriceClass.STORAGE_B, "GET Object", "media")
TIME = CountedOperation(PriceClass.FUNCTION_TIME, "100 ms, each call rounded up", "publish")

counts = st.dictionaries(
    st.sampled_from([LIST, INSERT, DELETE, VIEW, TIME]), st.integers(0, 10**6).map(float), min_size=1
)


def charged(outcomes: list[Outcome], name: str) -> Charge:
    [charge] = [one for one in outcomes if isinstance(one, Charge) and one.name == name]
    return charge


def stream_hour(rate: Counts) -> list[Outcome]:
    return charges.stream_hour(rate, measured=timedelta(minutes=3), rungs=4, segment=timedelta(seconds=2))


def test_every_line_of_the_price_list_has_its_price() -> None:
    assert PRICES.keys() == set(PriceClass)


def test_the_local_clouds_answer_is_understood() -> None:
    answer = [
        {"class": "Cloud Storage, class A", "operation": "storage.objects.list", "place": "ingest", "count": 3}
    ]
    assert charges.parse_counts(answer) == {LIST: 3}


def test_two_minutes_are_a_thirtieth_of_an_hour() -> None:
    grown = charges.difference({LIST: 10, INSERT: 5}, {LIST: 70, INSERT: 5, DELETE: 1})
    assert grown == {LIST: 60, DELETE: 1}
    assert charges.hourly(grown, timedelta(minutes=2)) == {LIST: 1_800, DELETE: 30}


def test_what_viewers_read_is_not_the_streams() -> None:
    both = {LIST: 1.0, VIEW: 7.0}
    assert charges.without_viewers(both) == {LIST: 1.0}
    assert charges.viewers(both) == 7


@given(counts)
def test_dollars_are_those_of_all_operations_but_compute(rate: Counts) -> None:
    outcomes = stream_hour(rate)
    listed = sum(charged(outcomes, f"{one.name}, {one.place}").dollars for one in rate if one is not TIME)
    [total] = [one for one in outcomes if isinstance(one, Figure)]
    assert total.value == pytest.approx(listed)
    assert total.is_met is (total.value <= charges.STREAM_HOUR_GOAL)


def test_the_dearest_comes_first_and_the_classes_sum_up() -> None:
    outcomes = stream_hour({LIST: 1_000.0, INSERT: 14_400.0, DELETE: 99.0, TIME: 36_000.0})
    assert isinstance(outcomes[0], Charge)
    assert outcomes[0].name == "storage.objects.insert, media"
    assert outcomes[0].dollars == pytest.approx(0.072)
    assert charged(outcomes, "Cloud Storage, class A").count == 15_400
    assert charged(outcomes, "100 ms, each call rounded up, publish").dollars == pytest.approx(0.0909)


def test_a_session_costs_what_its_time_on_air_does_not_explain() -> None:
    found = charges.once({LIST: 130, INSERT: 60}, {LIST: 3_600, INSERT: 3_600}, timedelta(seconds=100))
    assert found == {LIST: pytest.approx(30), INSERT: 0}


def test_a_stream_hour_of_the_default_ladder_is_some_five_gigabytes() -> None:
    kept = charges.stored(StreamConfiguration())
    assert kept.count == pytest.approx(4.73, abs=0.01)
    assert kept.dollars == pytest.approx(0.00315, abs=0.00001)


def test_a_cache_asks_for_no_object_more_than_once_a_second() -> None:
    outcomes = charges.viewer_hour(3_600, rungs=4, segment=timedelta(seconds=2), watched=timedelta(seconds=20))
    assert charged(outcomes, "one viewer without CDN, reads").dollars == pytest.approx(0.00144)
    assert charged(outcomes, "one viewer with CDN, lookups").dollars == pytest.approx(0.0027)
    assert charged(outcomes, "all viewers of one CDN cache, class B fills at most").count == 25_200
