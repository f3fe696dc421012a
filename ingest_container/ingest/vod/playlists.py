"""The VOD's playlists: pure functions of the plan and of the segments that are there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Final

from bucketcast.hls import (
    IFrameStream,
    MediaPlaylist,
    MediaSegment,
    MultivariantPlaylist,
    PlaylistType,
    Resolution,
    VariantStream,
    render,
)
from bucketcast.objects import NewObject
from bucketcast.stream.identifiers import RungName, SegmentIndex
from bucketcast.stream.published_objects import LIVE, PLAYLIST
from ingest.vod.names import VodNames, segment_file_name
from ingest.vod.plan import VodPlan
from ingest.vod.segment import VodSegment

_MICROSECOND: Final = timedelta(microseconds=1)

# By rung what was encoded, and by slot what its viewers get; the same where a recording has one file.
Rungs = Mapping[RungName, Sequence[VodSegment]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """Bits a second, measured: the *peak* segment bit rate and the *average* (RFC 8216bis, 4.1)."""

    peak: int
    average: int


def fill_slots(plan: VodPlan, rungs: Rungs) -> Rungs:
    """Return what each of *plan*'s slots plays: of every file the rung, one of *rungs*, that fills the slot."""
    made = {(rung, segment.index): segment for rung, segments in rungs.items() for segment in segments}
    return {
        slot: tuple(
            made[rung, SegmentIndex(index)]
            for source in plan.sources
            for rung in (source.in_slot(slot).name,)
            for index in source.indexes
            if (rung, index) in made
        )
        for slot in plan.slots
    }


def playlist_objects(plan: VodPlan, names: VodNames, slots: Rungs) -> tuple[NewObject, ...]:
    """Return the objects of all playlists, in the order in which to write them: each names only what is there.

    *slots* are the segments of each slot, in the order they play.
    """
    media: list[tuple[str, MediaPlaylist | MultivariantPlaylist]] = [
        (name, media_playlist(plan, slot, segments, i_frames_only=i_frames_only))
        for slot, segments in slots.items()
        for name, i_frames_only in ((names.media_playlist(slot), False), (names.i_frame_playlist(slot), True))
    ]
    playlists = [*media, (names.multivariant_playlist, multivariant_playlist(plan, slots))]
    return tuple(
        NewObject(name=name, content=render(playlist).encode(), content_type=PLAYLIST, cache_control=LIVE)
        for name, playlist in playlists
    )


def media_playlist(
    plan: VodPlan, slot: RungName, segments: Sequence[VodSegment], *, i_frames_only: bool = False
) -> MediaPlaylist:
    """The media playlist of *slot*, or the I-frame playlist of the first pictures of its *segments*."""
    # Clock, size and frame rate begin anew with each file.
    discontinuities = {source.first_segment for source in plan.sources[1:]}
    return MediaPlaylist(
        target_duration=_target_duration(segments),
        playlist_type=PlaylistType.VOD,
        i_frames_only=i_frames_only,
        ended=True,
        segments=tuple(
            MediaSegment(
                uri=_uri(slot, segment),
                # 4.4.3.6: an I-frame lasts until the next one, which begins the next segment.
                duration=segment.duration,
                discontinuity=segment.index in discontinuities,
                byte_range=segment.i_frame if i_frames_only else None,
            )
            for segment in segments
        ),
    )


def _uri(slot: RungName, segment: VodSegment) -> str:
    file_name = segment_file_name(segment.index)
    return file_name if segment.rung == slot else f"../{segment.rung}/{file_name}"


def multivariant_playlist(plan: VodPlan, slots: Rungs) -> MultivariantPlaylist:
    """The multivariant playlist: every slot, and every slot's I-frames."""
    variants, i_frames = [], []
    for slot, segments in slots.items():
        shown = plan.longest.in_slot(slot)
        resolution = Resolution(width=shown.width, height=shown.height)
        sizes = [segment.size for segment in segments]
        bandwidth = measured_bandwidth(segments, sizes)
        variants.append(
            VariantStream(
                uri=f"{slot}/playlist.m3u8",
                bandwidth=bandwidth.peak,
                average_bandwidth=bandwidth.average,
                codecs=plan.codecs(slot),
                resolution=resolution,
                frame_rate=plan.rate,
            )
        )
        bandwidth = measured_bandwidth(segments, [segment.i_frame.length for segment in segments])
        i_frames.append(
            IFrameStream(
                uri=f"{slot}/iframes.m3u8",
                bandwidth=bandwidth.peak,
                average_bandwidth=bandwidth.average,
                codecs=plan.video_codec(slot),
                resolution=resolution,
            )
        )
    return MultivariantPlaylist(
        independent_segments=True,  # for every rendition; 4.4.2.1: it SHOULD NOT stand in both
        variant_streams=tuple(variants),
        i_frame_streams=tuple(i_frames),
    )


def measured_bandwidth(segments: Sequence[VodSegment], sizes: Sequence[int]) -> Bandwidth:
    """Return the bandwidth of *segments*, of which *sizes* bytes each are counted.

    RFC 8216bis, 4.1: the peak segment bit rate is "the largest bit rate of any contiguous set of segments whose
    total duration is between 0.5 and 1.5 times the target duration". Where there is no such set, since all
    together are shorter, it is the average.
    """
    target = timedelta(seconds=_target_duration(segments))
    total = _bits_per_second(sum(sizes), sum((segment.duration for segment in segments), timedelta(0)))
    peak = total
    for first in range(len(segments)):
        duration, size = timedelta(0), 0
        for segment, segment_size in zip(segments[first:], sizes[first:], strict=True):
            duration, size = duration + segment.duration, size + segment_size
            if 2 * duration > 3 * target:
                break
            if 2 * duration >= target:
                peak = max(peak, _bits_per_second(size, duration))
    return Bandwidth(peak=peak, average=total)


def _bits_per_second(size: int, duration: timedelta) -> int:
    """Rounded up: a declared bandwidth is a promise."""
    return -int(-Fraction(8 * size * 1_000_000, duration // _MICROSECOND) // 1)


def _target_duration(segments: Sequence[VodSegment]) -> int:
    """The longest segment's duration, rounded as 4.4.3.1 has it, and at least 1."""
    longest = max(segment.duration for segment in segments)
    return max(1, (longest + timedelta(milliseconds=500)) // timedelta(seconds=1))
