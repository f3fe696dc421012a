"""What is checked before a VOD is announced: a pure function of what the playlists say and of what is there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from posixpath import dirname, normpath

from bucketcast.errors import BucketcastError, InvalidInput
from bucketcast.hls import MediaPlaylist, parse
from bucketcast.objects import NewObject
from ingest.vod.plan import VodPlan
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
    if len(playlist.segments) != plan.segments:
        yield f"lists {len(playlist.segments)} segments instead of {plan.segments}"
    frame = timedelta(seconds=float(1 / plan.rate))
    if abs(playlist.duration - plan.duration) > frame:
        yield f"lasts {playlist.duration} instead of {plan.duration}"
    for segment in playlist.segments:
        size = _size(made, segment.uri, sizes)
        if not size:
            yield f"names {segment.uri}, which is not there"
        elif segment.byte_range is not None and segment.byte_range.end > size:
            yield f"names bytes up to {segment.byte_range.end} of {segment.uri}, which has {size}"


def _size(made: NewObject, uri: str, sizes: Mapping[str, int]) -> int:
    """How many bytes there are under *uri*, which is relative to the object that names it; 0 for none."""
    return sizes.get(normpath(f"{dirname(made.name)}/{uri}"), 0)
