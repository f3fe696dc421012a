"""A broadcaster whose ladder is too much for the machine: what is shed, what is reported, and what goes on."""

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from bucketcast.records import decode_record
from bucketcast.stream.claim import ClaimRequest, Renewal
from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import RungName, StreamId
from bucketcast.stream.stream_request import RungRequest, StreamRequest
from ingest.encode import find_ffmpeg, overload, session_encoder
from ingest.protocols.publishing import CloseReason
from tools.clip_feed import read_feed
from tools.frame_strip import Clip, make_clip, read_frame_numbers
from tools.ingest_world import IngestWorld
from tools.pace import in_real_time, slowed

LADDER = StreamId("ladder")
RUNGS = (RungName("180p"), RungName("160p"), RungName("144p"))
CLIP = Clip(width=320, height=180, duration=timedelta(seconds=9), video_bitrate=300_000)


async def test_a_broadcast_with_too_many_rungs_goes_on_with_fewer_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over the same connection, without a frame lost."""
    monkeypatch.setattr(overload, "NOTED_LAG", timedelta(seconds=1.5))
    monkeypatch.setattr(overload, "MEASURED_FOR", timedelta(seconds=1))
    monkeypatch.setattr(session_encoder, "_WATCH_INTERVAL", timedelta(milliseconds=100))
    world = IngestWorld(find_ffmpeg())
    rungs = tuple(
        RungRequest(name=rung, video_kbps=kbps) for rung, kbps in zip(RUNGS, (300, 200, 150), strict=True)
    )
    created = world.streams.create(StreamRequest(id=LADDER, rungs=rungs, segment_seconds=1.0))
    broadcaster, connection = await world.authorize(created.stream_key)
    async with AsyncExitStack() as slow:
        first = None
        async for item in in_real_time(read_feed(make_clip(CLIP))):
            await broadcaster.receive(item)
            if first is None and (first := broadcaster._session) is not None:
                await slow.enter_async_context(slowed(first._encoder, speed=0.1, after=1))
    await broadcaster.close(CloseReason.UNPUBLISHED)

    assert connection.closed == []
    claims = [decode_record(ClaimRequest, body) for body in world.calls("/claim")]
    assert [[rung.name for rung in claim.rungs] for claim in claims] == [list(RUNGS), list(RUNGS[1:])]
    assert [(timeline.ended, timeline.continues) for timeline in world.timelines] == [
        (True, True),
        (True, False),
    ]
    for rung in RUNGS[1:]:
        contents = world.media.contents(f"{LADDER}/{rung}/segment_")
        numbers = [
            stamped.number for name in sorted(contents) for stamped in read_frame_numbers(contents[name])
        ]
        assert numbers == list(range(CLIP.frames)), rung
    last = decode_record(Renewal, world.calls("/renew")[-1])
    assert last.report.faults == (InputFault.ENCODER_OVERLOADED,)
