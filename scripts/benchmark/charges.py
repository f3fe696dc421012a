"""From what the local cloud has counted to what Google would charge for it. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from benchmark.figures import Charge, Figure, Outcome
from benchmark.prices import CDN_LOOKUP, COMPUTE, LISTED, PRICES, REGION, STORED_GIGABYTE_DAY
from bucketcast.stream.configuration import StreamConfiguration
from local_cloud.operations import CountedOperation, PriceClass

Counts = Mapping[CountedOperation, float]

HOUR: Final = timedelta(hours=1)
STREAM_HOUR_GOAL: Final = 0.15
# The local cloud's names for reads without credentials: the only ones that viewers make.
VIEWERS_READS: Final = frozenset({"GET Object", "HEAD Object"})


def parse_counts(entries: Iterable[Mapping[str, Any]]) -> Counts:
    """What the local cloud answers when it is asked for its operations."""
    return {
        CountedOperation(PriceClass(entry["class"]), entry["operation"], entry["place"]): entry["count"]
        for entry in entries
    }


def difference(before: Counts, after: Counts) -> Counts:
    """What was counted between *before* and *after*."""
    grown = {operation: times - before.get(operation, 0) for operation, times in after.items()}
    return {operation: times for operation, times in grown.items() if times}


def hourly(counts: Counts, over: timedelta) -> Counts:
    """*counts* of the time *over*, for an hour."""
    return {operation: times * (HOUR / over) for operation, times in counts.items()}


def without_viewers(counts: Counts) -> Counts:
    """*counts* without what viewers read."""
    return {operation: times for operation, times in counts.items() if operation.name not in VIEWERS_READS}


def viewers(counts: Counts) -> float:
    """How often viewers have read."""
    return sum(times for operation, times in counts.items() if operation.name in VIEWERS_READS)


def once(whole: Counts, rate: Counts, on_air: timedelta) -> Counts:
    """What a session took beside the hourly *rate* of its time *on_air*, of all that it took, *whole*.

    The rate is that of a steady broadcast, so a few operations more or less are its error.
    """
    return {
        operation: max(0.0, times - rate.get(operation, 0) * (on_air / HOUR))
        for operation, times in whole.items()
    }


def dollars(counts: Counts) -> float:
    """What *counts* cost, without compute."""
    return sum(
        PRICES[operation.price_class].of(times)
        for operation, times in counts.items()
        if operation.price_class not in COMPUTE
    )


def stream_hour(rate: Counts, *, measured: timedelta, rungs: int, segment: timedelta) -> list[Outcome]:
    """The hourly *rate* of a stream, the dearest operations first, with the sum that has a goal."""
    method = (
        f"per stream-hour with {rungs} rungs and {segment.total_seconds():g} s, viewers apart, from "
        f"{measured.total_seconds():.0f} s of a steady broadcast; list prices of {REGION}, {LISTED}"
    )
    paid = {o: times for o, times in rate.items() if o.price_class not in COMPUTE}
    compute = {o: times for o, times in rate.items() if o.price_class in COMPUTE}
    return [
        *_charges(paid, method),
        *_sums(paid, "the same by line of the price list"),
        Figure(
            name="everything but compute and egress",
            value=dollars(rate),
            unit="$/h",
            method="the sum of the above",
            goal=STREAM_HOUR_GOAL,
        ),
        *_charges(
            compute,
            "beside it, compute of the functions (1 vCPU, 0.5 GiB): each call's time on this machine, "
            "rounded up to 100 ms, as if no two were answered at once",
        ),
    ]


def stored(configuration: StreamConfiguration) -> Charge:
    """What it costs to keep the segments of an hour for a day, by the bitrates of *configuration*."""
    bits = sum(rung.video_bitrate + configuration.audio_bitrate for rung in configuration.rungs)
    gigabytes = bits / 8 * HOUR.total_seconds() / 1e9
    return Charge(
        name="a stream-hour's segments kept for a day, GB",
        count=gigabytes,
        dollars=STORED_GIGABYTE_DAY.of(gigabytes),
        method=f"computed from the bitrates of {len(configuration.rungs)} rungs up to "
        f"{configuration.rungs[0].name}, without soft delete",
    )


def session_once(counts: Counts) -> list[Outcome]:
    """What a session costs however long it is."""
    method = "a session's claim, start, end and ENDLIST: all it took, less the hourly rate of its time on air"
    return [
        *_sums({o: times for o, times in counts.items() if o.price_class not in COMPUTE}, method),
        Charge(name="a session, once", count=1, dollars=dollars(counts), method="the sum of the above"),
    ]


def viewer_hour(reads: float, *, rungs: int, segment: timedelta, watched: timedelta) -> list[Outcome]:
    """What one viewer takes who *reads* so often in an hour, and what a cache in between takes instead."""
    read = CountedOperation(PriceClass.STORAGE_B, "GET Object", "media")
    # One fetch a second of each playlist and of state.json at most (s-maxage=1), and each segment once.
    fills = (rungs + 1) * (HOUR / timedelta(seconds=1)) + rungs * (HOUR / segment)
    return [
        Charge(
            name="one viewer without CDN, reads",
            count=reads,
            dollars=PRICES[read.price_class].of(reads),
            method=f"per viewer-hour, egress apart: hls.js in Chromium on the viewer page, {watched.seconds} s",
        ),
        Charge(
            name="one viewer with CDN, lookups",
            count=reads,
            dollars=CDN_LOOKUP.of(reads),
            method="the same requests answered by Cloud CDN",
        ),
        Charge(
            name="all viewers of one CDN cache, class B fills at most",
            count=fills,
            dollars=PRICES[read.price_class].of(fills),
            method="computed: all rungs watched, playlists and state.json anew each second, segments once",
        ),
    ]


def _charges(counts: Counts, method: str) -> Sequence[Outcome]:
    charges = [
        Charge(
            name=f"{operation.name}, {operation.place}",
            count=times,
            dollars=PRICES[operation.price_class].of(times),
            method=method,
        )
        for operation, times in sorted(counts.items())
    ]
    return sorted(charges, key=lambda charge: charge.dollars, reverse=True)


def _sums(counts: Counts, method: str) -> Sequence[Outcome]:
    sums: defaultdict[PriceClass, float] = defaultdict(float)
    for operation, times in counts.items():
        sums[operation.price_class] += times
    return [
        Charge(name=price_class, count=times, dollars=PRICES[price_class].of(times), method=method)
        for price_class, times in sorted(sums.items())
        if price_class is not PriceClass.FREE
    ]
