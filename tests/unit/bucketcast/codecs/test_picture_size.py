import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.codecs.picture_size import PictureSize

FULL = PictureSize(1280, 720)
# Encoders crop to blocks of 16, or to even numbers.
MISSING = st.integers(min_value=0, max_value=7).map(lambda half: 2 * half)


@given(
    full=st.sampled_from([(1920, 1080), (1080, 1920), (1280, 960), (1080, 1080), (1366, 768)]),
    divisor=st.integers(min_value=10, max_value=50),
    missing=MISSING,
    is_wide=st.booleans(),
)
def test_a_smaller_picture_that_is_cropped_to_blocks_on_one_side_has_the_same_shape(
    full: tuple[int, int],
    divisor: int,
    missing: int,
    is_wide: bool,  # noqa: FBT001 (hypothesis passes it by position)
) -> None:
    """A square is among them: a bug was that its orientation is another one when a side is cropped."""
    width, height = (side * 10 // divisor for side in full)
    smaller = PictureSize(width - missing, height) if is_wide else PictureSize(width, height - missing)
    assert smaller.has_shape_of(PictureSize(*full))
    assert PictureSize(*full).has_shape_of(smaller)


@pytest.mark.parametrize(
    "size",
    [
        *((480, 270), (640, 360), (960, 540), (320, 180), (1920, 1080), (480, 256)),
        *((960, 528), (640, 368), (426, 240), (320, 176), (160, 90)),
    ],
)
def test_what_browsers_and_their_encoders_make_of_16_by_9_is_one_shape(size: tuple[int, int]) -> None:
    """A browser shrinks by thirds and quarters and rounds to what the encoder takes."""
    assert PictureSize(*size).has_shape_of(FULL)
    assert FULL.has_shape_of(PictureSize(*size))


@pytest.mark.parametrize(
    "size",
    [
        *((720, 1280), (640, 480), (1280, 800), (1280, 960), (960, 720), (1080, 1080), (2048, 858)),
        *((1920, 816), (160, 100), (160, 120), (320, 240), (270, 480)),
    ],
)
def test_another_orientation_or_aspect_is_another_shape(size: tuple[int, int]) -> None:
    assert not PictureSize(*size).has_shape_of(FULL)
    assert not FULL.has_shape_of(PictureSize(*size))
