"""Whether two sizes are the same picture: what an adaptive source's pictures have in common."""

# Encoders crop to their blocks, 16 pixels, or to even numbers: as much may be missing at a side.
_CROPPED = 16


def same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether *one* and *other*, sizes in square pixels, differ in scale and cropping alone."""
    (width, height), (full_width, full_height) = sorted((one, other))
    # At the smaller size, where a block is the larger part of the picture.
    wider, higher = width - height * full_width / full_height, height - width * full_height / full_width
    return min(abs(wider), abs(higher)) < _CROPPED
