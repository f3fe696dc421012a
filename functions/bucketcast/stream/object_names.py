"""Object names: the only place that turns what a stream consists of into names, and names back.

Numbers are zero-padded so that names sort as they play: ten digits of segments last 600 years at 2 s.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bucketcast.errors import InvalidName
from bucketcast.stream.identifiers import (
    EncoderId,
    RungName,
    SegmentIndex,
    SessionNumber,
    StreamId,
    parse_encoder_id,
    parse_rung_name,
    parse_stream_id,
)

_SESSION_DIGITS: Final = 8
_INDEX_DIGITS: Final = 10

# What the names of all stream records start with.
STREAM_RECORDS: Final = "streams/"


# The media bucket, which viewers read.


def multivariant_playlist_name(stream: StreamId) -> str:
    """The object that players open first."""
    return f"{stream}/master.m3u8"


def media_playlist_name(stream: StreamId, slot: RungName) -> str:
    """The media playlist of the rendition in *slot*."""
    return f"{stream}/{slot}/playlist.m3u8"


def state_name(stream: StreamId) -> str:
    """The object that says idle, live, interrupted or ended."""
    return f"{stream}/state.json"


def segment_file_name(session: SessionNumber, index: SegmentIndex) -> str:
    """A segment's name within its rung's folder."""
    return f"segment_{session:0{_SESSION_DIGITS}}_{index:0{_INDEX_DIGITS}}.ts"


def segment_name(stream: StreamId, rung: RungName, session: SessionNumber, index: SegmentIndex) -> str:
    """The object of segment *index* of *session* in *rung*."""
    return f"{stream}/{rung}/{segment_file_name(session, index)}"


def session_segments_prefix(stream: StreamId, rung: RungName, session: SessionNumber) -> str:
    """What the names of all segments of *session* in *rung* start with."""
    return f"{stream}/{rung}/segment_{session:0{_SESSION_DIGITS}}_"


def media_prefix(stream: StreamId) -> str:
    """What the names of everything of *stream* in the media bucket start with."""
    return f"{stream}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentName:
    """The name of a segment, parsed."""

    stream: StreamId
    rung: RungName
    session: SessionNumber
    index: SegmentIndex


_SEGMENT = re.compile(
    r"(?P<stream>[^/]+)/(?P<rung>[^/]+)/"
    rf"segment_(?P<session>[0-9]{{{_SESSION_DIGITS}}})_(?P<index>[0-9]{{{_INDEX_DIGITS}}})\.ts"
)


def parse_segment_name(name: str) -> SegmentName:
    """Return which segment the object *name* in the media bucket is, or raise InvalidName."""
    if not (match := _SEGMENT.fullmatch(name)):
        raise InvalidName(f"'{name}' is not the name of a segment")
    return SegmentName(
        stream=parse_stream_id(match["stream"]),
        rung=parse_rung_name(match["rung"]),
        session=SessionNumber(int(match["session"])),
        index=SegmentIndex(int(match["index"])),
    )


# The ingest bucket, whose events wake functions.


def stream_record_name(stream: StreamId, number: int) -> str:
    """The *number*-th stream record: one for each change of key or configuration."""
    return f"{stream_records_prefix(stream)}{number:0{_SESSION_DIGITS}}.json"


def stream_records_prefix(stream: StreamId) -> str:
    """What the names of all of a stream's records start with."""
    return f"{STREAM_RECORDS}{stream}/"


def session_record_name(stream: StreamId, session: SessionNumber) -> str:
    """The record of *session*."""
    return f"{session_records_prefix(stream)}{session:0{_SESSION_DIGITS}}.json"


def session_records_prefix(stream: StreamId) -> str:
    """What the names of all session records of *stream* start with."""
    return f"sessions/{stream}/"


def seal_name(stream: StreamId, session: SessionNumber) -> str:
    """The seal of *session*."""
    return f"{seals_prefix(stream)}{session:0{_SESSION_DIGITS}}.json"


def seals_prefix(stream: StreamId) -> str:
    """What the names of all seals of *stream* start with."""
    return f"seals/{stream}/"


def timeline_name(stream: StreamId, session: SessionNumber, encoder: EncoderId) -> str:
    """The timeline that *encoder* writes for *session*."""
    return f"{timelines_prefix(stream, session)}{encoder}.json"


def timelines_prefix(stream: StreamId, session: SessionNumber) -> str:
    """What the names of all timelines of *session* start with."""
    return f"{stream_timelines_prefix(stream)}{session:0{_SESSION_DIGITS}}/"


def stream_timelines_prefix(stream: StreamId) -> str:
    """What the names of all timelines of *stream* start with."""
    return f"timelines/{stream}/"


# What the names of all tombstones start with.
TOMBSTONES: Final = "deletions/"


def tombstone_name(stream: StreamId) -> str:
    """The record that *stream* was deleted."""
    return f"{TOMBSTONES}{stream}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecordName:
    """The name of a stream record, parsed."""

    stream: StreamId


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionObjectName:
    """The name of a session's record, seal or timeline, parsed."""

    stream: StreamId
    session: SessionNumber


def numbered_sessions(names: Iterable[str]) -> list[SessionNumber]:
    """The sessions whose records, or whose seals, are named *names*."""
    return [name.session for _, name in parsed_names(names) if isinstance(name, SessionObjectName)]


def parsed_names(names: Iterable[str]) -> "Iterator[tuple[str, IngestObjectName]]":
    """Yield each of *names* that is ours, and what it stands for: somebody may have made a folder there."""
    for name in names:
        with suppress(InvalidName):
            yield name, parse_ingest_object_name(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class TombstoneName:
    """The name of a tombstone, parsed."""

    stream: StreamId


IngestObjectName = StreamRecordName | SessionObjectName | TombstoneName

_TOMBSTONE = re.compile(rf"{TOMBSTONES}(?P<stream>[^/]+)\.json")
_NUMBERED = re.compile(r"(?P<kind>streams|sessions|seals)/(?P<stream>[^/]+)/(?P<number>[0-9]{8})\.json")
_TIMELINE = re.compile(r"timelines/(?P<stream>[^/]+)/(?P<number>[0-9]{8})/(?P<encoder>[^/]+)\.json")


def parse_ingest_object_name(name: str) -> IngestObjectName:
    """Return what the object *name* in the ingest bucket stands for, or raise InvalidName."""
    if match := _TOMBSTONE.fullmatch(name):
        return TombstoneName(stream=parse_stream_id(match["stream"]))
    if match := _TIMELINE.fullmatch(name):
        parse_encoder_id(match["encoder"])
    elif not (match := _NUMBERED.fullmatch(name)):
        raise InvalidName(f"'{name}' is not the name of a record or a timeline")
    stream = parse_stream_id(match["stream"])
    if name.startswith(STREAM_RECORDS):
        return StreamRecordName(stream=stream)
    return SessionObjectName(stream=stream, session=SessionNumber(int(match["number"])))
