"""The verdict: it finds nothing in a clean journal, and each planted fault by its name."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from bucketcast.records import encode_record
from bucketcast.stream.identifiers import (
    BroadcastNumber,
    DiscontinuitySequenceNumber,
    EncoderId,
    MediaSequenceNumber,
    RungName,
    SegmentIndex,
    SessionNumber,
    StreamId,
)
from bucketcast.stream.object_names import seal_name, session_record_name, timeline_name
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import EncodedRung, FrameRate, SessionRecord
from bucketcast.stream.timeline import GapSegment, Timeline, TimelineSegment
from fault_storm.verdict import Finding, Promise, Volume, judge
from tools.auditor import ObjectGeneration
from unit.tools.auditor.clean_journal import (
    CODECS,
    ENDED,
    SEGMENT_DURATION,
    SESSIONS,
    SIZES,
    Session,
    clean_world,
    file_name,
)

STREAM = StreamId("demo")
# The first broadcast of the clean journal, from its first session to its ENDLIST.
FIRST, SECOND = SESSIONS[:2]


@dataclass(slots=True)
class World:
    """The journals of both buckets; seals are written a second after their session's last segment."""

    media: list[ObjectGeneration]
    records: list[ObjectGeneration]
    seals: dict[int, ObjectGeneration]

    def judge(self) -> tuple[list[Finding], Volume]:
        return judge(self.media, [*self.records, *self.seals.values()])

    @property
    def broken(self) -> set[str]:
        return {finding.rule for finding in self.judge()[0]}


@pytest.fixture
def world() -> World:
    media = [replace(w, deleted=None) for w in clean_world().journal if w.created < SESSIONS[2].start]
    return World(
        media=media,
        records=[written(record_name(session), session.start, record(session)) for session in (FIRST, SECOND)],
        seals={session.number: sealed(session) for session in (FIRST, SECOND)},
    )


def record_name(session: Session) -> str:
    return session_record_name(STREAM, SessionNumber(session.number))


def record(session: Session) -> bytes:
    return encode_record(
        SessionRecord(
            stream=STREAM,
            session=SessionNumber(session.number),
            broadcast=BroadcastNumber(session.broadcast),
            encoder=EncoderId(f"e{session.number}"),
            start=session.start,
            segment_duration=SEGMENT_DURATION,
            frame_rate=FrameRate(numerator=30),
            rungs=tuple(
                EncodedRung(
                    name=RungName(rung), width=SIZES[rung].width, height=SIZES[rung].height, codecs=CODECS
                )
                for rung in sorted(set(session.rungs.values()))
            ),
        )
    )


def sealed(session: Session, *, last: int | None = None, at: datetime | None = None) -> ObjectGeneration:
    last = session.segments - 1 if last is None else last
    seal = Seal(
        stream=STREAM,
        session=SessionNumber(session.number),
        broadcast=BroadcastNumber(session.broadcast),
        ended=session is SECOND,
        last_index=last,
        next_media_sequence=MediaSequenceNumber(session.base + last + 1),
        next_discontinuity_sequence=DiscontinuitySequenceNumber(session.number),
    )
    at = session.end + timedelta(seconds=1) if at is None else at
    return written(seal_name(STREAM, SessionNumber(session.number)), at, encode_record(seal))


def written(name: str, created: datetime, content: bytes) -> ObjectGeneration:
    return ObjectGeneration(
        bucket="ingest", name=name, generation=1, created=created, size=len(content), content=content
    )


def test_nothing_is_found_where_all_is_well(world: World) -> None:
    findings, volume = world.judge()
    assert findings == []
    assert volume == Volume(
        playlists=38,
        sessions=2,
        broadcasts=1,
        segments=27,
        gaps=1,
        listed=27,
        passed_over=0,
        unsealed=0,
    )


def seal_is_missing(world: World) -> None:
    del world.seals[2]


def seal_comes_after_what_follows_it(world: World) -> None:
    world.seals[1] = sealed(FIRST, at=ENDED)


def seal_is_before_what_is_listed(world: World) -> None:
    world.seals[2] = sealed(SECOND, last=SECOND.segments - 2)


def broadcast_has_no_end(world: World) -> None:
    world.media = [w for w in world.media if not (w.name.endswith("playlist.m3u8") and w.created == ENDED)]


def end_is_before_the_seal(world: World) -> None:
    world.seals[2] = sealed(SECOND, last=SECOND.segments)


def sealed_segment_is_never_listed(world: World) -> None:
    end_is_before_the_seal(world)
    last = next(w for w in world.media if w.name.endswith(file_name(2, SECOND.segments - 1)))
    name = last.name.replace(file_name(2, SECOND.segments - 1), file_name(2, SECOND.segments))
    metadata = {**last.metadata, "index": str(SECOND.segments)}
    world.media.append(replace(last, name=name, metadata=metadata, generation=last.generation + 1))


def seal_leaves_out_what_was_announced(world: World) -> None:
    announced = Timeline(
        stream=STREAM,
        session=SessionNumber(1),
        encoder=EncoderId("e1"),
        ended=True,
        media_at=FIRST.end,
        segments=(
            TimelineSegment(
                index=SegmentIndex(FIRST.segments + 1),
                start=timedelta(0),
                duration=SEGMENT_DURATION,
                rungs={RungName("360p"): GapSegment()},
            ),
        ),
    )
    name = timeline_name(STREAM, SessionNumber(1), EncoderId("e1"))
    world.records.append(written(name, FIRST.end, encode_record(announced)))


@pytest.mark.parametrize(
    ("plant", "promises"),
    [
        (seal_is_missing, {Promise.SETTLED}),
        (seal_comes_after_what_follows_it, {Promise.SEALED_FIRST}),
        (seal_leaves_out_what_was_announced, {Promise.TAIL}),
        (seal_is_before_what_is_listed, {Promise.WITHIN_SEAL}),
        (broadcast_has_no_end, {Promise.ENDED}),
        (end_is_before_the_seal, {Promise.ENDED}),
        (sealed_segment_is_never_listed, {Promise.ENDED, Promise.NOT_LOST}),
    ],
)
def test_what_is_broken_is_found(world: World, plant: Callable[[World], None], promises: set[Promise]) -> None:
    plant(world)
    assert {promise.name for promise in promises} <= world.broken


def test_what_the_auditor_finds_is_found(world: World) -> None:
    world.media = [w for w in world.media if not w.name.endswith(f"720p/{file_name(1, 3)}")]
    assert "DANGLING" in world.broken


def test_a_segment_that_the_window_moved_past_is_not_lost(world: World) -> None:
    """Wake-ups were lost for so long that playlists moved on by many segments at once."""
    early = [w for w in world.media if w.name.endswith("playlist.m3u8") and w.created < FIRST.uploaded(8)]
    world.media = [w for w in world.media if w not in early]
    findings, volume = world.judge()
    assert Promise.NOT_LOST.name not in {finding.rule for finding in findings}
    assert volume.passed_over > 0
