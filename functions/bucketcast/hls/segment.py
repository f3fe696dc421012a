"""A media segment, as a media playlist lists it (RFC 8216bis, section 4.4.4)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bucketcast.errors import InvalidInput
from bucketcast.hls.attributes import MAX_DECIMAL_INTEGER, is_uri


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """The part of a resource that a segment is: *length* bytes from *offset* on."""

    length: int
    offset: int

    def __post_init__(self) -> None:
        """Raise InvalidInput where there is no such part."""
        if not 1 <= self.length <= MAX_DECIMAL_INTEGER or not 0 <= self.offset <= MAX_DECIMAL_INTEGER:
            raise InvalidInput("a byte range has at least 1 byte, and an offset of at least 0, both below 2^64")

    @property
    def end(self) -> int:
        """The offset of the byte behind it."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSegment:
    """One URI line of a media playlist, with the tags that apply to it alone."""

    uri: str
    duration: timedelta  # EXTINF
    program_date_time: datetime | None = None  # EXT-X-PROGRAM-DATE-TIME, in UTC
    discontinuity: bool = False  # EXT-X-DISCONTINUITY
    gap: bool = False  # EXT-X-GAP
    byte_range: ByteRange | None = None  # EXT-X-BYTERANGE; None is all of the resource

    def __post_init__(self) -> None:
        """Raise InvalidInput where a value cannot be written into a playlist."""
        if not is_uri(self.uri):
            raise InvalidInput("a segment's URI has the characters of RFC 3986 and does not start with '#'")
        if self.duration < timedelta(0):
            raise InvalidInput("a segment's duration is not negative")
        if self.program_date_time is not None and self.program_date_time.utcoffset() != timedelta(0):
            raise InvalidInput("a program date time is given in UTC")

    @property
    def rounded_duration(self) -> int:
        """The duration in seconds, rounded to the nearest integer, halves up."""
        return (self.duration + timedelta(milliseconds=500)) // timedelta(seconds=1)
