"""The size of a picture, and whether two sizes are one picture: what an adaptive source's have in common."""

from fractions import Fraction
from typing import Final, NamedTuple

# Senders that shrink a picture round its sides to what their encoders take: hardware to macroblocks of 16.
_ROUNDING: Final = 16
# 16:9 and 16:10 are 11 % apart, the nearest that are both in use; small pictures need more than _ROUNDING says.
_MAX_DISTORTION: Final = Fraction(1, 10)


class PictureSize(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    def has_shape_of(self, other: "PictureSize") -> bool:
        """Whether this is *other* in another size: of one orientation and, but for rounding, one aspect.

        Both are of square pixels, or of pixels of the same shape.
        """
        small, large = sorted((self, other))
        # The sides of the small one as they would be, each by the other side, if it were the large one scaled.
        width = Fraction(large.width * small.height, large.height)
        height = Fraction(large.height * small.width, large.width)
        off = min(abs(width - small.width), abs(height - small.height))
        return off < _ROUNDING and abs(width - small.width) < _MAX_DISTORTION * small.width
