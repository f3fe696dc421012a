"""The explanation of a playlist at an instant: why it listed what it listed, and not what it did not. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bucketcast.hls import MediaPlaylist, parse
from bucketcast.records import decode_record
from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.object_names import (
    SegmentName,
    media_playlist_name,
    parse_segment_name,
    segment_name,
    state_name,
)
from bucketcast.stream.publication import BEGINNING_SEGMENTS
from bucketcast.stream.published_objects import PublicState
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.window import rung_for_slot
from operating.past import Past, Write

Ends = Mapping[SessionNumber, SegmentIndex]
"""The last segment that is listed of each session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A segment that the playlist lists, and what had to be written before it could."""

    number: int
    name: str
    since: Write  # the first generation of the playlist that lists it
    created: Write | None  # the media object; None where the log does not reach back
    named_by: Write | None  # the first timeline that names it; None: it was found in the bucket by name
    gap: str | None  # whose it is, if it is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlisted:
    """A segment of which something was there, and why the playlist did not list it."""

    session: SessionNumber
    index: SegmentIndex
    rung: RungName
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session that the playlist lists, or is about to: what its numbers rest on."""

    number: SessionNumber
    record: tuple[SessionRecord, Write] | None
    seal_before: tuple[Seal, Write] | None  # its first number; None for the first session, or while it waits
    seal: tuple[Seal, Write] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What the playlist of *slot* held, if there was one, and why."""

    slot: RungName
    at: datetime
    written: Write | None
    playlist: MediaPlaylist | None
    sessions: tuple[Session, ...]
    listed: tuple[Listed, ...]
    unlisted: tuple[Unlisted, ...]


def explain(past: Past, slot: RungName) -> Explanation:
    """Explain the playlist of *slot* in *past*; raises PlaylistSyntaxError where it cannot be read."""
    name = media_playlist_name(past.stream, slot)
    written = past.current(name)
    playlist = None if written is None else _playlist(written)
    listed = () if playlist is None else tuple(_listed(past, name, slot, playlist))
    ends = {segment.session: segment.index for segment in (parse_segment_name(each.name) for each in listed)}
    unlisted = tuple(_unlisted(past, slot, ends))
    shown = ends.keys() | {each.session for each in unlisted}
    return Explanation(
        slot=slot,
        at=past.at,
        written=written,
        playlist=playlist,
        sessions=tuple(_session(past, number) for number in sorted(shown)),
        listed=listed,
        unlisted=unlisted,
    )


def _playlist(written: Write) -> MediaPlaylist:
    playlist = parse((written.content or b"").decode())
    assert isinstance(playlist, MediaPlaylist), f"{written.name} is a media playlist"
    return playlist


def _names(slot: RungName, past: Past, playlist: MediaPlaylist) -> list[str]:
    """The objects that the segments of *playlist* are: a slot may list another rung's."""
    rungs = (segment.uri.rpartition("/") for segment in playlist.segments)
    return [f"{past.stream}/{folder.removeprefix('../') or slot}/{file}" for folder, _, file in rungs]


def _session(past: Past, number: SessionNumber) -> Session:
    return Session(
        number=number,
        record=past.session_record(number),
        seal_before=past.seal(SessionNumber(number - 1)),
        seal=past.seal(number),
    )


# What is listed.


def _listed(past: Past, name: str, slot: RungName, playlist: MediaPlaylist) -> Iterator[Listed]:
    objects = _names(slot, past, playlist)
    since = _listed_since(past, name, slot, objects)
    for numbered, segment in zip(playlist.numbered_segments(), objects, strict=True):
        generations = past.generations(segment)
        created = generations[0] if generations else None
        parsed = parse_segment_name(segment)
        named_by = _named_by(past, parsed, created)
        yield Listed(
            number=numbered.number,
            name=segment,
            since=since[segment],
            created=created,
            named_by=named_by,
            gap=_whose_gap(past, parsed, named_by) if numbered.segment.gap else None,
        )


def _listed_since(past: Past, name: str, slot: RungName, objects: list[str]) -> dict[str, Write]:
    """For each of *objects* the first generation of the playlist *name* that lists it without a break."""
    since: dict[str, Write] = {}
    still = set(objects)
    for write in reversed(past.generations(name)):
        still &= set(_names(slot, past, _playlist(write)))
        if not still:
            break
        since |= dict.fromkeys(still, write)
    return since


def _named_by(past: Past, segment: SegmentName, created: Write | None) -> Write | None:
    """The first timeline that names *segment*: written after the object, if that is known."""
    since = created.time if created else None
    return next(
        (
            write
            for timeline, write in past.timelines(segment.session, since=since)
            if any(
                uploaded.index == segment.index and segment.rung in uploaded.rungs
                for uploaded in timeline.segments
            )
        ),
        None,
    )


def _whose_gap(past: Past, segment: SegmentName, named_by: Write | None) -> str:
    """Who says that it cannot be had: an encoder tells of it, the publisher that seals a session does not."""
    if named_by is not None:
        return f"reported by the encoder {named_by.name.rpartition('/')[2].removesuffix('.json')}"
    if past.seal(segment.session):
        return f"created by the publisher that sealed session {segment.session}"
    return "of an encoder or a publisher that has not said so yet"


# What is not listed.


def _unlisted(past: Past, slot: RungName, ends: Ends) -> Iterator[Unlisted]:
    """Everything behind *ends*, and of the sessions behind them."""
    for number in sorted(past.sessions()):
        if number >= min(ends) if ends else not past.seal(number):
            yield from _unlisted_of_session(past, slot, number, ends)


def _unlisted_of_session(past: Past, slot: RungName, number: SessionNumber, ends: Ends) -> Iterator[Unlisted]:
    record = past.session_record(number)
    rung = rung_for_slot(slot, record[0].rungs).name if record else slot
    ahead = _reason_ahead(past, number, max(ends, default=None))
    blocked: str | None = None
    for index in map(SegmentIndex, range(ends.get(number, -1) + 1, _reach(past, number) + 1)):
        segment = SegmentName(stream=past.stream, rung=rung, session=number, index=index)
        why = _too_late(past, segment) or ahead or blocked or _undecided(past, segment)
        if why is None:
            why = _not_yet(past, segment, begins=bool(ends) and number not in ends)
        elif blocked is None:
            blocked = f"behind segment {index}"
        yield Unlisted(session=number, index=index, rung=rung, why=why)


def _reach(past: Past, number: SessionNumber) -> int:
    """The last index of session *number* of which any rung has an object or a timeline, or -1."""
    objects = (
        parsed.index
        for parsed in map(parse_segment_name, filter(_is_segment, past.media_names()))
        if parsed.session == number
    )
    named = (uploaded.index for timeline in past.last_timelines(number) for uploaded in timeline.segments[-1:])
    return max((*objects, *named), default=-1)


def _is_segment(name: str) -> bool:
    return name.endswith(".ts")


def _too_late(past: Past, segment: SegmentName) -> str | None:
    found = past.seal(segment.session)
    if found is None or segment.index <= found[0].last_index:
        return None
    seal, written = found
    end = f"at segment {seal.last_index}" if seal.last_index >= 0 else "before its first segment"
    return f"too late: the seal of {written.time:%H:%M:%S.%f} ends session {segment.session} {end}"


def _reason_ahead(past: Past, number: SessionNumber, last: SessionNumber | None) -> str | None:
    """What keeps all of session *number* from being listed behind session *last*, if anything does."""
    record = past.session_record(number)
    if record is None:
        return f"session {number} has no record yet"
    unsealed = [before for before in range(1, number) if not past.seal(SessionNumber(before))]
    if unsealed:
        return f"session {unsealed[0]} before it is not sealed yet"
    shown = past.session_record(last) if last else None
    if shown and shown[0].broadcast == record[0].broadcast:
        return None
    state = _state(past)
    if shown and (state is None or state.state in (StreamState.LIVE, StreamState.INTERRUPTED)):
        return f"broadcast {shown[0].broadcast} before it is not over yet"
    if state is None or state.broadcast < record[0].broadcast:
        return (
            f"broadcast {record[0].broadcast} has not begun: every rendition needs three target durations, "
            "or its broadcaster left"
        )
    return None


def _state(past: Past) -> PublicState | None:
    written = past.current(state_name(past.stream))
    return decode_record(PublicState, written.content) if written and written.content else None


def _undecided(past: Past, segment: SegmentName) -> str | None:
    """Why *segment* was neither a segment nor a gap to the publisher, if it was neither."""
    name = segment_name(segment.stream, segment.rung, segment.session, segment.index)
    created = past.current(name)
    named_by = _named_by(past, segment, created)
    if created is None:
        return "undecided: nothing was created under its name"
    if named_by is None:
        return f"in the bucket since {created.time:%H:%M:%S.%f}, and no timeline had named it yet"
    return None


def _not_yet(past: Past, segment: SegmentName, *, begins: bool) -> str:
    """All was there: the playlist was not replaced, or the session that *begins* is to have more."""
    name = segment_name(segment.stream, segment.rung, segment.session, segment.index)
    named_by = _named_by(past, segment, past.current(name))
    assert named_by is not None, "what no timeline names is undecided"
    ago = (past.at - named_by.time) / timedelta(seconds=1)
    why = "the playlist was not replaced since"
    if begins and _reach(past, segment.session) + 1 < BEGINNING_SEGMENTS:
        why += f", or a session that follows a pause is to begin with {BEGINNING_SEGMENTS} segments"
    return f"named by {named_by.name} {ago:.3f} s before; {why}"
