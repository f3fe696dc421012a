import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.rtmp.timestamps import TimestampUnwrapper

HOUR = 3_600_000


def _unwrap(counters: list[int]) -> list[int]:
    clock = TimestampUnwrapper()
    return [clock.unwrap(counter) for counter in counters]


@given(
    st.integers(0, (1 << 32) - 1),
    st.lists(st.integers(-5_000, 4 * HOUR), max_size=40),
)
def test_times_go_on_through_every_wrap_of_the_counter(start: int, steps: list[int]) -> None:
    times = [start]
    for step in steps:
        times.append(times[-1] + step)
    assert _unwrap([time % (1 << 32) for time in times]) == times


@pytest.mark.parametrize("modulus", [1 << 24, 1 << 31])
@given(before=st.integers(1, 5_000), steps=st.lists(st.integers(-500, 2_000), max_size=20))
def test_times_go_on_when_a_sender_wraps_early(modulus: int, before: int, steps: list[int]) -> None:
    """At 24 bits without extended timestamps, at 31 bits as FFmpeg does; tracks are interleaved around it."""
    times = [modulus - before]
    for step in steps:
        times.append(times[-1] + step)
    assert _unwrap([time % modulus for time in times]) == times


@pytest.mark.parametrize("wrap", [1 << 24, 1 << 31, 1 << 32])
def test_interleaved_tracks_go_back_over_a_wrap(wrap: int) -> None:
    times = [wrap - 40, wrap + 3, wrap - 20, wrap + 43, wrap + 3]
    assert _unwrap([time % (1 << 32) for time in times]) == times


def test_counter_that_starts_again_stays_a_jump() -> None:
    assert _unwrap([5 * HOUR, 0, 40]) == [5 * HOUR, 0, 40]


def test_time_before_the_first_one_may_be_negative() -> None:
    assert _unwrap([10, (1 << 32) - 10]) == [10, -10]
