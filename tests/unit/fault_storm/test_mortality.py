"""Mortality: a run that is killed does nothing any more, in no thread."""

from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.objects import ABSENT, NewObject
from fakes import FakeBucket, FakeClock
from fault_storm.mortality import LAST_CALL, Killed, Life, MortalBucket, draw_life


def calls_until_death(life: Life) -> int:
    """How many calls were made when *life* was over, of twice as many as it may have."""
    made: list[None] = []
    for _ in range(2 * LAST_CALL):
        try:
            life.call(lambda: made.append(None))
        except Killed:
            continue
    return len(made)


@given(st.integers(1, LAST_CALL))
def test_the_call_of_death_is_made_or_not(dies_at: int) -> None:
    assert calls_until_death(Life(dies_at=dies_at, after=True)) == dies_at
    assert calls_until_death(Life(dies_at=dies_at, after=False)) == dies_at - 1


def test_whoever_is_not_killed_lives() -> None:
    assert calls_until_death(Life()) == 2 * LAST_CALL
    assert not Life().is_over


def test_an_error_of_the_last_call_is_not_seen_any_more() -> None:
    def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - any error of the port's
        Life(dies_at=2).call(fail)
    with pytest.raises(Killed):
        Life(dies_at=1, after=True).call(fail)


def test_every_thread_of_a_dead_run_is_dead() -> None:
    life = Life(dies_at=1)
    with pytest.raises(Killed):
        life.call(lambda: None)
    with ThreadPoolExecutor(1) as pool, pytest.raises(Killed):
        pool.submit(life.call, lambda: None).result()


def test_a_bucket_keeps_what_was_written_before_death() -> None:
    bucket = FakeBucket(FakeClock())
    mortal = MortalBucket(bucket, Life(dies_at=2, after=True))
    new = NewObject(name="a", content=b"a", content_type="text/plain", cache_control="no-store")
    mortal.write(new, if_generation=ABSENT)
    with pytest.raises(Killed):
        mortal.facts("a")
    with pytest.raises(Killed):
        mortal.read("a")
    assert bucket.read("a") == b"a"


def test_about_as_many_die_as_asked_for() -> None:
    random = Random(1)
    died = sum(draw_life(random, killed=0.3).dies_at is not None for _ in range(1000))
    assert 250 < died < 350
    assert draw_life(random, killed=0.0).dies_at is None
