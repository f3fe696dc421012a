from datetime import timedelta

import pytest

from bucketcast.stream.identifiers import SegmentIndex
from ingest.encode.overload import MAX_LAG, NOTED_LAG, is_noted, is_overloaded, skip_to

MORE = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("lag", "behind", "held_up", "expected"),
    [
        (MAX_LAG + MORE, MAX_LAG + MORE, False, True),
        (MAX_LAG, MAX_LAG + MORE, False, False),
        (MAX_LAG, MAX_LAG + MORE, True, True),
        # The sender is faster than real time, and waits.
        (2 * MAX_LAG, MAX_LAG, True, False),
        # The sender paused, and all it sent is encoded.
        (timedelta(0), 10 * MAX_LAG, False, False),
    ],
)
def test_an_encoder_is_overloaded_when_it_is_behind_both_its_feed_and_the_clock(
    lag: timedelta, behind: timedelta, *, held_up: bool, expected: bool
) -> None:
    assert is_overloaded(lag=lag, behind=behind, held_up=held_up) is expected


def test_half_of_that_is_reported() -> None:
    assert is_noted(lag=NOTED_LAG + MORE, behind=NOTED_LAG + MORE)
    assert not is_noted(lag=NOTED_LAG, behind=MAX_LAG)
    assert not is_noted(lag=MAX_LAG, behind=NOTED_LAG)


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
