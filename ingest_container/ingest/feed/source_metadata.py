"""What a sender declares of its source, beside the feed: claims, which the feed may bear out or not."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMetadata:
    """What is declared, as far as it is used and makes sense; the size in square pixels.

    An *adaptive* source changes the size and the rate of its pictures to what its network takes.
    """

    frame_rate: Fraction | None = None
    width: int | None = None
    height: int | None = None
    adaptive: bool = False
