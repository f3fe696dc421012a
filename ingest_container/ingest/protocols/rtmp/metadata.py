"""The encoder's onMetaData (Video File Format Specification 10.1, E.5), read with distrust."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from ingest.protocols.rtmp.amf0 import Value
from ingest.protocols.rtmp.publishing import SourceMetadata

_MAX_PIXELS: Final = 16_384
"""Of one side: the most that H.264 codes at its highest level (ITU-T H.264, table A-1)."""
_MAX_FRAME_RATE: Final = 1_000.0
_NTSC_TOLERANCE: Final = 0.006
"""23.98 and 29.97, as people and encoders round them, are within this of a thousand-and-oneth."""


def read_metadata(properties: Mapping[str, Value], *, max_characters: int) -> SourceMetadata:
    """Return what *properties* say that makes sense; at most *max_characters* of the encoder's name."""
    return SourceMetadata(
        encoder=_text(properties.get("encoder"), max_characters),
        width=_pixels(properties.get("width")),
        height=_pixels(properties.get("height")),
        frame_rate=_frame_rate(properties.get("framerate")),
    )


def _text(value: Value, max_characters: int) -> str | None:
    if not isinstance(value, str):
        return None
    return "".join(character for character in value if character.isprintable())[:max_characters] or None


def _pixels(value: Value) -> int | None:
    if isinstance(value, float) and 1 <= value <= _MAX_PIXELS:
        return int(value)
    return None


def _frame_rate(value: Value) -> Fraction | None:
    if not isinstance(value, float) or not math.isfinite(value) or not 0 < value <= _MAX_FRAME_RATE:
        return None
    ntsc = Fraction(round(value) * 1000, 1001)
    if value != round(value) and ntsc and abs(float(ntsc) - value) <= _NTSC_TOLERANCE:
        return ntsc
    return Fraction(value).limit_denominator(1001) or None
