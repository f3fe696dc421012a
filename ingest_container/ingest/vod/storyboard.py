"""The storyboard: thumbnails on a timeline, as WebVTT that says which part of which picture each one is.

Thumbnails are the keyframes of the lowest rung: those are in the bucket already, small, and whole in
themselves, so that twelve hours of recording need not be read once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Final

from bucketcast.objects import NewObject
from bucketcast.stream.published_objects import LIVE
from ingest.vod.names import VodNames, sprite_file_name
from ingest.vod.plan import SourcePlan, VodPlan
from ingest.vod.segment import VodSegment

# A thumbnail each second segment is one each 12 s: 3600 for as many hours as Cloud Run can record, 300 to the
# hour, which is what a seek bar has pixels for.
SEGMENTS_PER_THUMBNAIL: Final = 2
# A sprite of 800x450 pixels: some 60 KB, and five minutes with one request.
COLUMNS, ROWS = 5, 5
LONG_SIDE: Final = 160
WEBVTT: Final = "text/vtt"

# The darkest picture that shows something: 16 is black in video's range, and a white title on black means 20.
_DARK_LUMINANCE: Final = 28
# The poster is looked for in the first minute, from a few seconds in: behind a fade-in.
POSTER_CANDIDATES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Pixels."""

    width: int
    height: int


def thumbnail_size(width: int, height: int) -> Size:
    """The even size of a thumbnail of *width* by *height*: LONG_SIDE pixels on its longer side."""
    longest = max(width, height)
    return Size(
        width=max(2, 2 * round(width * LONG_SIDE / longest / 2)),
        height=max(2, 2 * round(height * LONG_SIDE / longest / 2)),
    )


def frame_size(plan: VodPlan) -> Size:
    """The size of all thumbnails: that of the lowest slot's of the file that lasts longest."""
    lowest = plan.longest.in_slot(plan.slots[-1])
    return thumbnail_size(lowest.width, lowest.height)


def picture_size(plan: VodPlan, source: SourcePlan) -> Size:
    """The even size of the pictures of *source* in thumbnails, which are as large or have a margin."""
    frame, lowest = frame_size(plan), source.in_slot(plan.slots[-1])
    whole = thumbnail_size(lowest.width, lowest.height)
    scale = min(Fraction(frame.width, whole.width), Fraction(frame.height, whole.height))
    return Size(
        width=max(2, 2 * round(whole.width * scale / 2)), height=max(2, 2 * round(whole.height * scale / 2))
    )


def sprites(segments: Sequence[VodSegment]) -> tuple[tuple[VodSegment, ...], ...]:
    """Return whose keyframes are the thumbnails of each sprite, row by row."""
    chosen = tuple(segments[::SEGMENTS_PER_THUMBNAIL])
    tiles = COLUMNS * ROWS
    return tuple(chosen[first : first + tiles] for first in range(0, len(chosen), tiles))


def storyboard_object(names: VodNames, segments: Sequence[VodSegment], size: Size) -> NewObject:
    """The object of the storyboard of *segments*, whose thumbnails have *size*."""
    return NewObject(
        name=names.storyboard,
        content=storyboard(segments, size).encode(),
        content_type=WEBVTT,
        cache_control=LIVE,
    )


def storyboard(segments: Sequence[VodSegment], size: Size) -> str:
    """WebVTT whose cues name a part of a sprite each, as Media Fragments (W3C, 4.2.2) has it."""
    lines = ["WEBVTT", ""]
    start = timedelta(0)
    for number in range(0, len(segments), SEGMENTS_PER_THUMBNAIL):
        shown = segments[number : number + SEGMENTS_PER_THUMBNAIL]
        end = start + sum((segment.duration for segment in shown), timedelta(0))
        sprite, tile = divmod(number // SEGMENTS_PER_THUMBNAIL, COLUMNS * ROWS)
        row, column = divmod(tile, COLUMNS)
        place = f"{column * size.width},{row * size.height},{size.width},{size.height}"
        lines += [f"{_time(start)} --> {_time(end)}", f"{sprite_file_name(sprite)}#xywh={place}", ""]
        start = end
    return "\n".join(lines)


def poster_candidates(segments: Sequence[VodSegment]) -> tuple[VodSegment, ...]:
    """Return whose keyframes may become the poster, best first; the very first only if there is no other."""
    return tuple(segments[1 : 1 + POSTER_CANDIDATES]) or tuple(segments[:1])


def chosen_poster(luminances: Sequence[float]) -> int:
    """Return which of the pictures with these mean *luminances* to show: the first that is not dark.

    Where all are dark it is the brightest.
    """
    bright = (number for number, luminance in enumerate(luminances) if luminance > _DARK_LUMINANCE)
    return next(bright, max(range(len(luminances)), key=lambda number: luminances[number]))


def _time(time: timedelta) -> str:
    """A WebVTT timestamp (W3C WebVTT, 4.3), to the nearest millisecond."""
    milliseconds = round(time / timedelta(milliseconds=1))
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}"
