"""Rules that hold between what playlists say and what a decoder finds in the segments."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise

from bucketcast.hls import VariantStream
from tools.auditor.history import Listed, MediaPlaylistGeneration, StreamHistory, resolve, violation
from tools.auditor.journal import MediaFacts, ObjectGeneration, Rule, Violation

# MPEG-2 TS counts 33 bits of 90 kHz.
TIMESTAMP_WRAP = Fraction(2**33, 90_000)
# FRAME-RATE has three decimals, EXTINF six, timestamps 90,000 ticks a second: far below one in two hundred.
FRAME_RATE_TOLERANCE = Fraction(1, 200)

Media = Mapping[str, MediaFacts]


def variants(history: StreamHistory, media: Media) -> Iterator[Violation]:
    """CODECS, RESOLUTION and FRAME-RATE are those of the newest session that was listed under them."""
    for position, multivariant in enumerate(history.multivariant):
        following = history.multivariant[position + 1 : position + 2]
        for variant in multivariant.playlist.variant_streams:
            generations = history.renditions.get(resolve(multivariant.written.name, variant.uri), ())
            until = following[0].written.created if following else None
            current = [g for g in generations if until is None or g.written.created < until]
            if current:
                yield from _variant_faults(multivariant.written, variant, current[-1], media)


def _variant_faults(
    written: ObjectGeneration, variant: VariantStream, generation: MediaPlaylistGeneration, media: Media
) -> Iterator[Violation]:
    newest = max((listed.session for listed in generation.listed), default=None)
    for listed in generation.listed:
        facts = media.get(listed.name)
        if facts is None or listed.session != newest:
            continue
        if variant.codecs is None or set(variant.codecs.split(",")) != facts.codecs:
            text = f"{variant.uri}: {variant.codecs}, {listed.name} has {sorted(facts.codecs)}"
            yield violation(Rule.CODECS, written, text)
        size = variant.resolution
        if size is None or (size.width, size.height) != (facts.width, facts.height):
            text = f"{variant.uri}: {size}, {listed.name} has {facts.width}x{facts.height}"
            yield violation(Rule.RESOLUTION, written, text)
        rate = facts.frames / facts.duration
        if variant.frame_rate is None or abs(variant.frame_rate / rate - 1) > FRAME_RATE_TOLERANCE:
            text = f"{variant.uri}: {variant.frame_rate}, {listed.name} has {float(rate):.3f}"
            yield violation(Rule.FRAME_RATE, written, text)


def media_times(history: StreamHistory, media: Media) -> Iterator[Violation]:
    """Durations are the pictures', timestamps run on within a session, and are equal in all renditions."""
    starts: dict[int, Fraction] = {}
    for generations in history.renditions.values():
        listed = {one.number: (one, generation) for generation in generations for one in generation.listed}
        for number, (one, generation) in sorted(listed.items()):
            facts = media.get(one.name)
            if facts is None:
                continue
            half_frame = facts.duration / facts.frames / 2
            if abs(facts.duration - _seconds(one)) > half_frame:
                text = f"number {number}: {_seconds(one)} s, its pictures last {float(facts.duration)} s"
                yield generation.violation(Rule.MEDIA_DURATION, text)
            if abs(_difference(starts.setdefault(number, facts.start), facts.start)) > half_frame:
                text = (
                    f"number {number} starts at {float(facts.start)} s, elsewhere at {float(starts[number])} s"
                )
                yield generation.violation(Rule.MEDIA_ALIGNMENT, text)
        for (_, (before, _)), (number, (after, generation)) in pairwise(sorted(listed.items())):
            fault = _continuity_fault(before, after, media)
            if fault:
                yield generation.violation(Rule.MEDIA_CONTINUITY, f"number {number} {fault}")


def _continuity_fault(before: Listed, after: Listed, media: Media) -> str | None:
    first, second = media.get(before.name), media.get(after.name)
    if first is None or second is None:
        return None
    if before.session != after.session or before.number + 1 != after.number:
        return None
    late = _difference(first.start + first.duration, second.start)
    if abs(late) <= first.duration / first.frames / 2:
        return None
    return f"starts {float(late):.6f} s after the end of the one before it"


def _seconds(listed: Listed) -> float:
    return listed.segment.duration.total_seconds()


def _difference(earlier: Fraction, later: Fraction) -> Fraction:
    """Return *later* less *earlier*, however often the clock went round in between."""
    return (later - earlier + TIMESTAMP_WRAP / 2) % TIMESTAMP_WRAP - TIMESTAMP_WRAP / 2


def independence(history: StreamHistory, media: Media) -> Iterator[Violation]:
    """Where segments are called independent, each starts with a keyframe."""
    everywhere = any(multivariant.playlist.independent_segments for multivariant in history.multivariant)
    seen: set[str] = set()
    for generation in history.playlists():
        for listed in generation.listed:
            facts = media.get(listed.name)
            if facts is None or listed.name in seen:
                continue
            seen.add(listed.name)
            if (everywhere or generation.playlist.independent_segments) and not facts.starts_with_keyframe:
                yield generation.violation(Rule.INDEPENDENT, f"{listed.name} does not")


MEDIA_RULES = (variants, media_times, independence)
