from datetime import timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import SegmentIndex

RATES = [
    Fraction(10),
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
]
# The segments of a day at one second each.
indexes = st.integers(min_value=0, max_value=86_400).map(SegmentIndex)
grids = st.builds(
    SegmentGrid,
    frame_rate=st.sampled_from(RATES),
    segment_duration=st.integers(min_value=2, max_value=12).map(lambda n: timedelta(milliseconds=500 * n)),
)


@given(grid=grids, index=indexes)
def test_a_segment_starts_at_the_first_frame_at_or_after_its_boundary(
    grid: SegmentGrid, index: SegmentIndex
) -> None:
    frame = grid.first_frame(index)
    boundary = index * Fraction(grid.segment_duration.total_seconds())
    assert frame / grid.frame_rate >= boundary > (frame - 1) / grid.frame_rate


@given(grid=grids, index=indexes)
def test_every_frame_is_in_exactly_one_segment(grid: SegmentGrid, index: SegmentIndex) -> None:
    first, following = grid.first_frame(index), grid.first_frame(SegmentIndex(index + 1))
    assert grid.index_of_frame(first) == grid.index_of_frame(following - 1) == index
    assert grid.index_of_frame(following) == index + 1


@given(grid=grids, index=indexes)
def test_starts_never_drift_from_the_frames(grid: SegmentGrid, index: SegmentIndex) -> None:
    exact = grid.first_frame(index) / grid.frame_rate
    assert abs(Fraction(grid.start(index) // timedelta(microseconds=1), 1_000_000) - exact) <= Fraction(
        1, 2_000_000
    )


@given(grid=grids, frame=st.integers(min_value=0, max_value=60 * 86_400), noise=st.floats(-0.49, 0.49))
def test_a_time_within_half_a_frame_names_its_frame(grid: SegmentGrid, frame: int, noise: float) -> None:
    assert grid.frame_at((frame + Fraction(noise)) / grid.frame_rate) == frame


@pytest.mark.parametrize(
    ("rate", "frames"),
    [
        (Fraction(30), [60, 60, 60, 60]),
        # 59.94 frames: now and then one less, never two in a row.
        (Fraction(30000, 1001), [60, 60, 60, 60]),
        (Fraction(24000, 1001), [48, 48, 48, 48]),
        (Fraction(25, 2), [25, 25, 25, 25]),
    ],
)
def test_the_first_segments_of_two_seconds_have_these_frames(rate: Fraction, frames: list[int]) -> None:
    grid = SegmentGrid(frame_rate=rate, segment_duration=timedelta(seconds=2))
    starts = [grid.first_frame(SegmentIndex(index)) for index in range(len(frames) + 1)]
    assert [after - before for before, after in pairwise(starts)] == frames


def test_a_thousand_segments_at_29_97_are_as_long_as_two_thousand_seconds() -> None:
    grid = SegmentGrid(frame_rate=Fraction(30000, 1001), segment_duration=timedelta(seconds=2))
    assert grid.first_frame(SegmentIndex(1001)) == 60_000
    assert grid.start(SegmentIndex(1001)) == timedelta(seconds=2002)
