from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import RungName, SegmentIndex
from ingest.encode.overload import (
    CATCH_UP_SPEED,
    HELD_BACK,
    MAX_LAG,
    MEASURED_FOR,
    NOTED_LAG,
    STARTS_WITHIN,
    Arrivals,
    EncoderOverloaded,
    Pace,
    is_noted,
    is_overloaded,
    skip_to,
)
from ingest.encode.source import Opened, SourceFacts, VideoSource

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


TICK = 0.5
HELD_UP_BEYOND = 10.0
Sender = Callable[[float], float]


def real_time(now: float) -> float:
    return now


def shed_at(
    speed: Callable[[float], float], *, sender: Sender = real_time, waiting: float = 0, starting: float = 0
) -> tuple[float | None, timedelta]:
    """When an encoder of *speed* sheds a rung, if it does, and how far it was behind at most until then.

    *sender* says how much it would have sent at a time if it were not held up; *waiting* is what had come
    before the encoder was started, and *starting* how long it takes to begin.
    """
    encoded, most = 0.0, NOTHING
    pace = Pace(at=0, written=seconds(waiting), encoded=NOTHING, due=seconds(waiting), started=0)
    for tick in count(1):
        now = tick * TICK
        sent = waiting + sender(now)
        written = max(min(sent, encoded + HELD_UP_BEYOND), pace.written.total_seconds())
        encoded = min(written, encoded + speed(now) * TICK * (now > starting))
        pace = pace.advanced(at=now, written=seconds(written), encoded=seconds(encoded), held_up=sent > written)
        most = max(most, pace.behind)
        if pace.cannot_catch_up or now >= 120:
            return (now if pace.cannot_catch_up else None), most
    raise AssertionError


SLOW = st.floats(min_value=0.01, max_value=0.95)
QUICK = st.floats(min_value=CATCH_UP_SPEED + 0.001, max_value=20)
KEEPS_UP = st.floats(min_value=1, max_value=20)
TIMES = st.floats(min_value=0, max_value=30)


@given(speed=SLOW)
def test_an_encoder_that_does_not_keep_up_sheds_a_rung_before_anything_is_left_out(speed: float) -> None:
    found, most = shed_at(lambda _: speed)
    assert found is not None
    assert most < MAX_LAG
    noted = NOTED_LAG.total_seconds() / (1 - speed)
    assert noted + MEASURED_FOR.total_seconds() <= found <= noted + MEASURED_FOR.total_seconds() + 2 * TICK


@given(speed=QUICK, stop=st.floats(min_value=TICK, max_value=30), stopped=TIMES)
def test_an_encoder_that_stood_still_and_can_catch_up_is_let(speed: float, stop: float, stopped: float) -> None:
    found, _ = shed_at(lambda now: 0 if stop < now <= stop + stopped else speed)
    assert found is None


@given(
    speed=QUICK,
    waiting=TIMES,
    starting=st.floats(min_value=0, max_value=STARTS_WITHIN.total_seconds()),
)
def test_an_encoder_for_which_much_has_waited_and_that_can_catch_up_is_let(
    speed: float, waiting: float, starting: float
) -> None:
    found, _ = shed_at(lambda _: speed, waiting=waiting, starting=starting)
    assert found is None


@given(speed=SLOW, starting=TIMES)
def test_an_encoder_that_does_not_even_begin_sheds_a_rung(speed: float, starting: float) -> None:
    """A bug: it was replaced again and again when it had fallen too far behind, and never made a picture."""
    found, most = shed_at(lambda _: speed, starting=starting)
    assert found is not None
    assert most < MAX_LAG


def test_a_replacement_is_measured_anew() -> None:
    pace = Pace(at=0, written=seconds(20), encoded=NOTHING, due=seconds(9))
    slow = pace.advanced(at=1, written=seconds(20), encoded=seconds(1)).advanced(
        at=5, written=seconds(20), encoded=seconds(1.5)
    )
    assert slow.cannot_catch_up
    replaced = slow.restarted(encoded=seconds(0.5))
    assert (replaced.speed, replaced.due, replaced.behind) == (None, seconds(14), seconds(13.5))
    still = replaced.advanced(at=8, written=seconds(20), encoded=seconds(0.5))
    assert still.measured_from is None


def test_what_comes_at_once_because_we_held_the_writer_up_was_due_all_the_time() -> None:
    """A bug: it was taken for a burst of the sender, so that an encoder seemed to keep up that did not."""
    pace = Pace(at=0, written=seconds(10), encoded=NOTHING, due=seconds(10))
    held_up = pace.advanced(at=6, written=seconds(10), encoded=seconds(1), held_up=True)
    assert held_up.behind == seconds(9)
    released = held_up.advanced(at=6.5, written=seconds(11), encoded=seconds(1.5))
    assert released.advanced(at=7, written=seconds(17), encoded=seconds(2)).behind == seconds(14.5)


@given(speed=st.floats(min_value=0.01, max_value=CATCH_UP_SPEED - 0.01), waiting=TIMES)
def test_one_that_stays_behind_sheds_a_rung(speed: float, waiting: float) -> None:
    """Also if it is faster than real time, where it does not come below what is noted while it is measured."""
    needed = NOTED_LAG.total_seconds() + (MEASURED_FOR.total_seconds() + 2 * TICK) * max(0.0, speed - 1)
    if waiting < needed + TICK:
        waiting += needed + TICK
    found, _ = shed_at(lambda _: speed, waiting=waiting)
    assert found is not None
    assert found <= MEASURED_FOR.total_seconds() + 2 * TICK


@given(speed=KEEPS_UP, pause=TIMES, paused=TIMES, faster=st.floats(min_value=1, max_value=50))
def test_no_sender_has_a_rung_shed_by_an_encoder_that_keeps_up(
    speed: float, pause: float, paused: float, faster: float
) -> None:
    """Neither one that is faster than real time, nor one that makes good at once what its network held back."""

    def sender(now: float) -> float:
        return faster * (pause if pause < now <= pause + paused else now)

    found, most = shed_at(lambda _: speed, sender=sender)
    assert found is None
    assert most <= seconds(TICK)


def test_a_brief_hiccup_is_not_even_measured() -> None:
    _, most = shed_at(lambda now: 0 if 10 < now <= 13 else 1.5)
    assert most < NOTED_LAG


def test_an_encoder_that_stands_still_is_hung_and_not_slow() -> None:
    found, _ = shed_at(lambda now: 1 if now < 10 else 0)
    assert found is None


def test_an_encoder_that_has_caught_up_is_measured_anew() -> None:
    """The second time it is given as long as the first."""

    def speed(now: float) -> float:
        if 10 < now <= 17 or now > 100:
            return 0.1
        return 1.5

    found, _ = shed_at(speed)
    noted = 100 + NOTED_LAG.total_seconds() / 0.9
    assert found is not None
    assert found >= noted + MEASURED_FOR.total_seconds()


def test_time_enough_is_left_to_measure_before_anything_is_left_out() -> None:
    assert NOTED_LAG + MEASURED_FOR + 2 * seconds(TICK) <= MAX_LAG


def test_a_session_that_is_over_for_its_encoder_s_sake_says_what_is_shed() -> None:
    source = SourceFacts(video=VideoSource(width=1280, height=720), audio=None, frame_rate=Fraction(30))
    successor = Opened(source=source, origin=NOTHING, items=())
    over = EncoderOverloaded(shed=RungName("720p"), successor=successor)
    assert (over.shed, over.successor, over.fault) == ("720p", successor, InputFault.ENCODER_OVERLOADED)
    assert "720p" in str(over)
