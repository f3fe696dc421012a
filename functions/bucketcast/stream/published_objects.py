"""Published objects: what viewers read, rendered from a stream's document."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final, Literal

import msgspec
from msgspec import Struct

from bucketcast.hls import (
    MediaPlaylist,
    MediaSegment,
    MultivariantPlaylist,
    Resolution,
    VariantStream,
    render,
)
from bucketcast.objects import ObjectFacts
from bucketcast.records import JSON
from bucketcast.stream.bandwidth import declared_bandwidth
from bucketcast.stream.configuration import RungConfiguration
from bucketcast.stream.document import ListedAs, StreamDocument, WindowSegment
from bucketcast.stream.identifiers import RungName, StreamId
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.object_names import (
    media_playlist_name,
    multivariant_playlist_name,
    segment_file_name,
    state_name,
)
from bucketcast.stream.publication import has_begun, is_complete
from bucketcast.stream.window import SlotRungs, listed_segments, slot_rungs, target_duration

PLAYLIST: Final = "application/vnd.apple.mpegurl"
# A playlist is asked for again every segment; a shared cache may answer for one second, and nobody may serve a
# stale one (Cloud CDN serves stale only what lacks must-revalidate).
LIVE: Final = "public, max-age=1, s-maxage=1, must-revalidate"
# Its metadata say at which of the document's revisions a published object was rendered.
REVISION_KEY: Final = "revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedObject:
    """An object that viewers read and that changes as the stream goes on."""

    name: str
    content: bytes = field(repr=False)
    content_type: str
    cache_control: str = LIVE


class PublicState(Struct, frozen=True, kw_only=True):
    """`state.json`: what anybody may know of a stream."""

    version: Literal[1] = 1
    stream: StreamId
    state: StreamState
    broadcast: int  # the one on air, else the last one; 0 before the first
    since: datetime


def published_names(stream: StreamId, slots: Iterable[RungName]) -> tuple[str, ...]:
    """The names of all that a stream with these *slots* ever publishes."""
    playlists = (media_playlist_name(stream, slot) for slot in slots)
    return (*playlists, multivariant_playlist_name(stream), state_name(stream))


def revision_of(facts: ObjectFacts) -> int:
    """The revision of a published object with *facts*; one without it is older than all."""
    text = facts.metadata.get(REVISION_KEY, "")
    return int(text) if text.isdecimal() else -1


def published_objects(document: StreamDocument) -> tuple[tuple[PublishedObject, ...], ...]:
    """Render what *document* publishes, in ranks: each rank names only objects of the ranks before it."""
    renditions = [
        (slot, listed_segments(document, rungs), rungs)
        for slot in document.configuration.rungs
        if has_begun(document) and (rungs := slot_rungs(document, slot.name))
    ]
    playlists = tuple(
        PublishedObject(
            name=media_playlist_name(document.stream, slot.name),
            content=render(_media_playlist(document, slot.name, listed, rungs)).encode(),
            content_type=PLAYLIST,
        )
        for slot, listed, rungs in renditions
        if listed
    )
    # Players read the multivariant playlist once, so it waits until every slot has something to play.
    multivariant = (_multivariant(document),) if len(playlists) == len(document.configuration.rungs) else ()
    return playlists, multivariant, (_state(document),)


def digest(content: bytes) -> str:
    """A short name for *content*, to tell whether it changed."""
    return hashlib.sha256(content).hexdigest()[:16]


def _media_playlist(
    document: StreamDocument, slot: RungName, listed: Sequence[WindowSegment], rungs: SlotRungs
) -> MediaPlaylist:
    follows = [False, *(before.session != after.session for before, after in pairwise(listed))]
    return MediaPlaylist(
        target_duration=target_duration(document.configuration),
        media_sequence=listed[0].media_sequence,
        discontinuity_sequence=listed[0].discontinuity_sequence,
        ended=is_complete(document),
        segments=tuple(
            MediaSegment(
                uri=_segment_uri(slot, rungs[segment.session].name, segment),
                duration=segment.duration,
                program_date_time=segment.date,
                discontinuity=discontinuity,
                gap=segment.rungs[rungs[segment.session].name] is ListedAs.GAP,
            )
            for segment, discontinuity in zip(listed, follows, strict=True)
        ),
    )


def _segment_uri(slot: RungName, rung: RungName, segment: WindowSegment) -> str:
    file_name = segment_file_name(segment.session, segment.index)
    return file_name if rung == slot else f"../{rung}/{file_name}"


def _multivariant(document: StreamDocument) -> PublishedObject:
    playlist = MultivariantPlaylist(
        independent_segments=True,  # for every rendition; 4.4.2.1: it SHOULD NOT stand in both
        variant_streams=tuple(_variant(document, slot) for slot in document.configuration.rungs),
    )
    return PublishedObject(
        name=multivariant_playlist_name(document.stream),
        content=render(playlist).encode(),
        content_type=PLAYLIST,
    )


def _variant(document: StreamDocument, slot: RungConfiguration) -> VariantStream:
    """The variant stream of *slot*, as the newest session that is listed fills it.

    BANDWIDTH is at least the slot's own: players read it once, and a later session may fill the slot to its
    limit. A rung above that fills the slot takes more.
    """
    configuration = document.configuration
    newest = document.window[-1].session
    session = next(session for session in document.sessions if session.session == newest)
    rung = slot_rungs(document, slot.name)[newest]
    return VariantStream(
        uri=f"{slot.name}/playlist.m3u8",
        bandwidth=max(
            declared_bandwidth(listed, configuration.audio_bitrate, configuration.segment_duration)
            for listed in configuration.rungs
            if listed.name in (slot.name, rung.name)
        ),
        codecs=rung.codecs,
        resolution=Resolution(width=rung.width, height=rung.height),
        frame_rate=session.frame_rate.fraction,
    )


def _state(document: StreamDocument) -> PublishedObject:
    state = PublicState(
        stream=document.stream,
        state=document.state,
        broadcast=document.last_broadcast,
        since=document.since,
    )
    return PublishedObject(
        name=state_name(document.stream), content=msgspec.json.encode(state), content_type=JSON
    )
