import pytest

from ingest.protocols.whip.media.picture import PictureSize

HD = PictureSize(1280, 720)


@pytest.mark.parametrize(
    "size",
    [
        (480, 270),
        (640, 360),
        (960, 540),
        (320, 180),
        (1920, 1080),
        (480, 256),
        (960, 528),
        (640, 368),
        (426, 240),
    ],
)
def test_smaller_and_larger_sizes_are_of_one_shape_however_they_are_rounded(size: tuple[int, int]) -> None:
    """A browser shrinks by thirds and quarters and rounds to what the encoder takes."""
    assert PictureSize(*size).has_shape_of(HD)
    assert HD.has_shape_of(PictureSize(*size))


@pytest.mark.parametrize(
    "size",
    [(720, 1280), (640, 480), (1280, 800), (1280, 960), (1080, 1080), (2048, 858), (160, 100), (160, 120)],
)
def test_another_orientation_or_aspect_is_another_shape(size: tuple[int, int]) -> None:
    assert not PictureSize(*size).has_shape_of(HD)
    assert not HD.has_shape_of(PictureSize(*size))
