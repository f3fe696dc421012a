"""A media segment, as a media playlist lists it (RFC 8216bis, section 4.4.4)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bucketcast.errors import InvalidInput
from bucketcast.hls.attributes import is_uri


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSegment:
    """One URI line of a media playlist, with the tags that apply to it alone."""

    uri: str
    duration: timedelta  # EXTINF
    program_date_time: datetime | None = None  # EXT-X-PROGRAM-DATE-TIME, in UTC
    discontinuity: bool = False  # EXT-X-DISCONTINUITY
    gap: bool = False  # EXT-X-GAP

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
