"""Pictures made of keyframes: sprites of thumbnails, and the poster."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Final

from bucketcast.errors import NotFound
from bucketcast.objects import NewObject
from bucketcast.ports import Archive
from bucketcast.stream.media_object import IMMUTABLE
from ingest.vod.plan import VodPlan
from ingest.vod.running import FfmpegFailed, run
from ingest.vod.segment import VodSegment
from ingest.vod.storyboard import COLUMNS, ROWS, Size, chosen_poster, frame_size, picture_size

_JPEG: Final = "image/jpeg"
# FFmpeg's scale from 2, the best: at 5 a thumbnail has some KB, at 2 a poster has no blocks that one could see.
_SPRITE_QUALITY, _POSTER_QUALITY = 5, 2
_QUIETLY: Final = ("-hide_banner", "-loglevel", "error")
# JPEG has the full range of luminance, video has not.
_FULL_RANGE: Final = "yuvj420p"
_TO_FULL_RANGE: Final = f"scale=out_range=full,format={_FULL_RANGE}"
# To tell dark from bright, so many pixels are enough.
_SMALL: Final = Size(width=32, height=18)
# Decoding 25 small pictures takes a fraction of a second.
_PATIENCE: Final = timedelta(minutes=1)


async def sprite(
    ffmpeg: Path, media: Archive, plan: VodPlan, segments: Sequence[VodSegment], *, name: str
) -> NewObject:
    """The object *name*: thumbnails that are the keyframes of *segments*; raises FfmpegFailed."""
    frame = frame_size(plan)
    thumbnails = [
        await _thumbnails(ffmpeg, media, list(shown), picture_size(plan, source), frame)
        for source, shown in groupby(segments, key=lambda segment: plan.source_of(segment.index))
    ]
    arguments = (
        *_QUIETLY,
        *("-f", "rawvideo", "-pixel_format", _FULL_RANGE, "-video_size", f"{frame.width}x{frame.height}"),
        *("-i", "pipe:0", "-vf", f"setsar=1,tile={COLUMNS}x{ROWS}"),
        *_one_jpeg(_SPRITE_QUALITY),
    )
    return _jpeg(name, await _picture(ffmpeg, b"".join(thumbnails), arguments))


async def _thumbnails(
    ffmpeg: Path, media: Archive, segments: Sequence[VodSegment], size: Size, frame: Size
) -> bytes:
    """The keyframes of *segments* of one file, scaled to *size* in the middle of a *frame*, as raw pictures."""
    graph = f"scale={size.width}:{size.height}:flags=area,setsar=1"
    if size != frame:
        graph += f",pad={frame.width}:{frame.height}:-1:-1"
    arguments = (*_reading(), *("-vf", f"{graph},{_TO_FULL_RANGE}"), *("-f", "rawvideo", "pipe:1"))
    return (await run(ffmpeg, arguments, await _keyframes(media, segments), patience=_PATIENCE)).output


async def poster_of(ffmpeg: Path, media: Archive, candidates: Sequence[VodSegment], *, name: str) -> NewObject:
    """The object *name*: the first keyframe of *candidates* that is not dark; raises FfmpegFailed."""
    keyframes = [await _keyframes(media, [candidate]) for candidate in candidates]
    luminances = [await _luminance(ffmpeg, keyframe) for keyframe in keyframes]
    chosen = keyframes[chosen_poster(luminances)]
    arguments = (*_reading(), *("-vf", f"setsar=1,{_TO_FULL_RANGE}"), *_one_jpeg(_POSTER_QUALITY))
    return _jpeg(name, await _picture(ffmpeg, chosen, arguments))


async def _keyframes(media: Archive, segments: Sequence[VodSegment]) -> bytes:
    """A transport stream of the first pictures of *segments*, each with the tables before it."""
    pieces = []
    for segment in segments:
        piece = await asyncio.to_thread(media.read_start, segment.name, segment.i_frame.end)
        if piece is None:
            raise NotFound(f"{segment.name} is gone")
        pieces.append(piece)
    return b"".join(pieces)


async def _picture(ffmpeg: Path, pictures: bytes, arguments: Sequence[str]) -> bytes:
    picture = (await run(ffmpeg, arguments, pictures, patience=_PATIENCE)).output
    if not picture:
        raise FfmpegFailed("FFmpeg made no picture of a keyframe")
    return picture


def _one_jpeg(quality: int) -> tuple[str, ...]:
    return ("-frames:v", "1", "-c:v", "mjpeg", "-q:v", str(quality), "-f", "image2pipe", "pipe:1")


async def _luminance(ffmpeg: Path, keyframe: bytes) -> float:
    graph = f"scale={_SMALL.width}:{_SMALL.height}:flags=area,format=yuv420p,extractplanes=y"
    arguments = (*_reading(), *("-vf", graph), *("-frames:v", "1", "-f", "rawvideo", "pipe:1"))
    pixels = (await run(ffmpeg, arguments, keyframe, patience=_PATIENCE)).output
    return sum(pixels) / max(1, len(pixels))


def _reading() -> tuple[str, ...]:
    return (
        *_QUIETLY,
        # Keyframes from here and there: their times and packet counters do not follow each other.
        *("-f", "mpegts", "-i", "pipe:0", "-fps_mode", "passthrough"),
    )


def _jpeg(name: str, content: bytes) -> NewObject:
    return NewObject(name=name, content=content, content_type=_JPEG, cache_control=IMMUTABLE)
