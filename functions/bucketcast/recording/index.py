"""The index of a stream's recordings: what viewers may know of them."""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from bucketcast.objects import NewObject
from bucketcast.recording.document import RecordingDocument, VodState
from bucketcast.recording.names import recordings_folder
from bucketcast.recording.vod import vod_folder
from bucketcast.records import JSON
from bucketcast.stream.identifiers import StreamId

# It changes once or twice a broadcast, and a page asks for it when a broadcast has ended.
FRESH: Final = "public, max-age=5, must-revalidate"
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


def index_object(stream: StreamId, documents: Iterable[RecordingDocument]) -> NewObject:
    """The index of those of *documents* that have files."""
    shown = sorted((d for d in documents if d.files), key=lambda d: d.broadcast, reverse=True)
    index = RecordingIndex(recordings=tuple(map(_indexed, shown[:RECORDINGS_SHOWN])))
    return NewObject(
        name=index_name(stream), content=msgspec.json.encode(index), content_type=JSON, cache_control=FRESH
    )


def _indexed(document: RecordingDocument) -> IndexedRecording:
    folder = recordings_folder(document.stream)
    published = document.vod is not None and document.vod.state is VodState.PUBLISHED
    vod = vod_folder(document.stream, document.broadcast).removeprefix(folder) if published else None
    return IndexedRecording(
        broadcast=document.broadcast,
        seconds=sum(file.duration.total_seconds() for file in document.files),
        files=tuple(file.name.removeprefix(folder) for file in document.files),
        vod=f"{vod}master.m3u8" if vod else None,
        poster=f"{vod}poster.jpg" if vod else None,
        storyboard=f"{vod}storyboard.vtt" if vod else None,
    )
