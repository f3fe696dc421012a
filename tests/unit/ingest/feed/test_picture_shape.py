import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.feed.picture_shape import same_shape

FULL = (1280, 720)


@given(
    full=st.sampled_from([(1920, 1080), (1080, 1920), (1280, 960), (1080, 1080), (1366, 768)]),
    divisor=st.integers(min_value=10, max_value=60),
    cropped=st.tuples(st.integers(min_value=0, max_value=15), st.integers(min_value=0, max_value=15)),
)
def test_a_smaller_picture_that_is_cropped_to_blocks_on_one_side_has_the_same_shape(
    full: tuple[int, int], divisor: int, cropped: tuple[int, int]
) -> None:
    width, height = (side * 10 // divisor for side in full)
    for smaller in ((width - cropped[0] // 2 * 2, height), (width, height - cropped[1] // 2 * 2)):
        assert same_shape(full, smaller)
        assert same_shape(smaller, full)


@pytest.mark.parametrize("other", [(720, 1280), (960, 720), (640, 480), (270, 480), (320, 240), (1920, 816)])
def test_another_orientation_or_aspect_is_another_shape(other: tuple[int, int]) -> None:
    assert not same_shape(FULL, other)
    assert not same_shape(other, FULL)


@pytest.mark.parametrize("other", [(480, 270), (320, 176), (640, 368), (1920, 1080), (160, 90)])
def test_what_browsers_and_their_encoders_make_of_16_by_9_is_one_shape(other: tuple[int, int]) -> None:
    assert same_shape(FULL, other)
