"""The way of a segment from the encoder to the playlist, joined from the ingest's log and the bucket's journal.

Pure. Times are seconds since the epoch, all of one machine's clock.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from benchmark.figures import Outcome, distribution
from benchmark.sent_frames import SentFrames
from bucketcast.hls import MediaPlaylist, parse
from bucketcast.records import decode_record
from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import RungName, SegmentIndex
from bucketcast.stream.timeline import Timeline
from tools.auditor import ObjectGeneration

VISIBLE_GOAL = 0.1
LISTED_GOAL = 0.3

_CUT = "segment cut"  # what the ingest logs when a segment's last byte has come out of the encoder


@dataclass(frozen=True, slots=True, order=True)
class RungIndex:
    """One segment of one rung of the broadcast's only session."""

    rung: RungName
    index: SegmentIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """When a segment was cut, its object created, its timeline written, and its playlist replaced."""

    segment: RungIndex
    cut: float
    created: float
    announced: float
    listed: float


def cut_times(log: Iterable[str]) -> dict[RungIndex, float]:
    """When each segment was cut, from the lines of the ingest's *log*."""
    times: dict[RungIndex, float] = {}
    for line in log:
        if _CUT not in line:
            continue
        record = json.loads(line)
        segment = RungIndex(RungName(record["rung"]), SegmentIndex(record["index"]))
        times[segment] = datetime.fromisoformat(record["time"]).timestamp()
    return times


def deliveries(
    cuts: Mapping[RungIndex, float], media: Iterable[ObjectGeneration], ingest: Iterable[ObjectGeneration]
) -> list[Delivery]:
    """Join *cuts* with the generations of both buckets; what did not come through to a playlist is left out."""
    written = list(media)
    created = {
        RungIndex(RungName(item.name.split("/")[1]), SegmentIndex(int(item.metadata["index"]))): _time(item)
        for item in written
        if item.name.endswith(".ts")
    }
    announced = _first(
        (RungIndex(rung, segment.index), _time(item))
        for item in ingest
        if item.name.startswith("timelines/") and item.content is not None
        for segment in decode_record(Timeline, item.content).segments
        for rung in segment.rungs
    )
    listed = _first(
        (RungIndex(RungName(item.name.split("/")[1]), index), _time(item))
        for item in written
        if item.name.endswith("/playlist.m3u8") and item.content is not None
        for index in _listed(item.content)
    )
    whole = cuts.keys() & created.keys() & announced.keys() & listed.keys()
    return [
        Delivery(
            segment=segment,
            cut=cuts[segment],
            created=created[segment],
            announced=announced[segment],
            listed=listed[segment],
        )
        for segment in sorted(whole)
    ]


def sent_to_listed(delivered: Iterable[Delivery], sent: SentFrames, grid: SegmentGrid) -> list[float]:
    """Seconds from the sending of a segment's last frame to its listing, for each of *delivered*."""
    return [
        one.listed - last
        for one in delivered
        if (last := _last_sent(one.segment.index, sent, grid)) is not None
    ]


def delivery_figures(delivered: list[Delivery], sent: SentFrames, grid: SegmentGrid) -> list[Outcome]:
    """The figures of a broadcast's *delivered* segments."""
    stages = (
        ("  cut to object created", [one.created - one.cut for one in delivered]),
        ("  object created to timeline written", [one.announced - one.created for one in delivered]),
        ("  timeline written to playlist written", [one.listed - one.announced for one in delivered]),
    )
    return [
        *distribution(
            "encoder close to playlist visible",
            [one.listed - one.cut for one in delivered],
            unit="s",
            goal=VISIBLE_GOAL,
            method="every segment of every rung: the ingest's log record 'segment cut' to the creation, in the "
            "local cloud's journal, of the first playlist generation that lists it",
        ),
        *(
            outcome
            for name, values in stages
            for outcome in distribution(
                name, values, unit="s", method="the same by stages, between the journal's creation times"
            )
        ),
        *distribution(
            "last frame sent to listed",
            sent_to_listed(delivered, sent, grid),
            unit="s",
            goal=LISTED_GOAL,
            method="from the moment the sender writes the last of a segment's frames to its socket to the same "
            "playlist generation, every segment of every rung",
        ),
    ]


def _last_sent(index: SegmentIndex, sent: SentFrames, grid: SegmentGrid) -> float | None:
    return sent.last_of(grid.first_frame(index), grid.first_frame(SegmentIndex(index + 1)))


def _listed(content: bytes) -> list[SegmentIndex]:
    playlist = parse(content.decode())
    assert isinstance(playlist, MediaPlaylist)
    return [
        SegmentIndex(int(segment.uri.rpartition("_")[2].removesuffix(".ts"))) for segment in playlist.segments
    ]


def _first(seen: Iterable[tuple[RungIndex, float]]) -> dict[RungIndex, float]:
    times: dict[RungIndex, float] = {}
    for segment, time in seen:
        times[segment] = min(time, times.get(segment, time))
    return times


def _time(generation: ObjectGeneration) -> float:
    return generation.created.timestamp()
