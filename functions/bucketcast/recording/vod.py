"""What is known of a VOD outside the job that makes it."""

from msgspec import Struct

from bucketcast.recording.names import recording_folder
from bucketcast.stream.identifiers import BroadcastNumber, StreamId


def vod_folder(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """What the names of all objects of the VOD of *broadcast* start with, in the media bucket."""
    return f"{recording_folder(stream, broadcast)}vod/"


def vod_facts_name(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """The object that the job writes last: where it is, all is there and checked."""
    return f"{vod_folder(stream, broadcast)}facts.json"


def vod_progress_prefix(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """What the names of the objects in the recording bucket start with that say how far each task is."""
    return f"{vod_workplace(stream, broadcast)}progress/"


def vod_workplace(stream: StreamId, broadcast: BroadcastNumber) -> str:
    """What the names of all of the job's objects in the recording bucket start with."""
    return f"{stream}/vod_{broadcast:08d}/"


class TaskProgress(Struct, frozen=True, kw_only=True):
    """Of *total* segments that are this task's, *done* are there in every rung."""

    task: int
    tasks: int
    done: int
    total: int
