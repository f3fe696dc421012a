"""The index of a stream's recordings: what viewers may know of them, read off the bucket."""

from collections.abc import Callable, Collection, Iterable
from typing import Final

import msgspec
from msgspec import Struct

from bucketcast.objects import NewObject
from bucketcast.recording.document import RecordingFacts
from bucketcast.recording.names import recordings_folder
from bucketcast.recording.vod import (
    vod_playlist_name,
    vod_poster_name,
    vod_storyboard_name,
)
from bucketcast.records import JSON
from bucketcast.stream.identifiers import BroadcastNumber, StreamId
from bucketcast.stream.published_objects import LIVE

# What a page shows; older recordings keep their addresses.
RECORDINGS_SHOWN: Final = 100


class IndexedRecording(Struct, frozen=True, kw_only=True):
    """A recording; names are relative to the index."""

    broadcast: int
    seconds: float
    files: tuple[str, ...]
    vod: str | None
    poster: str | None
    storyboard: str | None


class RecordingIndex(Struct, frozen=True, kw_only=True):
    """`recording/recordings.json`: the newest first."""

    recordings: tuple[IndexedRecording, ...]


def index_name(stream: StreamId) -> str:
    """The object that lists *stream*'s recordings."""
    return f"{recordings_folder(stream)}recordings.json"


def index_object(
    stream: StreamId, recordings: Iterable[RecordingFacts], with_vod: Collection[BroadcastNumber]
) -> NewObject:
    """The index of those of *recordings* that have files; of the broadcasts *with_vod* a VOD is published."""
    shown = sorted((one for one in recordings if one.files), key=lambda one: one.broadcast, reverse=True)
    index = RecordingIndex(recordings=tuple(_indexed(one, with_vod) for one in shown))
    return NewObject(
        name=index_name(stream), content=msgspec.json.encode(index), content_type=JSON, cache_control=LIVE
    )


def _indexed(recording: RecordingFacts, with_vod: Collection[BroadcastNumber]) -> IndexedRecording:
    stream, broadcast = recording.stream, recording.broadcast
    folder = recordings_folder(stream)
    is_published = broadcast in with_vod

    def of_vod(name: Callable[[StreamId, BroadcastNumber], str]) -> str | None:
        return name(stream, broadcast).removeprefix(folder) if is_published else None

    return IndexedRecording(
        broadcast=broadcast,
        seconds=recording.duration.total_seconds(),
        files=tuple(file.name.removeprefix(folder) for file in recording.files),
        vod=of_vod(vod_playlist_name),
        poster=of_vod(vod_poster_name),
        storyboard=of_vod(vod_storyboard_name),
    )
