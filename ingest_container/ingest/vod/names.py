"""Names of what the VOD job writes."""

import re
from dataclasses import dataclass
from typing import Final

from bucketcast.recording.names import vod_workplace
from bucketcast.recording.vod import (
    vod_facts_name,
    vod_folder,
    vod_playlist_name,
    vod_poster_name,
    vod_progress_prefix,
    vod_storyboard_name,
)
from bucketcast.stream.identifiers import BroadcastNumber, RungName, SegmentIndex, StreamId, parse_rung_name

_INDEX_DIGITS: Final = 10
_SPRITE_DIGITS: Final = 5
_TASK_DIGITS: Final = 5  # Cloud Run has at most 10,000 tasks

_SEGMENT: Final = re.compile(rf"(?P<rung>[^/]+)/segment_(?P<index>[0-9]{{{_INDEX_DIGITS}}})\.ts")


@dataclass(frozen=True, slots=True, kw_only=True)
class VodNames:
    """The names of the VOD of *stream*'s *broadcast*."""

    stream: StreamId
    broadcast: BroadcastNumber

    # The media bucket, which viewers read.

    @property
    def folder(self) -> str:
        """What the names of all of its objects in the media bucket start with."""
        return vod_folder(self.stream, self.broadcast)

    @property
    def multivariant_playlist(self) -> str:
        """The object that players open first."""
        return vod_playlist_name(self.stream, self.broadcast)

    @property
    def storyboard(self) -> str:
        """The WebVTT file that says which thumbnail lies where."""
        return vod_storyboard_name(self.stream, self.broadcast)

    @property
    def poster(self) -> str:
        """The picture to show before it plays."""
        return vod_poster_name(self.stream, self.broadcast)

    @property
    def facts(self) -> str:
        """What the job found out; it is written last."""
        return vod_facts_name(self.stream, self.broadcast)

    def media_playlist(self, rung: RungName) -> str:
        """The media playlist of *rung*."""
        return f"{self.folder}{rung}/playlist.m3u8"

    def i_frame_playlist(self, rung: RungName) -> str:
        """The I-frame playlist of *rung*."""
        return f"{self.folder}{rung}/iframes.m3u8"

    def segment(self, rung: RungName, index: SegmentIndex) -> str:
        """Segment *index* of *rung*."""
        return f"{self.folder}{rung}/{segment_file_name(index)}"

    def sprite(self, number: int) -> str:
        """The *number*-th picture of thumbnails."""
        return f"{self.folder}{sprite_file_name(number)}"

    def parse_segment(self, name: str) -> tuple[RungName, SegmentIndex] | None:
        """Return which segment the object *name* is, or None where it is none of this VOD's."""
        match = _SEGMENT.fullmatch(name.removeprefix(self.folder)) if name.startswith(self.folder) else None
        if match is None:
            return None
        return parse_rung_name(match["rung"]), SegmentIndex(int(match["index"]))

    # The recording bucket, which is private.

    @property
    def plan(self) -> str:
        """The plan that all tasks follow."""
        return f"{vod_workplace(self.stream, self.broadcast)}plan.json"

    def progress(self, task: int) -> str:
        """How far *task* is."""
        return f"{vod_progress_prefix(self.stream, self.broadcast)}{task:0{_TASK_DIGITS}}.json"


def segment_file_name(index: SegmentIndex) -> str:
    """A segment's name within its rung's folder."""
    return f"segment_{index:0{_INDEX_DIGITS}}.ts"


def sprite_file_name(number: int) -> str:
    """A picture of thumbnails within the VOD's folder."""
    return f"storyboard_{number:0{_SPRITE_DIGITS}}.jpg"
