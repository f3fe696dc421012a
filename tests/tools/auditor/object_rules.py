"""Rules that hold for objects: when they were made, how they are served, how long they stay."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction

from tools.auditor.history import Listed, MediaPlaylistGeneration, StreamHistory, resolve, violation
from tools.auditor.journal import ObjectGeneration, Rule, Violation

CONTENT_TYPES = {
    ".ts": "video/mp2t",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".json": "application/json",
}
_PLAYLIST_CACHE_CONTROL = "public, max-age=1, s-maxage=1, must-revalidate"
CACHE_CONTROLS = {
    ".ts": "public, max-age=86400, immutable",
    ".m3u8": _PLAYLIST_CACHE_CONTROL,
    ".json": _PLAYLIST_CACHE_CONTROL,
}
# Cloud Storage takes one write a second to one name.
MIN_WRITE_INTERVAL = timedelta(seconds=1)


def dangling_addresses(history: StreamHistory) -> Iterator[Violation]:
    """Every segment and playlist exists, and is not empty, when it is named."""
    existing: defaultdict[str, list[ObjectGeneration]] = defaultdict(list)
    for written in history.objects:
        existing[written.name].append(written)
    for name, generation, listed in _first_listings(history):
        if listed.segment.gap:
            continue
        current = _current(existing[name], generation.written.created)
        if current is None or current.size == 0:
            text = f"{name} {'does not exist' if current is None else 'is empty'} when it is first listed"
            yield generation.violation(Rule.DANGLING, text)
    for multivariant in history.multivariant:
        for variant in multivariant.playlist.variant_streams:
            name = resolve(multivariant.written.name, variant.uri)
            if _current(existing[name], multivariant.written.created) is None:
                yield violation(Rule.DANGLING, multivariant.written, f"{name} does not exist")


def gaps(history: StreamHistory) -> Iterator[Violation]:
    """Playlists and objects agree on what is a gap."""
    for name, generation, listed in _first_listings(history):
        current = _current(history.segments.get(name, ()), generation.written.created)
        if current is None and listed.segment.gap:
            yield generation.violation(Rule.GAP, f"no object decides that {name} is a gap")
        elif current is not None and _is_gap(current) != listed.segment.gap:
            what = "a gap" if _is_gap(current) else "a segment"
            yield generation.violation(Rule.GAP, f"{name} is {what}, and listed otherwise")


def _first_listings(history: StreamHistory) -> Iterator[tuple[str, MediaPlaylistGeneration, Listed]]:
    for generations in history.renditions.values():
        seen: set[str] = set()
        for generation in generations:
            for listed in generation.listed:
                if listed.name not in seen:
                    seen.add(listed.name)
                    yield listed.name, generation, listed


def _current(generations: Sequence[ObjectGeneration], moment: datetime) -> ObjectGeneration | None:
    """The generation that was there at *moment*."""
    there = [written for written in generations if written.created <= moment]
    if not there or (there[-1].deleted is not None and there[-1].deleted <= moment):
        return None
    return there[-1]


def _is_gap(written: ObjectGeneration) -> bool:
    return written.metadata.get("gap") == "true"


def immutability(history: StreamHistory) -> Iterator[Violation]:
    """No media object has a second generation."""
    for generations in history.segments.values():
        for again in generations[1:]:
            yield violation(Rule.IMMUTABLE, again, f"it was created by generation {generations[0].generation}")


def retention(history: StreamHistory) -> Iterator[Violation]:
    """No segment is deleted while a player may still come for it."""
    for generations in history.renditions.values():
        for name, needed_until in _needed(generations).items():
            deleted = next((w for w in history.segments.get(name, ()) if w.deleted is not None), None)
            if deleted is None or deleted.deleted is None or _is_gap(deleted):
                continue
            if needed_until is None or deleted.deleted < needed_until:
                text = f"deleted at {deleted.deleted}, needed until {needed_until or 'it is no longer listed'}"
                yield violation(Rule.RETENTION, deleted, text)


def _needed(generations: Sequence[MediaPlaylistGeneration]) -> Mapping[str, datetime | None]:
    """Until when each segment must be there; None: it is listed still.

    Section 6.2.2: "the Availability Duration of a Media Segment is the duration of the segment plus the
    duration of the longest-duration Playlist distributed by the server containing that segment", here from the
    moment when it left the playlist, which is the longer of the draft's two terms.
    """
    longest: dict[str, timedelta] = {}
    needed: dict[str, datetime | None] = {}
    for generation in generations:
        names = {listed.name: listed.segment.duration for listed in generation.listed}
        for name, until in needed.items():
            if until is None and name not in names:
                needed[name] = generation.written.created + longest[name]
        for name, duration in names.items():
            needed[name] = None
            longest[name] = max(longest.get(name, timedelta(0)), generation.playlist.duration + duration)
    gone = generations[-1].written.deleted
    return {name: until or (gone and gone + longest[name]) for name, until in needed.items()}


def metadata(history: StreamHistory) -> Iterator[Violation]:
    """A segment's metadata holds its session, index, duration and date; a gap's the first two."""
    for name, _, listed in _first_listings(history):
        for written in history.segments.get(name, ())[:1]:
            expected = {"session": str(listed.session), "index": str(listed.index)}
            if not _is_gap(written):
                date = listed.segment.program_date_time
                expected["duration"] = f"{listed.segment.duration.total_seconds():.6f}"
                if date is not None:
                    expected["program-date-time"] = date.isoformat()
            wrong = {
                key: written.metadata.get(key) for key in expected if written.metadata.get(key) != expected[key]
            }
            if wrong:
                yield violation(Rule.METADATA, written, f"it says {wrong}, the playlist {expected}")


def headers(history: StreamHistory) -> Iterator[Violation]:
    """Every object is served with its type and Cache-Control."""
    for written in history.objects:
        suffix = written.name[written.name.rfind(".") :]
        if written.content_type != CONTENT_TYPES.get(suffix, written.content_type):
            yield violation(Rule.CONTENT_TYPE, written, f"it is {written.content_type or 'missing'}")
        if written.cache_control != CACHE_CONTROLS.get(suffix, written.cache_control):
            yield violation(Rule.CACHE_CONTROL, written, f"it is {written.cache_control or 'missing'}")


def write_rates(history: StreamHistory) -> Iterator[Violation]:
    """Two generations of one name are a second apart."""
    last: dict[str, datetime] = {}
    for written in history.objects:
        before = last.get(written.name)
        if before is not None and written.created - before < MIN_WRITE_INTERVAL:
            yield violation(Rule.WRITE_RATE, written, f"{written.created - before} after the one before")
        last[written.name] = written.created


def bandwidths(history: StreamHistory) -> Iterator[Violation]:
    """No declared BANDWIDTH is below the peak segment bit rate."""
    for name, declared in _least_bandwidths(history).items():
        generations = history.renditions.get(name, ())
        numbered = {listed.number: listed for generation in generations for listed in generation.listed}
        target = timedelta(seconds=generations[0].playlist.target_duration) if generations else timedelta(0)
        peak, number = peak_segment_bit_rate(history, numbered, target)
        if peak > declared:
            text = f"{int(peak)} bit/s at number {number}, {declared} are declared"
            yield generations[-1].violation(Rule.BANDWIDTH, text)


def _least_bandwidths(history: StreamHistory) -> Mapping[str, int]:
    least: dict[str, int] = {}
    for multivariant in history.multivariant:
        for variant in multivariant.playlist.variant_streams:
            name = resolve(multivariant.written.name, variant.uri)
            least[name] = min(variant.bandwidth, least.get(name, variant.bandwidth))
    return least


def peak_segment_bit_rate(
    history: StreamHistory, numbered: Mapping[int, Listed], target: timedelta
) -> tuple[Fraction, int]:
    """Return the peak segment bit rate in bits per second, and the number where it begins.

    Section 4.1: "the largest bit rate of any contiguous set of segments whose total duration is between 0.5
    times the Target Duration and 1.5 times the Target Duration plus 0.5 seconds".
    """
    peak = (Fraction(0), -1)
    for first in numbered:
        duration, size, number = timedelta(0), 0, first
        while number in numbered:
            duration += numbered[number].segment.duration
            size += sum(written.size for written in history.segments.get(numbered[number].name, ())[:1])
            if duration > 1.5 * target + timedelta(seconds=0.5):
                break
            if duration >= 0.5 * target:
                rate = Fraction(8 * size * 1_000_000, duration // timedelta(microseconds=1))
                peak = max(peak, (rate, first))
            number += 1
    return peak


OBJECT_RULES = (
    dangling_addresses,
    gaps,
    immutability,
    retention,
    metadata,
    headers,
    write_rates,
    bandwidths,
)
