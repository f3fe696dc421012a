"""Recordings and clean-up as they are deployed: whatever fails once on the way, the result is the same."""

import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar
from uuid import uuid4

import pytest
import requests
from google.cloud.storage import Client
from google.cloud.workflows.executions_v1 import Execution, ExecutionsClient, ExecutionView

from bucketcast.bootstrap import handlers
from bucketcast.events import object_finalized_request
from bucketcast.gcp.clients import storage_client
from bucketcast.gcp.storage import CloudStorageBucket
from bucketcast.gcp.workflows import executions_client
from bucketcast.objects import ABSENT, NewObject, ObjectFacts
from bucketcast.recording.part_object import part_objects
from bucketcast.recording.segment_samples import read_segment
from bucketcast.records import JSON, decode_record, encode_record
from bucketcast.stream.identifiers import EncoderId, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.media_object import segment_object
from bucketcast.stream.object_names import session_record_name, timeline_name
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.timeline import Timeline, TimelineSegment, UploadedSegment
from bucketcast.system_clock import SystemClock
from local_cloud.cloud import CloudOptions, RunningLocalCloud, running_local_cloud
from local_cloud.faults import (
    NO_FAULTS,
    FaultPlan,
    FirestoreFaults,
    FunctionFaults,
    ReadFaults,
    UploadFaults,
)
from local_cloud.functions import FunctionTarget, SignatureType
from local_cloud.operations import PriceClass
from local_cloud.run_jobs import JobOptions
from local_cloud.workflows import WorkflowsOptions
from local_system.system import HOST, ROOT, free_ports
from stream_world import SEGMENT, SLOTS, claim_request
from tools.auditor.collect import collect
from tools.failing_proxy import Body, FailingProxy, Failure
from unit.bucketcast.recording.made_segments import read_movie
from unit.bucketcast.recording.made_streams import PICTURES, made_stream

TOP: Final = SLOTS[0]
TOKEN: Final = "0123456789abcdef0123456789abcdef"
PARENT: Final = "projects/demo/locations/local"
SECONDS: Final = 60  # far above what anything takes here
# The reconnect window of half an hour takes a second, and the longest pause between two tries 60 ms.
FAST_FORWARD: Final = 2_000
# What a step may take here, in place of half an hour: one whose answer never comes is given up soon.
STEP_SECONDS: Final = "2"
# A request to clean up takes less than this, whatever other tests have left: it works for so long at most.
CLEAN_UP_SECONDS: Final = "6"
CLEAN_UP_TIME: Final = timedelta(seconds=2)
LENGTHS: Final = (6, 3)
"""The segments of a broadcast's two sessions."""
FRAMES: Final = sum(LENGTHS) * PICTURES
RECORDED: Final = ((range(2), range(4, 6)), ())
"""What of them an ingest recorded; the rest is to be made of the segments."""

# Requests that the test makes at the same time; functions wait for each other, and for a second to pass.
AT_ONCE: Final = 20

STEPS: Final = (("/rest", 1), ("/rest", 2), ("/finalize", 1))
"""Asked while the reconnect window runs, asked when the broadcast is over, and the joining itself."""
TRIES: Final = 11  # of each step

T = TypeVar("T")


Plan = Mapping[tuple[str, int], Failure]
"""How the n-th request, counted from 1, to which path fails."""


@dataclass(slots=True)
class Weather:
    """How requests about a stream fail, by its name."""

    plans: dict[str, Plan] = field(default_factory=dict)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    def failing(self, path: str, body: Body) -> Failure | None:
        """See FailingProxy."""
        subject = str(body.get("stream", ""))
        self.seen[subject, path] += 1
        return self.plans.get(subject, {}).get((path, self.seen[subject, path]))


@dataclass(slots=True)
class Deployment:
    """The mounted functions, the workflows, and the proxy between them."""

    cloud: RunningLocalCloud
    client: Client
    executions: ExecutionsClient
    proxy: FailingProxy
    weather: Weather
    media: CloudStorageBucket
    ingest: CloudStorageBucket
    recording: CloudStorageBucket
    failing_jobs: Path
    """A file with a stream's name in this folder, and the next job for it fails."""
    timelines: dict[StreamId, list[ObjectFacts]] = field(default_factory=dict)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API as the owner."""
        response = requests.request(
            method,
            f"{self.cloud.url}/functions/api/v1/{path}",
            json=body,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=SECONDS,
        )
        assert response.ok, response.text
        return response.json()

    def wake(self, facts: ObjectFacts) -> None:
        """Deliver the event of a timeline once more."""
        event = object_finalized_request("ingest", facts)
        url = f"{self.cloud.url}/functions/publish"
        assert requests.post(url, data=event.body, headers=event.headers, timeout=SECONDS).ok

    def reap(self) -> None:
        """What the scheduler does every minute."""
        assert requests.post(f"{self.cloud.url}/functions/reap", timeout=SECONDS).status_code == 204

    def broadcasts(self, *plans: Plan, vod: bool = False) -> list[StreamId]:
        """As many streams as *plans*: on each one's broadcast two sessions were, which have ended.

        The steps of its workflows fail by its plan. With *vod* the recording is to be encoded once more.
        """
        streams = at_once(*(partial(self._create, plan, vod=vod) for plan in plans))
        for number in range(len(LENGTHS)):
            at_once(*(partial(self._session, stream, SessionNumber(number + 1)) for stream in streams))
            self.cloud.drain_events()
        for stream, plan in zip(streams, plans, strict=True):
            if STEPS[0] not in plan:  # who ends the broadcast sooner is asked once only
                self.proxy.wait_for_answered(stream)
        return streams

    def broadcast(self, plan: Plan | None = None) -> StreamId:
        """One of `broadcasts`."""
        (stream,) = self.broadcasts(plan or {})
        return stream

    def _create(self, plan: Plan, *, vod: bool) -> StreamId:
        stream = StreamId(f"r-{uuid4().hex[:12]}")
        self.weather.plans[stream] = plan
        rungs = [{"name": TOP, "video_kbps": 2000}]
        asked = {"id": stream, "rungs": rungs, "reconnect_window_seconds": 1800, "vod": vod}
        self.api("POST", "streams", asked)
        return stream

    def _session(self, stream: StreamId, session: SessionNumber) -> None:
        length, parts = LENGTHS[session - 1], RECORDED[session - 1]
        encoder = EncoderId(f"e{session}")
        claim = encode_record(claim_request(encoder, [TOP], start=datetime.now(UTC)))
        claimed = self._call("claim", claim.replace(b'"demo"', f'"{stream}"'.encode()))
        assert claimed == {"session": session} | claimed
        content = self.ingest.read(session_record_name(stream, session))
        assert content is not None
        start = decode_record(SessionRecord, content).start
        segments = tuple(self._upload(stream, session, SegmentIndex(n), start) for n in range(length))
        for part in parts:
            samples = [
                read_segment(media_of(session, n), index=SegmentIndex(n), start=n * SEGMENT, duration=SEGMENT)
                for n in part
            ]
            for new in part_objects(stream, session, TOP, samples):
                self.recording.write(new, if_generation=ABSENT)
        is_last = session == len(LENGTHS)
        facts = self._write_timeline(stream, session, encoder, segments, continues=not is_last)
        self.timelines.setdefault(stream, []).append(facts)
        if not is_last:
            gone = {"stream": stream, "session": session, "encoder": encoder, "silent_seconds": 10}
            self._call("renew", json.dumps(gone).encode())

    def _call(self, path: str, body: bytes) -> Any:
        response = requests.post(f"{self.cloud.url}/functions/sessions/{path}", data=body, timeout=SECONDS)
        assert response.ok, response.text
        return response.json()

    def _upload(
        self, stream: StreamId, session: SessionNumber, index: SegmentIndex, start: datetime
    ) -> TimelineSegment:
        new = segment_object(
            stream,
            TOP,
            session,
            index,
            duration=SEGMENT,
            date=start + index * SEGMENT,
            content=media_of(session, index),
        )
        facts = self.media.write(new, if_generation=ABSENT)
        uploaded = UploadedSegment(size=facts.size, crc32c=facts.crc32c)
        return TimelineSegment(index=index, start=index * SEGMENT, duration=SEGMENT, rungs={TOP: uploaded})

    def _write_timeline(
        self,
        stream: StreamId,
        session: SessionNumber,
        encoder: EncoderId,
        segments: tuple[TimelineSegment, ...],
        *,
        continues: bool,
    ) -> ObjectFacts:
        timeline = Timeline(
            stream=stream,
            session=session,
            encoder=encoder,
            ended=True,
            continues=continues,
            media_at=datetime.now(UTC),
            segments=segments,
        )
        name = timeline_name(stream, session, encoder)
        new = NewObject(
            name=name,
            content=encode_record(timeline),
            content_type=JSON,
            cache_control="private, no-store",
        )
        return self.ingest.write(new, if_generation=ABSENT)

    def end(self, stream: StreamId) -> None:
        """End the broadcast."""
        self.api("POST", f"streams/{stream}/end")

    def shown(self, stream: StreamId) -> dict[str, Any] | None:
        """The recording as its owner sees it, if there is one."""
        found = self.api("GET", f"streams/{stream}/recordings")["recordings"]
        assert len(found) <= 1
        return found[0] if found else None

    def settled(self, stream: StreamId, state: str = "finalized") -> dict[str, Any]:
        """The recording of *stream*, once it is settled, in *state*."""
        deadline = time.monotonic() + SECONDS
        while (shown := self.shown(stream)) is None or shown["state"] not in ("finalized", "failed"):
            assert time.monotonic() < deadline, shown
            time.sleep(0.05)
        assert shown["state"] == state, shown
        return shown

    def recorded(self, stream: StreamId) -> dict[str, Any]:
        """End the broadcast, and return its recording."""
        self.end(stream)
        return self.settled(stream)

    def executions_of(self, stream: StreamId, workflow: str = "finalize_recording") -> list[Execution]:
        """All executions of *workflow* that were ever started for *stream*."""
        request = {"parent": f"{PARENT}/workflows/{workflow}", "view": ExecutionView.FULL}
        return [
            execution
            for execution in self.executions.list_executions(request=request)
            if json.loads(execution.argument)["stream"] == stream
        ]

    def execute(self, workflow: str, argument: dict[str, Any]) -> str:
        """Start *workflow*, and return the execution's name."""
        execution = Execution(argument=json.dumps(argument))
        return str(
            self.executions.create_execution(parent=f"{PARENT}/workflows/{workflow}", execution=execution).name
        )

    def ended(self, name: str) -> Execution:
        """The execution *name*, once it has ended."""
        deadline = time.monotonic() + SECONDS
        while (execution := self.executions.get_execution(name=name)).state == Execution.State.ACTIVE:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return execution

    def names(self, bucket: str, stream: StreamId) -> list[str]:
        """The names of all of *stream* in *bucket*, without its own."""
        return sorted(
            blob.name.removeprefix(f"{stream}/") for blob in self.client.list_blobs(bucket, prefix=f"{stream}/")
        )

    def check(self, stream: StreamId) -> None:
        """The recording is what it always is: one file with all that was uploaded, and nothing is left over."""
        recording = self.settled(stream)
        [file] = recording["files"]
        name = f"{stream}/recording/00000001/full_stream.mp4"
        assert (file["name"], file["frames"], file["sessions"], file["gaps"]) == (name, FRAMES, [1, 2], [])
        assert file["seconds"] == pytest.approx(sum(LENGTHS) * SEGMENT.total_seconds(), abs=0.05)
        own, newest = (
            self.client.bucket("media").get_blob(found)
            for found in (name, f"{stream}/recording/full_stream.mp4")
        )
        for blob in (own, newest):
            assert (blob.size, blob.crc32c) == (file["bytes"], file["crc32c"])
        content = own.download_as_bytes()
        pictures = [sample.media for sample in read_movie(content)["vide"].samples]
        assert len(pictures) == FRAMES
        for picture, place in zip(
            pictures,
            ((s, n, p) for s, length in enumerate(LENGTHS, 1) for n in range(length) for p in range(PICTURES)),
            strict=True,
        ):
            assert picture.endswith("/".join(map(str, place)).encode())
        # The end of another execution may be deleting still.
        eventually(lambda: self.names("recording", stream) == [])


JOB: Final = """
import os, pathlib, sys, urllib.request
failing = pathlib.Path(os.environ["FAILING"], os.environ["STREAM"])
if failing.exists():
    failing.unlink()
    sys.exit(1)
name = f"{os.environ['STREAM']}/recording/{int(os.environ['BROADCAST']):08d}/vod/facts.json"
address = f"{os.environ['STORAGE_EMULATOR_HOST']}/upload/storage/v1/b/media/o?uploadType=media&name={name}"
urllib.request.urlopen(urllib.request.Request(address, b"{}", {"Content-Type": "application/json"})).close()
"""
"""Writes what is written last of a VOD; what goes before has tests of its own."""


def media_of(session: int, index: int) -> bytes:
    return made_stream(session, index, duration=SEGMENT)


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("workflows")
    for source in (ROOT / "workflows").glob("*.workflows.yaml"):
        text = source.read_text()
        seconds = CLEAN_UP_SECONDS if source.name.startswith("clean_up") else STEP_SECONDS
        (folder / source.name).write_text(text.replace("timeout: 1800", f"timeout: {seconds}"))
    failing_jobs = tmp_path_factory.mktemp("failing")
    port, weather = free_ports().web, Weather()
    proxy = FailingProxy(f"http://{HOST}:{port}/functions/recordings", weather.failing)
    options = CloudOptions(
        port=port,
        functions_source=ROOT / "functions" / "main.py",
        functions=tuple(
            FunctionTarget(
                name=name, signature=SignatureType.CLOUD_EVENT if name == "publish" else SignatureType.HTTP
            )
            for name in ("publish", "sessions", "api", "reap", "recordings")
        ),
        jobs=(
            JobOptions(
                name="vod",
                command=(sys.executable, "-c", JOB),
                environment={"FAILING": str(failing_jobs)},
                max_retries=0,
            ),
        ),
        workflows=WorkflowsOptions(
            folder=folder,
            environment={"BUCKETCAST_RECORDINGS_URL": proxy.url, "BUCKETCAST_VOD_JOB": "vod"},
            fast_forward=FAST_FORWARD,
        ),
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
        cloud = stack.enter_context(running_local_cloud(options))
        stack.enter_context(proxy.running())
        client = stack.enter_context(closing(storage_client("demo", emulated=True)))
        yield Deployment(
            cloud,
            client,
            executions_client(cloud.cloud.environment["WORKFLOWS_EMULATOR_HOST"]),
            proxy,
            weather,
            media=CloudStorageBucket(client, "media", patience=5),
            ingest=CloudStorageBucket(client, "ingest", patience=5),
            recording=CloudStorageBucket(client, "recording", patience=5),
            failing_jobs=failing_jobs,
        )


def at_once(*calls: Callable[[], T]) -> list[T]:
    """What *calls* return, made at the same time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


PASSING: Final = (
    Failure.INTERNAL_ERROR,
    Failure.UNAVAILABLE,
    Failure.TOO_MANY_REQUESTS,
    Failure.CLOSED,
    Failure.ANSWER_LOST,
    Failure.ANSWER_HELD,
)


def test_every_step_may_fail_once_in_every_way(deployment: Deployment) -> None:
    """What passes by itself is tried again, and nobody can tell from the files."""
    plans: list[Plan] = [{step: failure} for step, failure in product(STEPS, PASSING)]
    streams = deployment.broadcasts({}, *plans)
    at_once(*(partial(deployment.recorded, stream) for stream in streams))
    for stream in streams:
        deployment.check(stream)
    untroubled, *troubled = (deployment.settled(stream)["files"][0]["crc32c"] for stream in streams)
    assert set(troubled) == {untroubled}
    for stream, plan in zip(streams[1:], plans, strict=True):
        [(path, nth)] = plan
        [execution] = deployment.executions_of(stream)
        assert deployment.ended(execution.name).state == Execution.State.SUCCEEDED
        # Where an answer is held, the recording is there before anybody asks again.
        assert deployment.weather.seen[stream, path] > nth, "it was tried again"


def test_a_step_that_is_refused_is_named_and_can_be_started_again(deployment: Deployment) -> None:
    refused: list[Plan] = [{step: Failure.NOT_FOUND} for step in STEPS]
    # What never passes is given up in the end.
    refused.append({(STEPS[-1][0], nth): Failure.UNAVAILABLE for nth in range(1, TRIES + 1)})
    # Saying so may fail, too.
    refused += [{STEPS[-1]: Failure.NOT_FOUND, ("/fail", 1): failure} for failure in PASSING]
    streams = deployment.broadcasts(*refused)
    at_once(*(partial(deployment.end, stream) for stream in streams))
    for stream, plan in zip(streams, refused, strict=True):
        shown, step = deployment.settled(stream, "failed"), next(iter(plan))
        assert shown["failed_step"] == step[0].removeprefix("/")
        assert shown["reason"].startswith(str(plan[step].value))
        [execution] = deployment.executions_of(stream)
        assert deployment.ended(execution.name).state == Execution.State.FAILED
    again = [partial(deployment.api, "POST", f"streams/{stream}/recordings/1/finalize") for stream in streams]
    at_once(*again)
    for stream in streams:
        deployment.check(stream)


def test_an_execution_that_could_not_even_say_so_is_begun_again_by_the_reaper(deployment: Deployment) -> None:
    stream = deployment.broadcast({STEPS[-1]: Failure.NOT_FOUND, ("/fail", 1): Failure.NOT_FOUND})
    deployment.end(stream)
    [execution] = deployment.executions_of(stream)
    assert deployment.ended(execution.name).state == Execution.State.FAILED
    shown = deployment.shown(stream)
    assert shown is not None
    assert shown["state"] == "finalizing"
    at_once(deployment.reap, deployment.reap)
    deployment.check(stream)
    assert len(deployment.executions_of(stream)) == 2, "of two reapers, one began it"


def test_events_twice_and_in_any_order_and_two_reapers_start_one_execution(deployment: Deployment) -> None:
    streams = deployment.broadcasts(*[{}] * 4)
    wakes = [
        partial(deployment.wake, facts)
        for stream in streams
        for facts in deployment.timelines[stream]
        for _ in range(3)
    ]
    ends = [partial(deployment.end, stream) for stream in streams]
    calls: list[Callable[[], None]] = [*wakes, *ends, deployment.reap, deployment.reap]
    Random(5).shuffle(calls)
    at_once(*calls)
    at_once(*wakes, deployment.reap, deployment.reap)
    for stream in streams:
        deployment.check(stream)
        assert len(deployment.executions_of(stream)) == 1
    # When all is done, nothing begins again.
    at_once(*wakes, deployment.reap, deployment.reap)
    for stream in streams:
        deployment.check(stream)
        assert len(deployment.executions_of(stream)) == 1


def test_several_executions_of_one_recording_make_one_file(deployment: Deployment) -> None:
    streams = deployment.broadcasts(*[{}] * 3)
    at_once(*(partial(deployment.end, stream) for stream in streams))
    started = [
        partial(deployment.execute, "finalize_recording", {"stream": stream, "broadcast": 1})
        for stream in streams
        for _ in range(3)
    ]
    for name in at_once(*started):
        execution = deployment.ended(name)
        assert execution.state == Execution.State.SUCCEEDED
        assert json.loads(execution.result) == {"files": 1}
    for stream in streams:
        deployment.check(stream)
        written = Counter(item.name for item in collect(deployment.cloud.url, "media", stream=stream))
        assert written[f"{stream}/recording/00000001/full_stream.mp4"] == 1


def test_an_execution_that_was_cancelled_half_way_is_begun_again(deployment: Deployment) -> None:
    places = list(product(STEPS, (Failure.HELD, Failure.ANSWER_HELD, Failure.LATE)))
    with deployment.proxy.holding():
        streams = deployment.broadcasts(*({step: moment} for step, moment in places))

        def cancel(stream: StreamId) -> None:
            deployment.proxy.wait_for_held(stream)
            [execution] = deployment.executions_of(stream)
            deployment.executions.cancel_execution(name=execution.name)
            assert deployment.ended(execution.name).state == Execution.State.CANCELLED

        interrupted = [stream for stream, (step, _) in zip(streams, places, strict=True) if step == STEPS[0]]
        over = [partial(deployment.end, stream) for stream in streams if stream not in interrupted]
        at_once(*over, *(partial(cancel, stream) for stream in streams))
        deployment.reap()
    at_once(*(partial(deployment.end, stream) for stream in interrupted))
    for stream, place in zip(streams, places, strict=True):
        deployment.check(stream)
        # Where nothing but the answer was missing, nothing was left to do.
        is_done = place == (STEPS[-1], Failure.ANSWER_HELD)
        assert len(deployment.executions_of(stream)) == (1 if is_done else 2)


def vod_of(deployment: Deployment, stream: StreamId) -> dict[str, Any]:
    """What the owner sees of the VOD of *stream*, once nothing more becomes of it."""
    found: dict[str, Any] = {}

    def is_settled() -> bool:
        shown = deployment.shown(stream)
        found.update((shown and shown["vod"]) or {})
        return found.get("state") in ("published", "failed")

    eventually(is_settled)
    return found


def test_a_vod_is_announced_whatever_fails_once_on_the_way(deployment: Deployment) -> None:
    """The job, and what the function is told afterwards; or it is refused, named, and started again."""
    passing: list[Plan] = [{}, {}, *({("/announce", 1): failure} for failure in PASSING)]
    refused: Plan = {("/announce", 1): Failure.NOT_FOUND, ("/fail-vod", 1): Failure.ANSWER_LOST}
    streams = deployment.broadcasts(*passing, refused, vod=True)
    (deployment.failing_jobs / streams[0]).touch()
    at_once(*(partial(deployment.end, stream) for stream in streams))
    for stream in streams[:-1]:
        assert vod_of(deployment, stream)["state"] == "published"
        [execution] = deployment.executions_of(stream, "reencode_vod")
        assert deployment.ended(execution.name).state == Execution.State.SUCCEEDED
    assert not list(deployment.failing_jobs.iterdir())
    failed = vod_of(deployment, streams[-1])
    assert failed["state"] == "failed"
    assert failed["reason"].startswith("404")
    deployment.api("POST", f"streams/{streams[-1]}/recordings/1/finalize")
    assert vod_of(deployment, streams[-1])["state"] == "published"
    for stream in streams:
        deployment.check(stream)


# Google's clients leave the connections of answers that they give up to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_storm_in_storage_and_firestore_changes_nothing(deployment: Deployment) -> None:
    streams = deployment.broadcasts(*[{}] * 3)
    storm = FaultPlan(
        uploads=(UploadFaults(unavailable=0.3, too_many_requests=0.1, lose_answer=0.2),),
        reads=(ReadFaults(unavailable=0.3, too_many_requests=0.1, cut=0.1),),
        firestore=(FirestoreFaults(unavailable=0.2, aborted=0.1, lose_answer=0.1),),
        functions=(FunctionFaults(name="recordings", error=0.2, lose_answer=0.2),),
    )
    at_once(*(partial(deployment.end, stream) for stream in streams))
    deployment.cloud.faults.set(storm, now=datetime.now(UTC))
    try:
        eventually(lambda: all(deployment.weather.seen[stream, "/finalize"] >= 2 for stream in streams))
    finally:
        deployment.cloud.faults.set(NO_FAULTS, now=datetime.now(UTC))
    for stream in streams:
        deployment.check(stream)
    gc.collect()  # here, where it is expected


@contextmanager
def days_later(days: float) -> Iterator[None]:
    """It is some days later, for the functions."""

    def now(clock: SystemClock) -> datetime:
        return datetime.now(UTC) + timedelta(days=days)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SystemClock, "now", now)
        yield


def clean_up(deployment: Deployment, *, dry_run: bool = False) -> dict[str, Any]:
    """What an execution of the clean-up returns."""
    execution = deployment.ended(deployment.execute("clean_up", {"dry_run": dry_run}))
    assert execution.state == Execution.State.SUCCEEDED, execution.error
    result: dict[str, Any] = json.loads(execution.result)
    return result


def test_a_clean_up_whose_every_request_fails_once_leaves_what_it_always_leaves(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request has time for one session only; so there are many. The next one asks storage for one list."""
    monkeypatch.setattr("bucketcast.http_api.CLEAN_UP_TIME", CLEAN_UP_TIME)
    with days_later(1.1):
        clean_up(deployment)  # what other tests have left
    untroubled = deployment.broadcast()
    deployment.recorded(untroubled)
    before = deployment.names("media", untroubled)
    with days_later(1.1):
        would_go = clean_up(deployment, dry_run=True)
        assert deployment.names("media", untroubled) == before
        clean_up(deployment)
        assert clean_up(deployment, dry_run=True)["objects"] == 0
    left = {bucket: deployment.names(bucket, untroubled) for bucket in ("media", "recording")}
    went = set(before) - set(left["media"])
    assert any(".ts" in name for name in went)
    assert set(would_go["names"]) >= {f"{untroubled}/{name}" for name in went}
    assert would_go["objects"] == len(would_go["names"])

    streams = deployment.broadcasts(*[{}] * (len(PASSING) + 1))
    at_once(*(partial(deployment.recorded, stream) for stream in streams))
    monkeypatch.setattr("bucketcast.http_api.CLEAN_UP_TIME", timedelta())
    begin = deployment.weather.seen["", "/clean-up"]
    deployment.weather.plans[""] = {
        ("/clean-up", begin + 2 * number): failure for number, failure in enumerate(PASSING, 1)
    }
    with days_later(1.1):
        clean_up(deployment)
        operations = deployment.cloud.cloud.operations
        classes = (PriceClass.STORAGE_A, PriceClass.STORAGE_B)
        before_another = [operations.total(price_class) for price_class in classes]
        clean_up(deployment)
        costs = [operations.total(price_class) for price_class in classes]
    assert [cost - before for cost, before in zip(costs, before_another, strict=True)] == [1, 0]
    assert deployment.weather.seen["", "/clean-up"] > begin + 2 * len(PASSING)
    for stream in streams:
        assert {bucket: deployment.names(bucket, stream) for bucket in left} == left
        deployment.check(stream)
