"""The encoder's onMetaData (Video File Format Specification 10.1, E.5), read with distrust."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.rtmp.amf0 import Value

_MAX_FRAME_RATE: Final = 1_000.0
_NTSC_TOLERANCE: Final = 0.006
"""23.98 and 29.97, as people and encoders round them, are within this of a thousand-and-oneth."""


def read_metadata(properties: Mapping[str, Value]) -> SourceMetadata:
    """Return what *properties* say that makes sense."""
    return SourceMetadata(frame_rate=_frame_rate(properties.get("framerate")))


def _frame_rate(value: Value) -> Fraction | None:
    if not isinstance(value, float) or not math.isfinite(value) or not 0 < value <= _MAX_FRAME_RATE:
        return None
    ntsc = Fraction(round(value) * 1000, 1001)
    if value != round(value) and ntsc and abs(float(ntsc) - value) <= _NTSC_TOLERANCE:
        return ntsc
    return Fraction(value).limit_denominator(1001) or None
