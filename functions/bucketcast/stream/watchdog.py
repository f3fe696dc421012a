"""The watchdog: what somebody on call wants to know of a live stream, read off its document. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from bucketcast.stream.document import ListedAs, StreamDocument, WindowSegment
from bucketcast.stream.identifiers import RungName
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.window import SlotRungs, listed_segments, slot_rungs, target_duration

# RFC 8216bis, 6.2.2: a server makes a new version available no later than one and a half target durations after
# the one before.
STALE_TARGET_DURATIONS: Final = 1.5
# Encoding, upload and publication, ten times over.
STALE_SLACK: Final = timedelta(seconds=3)


class RenditionHealth(Struct, frozen=True, kw_only=True):
    """One rendition: what is wrong with its playlist, and since when; None where all is well."""

    name: RungName
    stale_since: datetime | None = None  # its playlist should have grown by then
    behind_segments: int = 0  # that another rendition lists and this one does not
    behind_since: datetime | None = None
    gaps: int = 0  # that its playlist lists
    gaps_since: datetime | None = None


class StreamHealth(Struct, frozen=True, kw_only=True):
    """All renditions, and how far their ends lie apart."""

    renditions: tuple[RenditionHealth, ...]
    drift_seconds: float = 0.0
    drift_since: datetime | None = None


def health(document: StreamDocument, *, now: datetime) -> StreamHealth:
    """What is wrong with the playlists of *document* at *now*; an interrupted stream's are not stale."""
    slots = [(slot.name, slot_rungs(document, slot.name)) for slot in document.configuration.rungs]
    listed = [(name, rungs, listed_segments(document, rungs)) for name, rungs in slots if rungs]
    ends = [_end(segments[-1]) for _, _, segments in listed if segments]
    drift = max(ends) - min(ends) if ends else timedelta(0)
    return StreamHealth(
        renditions=tuple(_rendition(document, *each, now=now) for each in listed),
        drift_seconds=drift.total_seconds(),
        drift_since=min(ends) + document.configuration.segment_duration if drift else None,
    )


def _rendition(
    document: StreamDocument,
    name: RungName,
    rungs: SlotRungs,
    listed: tuple[WindowSegment, ...],
    *,
    now: datetime,
) -> RenditionHealth:
    newest = listed[-1].media_sequence if listed else None
    missing = [segment for segment in document.window if newest is None or segment.media_sequence > newest]
    gaps = [s for s in listed if s.rungs[rungs[s.session].name] is ListedAs.GAP]
    return RenditionHealth(
        name=name,
        stale_since=_stale_since(document, listed, now),
        behind_segments=len(missing),
        behind_since=_first_end(missing),
        gaps=len(gaps),
        gaps_since=_first_end(gaps),
    )


def _stale_since(document: StreamDocument, listed: tuple[WindowSegment, ...], now: datetime) -> datetime | None:
    if document.state is not StreamState.LIVE or not listed:
        return None
    due = timedelta(seconds=STALE_TARGET_DURATIONS * target_duration(document.configuration)) + STALE_SLACK
    since = _end(listed[-1]) + due
    return since if since <= now else None


def _first_end(segments: Iterable[WindowSegment]) -> datetime | None:
    return next((_end(segment) for segment in segments), None)


def _end(segment: WindowSegment) -> datetime:
    return segment.date + segment.duration
