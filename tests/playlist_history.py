"""What every history of published playlists keeps: the promises of the design, read off the log of a bucket."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from posixpath import dirname, join, normpath

from bucketcast.hls import MediaPlaylist, MediaSegment, parse
from bucketcast.objects import NewObject
from fakes import FakeBucket


@dataclass(frozen=True, slots=True)
class Listed:
    """A segment as one version of one playlist lists it."""

    number: int
    discontinuity_number: int
    segment: MediaSegment


def media_playlists(log: Iterable[tuple[datetime, NewObject]]) -> Iterator[tuple[str, MediaPlaylist]]:
    """Every version of every media playlist in *log*."""
    for _, new in log:
        if new.name.endswith("/playlist.m3u8"):
            playlist = parse(new.content.decode())
            assert isinstance(playlist, MediaPlaylist)
            yield new.name, playlist


def check(bucket: FakeBucket) -> None:
    """Assert P1, P2, P4 and P5 on everything that was ever written to *bucket*."""
    check_only_what_exists_is_named(bucket)
    check_versions_follow_each_other(bucket)
    check_enough_is_left(bucket)
    check_numbers_are_dense_and_shared(bucket)
    check_one_write_a_second(bucket)


def check_only_what_exists_is_named(bucket: FakeBucket) -> None:
    """P1 and P4: what a playlist names is there when it is written; what it calls a gap is one."""
    there: dict[str, NewObject] = {}
    for at, new in bucket.log:
        for name, playlist in media_playlists([(at, new)]):
            for segment in playlist.segments:
                named = there[normpath(join(dirname(name), segment.uri))]
                assert segment.gap == ("gap" in named.metadata)
        if new.name.endswith("master.m3u8"):
            variants = [line for line in new.content.decode().splitlines() if not line.startswith("#")]
            assert all(join(dirname(new.name), uri) in there for uri in variants)
        there[new.name] = new


def check_versions_follow_each_other(bucket: FakeBucket) -> None:
    """P2: numbers never go back, a listed segment stays what it is, ENDLIST stays until a new broadcast."""
    newest: dict[str, MediaPlaylist] = {}
    for name, playlist in media_playlists(bucket.log):
        assert playlist.segments
        if (before := newest.get(name)) is not None:
            assert playlist.target_duration == before.target_duration
            assert playlist.media_sequence >= before.media_sequence
            assert playlist.discontinuity_sequence >= before.discontinuity_sequence
            old, new = _by_number(before), _by_number(playlist)
            assert all(new[number] == old[number] for number in old.keys() & new.keys())
            assert max(new) >= max(old)
            assert not before.ended or (playlist.ended and new == old) or not old.keys() & new.keys()
        newest[name] = playlist


def check_enough_is_left(bucket: FakeBucket) -> None:
    """RFC 8216bis, 6.2.2: a live playlist that something was removed from lists three target durations."""
    newest: dict[str, MediaPlaylist] = {}
    removed_from: set[str] = set()
    for name, playlist in media_playlists(bucket.log):
        before = newest.get(name, playlist)
        if before.ended and not playlist.ended:
            removed_from.discard(name)  # a new broadcast
        elif playlist.media_sequence > before.media_sequence:
            removed_from.add(name)
        least = timedelta(seconds=3 * playlist.target_duration)
        assert playlist.ended or name not in removed_from or playlist.duration >= least
        newest[name] = playlist


def check_numbers_are_dense_and_shared(bucket: FakeBucket) -> None:
    """P2: number and index differ by a session's base, in all renditions; so do dates and discontinuities."""
    bases: dict[str, int] = {}
    facts: dict[int, tuple[datetime | None, timedelta, int]] = {}
    for _, playlist in media_playlists(bucket.log):
        for listed in _by_number(playlist).values():
            _, session, index = listed.segment.uri.rpartition("/")[2].removesuffix(".ts").split("_")
            assert bases.setdefault(session, listed.number - int(index)) == listed.number - int(index)
            fact = (listed.segment.program_date_time, listed.segment.duration, listed.discontinuity_number)
            assert facts.setdefault(listed.number, fact) == fact


def check_one_write_a_second(bucket: FakeBucket) -> None:
    """P5: no name is written twice within a second."""
    written: dict[str, datetime] = {}
    for at, new in bucket.log:
        assert new.name not in written or at - written[new.name] >= timedelta(seconds=1)
        written[new.name] = at


def _by_number(playlist: MediaPlaylist) -> dict[int, Listed]:
    """The segments by number; the tag of a discontinuity, which a first one has lost, counts in its number."""
    return {
        number: Listed(number, discontinuity, _without_tag(segment))
        for number, discontinuity, segment in playlist.numbered_segments()
    }


def _without_tag(segment: MediaSegment) -> MediaSegment:
    return MediaSegment(
        uri=segment.uri,
        duration=segment.duration,
        program_date_time=segment.program_date_time,
        gap=segment.gap,
    )
