"""The watchdog: what somebody on call wants to know of a stream that is on air.

Pure. The document says what should be published; only the objects that viewers read say whether it is.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from bucketcast.stream.document import ListedAs, StreamDocument, WindowSegment
from bucketcast.stream.identifiers import RungName
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.publication import reconnect_until
from bucketcast.stream.window import SlotRungs, listed_segments, slot_rungs, target_duration

# RFC 8216bis, 6.2.2: a live playlist's next version is available no later than one and a half target durations
# after the one before.
STALE_TARGET_DURATIONS: Final = 1.5


class PlaylistFacts(Struct, frozen=True, kw_only=True):
    """A media playlist as it lies in the bucket: when it was *replaced*, and whether by the newest there is."""

    replaced: datetime
    is_newest: bool


class RenditionHealth(Struct, frozen=True, kw_only=True):
    """One rendition: what is wrong with its playlist, and since when; None where all is well."""

    name: RungName
    playlist_replaced: datetime | None  # None: viewers find no playlist
    stale_since: datetime | None = None  # it should have been replaced by then
    behind_segments: int = 0  # that another rendition lists and this one does not
    behind_since: datetime | None = None
    gaps: int = 0  # that its playlist lists: viewers see the picture stop
    gaps_since: datetime | None = None


class StreamHealth(Struct, frozen=True, kw_only=True):
    """All renditions of a stream; none while no broadcast is on air."""

    renditions: tuple[RenditionHealth, ...] = ()
    drift_seconds: float = 0.0  # how far the slowest rendition's end lies behind the quickest's
    drift_since: datetime | None = None
    reconnect_until: datetime | None = None  # when an interrupted broadcast ends unless its broadcaster returns


def health(
    document: StreamDocument, playlists: Mapping[RungName, PlaylistFacts], *, now: datetime
) -> StreamHealth:
    """What is wrong at *now* with the *playlists* that viewers read of *document*, by slot.

    An interrupted stream's playlists are not stale: nothing is published while the reconnect window runs.
    """
    slots = [(slot.name, slot_rungs(document, slot.name)) for slot in document.configuration.rungs]
    listed = {name: listed_segments(document, rungs) for name, rungs in slots}
    newest = max((segments[-1].media_sequence for segments in listed.values() if segments), default=-1)
    missing = {name: _missing(document, segments, newest) for name, segments in listed.items()}
    lag = _lag(listed, playlists, newest)
    renditions = tuple(
        RenditionHealth(
            name=name,
            playlist_replaced=playlists[name].replaced if name in playlists else None,
            stale_since=_stale_since(document, playlists.get(name), now),
            behind_segments=len(missing[name]),
            behind_since=_since(missing[name], lag, now),
            gaps=len(gaps := _gaps(listed[name], rungs)),
            gaps_since=_since(gaps, lag, now),
        )
        for name, rungs in slots
    )
    return StreamHealth(
        renditions=renditions,
        drift_seconds=max(_duration(segments) for segments in missing.values()).total_seconds(),
        drift_since=min((r.behind_since for r in renditions if r.behind_since), default=None),
        reconnect_until=reconnect_until(document) if document.state is StreamState.INTERRUPTED else None,
    )


def _missing(
    document: StreamDocument, listed: tuple[WindowSegment, ...], newest: int
) -> tuple[WindowSegment, ...]:
    """The segments behind the last of *listed* up to number *newest*."""
    last = listed[-1].media_sequence if listed else -1
    return tuple(segment for segment in document.window if last < segment.media_sequence <= newest)


def _gaps(listed: tuple[WindowSegment, ...], rungs: SlotRungs) -> tuple[WindowSegment, ...]:
    return tuple(s for s in listed if s.rungs[rungs[s.session].name] is ListedAs.GAP)


def _stale_since(document: StreamDocument, playlist: PlaylistFacts | None, now: datetime) -> datetime | None:
    """When the playlist should have been replaced: it grows while live, and follows its document always."""
    if document.state is not StreamState.LIVE and playlist is not None and playlist.is_newest:
        return None
    begun = document.since if playlist is None else max(document.since, playlist.replaced)
    due = begun + timedelta(seconds=STALE_TARGET_DURATIONS * target_duration(document.configuration))
    return due if due <= now else None


def _lag(
    listed: Mapping[RungName, tuple[WindowSegment, ...]],
    playlists: Mapping[RungName, PlaylistFacts],
    newest: int,
) -> timedelta:
    """How long after its end a segment is listed where nothing is wrong, as the quickest rendition shows it.

    A broadcaster's clock, which dates the segments, runs seconds away from ours in a day.
    """
    quickest = [name for name, segments in listed.items() if segments and segments[-1].media_sequence == newest]
    lags = (
        playlist.replaced - _end(listed[name][-1])
        for name in quickest
        if (playlist := playlists.get(name)) and playlist.is_newest
    )
    return min(lags, default=timedelta(0))


def _since(segments: tuple[WindowSegment, ...], lag: timedelta, now: datetime) -> datetime | None:
    """When the first of *segments* should have been listed."""
    return min(_end(segments[0]) + lag, now) if segments else None


def _end(segment: WindowSegment) -> datetime:
    return segment.date + segment.duration


def _duration(segments: tuple[WindowSegment, ...]) -> timedelta:
    return sum((segment.duration for segment in segments), timedelta(0))
