from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.identifiers import SegmentIndex
from ingest.encode.overload import HELD_BACK, MAX_LAG, NOTED_LAG, Arrivals, is_noted, is_overloaded, skip_to

MORE = timedelta(microseconds=1)
NOTHING = timedelta(0)
LONG = MAX_LAG - HELD_BACK


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("lag", "waiting", "held_up", "expected"),
    [
        (MAX_LAG + MORE, LONG + MORE, False, True),
        (MAX_LAG, LONG + MORE, False, False),
        (MAX_LAG, LONG + MORE, True, True),
        # The sender is faster than real time, and is held up by that.
        (2 * MAX_LAG, LONG, True, False),
        # The sender paused, and all it sent is encoded.
        (NOTHING, 10 * MAX_LAG, False, False),
    ],
)
def test_an_encoder_is_overloaded_when_much_of_its_feed_has_waited_long(
    lag: timedelta, waiting: timedelta, *, held_up: bool, expected: bool
) -> None:
    assert is_overloaded(lag=lag, waiting=waiting, held_up=held_up) is expected


def test_half_of_that_is_reported() -> None:
    assert is_noted(lag=NOTED_LAG + MORE, waiting=NOTED_LAG - HELD_BACK + MORE)
    assert not is_noted(lag=NOTED_LAG, waiting=MAX_LAG)
    assert not is_noted(lag=MAX_LAG, waiting=NOTED_LAG - HELD_BACK)


@given(speed=st.floats(min_value=0.3, max_value=3), length=st.integers(min_value=1, max_value=120))
def test_a_sender_in_real_time_overloads_an_encoder_that_is_slower_and_no_other(
    speed: float, length: int
) -> None:
    arrivals, overloaded = Arrivals(), False
    for tick in range(10 * length):
        now = tick / 10
        arrivals.note(seconds(now), arrived=now)
        encoded = seconds(min(now, now * speed))
        lag = seconds(now) - encoded
        overloaded |= is_overloaded(lag=lag, waiting=arrivals.waiting(encoded, now=now), held_up=False)
        if speed >= 1:
            assert not overloaded
    if length * (1 - speed) > MAX_LAG.total_seconds() + 1:
        assert overloaded


def test_what_a_network_held_back_for_long_overloads_nobody_when_it_comes_at_once() -> None:
    arrivals = Arrivals()
    arrivals.note(seconds(0), arrived=0)
    for tick in range(300):
        arrivals.note(seconds(tick / 10), arrived=30)
    assert arrivals.waiting(seconds(0), now=30) == NOTHING
    assert arrivals.waiting(seconds(9), now=33) == seconds(3)
    assert arrivals.waiting(seconds(28), now=40) == NOTHING


def test_pictures_out_of_order_do_not_count() -> None:
    arrivals = Arrivals()
    for time, arrived in ((3.0, 1), (2.9, 2), (3.05, 3), (3.2, 4)):
        arrivals.note(seconds(time), arrived=arrived)
    assert arrivals.waiting(seconds(0), now=5) == seconds(4)
    assert arrivals.waiting(seconds(1), now=5) == seconds(1)


@pytest.mark.parametrize(
    ("missing", "encoding", "newest", "expected"),
    [
        ((3, 3), 3, 8, 8),
        ((3, 4), 4, 8, None),  # not level
        ((3, 3), 3, 3, None),  # no later group
        ((3, 3), 5, 5, None),  # FFmpeg is there already
        ((3, 3), 5, 6, 6),
    ],
)
def test_an_encoder_goes_on_with_the_newest_group_if_that_leaves_something_out_of_every_rung(
    missing: tuple[int, int], encoding: int, newest: int, expected: int | None
) -> None:
    found = skip_to(
        missing=frozenset(map(SegmentIndex, missing)),
        encoding=SegmentIndex(encoding),
        newest=SegmentIndex(newest),
    )
    assert found == expected
