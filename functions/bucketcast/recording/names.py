"""Names of a recording's objects, and what a part's metadata say: the only place that makes and parses them.

The recording bucket holds, by stream and session, the parts; and, by stream and broadcast, headers of movies
and what storage has joined of parts so far. Parts and headers never change, and what is joined is named by what
it is made of: a name that is taken holds what was to be made.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bucketcast.errors import InvalidName
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.stream.identifiers import (
    BroadcastNumber,
    RungName,
    SegmentIndex,
    SessionNumber,
    StreamId,
    parse_rung_name,
)

# As in the names of the other buckets' objects.
_NUMBER_DIGITS: Final = 8
_INDEX_DIGITS: Final = 10
_DIGEST_DIGITS: Final = 32  # of SHA-256, in hexadecimal: nobody finds two contents with equal ones by chance

_FACTS: Final = "facts.json"

SEGMENTS_KEY: Final = "segments"
HEAD_BYTES_KEY: Final = "head-bytes"
RUNG_KEY: Final = "rung"
FORMAT_KEY: Final = "format"
_NO_PICTURES: Final = "none"
# What stands for a rung where a part holds the source itself. No rung has such a name.
SOURCE: Final = RungName("source")

_PART: Final = re.compile(
    rf"(?P<stream>[^/]+)/(?P<session>[0-9]{{{_NUMBER_DIGITS}}})/"
    rf"(?P<source>{SOURCE}_)?(?P<first>[0-9]{{{_INDEX_DIGITS}}})\.mp4"
)
_SEGMENTS: Final = re.compile(r"(?P<first>[0-9]{1,10})-(?P<last>[0-9]{1,10})")
_COUNT: Final = re.compile(r"[0-9]{1,12}")
_FORMAT: Final = re.compile(rf"[0-9a-f]{{16}}|{_NO_PICTURES}")


# The recording bucket.


def part_name(stream: StreamId, session: SessionNumber, first: SegmentIndex, *, of_source: bool = False) -> str:
    """The part of *session* that begins with segment *first*, or in it where it is *of_source*."""
    kind = f"{SOURCE}_" if of_source else ""
    return f"{session_parts_prefix(stream, session)}{kind}{first:0{_INDEX_DIGITS}}.mp4"


def session_parts_prefix(stream: StreamId, session: SessionNumber) -> str:
    """What the names of all parts of *session* start with."""
    return f"{stream_parts_prefix(stream)}{session:0{_NUMBER_DIGITS}}/"


def stream_parts_prefix(stream: StreamId) -> str:
    """What the names of all objects of *stream* start with."""
    return f"{stream}/"


def joined_prefix(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """What the names of all headers and joined objects of *broadcast* start with."""
    return f"{stream}/broadcast_{broadcast:0{_NUMBER_DIGITS}}/"


def vod_workplace(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """What the names of all objects start with that the VOD job of *broadcast* works with."""
    return f"{stream_parts_prefix(stream)}vod_{broadcast:0{_NUMBER_DIGITS}}/"


def header_name(stream: StreamId, broadcast: BroadcastNumber, header: Iterable[bytes | memoryview]) -> str:
    """The object of the movie header that consists of *header*."""
    digest = hashlib.sha256()
    for buffer in header:
        digest.update(buffer)
    return f"{joined_prefix(stream, broadcast)}header_{digest.hexdigest()[:_DIGEST_DIGITS]}.mp4"


def joined_name(stream: StreamId, broadcast: BroadcastNumber, sources: Iterable[str]) -> str:
    """The object that is joined of *sources*."""
    digest = hashlib.sha256("\n".join(sources).encode()).hexdigest()
    return f"{joined_prefix(stream, broadcast)}joined_{digest[:_DIGEST_DIGITS]}.mp4"


# The media bucket.


def recording_file_name(stream: StreamId, broadcast: BroadcastNumber, number: int = 1) -> str:
    """The *number*-th file of *broadcast*'s recording: more than one where formats cannot be joined."""
    return f"{recording_folder(stream, broadcast)}{_file(number)}"


def recording_folder(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """What the names of all that is made of *broadcast* start with."""
    return f"{recordings_folder(stream)}{broadcast:0{_NUMBER_DIGITS}}/"


def recording_facts_name(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """The object that says what the recording of *broadcast* consists of."""
    return f"{recording_folder(stream, broadcast)}{_FACTS}"


def recorded_broadcasts(stream: StreamId, folders: Iterable[str]) -> list[BroadcastNumber]:
    """Return the broadcasts whose folders are among *folders*, in order."""
    folder = re.compile(rf"{re.escape(recordings_folder(stream))}([0-9]{{{_NUMBER_DIGITS}}})/")
    return sorted(BroadcastNumber(int(match[1])) for match in map(folder.fullmatch, folders) if match)


def recordings_folder(stream: StreamId) -> str:
    """What the names of all that is made of *stream*'s broadcasts start with."""
    return f"{stream}/recording/"


def newest_recording_name(stream: StreamId, number: int = 1) -> str:
    """The copy of *recording_file_name* of the newest recording."""
    return f"{recordings_folder(stream)}{_file(number)}"


def _file(number: int) -> str:
    return f"full_stream_{number}.mp4" if number > 1 else "full_stream.mp4"


# A part, as a listing of the bucket tells it.


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFacts:
    """A part that is there: segments *first* to *last* of *session* in *rung*, which may be SOURCE.

    *media_format* is the fingerprint of the format; None says that there are no pictures.
    """

    name: str
    session: SessionNumber
    first: SegmentIndex
    last: SegmentIndex
    size: int
    head_bytes: int
    rung: RungName
    media_format: str | None


def part_metadata(
    *, first: SegmentIndex, last: SegmentIndex, head_bytes: int, rung: RungName, media_format: str | None
) -> Mapping[str, str]:
    """What the object of a part says of it; *media_format* is a fingerprint."""
    return {
        SEGMENTS_KEY: f"{first}-{last}",
        HEAD_BYTES_KEY: str(head_bytes),
        RUNG_KEY: rung,
        FORMAT_KEY: media_format or _NO_PICTURES,
    }


def parse_part(name: str, *, size: int, metadata: Mapping[str, str]) -> PartFacts:
    """Return what *name*, *size* and *metadata* of an object in the recording bucket say.

    Raises InvalidName where it is no part's name, and InvalidMedia where the metadata are no part's.
    """
    if not (match := _PART.fullmatch(name)):
        raise InvalidName(f"'{name}' is not the name of a recording part")
    segments = _SEGMENTS.fullmatch(metadata.get(SEGMENTS_KEY, ""))
    head_bytes = _COUNT.fullmatch(metadata.get(HEAD_BYTES_KEY, ""))
    media_format = _FORMAT.fullmatch(metadata.get(FORMAT_KEY, ""))
    if not segments or not head_bytes or not media_format:
        raise InvalidMedia(f"{name} does not say what it holds")
    first, last = int(segments["first"]), int(segments["last"])
    rung = SOURCE if match["source"] else parse_rung_name(metadata.get(RUNG_KEY, ""))
    if first != int(match["first"]) or last < first or not 0 < int(head_bytes[0]) <= size:
        raise InvalidMedia(f"{name} says what cannot be")
    return PartFacts(
        name=name,
        session=SessionNumber(int(match["session"])),
        first=SegmentIndex(first),
        last=SegmentIndex(last),
        size=size,
        head_bytes=int(head_bytes[0]),
        rung=rung,
        media_format=None if media_format[0] == _NO_PICTURES else media_format[0],
    )
