"""Who may publish: the key, one broadcaster a stream, and nothing left of those who may not."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from bucketcast.errors import Unavailable
from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import EncoderId
from fakes import LoopClock
from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.protocols.publishing import CloseReason, PublishRefused, RefusalReason
from ingest.session import CLAIM_TRIES
from stream_world import claim_request
from tools.ingest_world import RUNG, IngestWorld, problem
from tools.virtual_time import virtual_time

NO_FFMPEG = Path("/nonexistent/ffmpeg")
# What x264 writes for 320x180 at 25 frames a second.
AVC = CodecConfiguration(
    codec=VideoCodec.H264,
    data=bytes.fromhex(
        "0164000cffe1001a6764000cacd941419f9f011000000300100000030320f142996001000668ebe3cb22c0fdf8f800"
    ),
)
AAC = CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex("1190"))


def world() -> IngestWorld:
    return IngestWorld(NO_FFMPEG, clock=LoopClock())


def picture(milliseconds: int) -> EncodedFrame:
    time = timedelta(milliseconds=milliseconds)
    return EncodedFrame(
        track=Track.VIDEO, decode_time=time, presentation_time=time, keyframe=milliseconds == 0, data=b"x"
    )


OPENING: tuple[FeedItem, ...] = (AVC, AAC, *(picture(40 * number) for number in range(20)))


async def feed(broadcasts: IngestWorld, items: tuple[FeedItem, ...]) -> None:
    """Let a broadcaster in, send *items*, and close as the server does for whatever came of it."""
    broadcaster, _ = await broadcasts.authorize()
    reason = CloseReason.UNPUBLISHED
    try:
        for item in items:
            await broadcaster.receive(item)
    except PublishRefused:
        reason = CloseReason.REFUSED
        raise
    finally:
        await broadcaster.close(reason)


@pytest.mark.parametrize(
    "change",
    [
        lambda key: f"{key[:-8]}01234567",
        lambda key: key.replace("demo", "other"),
        lambda key: key.replace("demo", "player"),
        lambda key: key.replace("demo", "-"),
        lambda key: key.upper(),
        lambda key: key[:-1],
        lambda key: key + "0",
        lambda key: key * 40,
        lambda _: "",
        lambda _: "demo",
        lambda _: "demo_../../x",
    ],
)
def test_a_wrong_key_is_refused_and_shows_nowhere(
    change: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in what the sender is told, nor in what is logged, nor in any error behind it."""
    caplog.set_level(logging.DEBUG)

    @virtual_time
    async def story() -> None:
        one = world()
        wrong = change(one.stream_key)
        with pytest.raises(PublishRefused) as refused:
            await one.authorize(wrong)
        assert refused.value.reason is RefusalReason.KEY
        secret = one.stream_key.partition("_")[2]
        error: BaseException | None = refused.value
        texts = [caplog.text]
        while error is not None:
            texts += [str(error), repr(error)]
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        for text in texts:
            assert not wrong or wrong == "demo" or wrong not in text
            assert secret[:20] not in text.lower()
        assert one.count("publish_refused_total", reason="key") == 1
        assert (one.sessions, one.functions.calls) == (0, [])

    story()


@virtual_time
async def test_wrong_keys_of_known_and_unknown_streams_are_told_the_same() -> None:
    one = world()
    texts = set()
    for wrong in (f"{one.stream_key[:-8]}01234567", one.stream_key.replace("demo", "other")):
        with pytest.raises(PublishRefused) as refused:
            await one.authorize(wrong)
        texts.add(str(refused.value))
    assert len(texts) == 1


def test_a_key_that_cannot_be_checked_is_for_another_moment(caplog: pytest.LogCaptureFixture) -> None:
    @virtual_time
    async def story() -> None:
        one = world()

        def names(prefix: str) -> list[str]:
            raise Unavailable("Cloud Storage: ServiceUnavailable")

        one.ingest.names = names  # type: ignore[method-assign] # a store that does not answer
        with pytest.raises(PublishRefused) as refused:
            await one.authorize()
        assert refused.value.reason is RefusalReason.UNAVAILABLE
        assert one.count("publish_refused_total", reason="unavailable") == 1
        assert one.stream_key.partition("_")[2] not in caplog.text
        assert "stream key could not be checked" in caplog.text

    story()


@virtual_time
async def test_a_second_broadcaster_is_refused_while_the_first_one_sends() -> None:
    one = world()
    first, connection = await one.authorize()
    for _ in range(5):
        await asyncio.sleep(2)
        await first.receive(AVC)
    with pytest.raises(PublishRefused) as refused:
        await one.authorize()
    assert refused.value.reason is RefusalReason.ON_AIR
    assert one.count("publish_refused_total", reason="on air") == 1
    assert connection.closed == []
    await first.close(CloseReason.UNPUBLISHED)


@virtual_time
async def test_one_who_is_silent_is_taken_over_and_closed() -> None:
    one = world()
    first, connection = await one.authorize()
    await asyncio.sleep(3.5)
    second, _ = await one.authorize()
    assert connection.closed == [CloseReason.REPLACED]
    await first.close(CloseReason.REPLACED)
    with pytest.raises(PublishRefused):  # the place is the second one's: the first did not free it
        await one.authorize()
    await second.close(CloseReason.UNPUBLISHED)


@virtual_time
async def test_who_closed_leaves_the_place_free() -> None:
    one = world()
    first, _ = await one.authorize()
    await first.close(CloseReason.DISCONNECTED)
    second, _ = await one.authorize()
    await second.close(CloseReason.DISCONNECTED)
    assert one.count("connections_closed_total", reason="disconnected") == 2
    assert one.sessions == 0


@virtual_time
async def test_two_who_come_at_the_same_time_do_not_both_get_in() -> None:
    one = world()
    results = await asyncio.gather(*(one.authorize() for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, PublishRefused) for result in results) == 3


@virtual_time
async def test_while_another_ingest_has_the_broadcaster_the_claim_is_refused_and_nothing_stays() -> None:
    """A bug: the frames of a broadcaster who was refused were claimed for once more when it was closed."""
    one = world()
    one.claims.claim(claim_request(EncoderId("elsewhere"), rungs=[RUNG]))
    with pytest.raises(PublishRefused) as refused:
        await feed(one, OPENING)
    assert refused.value.reason is RefusalReason.ON_AIR
    assert "on air" in refused.value.description
    assert len(one.calls("/claim")) == 1
    assert one.sessions == 1
    assert one.count("sessions") == 0


@virtual_time
async def test_a_source_that_cannot_be_used_is_refused_and_leaves_no_session() -> None:
    """A bug: what had come of it before was made a session when it was closed."""
    one = world()
    changed = CodecConfiguration(codec=VideoCodec.H264, data=AVC.data.replace(b"\x41\x41", b"\x41\x51"))
    with pytest.raises(PublishRefused) as refused:
        await feed(one, (*OPENING[:8], changed, *OPENING[8:]))
    assert refused.value.reason is RefusalReason.SOURCE
    assert one.calls("/claim") == []
    assert one.sessions == 0


@pytest.mark.parametrize("reason", [CloseReason.REPLACED, CloseReason.PROTOCOL_ERROR, CloseReason.ENDED])
def test_the_opening_of_one_who_was_sent_away_is_not_kept(reason: CloseReason) -> None:
    @virtual_time
    async def story() -> None:
        one = world()
        broadcaster, _ = await one.authorize()
        for item in OPENING[:8]:
            await broadcaster.receive(item)
        await broadcaster.close(reason)
        assert one.sessions == 0

    story()


@virtual_time
async def test_functions_that_do_not_answer_refuse_the_broadcaster_for_the_moment() -> None:
    one = world()
    one.interfere = lambda path: problem(503) if path == "/claim" else None
    with pytest.raises(PublishRefused) as refused:
        await feed(one, OPENING)
    assert refused.value.reason is RefusalReason.UNAVAILABLE
    claims = one.calls("/claim")
    assert len(claims) == CLAIM_TRIES
    assert len(set(claims)) == 1, "the same encoder claims the same again"
    assert one.sessions == 0


@virtual_time
async def test_a_stream_that_is_gone_makes_its_key_nobody_s() -> None:
    one = world()
    one.interfere = lambda path: problem(404, "there is no stream 'demo'") if path == "/claim" else None
    with pytest.raises(PublishRefused, match="there is no stream") as refused:
        await feed(one, OPENING)
    assert refused.value.reason is RefusalReason.KEY


@virtual_time
async def test_one_whose_media_waits_for_us_is_not_taken_over() -> None:
    """A bug: a broadcaster was thrown out because our own side had been busy for three seconds."""
    one = world()
    broadcaster, connection = await one.authorize()
    release = asyncio.Event()

    async def held_up(_item: FeedItem) -> None:
        await release.wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broadcaster, "_take", held_up)
        receiving = asyncio.create_task(broadcaster.receive(OPENING[0]))
        await asyncio.sleep(60)
        with pytest.raises(PublishRefused, match="another broadcaster"):
            await one.authorize()
        assert connection.closed == []
        release.set()
        await receiving


@virtual_time
async def test_before_there_is_a_session_its_connection_says_what_is_wrong() -> None:
    broadcaster, connection = await world().authorize()
    assert broadcaster.faults() == ()
    connection.input_faults = (InputFault.PACKET_LOSS,)
    assert broadcaster.faults() == (InputFault.PACKET_LOSS,)
