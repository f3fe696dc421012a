"""A multivariant playlist (RFC 8216bis, section 4.4.6)."""

import re
from dataclasses import dataclass
from fractions import Fraction

from bucketcast.errors import InvalidInput
from bucketcast.hls.attributes import MAX_DECIMAL_INTEGER, is_uri

# RFC 6381: formats parted by commas, each a sample type with its parameters, as in avc1.64001f,mp4a.40.2.
_CODECS = re.compile(r"[A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The size in pixels at which to show a variant stream."""

    width: int
    height: int

    def __post_init__(self) -> None:
        """Raise InvalidInput unless both sides can be written and seen."""
        if not (1 <= self.width <= MAX_DECIMAL_INTEGER and 1 <= self.height <= MAX_DECIMAL_INTEGER):
            raise InvalidInput("a resolution is two whole numbers of at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantStream:
    """One EXT-X-STREAM-INF tag and its URI line (section 4.4.6.2)."""

    uri: str
    bandwidth: int  # BANDWIDTH: the peak segment bit rate, in bits per second
    average_bandwidth: int | None = None  # AVERAGE-BANDWIDTH
    codecs: str | None = None  # CODECS (RFC 6381)
    resolution: Resolution | None = None  # RESOLUTION
    frame_rate: Fraction | None = None  # FRAME-RATE; kept as the tag says it, rounded to three decimals

    def __post_init__(self) -> None:
        """Round the frame rate, and raise InvalidInput where a value cannot be written."""
        _check(self)
        if self.frame_rate is not None:
            # Section 4.4.6.2, FRAME-RATE: "rounded to three decimal places".
            rounded = Fraction(round(self.frame_rate * 1000), 1000)
            if rounded <= 0:
                raise InvalidInput("a frame rate is positive")
            object.__setattr__(self, "frame_rate", rounded)


@dataclass(frozen=True, slots=True, kw_only=True)
class IFrameStream:
    """One EXT-X-I-FRAME-STREAM-INF tag: a media playlist of I-frames, for trick play (section 4.4.6.3)."""

    uri: str
    bandwidth: int  # BANDWIDTH
    average_bandwidth: int | None = None  # AVERAGE-BANDWIDTH
    codecs: str | None = None  # CODECS
    resolution: Resolution | None = None  # RESOLUTION

    def __post_init__(self) -> None:
        """Raise InvalidInput where a value cannot be written."""
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MultivariantPlaylist:
    """The variant streams of one presentation."""

    variant_streams: tuple[VariantStream, ...] = ()
    i_frame_streams: tuple[IFrameStream, ...] = ()
    independent_segments: bool = False  # EXT-X-INDEPENDENT-SEGMENTS

    @property
    def version(self) -> int:
        """The least EXT-X-VERSION that fits (section 8): nothing that is used here asks for more."""
        return 1


def _check(stream: VariantStream | IFrameStream) -> None:
    if not is_uri(stream.uri):
        raise InvalidInput("a variant stream's URI has the characters of RFC 3986 and does not start with '#'")
    for bits_per_second in (stream.bandwidth, stream.average_bandwidth or 0):
        if not 0 <= bits_per_second <= MAX_DECIMAL_INTEGER:
            raise InvalidInput("a bandwidth is from 0 to 2^64-1 bits per second")
    if stream.codecs is not None and not _CODECS.fullmatch(stream.codecs):
        raise InvalidInput("codecs are RFC 6381 formats parted by commas, as in avc1.64001f,mp4a.40.2")
