"""What is checked before a VOD is announced: a pure function of what the playlists say and of what is there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from posixpath import dirname, normpath

from bucketcast.errors import BucketcastError, InvalidInput
from bucketcast.hls import MediaPlaylist, MediaSegment, parse
from bucketcast.objects import NewObject
from ingest.vod.plan import SourcePlan, VodPlan
from ingest.vod.storyboard import WEBVTT

_CUE_ADDRESS = re.compile(r"^([^#\n]+)#xywh=", re.MULTILINE)


class InvalidVod(BucketcastError):
    """What was made is not what was planned; the text says what is wrong."""


def check(plan: VodPlan, written: Sequence[NewObject], sizes: Mapping[str, int]) -> None:
    """Raise InvalidVod unless what was *written* keeps to *plan* and names only what is there.

    *written* are the playlists and the storyboard; *sizes* say how many bytes there are under each name.
    """
    for made in written:
        if made.content_type == WEBVTT:
            addresses = _CUE_ADDRESS.findall(made.content.decode())
            problems = [
                f"names {address}, which is not there"
                for address in addresses
                if not _size(made, address, sizes)
            ]
        else:
            problems = list(_playlist_problems(plan, made, sizes))
        for problem in problems:
            raise InvalidVod(f"{made.name} {problem}")


def _playlist_problems(plan: VodPlan, made: NewObject, sizes: Mapping[str, int]) -> Iterator[str]:
    try:
        playlist = parse(made.content.decode())
    except InvalidInput as error:
        yield f"is no playlist: {error}"
        return
    if isinstance(playlist, MediaPlaylist):
        yield from _media_problems(plan, made, playlist, sizes)
        return
    uris = [stream.uri for stream in playlist.variant_streams]
    for uri in (*uris, *(stream.uri for stream in playlist.i_frame_streams)):
        if not _size(made, uri, sizes):
            yield f"names {uri}, which is not there"


def _media_problems(
    plan: VodPlan, made: NewObject, playlist: MediaPlaylist, sizes: Mapping[str, int]
) -> Iterator[str]:
    files = list(_files(playlist))
    if len(files) != len(plan.sources):
        yield f"has {len(files)} files instead of {len(plan.sources)}"
    for source, segments in zip(plan.sources, files, strict=False):
        yield from _file_problems(source, segments)
    for segment in playlist.segments:
        size = _size(made, segment.uri, sizes)
        if not size:
            yield f"names {segment.uri}, which is not there"
        elif segment.byte_range is not None and segment.byte_range.end > size:
            yield f"names bytes up to {segment.byte_range.end} of {segment.uri}, which has {size}"


def _files(playlist: MediaPlaylist) -> Iterator[Sequence[MediaSegment]]:
    """The segments of *playlist* between discontinuities."""
    for _, numbered in groupby(playlist.numbered_segments(), key=lambda each: each.discontinuity_number):
        yield [each.segment for each in numbered]


def _file_problems(source: SourcePlan, segments: Sequence[MediaSegment]) -> Iterator[str]:
    if len(segments) != source.segments:
        yield f"lists {len(segments)} segments instead of {source.segments} of {source.name}"
    frame = timedelta(seconds=float(1 / source.rate))
    duration = sum((segment.duration for segment in segments), timedelta(0))
    if abs(duration - source.duration) > frame:
        yield f"lasts {duration} instead of {source.duration} of {source.name}"


def _size(made: NewObject, uri: str, sizes: Mapping[str, int]) -> int:
    """How many bytes there are under *uri*, which is relative to the object that names it; 0 for none."""
    return sizes.get(normpath(f"{dirname(made.name)}/{uri}"), 0)
