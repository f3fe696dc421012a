"""What is known of a VOD outside the job that makes it."""

from msgspec import Struct

from bucketcast.recording.names import recording_folder, vod_workplace
from bucketcast.stream.identifiers import BroadcastNumber, StreamId


def vod_folder(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """What the names of all objects of the VOD of *broadcast* start with, in the media bucket."""
    return f"{recording_folder(stream, broadcast)}vod/"


def vod_playlist_name(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """The object that players open first."""
    return f"{vod_folder(stream, broadcast)}master.m3u8"


def vod_poster_name(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """The picture to show before it plays."""
    return f"{vod_folder(stream, broadcast)}poster.jpg"


def vod_storyboard_name(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """The WebVTT file that says which thumbnail lies where."""
    return f"{vod_folder(stream, broadcast)}storyboard.vtt"


def vod_facts_name(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """The object that the job writes last: where it is, all is there and checked."""
    return f"{vod_folder(stream, broadcast)}facts.json"


def vod_progress_prefix(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """What the names of the objects in the recording bucket start with that say how far each task is."""
    return f"{vod_workplace(stream, broadcast)}progress/"


class TaskProgress(Struct, frozen=True, kw_only=True):
    """Of *total* segments that are this task's, *done* are there in every rung."""

    task: int
    tasks: int
    done: int
    total: int
