"""The session record: what one broadcaster connection encodes, create-only, written before its first media."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from bucketcast.errors import InvalidInput
from bucketcast.hls import Resolution, VariantStream
from bucketcast.stream.identifiers import (
    BroadcastNumber,
    EncoderId,
    RungName,
    SessionNumber,
    StreamId,
    parse_rung_name,
)


class FrameRate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frames a second as an exact fraction, such as 30000/1001."""

    numerator: int
    denominator: int = 1

    def __post_init__(self) -> None:
        """Raise InvalidInput unless both parts are positive."""
        if self.numerator < 1 or self.denominator < 1:
            raise InvalidInput("a frame rate is a fraction of two positive numbers")

    @property
    def fraction(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.numerator, self.denominator)


class EncodedRung(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rung as this session encodes it: what a variant stream of it declares."""

    name: RungName
    width: int
    height: int
    codecs: str  # RFC 6381, as in the CODECS attribute: "avc1.64001f,mp4a.40.2"

    def __post_init__(self) -> None:
        """Raise InvalidInput where no variant stream could declare it."""
        parse_rung_name(self.name)
        resolution = Resolution(width=self.width, height=self.height)
        VariantStream(uri=self.name, bandwidth=0, codecs=self.codecs, resolution=resolution)


class SessionRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One session: its number, its grid and its rungs (highest first)."""

    version: Literal[1] = 1
    stream: StreamId
    session: SessionNumber
    broadcast: BroadcastNumber
    encoder: EncoderId
    start: datetime  # the program date time of the grid's origin, index 0
    segment_duration: timedelta
    frame_rate: FrameRate
    rungs: tuple[EncodedRung, ...]
