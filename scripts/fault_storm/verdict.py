"""The verdict: the auditor's rules over all that was written, and what only the records can tell.

Pure: everything is read from the journals of the media and the ingest bucket.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from bucketcast.records import decode_record
from bucketcast.stream.identifiers import RungName
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.timeline import Timeline
from tools.auditor import ObjectGeneration, audit
from tools.auditor.history import MediaPlaylistGeneration, StreamHistory, read_histories

# From reading the timelines to deciding that a broadcast is over, with all that is tried again in between.
READING: Final = timedelta(seconds=30)


class Promise(StrEnum):
    """What the storm looks for beyond the auditor's rules; the value says what should hold."""

    SEALED_FIRST = "a session is listed only behind the seals of all before it (DESIGN, section 4)"
    WITHIN_SEAL = "no segment behind its session's seal is listed (P7)"
    TAIL = "a seal reaches to all that timelines held before anything followed its session (P10)"
    NOT_LOST = "what lies in the bucket up to the seal was listed, or the window moved past it (P10)"
    ENDED = "every broadcast that was listed has its ENDLIST, in every rendition, behind its last segment (P5)"
    REBUILT = "playlists and documents that were deleted come back byte for byte (P3)"
    SETTLED = "once the faults are over, every stream comes to rest by itself (P3)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule or promise that is broken, *where* and how."""

    rule: str
    meaning: str
    where: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What the ingest bucket holds of one stream, with the time of writing."""

    sessions: Mapping[int, SessionRecord]
    seals: Mapping[int, tuple[Seal, ObjectGeneration]]
    timelines: Mapping[int, Sequence[tuple[Timeline, datetime]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """How much there was to judge."""

    playlists: int
    sessions: int
    broadcasts: int
    segments: int
    gaps: int
    listed: int
    passed_over: int
    unsealed: int


def judge(
    media: Sequence[ObjectGeneration], ingest: Sequence[ObjectGeneration]
) -> tuple[list[Finding], Volume]:
    """Return everything that is wrong with all that was ever written, and how much that was."""
    findings = [
        Finding(
            rule=violation.rule.name,
            meaning=str(violation.rule),
            where=f"{violation.name}#{violation.generation}",
            text=violation.text,
        )
        for violation in audit(media)
    ]
    volumes = []
    records = read_records(ingest)
    histories, _ = read_histories(media)
    for history in histories:
        broken, volume = _judge_stream(history, records[history.stream])
        findings += broken
        volumes.append(volume)
    return findings, _sum(volumes)


def read_records(ingest: Iterable[ObjectGeneration]) -> Mapping[str, Records]:
    """The session records and seals of every stream."""
    sessions: defaultdict[str, dict[int, SessionRecord]] = defaultdict(dict)
    seals: defaultdict[str, dict[int, tuple[Seal, ObjectGeneration]]] = defaultdict(dict)
    timelines: defaultdict[str, dict[int, list[tuple[Timeline, datetime]]]] = defaultdict(dict)
    for written in ingest:
        kind, stream, *_ = written.name.split("/")
        if kind == "sessions":
            record = decode_record(SessionRecord, written.content or b"")
            sessions[stream][record.session] = record
        elif kind == "seals":
            seal = decode_record(Seal, written.content or b"")
            seals[stream][seal.session] = (seal, written)
        elif kind == "timelines":
            timeline = decode_record(Timeline, written.content or b"")
            timelines[stream].setdefault(timeline.session, []).append((timeline, written.created))
    return {
        stream: Records(sessions=sessions[stream], seals=seals[stream], timelines=timelines[stream])
        for stream in sessions
    }


def _judge_stream(history: StreamHistory, records: Records) -> tuple[list[Finding], Volume]:
    findings = [
        *_unsealed(history, records),
        *_sealed_first(history, records),
        *_within_seal(history, records),
        *_tails(history, records),
        *_endings(history, records),
    ]
    segments = [written[0] for written in history.segments.values()]
    gaps = sum(written.metadata.get("gap") == "true" for written in segments)
    lost, listed, passed_over = _not_lost(history, records)
    volume = Volume(
        playlists=sum(1 for _ in history.playlists()),
        sessions=len(records.sessions),
        broadcasts=len({record.broadcast for record in records.sessions.values()}),
        segments=len(segments) - gaps,
        gaps=gaps,
        listed=listed,
        passed_over=passed_over,
        unsealed=_behind_seals(history, records),
    )
    return findings + lost, volume


def _finding(promise: Promise, generation: MediaPlaylistGeneration, text: str) -> Finding:
    written = generation.written
    return Finding(
        rule=promise.name, meaning=str(promise), where=f"{written.name}#{written.generation}", text=text
    )


def _sealed_first(history: StreamHistory, records: Records) -> Iterator[Finding]:
    """When a playlist lists a session, every recorded session before it has been sealed."""
    seen: set[int] = set()
    for generation in history.playlists():
        for session in sorted({listed.session for listed in generation.listed} - seen):
            seen.add(session)
            for before in records.sessions:
                sealed = records.seals.get(before)
                late = sealed is None or sealed[1].created > generation.written.created
                if before < session and late:
                    text = f"session {session} is listed, and {before} is not sealed"
                    yield _finding(Promise.SEALED_FIRST, generation, text)


def _unsealed(history: StreamHistory, records: Records) -> Iterator[Finding]:
    """Every session of which there is media is sealed in the end."""
    sessions = {int(written[0].metadata["session"]) for written in history.segments.values()}
    for session in sorted(sessions - records.seals.keys()):
        yield Finding(
            rule=Promise.SETTLED.name,
            meaning=str(Promise.SETTLED),
            where=f"{history.stream}, session {session}",
            text="there is media of it, and no seal",
        )


def _within_seal(history: StreamHistory, records: Records) -> Iterator[Finding]:
    for generation in history.playlists():
        for listed in generation.listed:
            sealed = records.seals.get(listed.session)
            if sealed is not None and listed.index > sealed[0].last_index:
                text = f"{listed.name} is listed, the seal is at {sealed[0].last_index}"
                yield _finding(Promise.WITHIN_SEAL, generation, text)


def _tails(history: StreamHistory, records: Records) -> Iterator[Finding]:
    """What was announced before anything could follow a session is before its seal."""
    for number, (seal, written) in sorted(records.seals.items()):
        open_until = _open_until(history, records, seal)
        announced = {
            segment.index
            for timeline, created in records.timelines.get(number, ())
            if created < open_until
            for segment in timeline.segments
        }
        lost = sorted(index for index in announced if index > seal.last_index)
        if lost:
            yield Finding(
                rule=Promise.TAIL.name,
                meaning=str(Promise.TAIL),
                where=written.name,
                text=f"sealed at {seal.last_index}; before {open_until:%H:%M:%S} timelines held {_spans(lost)}",
            )


def _open_until(history: StreamHistory, records: Records, seal: Seal) -> datetime:
    """A moment before which nothing followed the session of *seal*: neither another one nor an end."""
    followers = [record.start for number, record in records.sessions.items() if number > seal.session]
    ends = [
        datetime.fromisoformat(state["since"]) - READING
        for state in (json.loads(written.content or b"{}") for written in history.states)
        if state["state"] == StreamState.ENDED and state["broadcast"] == seal.broadcast
    ]
    return min([*followers, *ends], default=datetime.min.replace(tzinfo=UTC))


def _spans(indexes: Sequence[int]) -> str:
    return f"{indexes[0]} to {indexes[-1]} ({len(indexes)})"


def _endings(history: StreamHistory, records: Records) -> Iterator[Finding]:
    """The last playlist of each broadcast is ended, and reaches to the broadcast's last seal."""
    for generations in history.renditions.values():
        for number, last in _last_of_broadcasts(generations, records).items():
            ends = [seal.next_media_sequence for seal, _ in records.seals.values() if seal.broadcast == number]
            if not last.playlist.ended:
                yield _finding(Promise.ENDED, last, f"broadcast {number} ends without ENDLIST")
            elif last.numbers.stop != max(ends, default=0):
                text = (
                    f"broadcast {number} ends at {last.numbers.stop}, its last seal at {max(ends, default=0)}"
                )
                yield _finding(Promise.ENDED, last, text)


def _last_of_broadcasts(
    generations: Sequence[MediaPlaylistGeneration], records: Records
) -> Mapping[int, MediaPlaylistGeneration]:
    return {
        records.sessions[generation.listed[-1].session].broadcast: generation
        for generation in generations
        if generation.listed and generation.listed[-1].session in records.sessions
    }


def _not_lost(history: StreamHistory, records: Records) -> tuple[list[Finding], int, int]:
    """What of the bucket no playlist ever listed, and how many segments were listed or passed over."""
    findings: list[Finding] = []
    listed_names = {
        listed.name
        for generation in history.playlists()
        for listed in generation.listed
        if not listed.segment.gap
    }
    listed_count = passed_over = 0
    for name, written in sorted(history.segments.items()):
        session, index = int(written[0].metadata["session"]), int(written[0].metadata["index"])
        sealed = records.seals.get(session)
        if written[0].metadata.get("gap") == "true" or sealed is None or index > sealed[0].last_index:
            continue
        if name in listed_names:
            listed_count += 1
            continue
        rung = RungName(name.split("/")[1])
        number = sealed[0].next_media_sequence - sealed[0].last_index - 1 + index
        generations = history.renditions.get(f"{history.stream}/{rung}/playlist.m3u8", ())
        if _is_passed_over(generations, number):
            passed_over += 1
        else:
            findings.append(
                Finding(
                    rule=Promise.NOT_LOST.name,
                    meaning=str(Promise.NOT_LOST),
                    where=name,
                    text=f"number {number} was never listed; the seal is at {sealed[0].last_index}",
                )
            )
    return findings, listed_count, passed_over


def _is_passed_over(generations: Sequence[MediaPlaylistGeneration], number: int) -> bool:
    """Whether the window was before *number* and then behind it, or began behind it."""
    stops = [0, *(generation.numbers.stop for generation in generations)]
    starts = [generation.numbers.start for generation in generations]
    return any(stop <= number < start for stop, start in zip(stops, starts, strict=False))


def _behind_seals(history: StreamHistory, records: Records) -> int:
    """How many objects lie behind the seal of their session: what came too late."""
    return sum(
        int(written[0].metadata["index"]) > sealed[0].last_index
        for written in history.segments.values()
        if (sealed := records.seals.get(int(written[0].metadata["session"])))
    )


def _sum(volumes: Sequence[Volume]) -> Volume:
    return Volume(
        **{name: sum(getattr(volume, name) for volume in volumes) for name in Volume.__dataclass_fields__}
    )
