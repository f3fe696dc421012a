"""What our page declares of its source, in the query of the address that it posts its offer to."""

import re
from fractions import Fraction
from typing import Final
from urllib.parse import parse_qs

from bucketcast.stream.identifiers import BitsPerSecond
from ingest.feed.source_metadata import SourceMetadata

MAX_QUERY_CHARACTERS: Final = 512
"""Our page's has some fifty; of more, the rest is ignored."""

MAX_SIDE: Final = 8192
"""Of a picture, in pixels: no camera and no screen has more."""

MAX_FRAME_RATE: Final = 240
"""Pictures a second: likewise."""

MAX_BITRATE: Final = 1_000_000_000
"""Bits a second: likewise."""

MIN_BITRATE: Final = 50_000
"""Below, no picture is worth sending."""

HEADROOM: Final = Fraction(5, 4)
"""Of the bitrate that a publisher may use over that of its video: sound, headers, and packets sent again."""

_NUMBER: Final = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,3})?")


def parse_declared_source(query: str, *, max_bitrate: BitsPerSecond) -> tuple[SourceMetadata, BitsPerSecond]:
    """Return the source that *query* declares, and what its publisher may use, *max_bitrate* at most.

    It reads width=1280&height=720&frame_rate=30&bitrate=2500000, the last being the video's in bits a second.
    What is not said, or makes no sense, is not known. WebRTC's sources are adaptive by nature.
    """
    values = parse_qs(query[:MAX_QUERY_CHARACTERS])
    width, height = (_number(values, name, most=MAX_SIDE) for name in ("width", "height"))
    has_size = width is not None and height is not None
    metadata = SourceMetadata(
        frame_rate=_number(values, "frame_rate", most=MAX_FRAME_RATE),
        width=int(width) if width is not None and has_size else None,
        height=int(height) if height is not None and has_size else None,
        adaptive=True,
    )
    video = _number(values, "bitrate", most=MAX_BITRATE)
    if video is None:
        return metadata, max_bitrate
    return metadata, BitsPerSecond(min(max_bitrate, int(max(video, Fraction(MIN_BITRATE)) * HEADROOM)))


def _number(values: dict[str, list[str]], name: str, *, most: int) -> Fraction | None:
    text = values.get(name, [""])[0]
    if not _NUMBER.fullmatch(text):
        return None
    value = Fraction(text)
    return value if 1 <= value <= most else None
