"""Broadcasts over RTMP through a real FFmpeg, the official clients and the mounted functions, under faults.

In the end every segment is listed, or a gap where it must be; the auditor finds nothing; nothing is stuck.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Final
from uuid import uuid4

import pytest
import requests
from prometheus_client import CollectorRegistry

from bucketcast.bootstrap import handlers
from bucketcast.errors import Unavailable
from bucketcast.gcp.clients import storage_client
from bucketcast.gcp.functions import CloudFunction
from bucketcast.gcp.storage import CloudStorageBucket
from bucketcast.hls import MediaPlaylist, parse
from bucketcast.objects import Generation, NewObject, ObjectFacts
from bucketcast.stream.identifiers import EncoderId
from bucketcast.stream.media_object import GAP_KEY
from ingest.broadcasters import Broadcasters
from ingest.control import Control
from ingest.encode import find_ffmpeg
from ingest.feed import EncodedFrame, FeedItem
from ingest.metrics import Metrics
from ingest.protocols.rtmp import RtmpServer
from ingest.session import Surroundings
from local_cloud.cloud import CloudOptions, RunningLocalCloud, running_local_cloud
from local_cloud.events import Backoff
from local_cloud.faults import NO_FAULTS, Delay, EventFaults, FaultPlan, UploadFaults
from local_cloud.functions import FunctionTarget, SignatureType
from local_cloud.workflows import WorkflowsOptions
from local_system.system import HOST, free_ports
from tools.auditor import audit
from tools.auditor.collect import collect, probe_segments
from tools.clip_feed import read_feed
from tools.frame_strip import Clip, make_clip, read_frame_numbers
from tools.rtmp_client import PublishFailed, publish

ROOT: Final = Path(__file__).resolve().parents[2]
TOKEN: Final = "0123456789abcdef0123456789abcdef"
FFMPEG: Final = find_ffmpeg()
CLIP: Final = Clip(width=320, height=180, duration=timedelta(seconds=5), video_bitrate=300_000)
SEGMENTS: Final = 5
RUNGS: Final = ("180p", "144p")
SECONDS: Final = 30  # far above what anything takes here


@pytest.fixture(scope="module")
def clip() -> list[FeedItem]:
    return read_feed(make_clip(CLIP))


@pytest.fixture(scope="module")
def cloud() -> Iterator[RunningLocalCloud]:
    """A local cloud with all functions; events that fail come again soon."""
    targets = tuple(
        FunctionTarget(
            name=name, signature=SignatureType.CLOUD_EVENT if name == "publish" else SignatureType.HTTP
        )
        for name in ("publish", "sessions", "api", "reap", "recordings")
    )
    port = free_ports().web
    options = CloudOptions(
        port=port,
        functions_source=ROOT / "functions" / "main.py",
        functions=targets,
        workflows=WorkflowsOptions(
            folder=ROOT / "workflows",
            environment={"BUCKETCAST_RECORDINGS_URL": f"http://{HOST}:{port}/functions/recordings"},
        ),
        event_backoff=Backoff(first=timedelta(milliseconds=200), most=timedelta(seconds=1)),
    )
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("BUCKETCAST_MEDIA_BUCKET", "media")
        patch.setenv("BUCKETCAST_INGEST_BUCKET", "ingest")
        patch.setenv("BUCKETCAST_RECORDING_BUCKET", "recording")
        patch.setenv("BUCKETCAST_LOCATION", "local")
        patch.setenv("BUCKETCAST_ADMIN_TOKEN", TOKEN)
        stack.callback(handlers.cache_clear)
        handlers.cache_clear()
        yield stack.enter_context(running_local_cloud(options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """An ingest on a port of its own, and a stream to publish to."""

    cloud: RunningLocalCloud
    address: tuple[str, int]
    stream: str
    stream_key: str
    registry: CollectorRegistry

    def api(self, method: str, path: str) -> Any:
        """Call the API as the owner."""
        return call_api(self.cloud, method, path)

    def count(self, name: str) -> float:
        """A counter of the stream."""
        return self.registry.get_sample_value(f"bucketcast_{name}_total", {"stream": self.stream}) or 0

    async def end(self) -> None:
        """End the broadcast once its sessions are delivered, and wait until every playlist has its ENDLIST."""
        async with asyncio.timeout(SECONDS):
            while self.registry.get_sample_value("bucketcast_sessions"):  # noqa: ASYNC110 - a gauge has no event
                await asyncio.sleep(0.02)
        await asyncio.to_thread(self.api, "POST", f"streams/{self.stream}/end")
        deadline = monotonic() + SECONDS
        while not all(playlist.ended for playlist in await asyncio.to_thread(self.playlists)):
            assert monotonic() < deadline, "the broadcast never ended"
            await asyncio.to_thread(requests.post, f"{self.cloud.url}/functions/reap", timeout=SECONDS)

    def playlists(self) -> list[MediaPlaylist]:
        """The media playlist of every rendition."""
        found = []
        for rung in RUNGS:
            url = f"{self.cloud.url}/media/{self.stream}/{rung}/playlist.m3u8"
            playlist = parse(requests.get(url, timeout=SECONDS).text)
            assert isinstance(playlist, MediaPlaylist)
            found.append(playlist)
        return found

    def frames(self, rung: str) -> list[int | None]:
        """The numbers of the frames of all segments that *rung* lists."""
        folder = f"{self.cloud.url}/media/{self.stream}/{rung}"
        listed = self.playlists()[RUNGS.index(rung)].segments
        contents = [
            requests.get(f"{folder}/{segment.uri}", timeout=SECONDS).content
            for segment in listed
            if not segment.gap
        ]
        return [frame.number for content in contents for frame in read_frame_numbers(content)]

    def violations(self) -> list[object]:
        """What the auditor finds."""
        journal = collect(self.cloud.url, "media", stream=self.stream)
        return list(audit(journal, probe_segments(self.cloud.url, journal)))


def call_api(cloud: RunningLocalCloud, method: str, path: str, body: object = None) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"{cloud.url}/functions/api/v1/{path}"
    answer = requests.request(method, url, json=body, headers=headers, timeout=SECONDS)
    answer.raise_for_status()
    return answer.json()


class WithoutOneSegment(CloudStorageBucket):
    """The media bucket, which never takes segment 1 of 180p, only a gap in its place."""

    def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
        if GAP_KEY not in new.metadata and new.name.endswith("0000000001.ts") and "/180p/" in new.name:
            raise Unavailable(new.name)
        return super().write(new, if_generation=if_generation)


@asynccontextmanager
async def ingest(
    cloud: RunningLocalCloud, media: type[CloudStorageBucket] = CloudStorageBucket
) -> AsyncIterator[Ingest]:
    """An ingest as it is deployed, in this process, with a stream of its own."""
    rungs = [{"name": name, "video_kbps": kbps} for name, kbps in zip(RUNGS, (300, 150), strict=True)]
    body = {"id": f"s-{uuid4().hex[:8]}", "rungs": rungs, "segment_seconds": 1.0}
    made = await asyncio.to_thread(call_api, cloud, "POST", "streams", body)
    registry = CollectorRegistry()
    functions = f"{cloud.url}/functions"
    with (
        ThreadPoolExecutor(8) as uploads,
        ThreadPoolExecutor(4) as control,
        closing(storage_client("demo", emulated=True)) as client,
    ):
        surroundings = Surroundings(
            media=media(client, "media", patience=0),
            ingest=CloudStorageBucket(client, "ingest", patience=0),
            recording=CloudStorageBucket(client, "recording", patience=0),
            control=Control(
                publish=CloudFunction(f"{functions}/publish", emulated=True, clock=monotonic),
                sessions=CloudFunction(f"{functions}/sessions", emulated=True, clock=monotonic),
                ingest_bucket="ingest",
                wakes=control,
                leases=control,
            ),
            executor=uploads,
            recorders=uploads,
            timelines=control,
            strangers=control,
            metrics=Metrics(registry),
            ffmpeg=FFMPEG,
            now=lambda: datetime.now(UTC),
            new_encoder_id=lambda: EncoderId(uuid4().hex),
        )
        async with RtmpServer(Broadcasters(surroundings)) as server:
            await server.start("127.0.0.1", 0)
            yield Ingest(
                cloud=cloud,
                address=server.address,
                stream=made["id"],
                stream_key=made["stream_key"],
                registry=registry,
            )


@pytest.fixture
def faults(cloud: RunningLocalCloud) -> Iterator["SetFaults"]:
    """Turns faults on for one test."""
    yield SetFaults(cloud)
    cloud.faults.set(NO_FAULTS, now=datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class SetFaults:
    """Turns faults of media uploads and timelines, and of all events, on."""

    cloud: RunningLocalCloud

    def __call__(self, *uploads: UploadFaults, events: EventFaults | None = None) -> None:
        plan = FaultPlan(uploads=uploads, events=(events,) if events else ())
        self.cloud.faults.set(plan, now=datetime.now(UTC))


# What happens to media and timelines; the functions' own objects are spared, their handlers have tests.
def everywhere(fault: UploadFaults) -> tuple[UploadFaults, ...]:
    return (
        replace(fault, bucket="media", name="*/segment_*"),
        replace(fault, bucket="ingest", name="timelines/*"),
    )


UPLOAD_FAULTS: Final = {
    "429": UploadFaults(too_many_requests=0.3),
    "503": UploadFaults(unavailable=0.3),
    "cut": UploadFaults(cut=0.3, cut_after_bytes=700),
    "answers lost": UploadFaults(lose_answer=0.3),
    "slow": UploadFaults(bytes_per_second=60_000),
}
EVENT_FAULTS: Final = {
    "lost": EventFaults(bucket="ingest", loss=1.0),
    "repeated": EventFaults(bucket="ingest", repeat=1.0),
    "late and reordered": EventFaults(
        bucket="ingest", delay=Delay(median=0.3, p99=1.0), reorder=0.5, reorder_seconds=2.0
    ),
}


async def broadcast_whole(one: Ingest, clip: list[FeedItem]) -> None:
    """Publish *clip* and end the broadcast; every frame is listed once, and the auditor is content."""
    await publish(one.address, one.stream_key, clip)
    await one.end()
    for playlist in await asyncio.to_thread(one.playlists):
        assert [segment.gap for segment in playlist.segments] == [False] * SEGMENTS
    for rung in RUNGS:
        assert await asyncio.to_thread(one.frames, rung) == list(range(CLIP.frames)), rung
    assert await asyncio.to_thread(one.violations) == []
    assert one.count("segments_uploaded") == SEGMENTS * len(RUNGS)
    assert one.count("segments_lost") == 0


async def test_a_broadcast_is_published_whole(cloud: RunningLocalCloud, clip: list[FeedItem]) -> None:
    async with ingest(cloud) as one:
        await broadcast_whole(one, clip)
        view = await asyncio.to_thread(one.api, "GET", f"streams/{one.stream}")
        assert (view["state"], view["session"]) == ("ended", 1)


@pytest.mark.parametrize("fault", UPLOAD_FAULTS)
async def test_uploads_that_fail_cost_no_segment(
    cloud: RunningLocalCloud, clip: list[FeedItem], faults: SetFaults, fault: str
) -> None:
    faults(*everywhere(UPLOAD_FAULTS[fault]))
    async with ingest(cloud) as one:
        await broadcast_whole(one, clip)


@pytest.mark.parametrize("fault", EVENT_FAULTS)
async def test_events_may_be_lost_repeated_and_reordered(
    cloud: RunningLocalCloud, clip: list[FeedItem], faults: SetFaults, fault: str
) -> None:
    faults(events=EVENT_FAULTS[fault])
    async with ingest(cloud) as one:
        await broadcast_whole(one, clip)


async def test_everything_at_once(cloud: RunningLocalCloud, clip: list[FeedItem], faults: SetFaults) -> None:
    """Uploads fail, events come late and not at all."""
    faults(
        *everywhere(
            UploadFaults(too_many_requests=0.1, unavailable=0.1, cut=0.1, cut_after_bytes=700, lose_answer=0.1)
        ),
        events=EventFaults(bucket="ingest", loss=0.5, repeat=0.3, reorder=0.5, reorder_seconds=1.0),
    )
    async with ingest(cloud) as one:
        await broadcast_whole(one, clip)


async def test_a_segment_that_cannot_be_had_is_a_gap_and_the_others_go_on(
    cloud: RunningLocalCloud, clip: list[FeedItem]
) -> None:
    """In one rung only; the other rendition lists all of it."""
    async with ingest(cloud, WithoutOneSegment) as one:
        await publish(one.address, one.stream_key, clip, real_time=True)
        await one.end()
        high, low = await asyncio.to_thread(one.playlists)
        assert [segment.gap for segment in high.segments] == [False, True, False, False, False]
        assert [segment.gap for segment in low.segments] == [False] * SEGMENTS
        assert await asyncio.to_thread(one.frames, "144p") == list(range(CLIP.frames))
        assert await asyncio.to_thread(one.violations) == []
        assert one.count("segments_lost") == 1


async def test_a_broadcaster_who_returns_goes_on_in_the_next_session(
    cloud: RunningLocalCloud, clip: list[FeedItem]
) -> None:
    """Its lease was given back, so that it may at once."""
    short = [
        item for item in clip if not isinstance(item, EncodedFrame) or item.decode_time < CLIP.duration / 2
    ]
    async with ingest(cloud) as one:
        for _ in range(2):
            await publish(one.address, one.stream_key, short, real_time=True)
        await one.end()
        for playlist in await asyncio.to_thread(one.playlists):
            assert [segment.discontinuity for segment in playlist.segments].count(True) == 1
        assert await asyncio.to_thread(one.violations) == []
        view = await asyncio.to_thread(one.api, "GET", f"streams/{one.stream}")
        assert view["session"] == 2


async def test_an_end_over_the_api_closes_the_broadcasters_connection(
    cloud: RunningLocalCloud, clip: list[FeedItem]
) -> None:
    async with ingest(cloud) as one:
        sending = asyncio.create_task(publish(one.address, one.stream_key, clip * 20, real_time=True))
        deadline = monotonic() + SECONDS
        while (await asyncio.to_thread(one.api, "GET", f"streams/{one.stream}"))["state"] != "live":
            assert monotonic() < deadline
            await asyncio.sleep(0.05)
        await asyncio.to_thread(one.api, "POST", f"streams/{one.stream}/end")
        with suppress(PublishFailed):  # it may take the server's goodbye for the answer to its own
            await sending
        assert one.registry.get_sample_value("bucketcast_connections_closed_total", {"reason": "ended"}) == 1
        assert await asyncio.to_thread(one.violations) == []
