"""Rules that hold for the texts of playlists, whoever reads them: in the journal, or over HTTP."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from tools.auditor.history import (
    Listed,
    MediaPlaylistGeneration,
    MultivariantPlaylistGeneration,
    StreamHistory,
    violation,
)
from tools.auditor.journal import Rule, Violation

_VERSION = re.compile(rb"^#EXT-X-VERSION:([0-9]+)\r?$", re.MULTILINE)
# Streams are configured with segments of whole and half seconds; a cut is off by less than a frame.
SEGMENT_DURATION_STEP = timedelta(milliseconds=500)
LONGEST_FRAME = timedelta(milliseconds=100)
MIN_WINDOW_SEGMENTS, MIN_WINDOW_TARGET_DURATIONS = 6, 3


def versions(history: StreamHistory) -> Iterator[Violation]:
    """EXT-X-VERSION is the least that fits."""
    generations: Iterable[MediaPlaylistGeneration | MultivariantPlaylistGeneration] = (
        *history.playlists(),
        *history.multivariant,
    )
    for generation in generations:
        match = _VERSION.search(generation.written.content or b"")
        stated = int(match[1]) if match else 1
        if stated != generation.playlist.version:
            text = f"it says version {stated}, {generation.playlist.version} fits"
            yield violation(Rule.VERSION, generation.written, text)


def playlist_types(history: StreamHistory) -> Iterator[Violation]:
    """No live playlist has a playlist type."""
    for generation in history.playlists():
        if generation.playlist.playlist_type is not None:
            yield generation.violation(Rule.PLAYLIST_TYPE, f"it says {generation.playlist.playlist_type}")


def target_durations(history: StreamHistory) -> Iterator[Violation]:
    """The target duration is one."""
    first = next(history.playlists(), None)
    for generation in history.playlists():
        if first is not None and generation.playlist.target_duration != first.playlist.target_duration:
            text = f"it is {generation.playlist.target_duration}, was {first.playlist.target_duration}"
            yield generation.violation(Rule.TARGET_DURATION, text)


def media_sequences(history: StreamHistory) -> Iterator[Violation]:
    """The window moves forward at both ends."""
    for generations in history.renditions.values():
        for before, after in pairwise(generations):
            if after.numbers.start < before.numbers.start or after.numbers.stop < before.numbers.stop:
                text = f"{_range(before)} is followed by {_range(after)}"
                yield after.violation(Rule.MEDIA_SEQUENCE, text)


def _range(generation: MediaPlaylistGeneration) -> str:
    return f"{generation.numbers.start} to {generation.numbers.stop - 1}"


def identities(history: StreamHistory) -> Iterator[Violation]:
    """A number means one segment for ever."""
    for generations in history.renditions.values():
        by_number: dict[int, tuple[str, timedelta, datetime | None, bool]] = {}
        for generation in generations:
            for listed in generation.listed:
                segment = listed.segment
                now = (listed.name, segment.duration, segment.program_date_time, segment.gap)
                was = by_number.setdefault(listed.number, now)
                if now != was:
                    text = f"number {listed.number} was {_segment(*was)}, is {_segment(*now)}"
                    yield generation.violation(Rule.IDENTITY, text)


def _segment(name: str, duration: timedelta, date: datetime | None, gap: bool) -> str:  # noqa: FBT001 - a fact
    return f"{name} ({duration.total_seconds()} s, {date}{', gap' if gap else ''})"


def numberings(history: StreamHistory) -> Iterator[Violation]:
    """A session's segments have the number of its first one plus their index."""
    bases: dict[int, int] = {}
    for generation in history.playlists():
        for listed in generation.listed:
            base = listed.number - listed.index
            if bases.setdefault(listed.session, base) != base:
                text = f"session {listed.session} begins at {bases[listed.session]} and at {base}"
                yield generation.violation(Rule.NUMBERING, text)


def discontinuities(history: StreamHistory) -> Iterator[Violation]:
    """Sessions and discontinuity sequence numbers are paired one to one, both rising."""
    numbers: dict[int, int] = {}
    sessions: dict[int, int] = {}
    for generations in history.renditions.values():
        for before, after in pairwise(generations):
            if after.playlist.discontinuity_sequence < before.playlist.discontinuity_sequence:
                yield after.violation(Rule.DISCONTINUITY, "the discontinuity sequence number went back")
        for generation in generations:
            for listed in generation.listed:
                number, session = listed.discontinuity_number, listed.session
                if numbers.setdefault(session, number) != number:
                    text = f"session {session} has numbers {numbers[session]} and {number}"
                    yield generation.violation(Rule.DISCONTINUITY, text)
                elif sessions.setdefault(number, session) != session:
                    text = f"number {number} has sessions {sessions[number]} and {session}"
                    yield generation.violation(Rule.DISCONTINUITY, text)


def dates(history: StreamHistory) -> Iterator[Violation]:
    """Every segment has a date: the end of the one before it, exactly, within a session; later, across."""
    for generations in history.renditions.values():
        known: dict[int, Listed] = {}
        for generation in generations:
            for listed in generation.listed:
                if listed.number in known:
                    continue
                known[listed.number] = listed
                text = _date_fault(known.get(listed.number - 1), listed)
                if text:
                    yield generation.violation(Rule.DATE, text)


def _date_fault(before: Listed | None, after: Listed) -> str | None:
    date = after.segment.program_date_time
    if date is None:
        return f"number {after.number} has no date"
    if before is None or before.segment.program_date_time is None:
        return None
    end = before.segment.program_date_time + before.segment.duration
    if before.session == after.session and date != end:
        return f"number {after.number} begins at {date}, the one before it ends at {end}"
    # A sub-second overlap is allowed "to account for drift" (section 6.2.1); our sessions have one clock each.
    if date < end - timedelta(seconds=1):
        return f"session {after.session} begins at {date}, before session {before.session} ends at {end}"
    return None


def live_windows(history: StreamHistory) -> Iterator[Violation]:
    """Nothing is removed from a live playlist that is shorter than its window."""
    longest = max((listed.segment.duration for g in history.playlists() for listed in g.listed), default=None)
    if longest is None:
        return
    nominal = round(longest / SEGMENT_DURATION_STEP) * SEGMENT_DURATION_STEP
    for generations in history.renditions.values():
        for broadcast in _broadcasts(generations):
            first = broadcast[0].numbers.start
            for generation in broadcast:
                playlist = generation.playlist
                least = max(
                    MIN_WINDOW_SEGMENTS * nominal,
                    timedelta(seconds=MIN_WINDOW_TARGET_DURATIONS * playlist.target_duration),
                )
                removed = generation.numbers.start > first
                if removed and not playlist.ended and playlist.duration < least - LONGEST_FRAME:
                    text = f"{playlist.duration} are listed of at least {least}"
                    yield generation.violation(Rule.LIVE_WINDOW, text)


def _broadcasts(generations: Sequence[MediaPlaylistGeneration]) -> Iterator[list[MediaPlaylistGeneration]]:
    broadcast: list[MediaPlaylistGeneration] = []
    for generation in generations:
        ended = any(earlier.playlist.ended for earlier in broadcast)
        if ended and generation.numbers.start >= broadcast[-1].numbers.stop:
            yield broadcast
            broadcast = []
        broadcast.append(generation)
    yield broadcast


def endings(history: StreamHistory) -> Iterator[Violation]:
    """An ended playlist changes only into that of a new broadcast."""
    for generations in history.renditions.values():
        for before, after in pairwise(generations):
            if not before.playlist.ended or after.playlist == before.playlist:
                continue
            if after.numbers.start < before.numbers.stop:
                text = f"{_range(before)} had ended, and {_range(after)} goes on with it"
                yield after.violation(Rule.ENDLIST, text)


def alignments(history: StreamHistory) -> Iterator[Violation]:
    """All renditions agree on what a number is; a gap may be one rendition's own."""
    known: dict[int, tuple[int, int, timedelta, datetime | None]] = {}
    for generation in history.playlists():
        for listed in generation.listed:
            segment = listed.segment
            now = (listed.session, listed.index, segment.duration, segment.program_date_time)
            was = known.setdefault(listed.number, now)
            if now != was:
                text = f"number {listed.number} is {now} here, and {was} elsewhere"
                yield generation.violation(Rule.ALIGNMENT, text)


def segment_names(history: StreamHistory) -> Iterator[Violation]:
    """Names sort as they play, over all broadcasts."""
    for generations in history.renditions.values():
        listed = {one.number: (one, generation) for generation in generations for one in generation.listed}
        for (_, (before, _)), (_, (after, generation)) in pairwise(sorted(listed.items())):
            if (before.session, before.index) >= (after.session, after.index):
                yield generation.violation(Rule.SEGMENT_NAME, f"{after.name} plays after {before.name}")


PLAYLIST_RULES = (
    versions,
    playlist_types,
    target_durations,
    media_sequences,
    identities,
    numberings,
    discontinuities,
    dates,
    live_windows,
    endings,
    alignments,
    segment_names,
)
