"""What the job has found out: written last, so that whoever finds it knows that all is there and checked."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from bucketcast.objects import NewObject
from bucketcast.records import JSON, encode_record
from bucketcast.stream.identifiers import BitsPerSecond, BroadcastNumber, RungName, StreamId
from bucketcast.stream.published_objects import LIVE
from ingest.vod.names import VodNames
from ingest.vod.plan import Compression, VodPlan
from ingest.vod.playlists import Rungs, fill_slots, measured_bandwidth
from ingest.vod.segment import VodSegment


class RungFacts(Struct, frozen=True, kw_only=True):
    """One slot as it came out: *width* and *height* are those of the file that lasts longest."""

    name: RungName
    width: int
    height: int
    codecs: str
    bytes: int
    bandwidth: BitsPerSecond
    average_bandwidth: BitsPerSecond


class FileFacts(Struct, frozen=True, kw_only=True):
    """What became of one of several files; *vmaf* is its highest rung's, or None where it was not measured."""

    source: str
    duration: timedelta
    frames: int
    segments: int
    vmaf: float | None


class VodFacts(Struct, frozen=True, kw_only=True):
    """`facts.json`: the VOD of a broadcast.

    *source* is the recording's file, the first one of several; *files* are all of several, in the order they
    play. *vmaf* is the highest rung's, of several files the lowest, or None where it was not measured.
    """

    version: Literal[1] = 1
    stream: StreamId
    broadcast: BroadcastNumber
    source: str
    multivariant_playlist: str
    storyboard: str
    poster: str
    duration: timedelta
    frames: int
    segments: int
    bytes: int  # of all segments of all rungs
    compression: Compression
    rungs: tuple[RungFacts, ...]
    vmaf: float | None
    files: tuple[FileFacts, ...] | UnsetType = UNSET


def vod_facts(plan: VodPlan, names: VodNames, rungs: Rungs, *, vmaf: Sequence[float | None]) -> VodFacts:
    """The facts of the VOD of *plan*, for which *rungs* were encoded; *vmaf* is each file's."""
    slots = fill_slots(plan, rungs)
    files = tuple(
        FileFacts(
            source=source.name,
            duration=source.duration,
            frames=source.frames,
            segments=source.segments,
            vmaf=measured,
        )
        for source, measured in zip(plan.sources, vmaf, strict=True)
    )
    return VodFacts(
        stream=names.stream,
        broadcast=names.broadcast,
        source=plan.sources[0].name,
        multivariant_playlist=names.multivariant_playlist,
        storyboard=names.storyboard,
        poster=names.poster,
        duration=plan.duration,
        frames=plan.frames,
        segments=plan.segments,
        bytes=sum(segment.size for segments in rungs.values() for segment in segments),
        compression=plan.sources[0].compression,
        rungs=tuple(_rung_facts(plan, slot, segments) for slot, segments in slots.items()),
        vmaf=_lowest(vmaf),
        files=files if len(files) > 1 else UNSET,
    )


def facts_object(names: VodNames, facts: VodFacts) -> NewObject:
    """The object of *facts*."""
    return NewObject(name=names.facts, content=encode_record(facts), content_type=JSON, cache_control=LIVE)


def sampled_segments(segments: int, samples: int) -> Sequence[int]:
    """Return which segments stand for all *segments*: at most *samples* of them, evenly spread."""
    count = min(segments, samples)
    return [segments * (2 * number + 1) // (2 * count) for number in range(count)]


def _lowest(vmaf: Sequence[float | None]) -> float | None:
    measured = [each for each in vmaf if each is not None]
    return min(measured) if len(measured) == len(vmaf) else None


def _rung_facts(plan: VodPlan, slot: RungName, segments: Sequence[VodSegment]) -> RungFacts:
    shown = plan.longest.in_slot(slot)
    sizes = [segment.size for segment in segments]
    bandwidth = measured_bandwidth(segments, sizes)
    return RungFacts(
        name=slot,
        width=shown.width,
        height=shown.height,
        codecs=plan.codecs(slot),
        bytes=sum(sizes),
        bandwidth=BitsPerSecond(bandwidth.peak),
        average_bandwidth=BitsPerSecond(bandwidth.average),
    )
