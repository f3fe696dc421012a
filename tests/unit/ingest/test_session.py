"""Sessions with a real FFmpeg and everything else in memory: how they open, go on, and end."""

import asyncio
import json
import stat
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from bucketcast.gcp.functions import Answer
from bucketcast.objects import NewObject
from bucketcast.recording.names import RUNG_KEY, SOURCE
from bucketcast.records import decode_record
from bucketcast.stream.claim import Renewal
from bucketcast.stream.configuration import RecordingMode
from bucketcast.stream.encoder_report import InputFault
from fakes import Fate, SlowExecutor
from ingest import session
from ingest.broadcasters import Broadcaster, Broadcasters
from ingest.encode import find_ffmpeg
from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.protocols.publishing import CloseReason, PublishRefused
from tools.clip_feed import read_feed
from tools.frame_strip import Clip, make_clip
from tools.ingest_world import RUNG, STREAM, IngestWorld, RecordingConnection, problem

FFMPEG = find_ffmpeg()
CLIP = Clip(width=320, height=180, duration=timedelta(seconds=3), video_bitrate=300_000)
SOON = 20  # seconds


@pytest.fixture(scope="module")
def clip() -> list[FeedItem]:
    return read_feed(make_clip(CLIP))


def later(items: Iterable[FeedItem], by: timedelta) -> list[FeedItem]:
    """The frames among *items*, with all times *by* later."""
    return [
        replace(item, decode_time=item.decode_time + by, presentation_time=item.presentation_time + by)
        for item in items
        if isinstance(item, EncodedFrame)
    ]


def script(folder: Path, text: str) -> Path:
    """An FFmpeg that only does *text*."""
    file = folder / "ffmpeg"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


async def began(world: IngestWorld, items: Iterable[FeedItem]) -> tuple[Broadcaster, RecordingConnection]:
    """A broadcaster who has sent *items*."""
    broadcaster, connection = await world.authorize()
    for item in items:
        await broadcaster.receive(item)
    return broadcaster, connection


async def until(condition: Callable[[], object]) -> None:
    """Return when *condition* holds."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110 - conditions of many kinds, none of which has an event
            await asyncio.sleep(0.02)


def others() -> set[asyncio.Task[object]]:
    """The tasks that run beside this one."""
    current = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not current}


def holding(holds: str) -> Callable[[str], Answer | None]:
    """Functions that say what every session holds."""
    answer = Answer(status=200, body=json.dumps({"holds": holds}).encode())
    return lambda path: answer if path == "/renew" else None


async def test_a_whole_broadcast_is_in_the_bucket_and_its_lease_is_given_back(clip: list[FeedItem]) -> None:
    world = IngestWorld(FFMPEG)
    broadcaster, connection = await began(world, clip)
    assert world.count("sessions") == 1
    await broadcaster.close(CloseReason.UNPUBLISHED)

    (timeline,) = world.timelines
    assert timeline.ended
    assert [segment.index for segment in timeline.segments] == [0, 1, 2]
    assert len(world.media.contents(f"{STREAM}/{RUNG}/segment_")) == 3
    lease = world.documents.lease(STREAM)
    assert lease is not None
    assert datetime.now(UTC) - lease.media_at > timedelta(minutes=50)
    assert lease.report.segments_lost == 0
    assert connection.closed == []
    assert world.count("sessions") == 0
    assert world.count("segments_uploaded_total", stream=STREAM) == 3
    assert others() == set()


async def test_a_broadcast_shorter_than_the_opening_is_still_one(clip: list[FeedItem]) -> None:
    world = IngestWorld(FFMPEG)
    broadcaster, _ = await began(world, clip[:12])
    assert world.sessions == 0
    await broadcaster.close(CloseReason.DISCONNECTED)
    assert world.sessions == 1
    assert world.timelines[0].ended
    assert len(world.timelines[0].segments) == 1


@pytest.mark.parametrize(
    ("holds", "reason"), [("ended", CloseReason.ENDED), ("replaced", CloseReason.REPLACED)]
)
async def test_a_session_that_is_over_closes_its_connection_in_rtmp_s_words(
    clip: list[FeedItem], holds: str, reason: CloseReason
) -> None:
    world = IngestWorld(FFMPEG)
    broadcaster, connection = await began(world, clip)
    world.interfere = holding(holds)
    await until(lambda: connection.closed)
    assert connection.closed == [reason]
    await broadcaster.close(reason)
    assert world.timelines[0].ended
    assert others() == set()


async def test_a_renewal_that_fails_does_not_end_the_renewals(clip: list[FeedItem]) -> None:
    """A bug: an error that nobody had heard of ended them, and three seconds later anybody could take over."""
    world = IngestWorld(FFMPEG)
    failures = [ValueError("of a library"), RuntimeError("of another")]

    def interfere(path: str) -> Answer | None:
        if path == "/renew" and failures:
            raise failures.pop()
        return None

    world.interfere = interfere
    broadcaster, connection = await began(world, clip)
    await until(lambda: world.documents.lease(STREAM) and len(world.calls("/renew")) >= 3)
    await broadcaster.close(CloseReason.UNPUBLISHED)
    assert connection.closed == []


async def test_the_lease_is_given_back_after_the_renewal_that_is_under_way(clip: list[FeedItem]) -> None:
    """A bug: the last renewal could come in behind it, and lock the broadcaster out for three seconds."""
    control = SlowExecutor(0.0)
    world = IngestWorld(FFMPEG, control=control)
    broadcaster, _ = await began(world, clip)
    control.seconds = 1.0
    await asyncio.sleep(session.RENEW_INTERVAL + 0.2)  # a renewal has begun, and has not come in
    control.seconds = 0.0
    await broadcaster.close(CloseReason.UNPUBLISHED)
    await until(lambda: len(world.calls("/renew")) >= 2)
    renewals = [decode_record(Renewal, body) for body in world.calls("/renew")]
    given_back = [renewal.silent_seconds == session.GIVEN_BACK for renewal in renewals]
    assert given_back == [False, True]


async def test_a_claim_whose_answer_was_lost_is_made_again_by_the_same_encoder(clip: list[FeedItem]) -> None:
    """A bug: the broadcaster was refused, and the session that nobody knew of kept it out."""
    world = IngestWorld(FFMPEG)
    answer = world.functions.answer
    lost = [problem(503)]

    def lose_the_first_claim(path: str, body: bytes) -> Answer:
        answered = answer(path, body)
        return lost.pop() if path == "/claim" and lost else answered

    world.functions.answer = lose_the_first_claim
    broadcaster, _ = await began(world, clip)
    await broadcaster.close(CloseReason.UNPUBLISHED)
    assert world.sessions == 1
    assert len(world.timelines) == 1


async def test_a_jump_of_the_source_is_a_new_session_over_the_same_connection(clip: list[FeedItem]) -> None:
    world = IngestWorld(FFMPEG)
    broadcaster, connection = await began(world, [*clip, *later(clip, timedelta(minutes=10))])
    await broadcaster.close(CloseReason.UNPUBLISHED)
    assert world.sessions == 2
    assert [len(timeline.segments) for timeline in world.timelines] == [3, 3]
    assert all(timeline.ended for timeline in world.timelines)
    assert connection.closed == []


async def test_a_source_that_becomes_unusable_ends_its_session(clip: list[FeedItem]) -> None:
    """A bug: the session went on without its broadcaster, and its timeline never ended."""
    world = IngestWorld(FFMPEG)
    broadcaster, _ = await began(world, clip)
    with pytest.raises(PublishRefused):
        await broadcaster.receive(CodecConfiguration(codec=VideoCodec.H264, data=b"no parameter set"))
    await broadcaster.close(CloseReason.REFUSED)
    assert [timeline.ended for timeline in world.timelines] == [True]
    await asyncio.gather(*world.surroundings.recordings)
    assert others() == set()


async def test_a_jump_within_the_opening_begins_anew(clip: list[FeedItem]) -> None:
    """A bug: the broadcaster's connection was ended, for a reason that it could do nothing about."""
    world = IngestWorld(FFMPEG)
    broadcaster, connection = await began(world, [*clip[:8], *later(clip, timedelta(minutes=10))])
    await broadcaster.close(CloseReason.UNPUBLISHED)
    assert world.timelines[-1].ended
    assert len(world.timelines[-1].segments) >= 2
    assert connection.closed == []
    assert others() == set()


async def test_an_ffmpeg_that_hangs_does_not_keep_a_session_beyond_its_bound(
    clip: list[FeedItem], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "FINISH_TIMEOUT", 0.5)
    world = IngestWorld(script(tmp_path, "exec sleep 60"))
    broadcaster, _ = await began(world, clip[:60])
    before = asyncio.get_running_loop().time()
    await broadcaster.close(CloseReason.UNPUBLISHED)
    assert asyncio.get_running_loop().time() - before < 0.5 + session.GIVE_BACK_TIMEOUT + 2
    assert world.count("sessions") == 0
    await asyncio.sleep(0)
    assert others() == set()


async def test_functions_that_hang_do_not_keep_a_session_beyond_its_bound(
    clip: list[FeedItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "FINISH_TIMEOUT", 3.0)
    monkeypatch.setattr(session, "GIVE_BACK_TIMEOUT", 0.2)
    control = SlowExecutor(0.0)
    world = IngestWorld(FFMPEG, control=control)
    broadcaster, _ = await began(world, clip)
    control.seconds = 600.0
    before = asyncio.get_running_loop().time()
    await broadcaster.close(CloseReason.UNPUBLISHED)
    assert asyncio.get_running_loop().time() - before < 5
    assert world.timelines[0].ended, "the tail is in the bucket although nobody could be woken"
    await asyncio.sleep(0)
    assert others() == set()


async def test_opening_that_is_cancelled_leaves_no_task_behind(clip: list[FeedItem], tmp_path: Path) -> None:
    """A connection may be ended while its session opens."""
    world = IngestWorld(script(tmp_path, "exec sleep 60"), control=SlowExecutor(0.3))
    broadcaster, _ = await world.authorize()

    async def send() -> None:
        for item in clip:
            await broadcaster.receive(item)

    opening = asyncio.create_task(send())
    await asyncio.sleep(0.1)  # the claim is under way
    opening.cancel()
    await asyncio.wait([opening])
    await broadcaster.close(CloseReason.SHUTTING_DOWN)
    assert others() == set()
    assert world.count("sessions") == 0


async def test_an_upload_that_cannot_be_done_is_not_waited_for_for_ever(
    clip: list[FeedItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "FINISH_TIMEOUT", 2.0)
    world = IngestWorld(FFMPEG)
    world.media.fate = lambda _: Fate.UNAVAILABLE
    broadcaster, _ = await began(world, clip)
    await broadcaster.close(CloseReason.UNPUBLISHED)
    await asyncio.sleep(0)
    assert others() == set()
    assert world.count("segments_retried_total", stream=STREAM) > 0


async def test_uploads_that_hang_do_not_keep_the_timeline_from_saying_that_media_comes(
    clip: list[FeedItem],
) -> None:
    """A bug: they took all threads, and the broadcast was taken for interrupted while its media came."""
    let_go = Event()
    world = IngestWorld(FFMPEG)

    def fate(new: NewObject) -> Fate:
        if not new.name.endswith("0000000000.ts"):
            let_go.wait(SOON)
        return Fate.DONE

    world.media.fate = fate
    with ThreadPoolExecutor(1) as uploads, ThreadPoolExecutor(1) as timelines:
        surroundings = replace(world.surroundings, executor=uploads, timelines=timelines)
        world.broadcasters = Broadcasters(surroundings)
        broadcaster, _ = await began(world, clip)
        try:
            await until(lambda: any(timeline.segments for timeline in world.timelines))
            first = world.timelines[0]
            await broadcaster.receive(clip[-1])
            await until(lambda: world.timelines[0].media_at > first.media_at)
            assert world.timelines[0].segments == first.segments
        finally:
            let_go.set()
        await broadcaster.close(CloseReason.UNPUBLISHED)
    assert len(world.timelines[0].segments) == 3


async def test_what_only_the_connection_sees_is_reported_with_the_rest(clip: list[FeedItem]) -> None:
    world = IngestWorld(FFMPEG)
    broadcaster, connection = await began(world, clip)
    connection.input_faults = (InputFault.PACKET_LOSS,)
    assert broadcaster.faults() == (InputFault.PACKET_LOSS,)
    await broadcaster.close(CloseReason.UNPUBLISHED)
    reported = decode_record(Renewal, world.calls("/renew")[-1]).report
    assert reported is not None
    assert reported.faults == (InputFault.PACKET_LOSS,)


def recorded_rungs(world: IngestWorld) -> set[str]:
    return {facts.metadata[RUNG_KEY] for facts in world.recording.listed(f"{STREAM}/")}


@pytest.mark.parametrize(
    ("recording", "rungs"),
    [(RecordingMode.OFF, set()), (RecordingMode.ON, {RUNG}), (RecordingMode.SOURCE, {SOURCE})],
)
async def test_what_is_recorded_is_what_the_owner_chose(
    clip: list[FeedItem], recording: RecordingMode, rungs: set[str]
) -> None:
    world = IngestWorld(FFMPEG, recording=recording)
    broadcaster, _ = await began(world, clip)
    assert broadcaster.faults() == ()
    await broadcaster.close(CloseReason.UNPUBLISHED)
    assert recorded_rungs(world) == rungs


async def test_a_source_that_no_recording_has_room_for_is_recorded_as_viewers_get_it(
    clip: list[FeedItem], caplog: pytest.LogCaptureFixture
) -> None:
    """HE-AAC, of which a recording knows no silence; its owner is told."""
    world = IngestWorld(FFMPEG, recording=RecordingMode.SOURCE)
    sound = CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex("2b118800"))
    items = [
        sound if isinstance(item, CodecConfiguration) and item.track is Track.AUDIO else item for item in clip
    ]
    assert items != clip
    broadcaster, _ = await began(world, items)
    assert broadcaster.faults() == (InputFault.SOURCE_NOT_RECORDED,)
    await broadcaster.close(CloseReason.UNPUBLISHED)
    assert recorded_rungs(world) == {RUNG}
    [warning] = [one for one in caplog.records if one.getMessage().startswith("the source is recorded")]
    assert "AAC-LC" in warning.__dict__["reason"]
