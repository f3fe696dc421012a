"""The smallest parts of a playlist (RFC 8216bis, section 4.2): numbers, durations, dates, attribute lists.

Every reader takes the number of the *line* it reads from, and raises PlaylistSyntaxError with it.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from bucketcast.errors import PlaylistSyntaxError

# Section 4.2: "in the range from 0 to 2^64-1 ... from 1 to 20 characters long".
MAX_DECIMAL_INTEGER = 2**64 - 1
_DECIMAL_INTEGER = re.compile(r"[0-9]{1,20}")
# Durations are whole microseconds: a seventh digit could only be lost. Ten digits of seconds are 300 years.
_DECIMAL_DURATION = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,6}))?")
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,6}))?(?:Z|([+-][0-9]{2}):?([0-9]{2}))"
)
# The characters of a URI reference (RFC 3986, section 2); '#' at the front would make it a comment.
_URI = re.compile(r"(?!#)[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",\s]+)(,|$)')


def is_uri(text: str) -> bool:
    """Whether *text* can stand as a URI line (section 4.1)."""
    return _URI.fullmatch(text) is not None


def read_integer(text: str, *, line: int) -> int:
    """Return the decimal-integer that *text* is."""
    if not _DECIMAL_INTEGER.fullmatch(text) or int(text) > MAX_DECIMAL_INTEGER:
        raise PlaylistSyntaxError("write a whole number from 0 to 2^64-1, in digits alone", line=line)
    return int(text)


def read_duration(text: str, *, line: int) -> timedelta:
    """Return the duration whose seconds *text* gives as decimal-integer or decimal-floating-point."""
    match = _DECIMAL_DURATION.fullmatch(text)
    if not match:
        raise PlaylistSyntaxError("write a duration in seconds with at most 6 decimals, as in 2.002", line=line)
    seconds, fraction = match.groups(default="")
    return timedelta(seconds=int(seconds), microseconds=int(fraction.ljust(6, "0")))


def render_duration(duration: timedelta) -> str:
    """Return *duration* in seconds, exactly, with 3 to 6 decimals."""
    seconds, rest = divmod(duration, timedelta(seconds=1))
    fraction = f"{rest.microseconds:06}"
    return f"{seconds}.{fraction[:3]}{fraction[3:].rstrip('0')}"


def read_date_time(text: str, *, line: int) -> datetime:
    """Return the moment that *text* names, in UTC (section 4.4.4.6)."""
    match = _DATE_TIME.fullmatch(text)
    if not match:
        raise PlaylistSyntaxError(
            "write date, time and time zone with at most 6 decimals, as in 2026-11-22T18:00:00.500Z",
            line=line,
        )
    whole, fraction, hours, minutes = match.groups(default="")
    zone = f"{hours}:{minutes}" if hours else "+00:00"
    try:
        return datetime.fromisoformat(f"{whole}.{fraction.ljust(6, '0')}{zone}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise PlaylistSyntaxError("write a date and time that exist", line=line) from error


def render_date_time(moment: datetime) -> str:
    """Return *moment* in milliseconds where these are exact, else in microseconds."""
    # An encoder's boundaries at 29.97 frames a second are no whole milliseconds, and rounded dates would no
    # longer follow from the durations before them.
    timespec = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def read_attributes(text: str, *, line: int) -> Mapping[str, str]:
    """Return an attribute list's values by name, quotes included."""
    attributes: dict[str, str] = {}
    position, separator = 0, ","
    while separator == ",":
        match = _ATTRIBUTE.match(text, position)
        if not match:
            raise PlaylistSyntaxError(
                "write attributes as NAME=value, parted by commas, without spaces", line=line
            )
        name, value, separator = match.groups()
        # Section 4.2: "A given AttributeName MUST NOT appear more than once in a given attribute-list.
        # Clients SHOULD refuse to parse such Playlists."
        if name in attributes:
            raise PlaylistSyntaxError(f"give {name} once", line=line)
        attributes[name] = value
        position = match.end()
    return attributes


def read_quoted(text: str, *, line: int) -> str:
    """Return what stands between the quotes of the quoted-string *text*."""
    # Section 4.2: "The string MUST be non-empty, unless specifically allowed."
    if len(text) < 3 or not text.startswith('"'):  # two quotes and a character between them
        raise PlaylistSyntaxError("write this attribute's value in double quotes, not empty", line=line)
    return text[1:-1]


def render_attributes(attributes: Iterable[tuple[str, str]]) -> str:
    """Return *attributes*, name and value, as an attribute list."""
    return ",".join(f"{name}={value}" for name, value in attributes)
