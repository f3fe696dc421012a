"""The history of one stream: its objects sorted by what they are, its playlists parsed."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bucketcast.errors import PlaylistSyntaxError
from bucketcast.hls import MediaPlaylist, MediaSegment, MultivariantPlaylist, parse
from tools.auditor.journal import ObjectGeneration, Rule, Violation

# The folder of the viewer page, which is no stream.
PAGE = "player"
_SEGMENT_NAME = re.compile(r"(?:.*/)?segment_([0-9]{8})_([0-9]{10})\.ts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A segment as one generation of a playlist lists it; *name* is its object's."""

    number: int
    discontinuity_number: int
    name: str
    session: int
    index: int
    segment: MediaSegment


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlaylistGeneration:
    """One generation of a media playlist."""

    written: ObjectGeneration
    playlist: MediaPlaylist
    listed: tuple[Listed, ...]

    @property
    def numbers(self) -> range:
        """The media sequence numbers that it lists."""
        first = self.playlist.media_sequence
        return range(first, first + len(self.playlist.segments))

    def violation(self, rule: Rule, text: str) -> Violation:
        return violation(rule, self.written, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class MultivariantPlaylistGeneration:
    """One generation of the multivariant playlist."""

    written: ObjectGeneration
    playlist: MultivariantPlaylist


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHistory:
    """Every generation of a stream's objects, each sequence in the order of writing."""

    stream: str
    renditions: Mapping[str, Sequence[MediaPlaylistGeneration]]  # by the playlist's name
    multivariant: Sequence[MultivariantPlaylistGeneration]
    states: Sequence[ObjectGeneration]
    segments: Mapping[str, Sequence[ObjectGeneration]]
    objects: Sequence[ObjectGeneration]

    def playlists(self) -> Iterator[MediaPlaylistGeneration]:
        """Every generation of every media playlist."""
        for generations in self.renditions.values():
            yield from generations


def violation(rule: Rule, written: ObjectGeneration, text: str) -> Violation:
    """Say that *written* breaks *rule*."""
    return Violation(rule=rule, name=written.name, generation=written.generation, text=text)


def resolve(base: str, uri: str) -> str:
    """Return the name that *uri* means in the playlist called *base*."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), uri))


def read_histories(journal: Iterable[ObjectGeneration]) -> tuple[list[StreamHistory], list[Violation]]:
    """Sort *journal* by streams; what cannot be read becomes violations of SYNTAX and SEGMENT_NAME."""
    objects: defaultdict[str, list[ObjectGeneration]] = defaultdict(list)
    for written in sorted(journal, key=lambda written: written.generation):
        stream, slash, _ = written.name.partition("/")
        if slash and stream != PAGE:
            objects[stream].append(written)
    violations: list[Violation] = []
    histories = [_read_history(stream, written, violations) for stream, written in sorted(objects.items())]
    return histories, violations


def _read_history(
    stream: str, objects: Sequence[ObjectGeneration], violations: list[Violation]
) -> StreamHistory:
    renditions: defaultdict[str, list[MediaPlaylistGeneration]] = defaultdict(list)
    multivariant: list[MultivariantPlaylistGeneration] = []
    segments: defaultdict[str, list[ObjectGeneration]] = defaultdict(list)
    for written in objects:
        if written.name.endswith(".ts"):
            segments[written.name].append(written)
        elif written.name.endswith(".m3u8"):
            try:
                playlist = _playlist(written)
                if isinstance(playlist, MediaPlaylist):
                    listed = tuple(_listed(written, playlist))
                    renditions[written.name].append(
                        MediaPlaylistGeneration(written=written, playlist=playlist, listed=listed)
                    )
                else:
                    multivariant.append(MultivariantPlaylistGeneration(written=written, playlist=playlist))
            except _Unreadable as unreadable:
                violations.append(violation(unreadable.rule, written, str(unreadable)))
    return StreamHistory(
        stream=stream,
        renditions=renditions,
        multivariant=multivariant,
        states=[written for written in objects if written.name == f"{stream}/state.json"],
        segments=segments,
        objects=objects,
    )


class _Unreadable(Exception):
    def __init__(self, rule: Rule, text: str) -> None:
        super().__init__(text)
        self.rule = rule


def _playlist(written: ObjectGeneration) -> MediaPlaylist | MultivariantPlaylist:
    try:
        playlist = parse((written.content or b"").decode())
    except (PlaylistSyntaxError, UnicodeDecodeError) as error:
        raise _Unreadable(Rule.SYNTAX, str(error)) from error
    is_multivariant = isinstance(playlist, MultivariantPlaylist)
    if is_multivariant != (written.name.count("/") == 1):
        kind = "multivariant" if is_multivariant else "media"
        raise _Unreadable(Rule.SYNTAX, f"a {kind} playlist does not belong under this name")
    if isinstance(playlist, MultivariantPlaylist) and not playlist.variant_streams:
        raise _Unreadable(Rule.SYNTAX, "it has no variant stream")
    return playlist


def _listed(written: ObjectGeneration, playlist: MediaPlaylist) -> Iterator[Listed]:
    for number, discontinuity_number, segment in playlist.numbered_segments():
        name = resolve(written.name, segment.uri)
        match = _SEGMENT_NAME.fullmatch(name)
        if not match:
            raise _Unreadable(Rule.SEGMENT_NAME, f"{segment.uri} names neither session nor index")
        yield Listed(
            number=number,
            discontinuity_number=discontinuity_number,
            name=name,
            session=int(match[1]),
            index=int(match[2]),
            segment=segment,
        )
