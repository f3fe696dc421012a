"""What the job has found out: written last, so that whoever finds it knows that all is there and checked."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from msgspec import Struct

from bucketcast.objects import NewObject
from bucketcast.records import JSON, encode_record
from bucketcast.stream.identifiers import BitsPerSecond, BroadcastNumber, RungName, StreamId
from bucketcast.stream.published_objects import LIVE
from ingest.vod.names import VodNames
from ingest.vod.plan import Compression, VodPlan
from ingest.vod.playlists import Rungs, measured_bandwidth


class RungFacts(Struct, frozen=True, kw_only=True):
    """One rung as it came out."""

    name: RungName
    width: int
    height: int
    codecs: str
    bytes: int
    bandwidth: BitsPerSecond
    average_bandwidth: BitsPerSecond


class VodFacts(Struct, frozen=True, kw_only=True):
    """`facts.json`: the VOD of a broadcast; *vmaf* is the highest rung's, or None where it was not measured."""

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


def vod_facts(plan: VodPlan, names: VodNames, rungs: Rungs, *, vmaf: float | None) -> VodFacts:
    """The facts of the VOD of *plan*, whose segments are *rungs*."""
    described = tuple(_rung_facts(plan, number, rungs) for number in range(len(plan.rungs)))
    return VodFacts(
        stream=names.stream,
        broadcast=names.broadcast,
        source=plan.source,
        multivariant_playlist=names.multivariant_playlist,
        storyboard=names.storyboard,
        poster=names.poster,
        duration=plan.duration,
        frames=plan.frames,
        segments=plan.segments,
        bytes=sum(rung.bytes for rung in described),
        compression=plan.compression,
        rungs=described,
        vmaf=vmaf,
    )


def facts_object(names: VodNames, facts: VodFacts) -> NewObject:
    """The object of *facts*."""
    return NewObject(name=names.facts, content=encode_record(facts), content_type=JSON, cache_control=LIVE)


def sampled_segments(segments: int, samples: int) -> Sequence[int]:
    """Return which segments stand for all *segments*: at most *samples* of them, evenly spread."""
    count = min(segments, samples)
    return [segments * (2 * number + 1) // (2 * count) for number in range(count)]


def _rung_facts(plan: VodPlan, number: int, rungs: Rungs) -> RungFacts:
    rung = plan.rungs[number]
    sizes = [segment.size for segment in rungs[rung.name]]
    bandwidth = measured_bandwidth(rungs[rung.name], sizes)
    return RungFacts(
        name=rung.name,
        width=rung.width,
        height=rung.height,
        codecs=plan.codecs(rung),
        bytes=sum(sizes),
        bandwidth=BitsPerSecond(bandwidth.peak),
        average_bandwidth=BitsPerSecond(bandwidth.average),
    )
