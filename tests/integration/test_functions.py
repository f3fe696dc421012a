"""The functions as they are deployed: functions-framework, official clients, storage events, on loopback."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from google.cloud.storage import Client
from prometheus_client.parser import text_string_to_metric_families

from bucketcast.bootstrap import handlers
from bucketcast.events import object_finalized_request
from bucketcast.gcp.clients import firestore_client, storage_client
from bucketcast.gcp.storage import CloudStorageBucket
from bucketcast.objects import ABSENT, NewObject, ObjectFacts
from bucketcast.records import JSON, decode_record, encode_record
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import EncoderId, SessionNumber, StreamId
from bucketcast.stream.media_object import segment_object
from bucketcast.stream.object_names import session_record_name, timeline_name
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.stream_key import key_hash, parse_stream_key
from bucketcast.stream.timeline import Timeline, TimelineSegment, UploadedSegment
from local_cloud.cloud import CloudOptions, RunningLocalCloud, running_local_cloud
from local_cloud.faults import NO_FAULTS, EventFaults, FaultPlan
from local_cloud.functions import FunctionTarget, SignatureType
from local_cloud.workflows import WorkflowsOptions
from local_system.system import HOST, free_ports
from operating import rebuild
from stream_world import SEGMENT, SLOTS, claim_request, uploaded

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "0123456789abcdef0123456789abcdef"
SECONDS = 30  # far above what anything takes here


@dataclass(frozen=True, slots=True)
class Functions:
    """The mounted functions, and both buckets as an encoder uses them."""

    cloud: RunningLocalCloud
    client: Client
    media: CloudStorageBucket
    ingest: CloudStorageBucket

    def api(self, method: str, path: str, body: Any = None, token: str | None = TOKEN) -> requests.Response:
        """Call the API as the owner."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = f"{self.cloud.url}/functions/api/v1/{path}"
        return requests.request(method, url, json=body, headers=headers, timeout=SECONDS)

    def sessions(self, path: str, body: bytes) -> requests.Response:
        """Call as the ingest does."""
        return requests.post(f"{self.cloud.url}/functions/sessions/{path}", data=body, timeout=SECONDS)

    def viewer(self, name: str) -> requests.Response:
        """Read what a viewer reads."""
        return requests.get(f"{self.cloud.url}/media/{name}", timeout=SECONDS)

    def create(self, **configuration: Any) -> StreamId:
        """Make a stream of two rungs."""
        stream = f"s-{uuid4().hex[:8]}"
        rungs = [{"name": slot, "video_kbps": int(slot[:-1]) * 3} for slot in SLOTS]
        created = self.api("POST", "streams", {"id": stream, "rungs": rungs} | configuration)
        assert created.status_code == 201
        self.cloud.drain_events()
        return StreamId(stream)

    def lose(self, stream: StreamId) -> None:
        """Delete every published object of *stream*, and every document of every stream."""
        for blob in self.client.list_blobs("media", prefix=f"{stream}/"):
            if not blob.name.endswith(".ts"):
                blob.delete()
        with closing(firestore_client("demo", emulated=True)) as firestore:
            for collection in firestore.collections():
                for document in collection.list_documents():
                    document.delete()

    def playlists(self, stream: StreamId) -> dict[str, bytes]:
        """Every playlist of *stream* that viewers can read."""
        blobs = self.client.list_blobs("media", prefix=f"{stream}/")
        return {blob.name: self.viewer(blob.name).content for blob in blobs if blob.name.endswith(".m3u8")}

    def claim(self, stream: StreamId, encoder: str = "") -> SessionNumber:
        """Claim *stream*, from now on."""
        request = claim_request(EncoderId(encoder or uuid4().hex), start=datetime.now(UTC))
        body = encode_record(request).replace(b'"demo"', f'"{stream}"'.encode())
        claimed = self.sessions("claim", body)
        assert claimed.status_code == 200
        return SessionNumber(claimed.json()["session"])

    def report(self, stream: StreamId, session: SessionNumber, *, ended: bool = False) -> ObjectFacts:
        """Upload three segments as an encoder does, then write its timeline."""
        record = self.ingest.read(session_record_name(stream, session))
        assert record is not None
        start = decode_record(SessionRecord, record).start
        segments = [self._uploaded(stream, session, uploaded(index), start) for index in range(3)]
        return self.write_timeline(stream, session, segments, ended=ended)

    def _uploaded(
        self, stream: StreamId, session: SessionNumber, segment: TimelineSegment, start: datetime
    ) -> TimelineSegment:
        facts = {
            rung: self.media.write(
                segment_object(
                    stream,
                    rung,
                    session,
                    segment.index,
                    duration=segment.duration,
                    date=start + segment.start,
                    content=b"media",
                ),
                if_generation=ABSENT,
            )
            for rung in segment.rungs
        }
        return TimelineSegment(
            index=segment.index,
            start=segment.start,
            duration=SEGMENT,
            rungs={rung: UploadedSegment(size=f.size, crc32c=f.crc32c) for rung, f in facts.items()},
        )

    def write_timeline(
        self, stream: StreamId, session: SessionNumber, segments: list[TimelineSegment], *, ended: bool
    ) -> ObjectFacts:
        """Write the timeline of the only encoder."""
        timeline = Timeline(
            stream=stream,
            session=session,
            encoder=EncoderId("e"),
            ended=ended,
            media_at=datetime.now(UTC),
            segments=tuple(segments),
        )
        new = NewObject(
            name=timeline_name(stream, session, EncoderId("e")),
            content=encode_record(timeline),
            content_type=JSON,
            cache_control="private, no-store",
        )
        return self.ingest.write(new, if_generation=ABSENT)

    def reap(self) -> None:
        """What the scheduler does every minute."""
        reaped = requests.post(f"{self.cloud.url}/functions/reap", timeout=SECONDS)
        assert reaped.status_code == 204


@pytest.fixture(scope="module")
def functions() -> Iterator[Functions]:
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
        client = stack.enter_context(closing(storage_client("demo", emulated=True)))
        yield Functions(
            cloud,
            client,
            CloudStorageBucket(client, "media", patience=5),
            CloudStorageBucket(client, "ingest", patience=5),
        )


@pytest.fixture
def without_events(functions: Functions) -> Iterator[None]:
    """Every storage event is lost."""
    functions.cloud.faults.set(FaultPlan(events=(EventFaults(loss=1.0),)), now=datetime.now(UTC))
    yield
    functions.cloud.faults.set(NO_FAULTS, now=datetime.now(UTC))


def test_the_owner_makes_lists_and_sees_streams(functions: Functions) -> None:
    stream = functions.create()
    listed = functions.api("GET", "streams").json()["streams"]
    assert stream in [view["id"] for view in listed]
    shown = functions.api("GET", f"streams/{stream}").json()
    assert shown in listed
    assert (shown["state"], shown["session"]) == ("idle", 0)
    head = functions.api("HEAD", f"streams/{stream}")
    assert (head.status_code, head.headers["content-type"], head.content) == (200, JSON, b"")
    assert functions.viewer(f"{stream}/state.json").json()["state"] == "idle"
    assert functions.viewer(f"{stream}/master.m3u8").status_code == 404


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda f: f.api("GET", "streams", token=None), 401),
        (lambda f: f.api("GET", "streams", token="wrong"), 401),
        (lambda f: f.api("POST", "streams", {"id": "UPPER"}), 400),
        (lambda f: f.api("POST", "streams", {"id": "a", "more": 1}), 400),
        (lambda f: f.api("GET", "streams/unknown"), 404),
        (lambda f: f.api("POST", "streams/unknown/end"), 404),
        (lambda f: f.api("PATCH", "streams/unknown"), 405),
        (lambda f: f.api("DELETE", "streams"), 405),
        (lambda f: f.api("GET", "streams/unknown/end"), 405),
        (lambda f: f.api("POST", "streams/unknown/rebuild"), 404),
        (lambda f: f.api("GET", "nothing"), 404),
        (lambda f: f.api("POST", "streams", {"id": "a" * 20_000}), 413),
        (lambda f: f.sessions("claim", b"{}"), 400),
        (lambda f: f.sessions("renew", b'{"stream": "unknown", "session": 1, "encoder": "e"}'), 404),
    ],
)
def test_a_request_that_cannot_be_done_is_answered_with_its_problem(
    functions: Functions, call: Callable[[Functions], requests.Response], status: int
) -> None:
    response = call(functions)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert response.json()["status"] == status


def test_a_timelines_event_brings_the_playlists_and_an_end_their_endlist(functions: Functions) -> None:
    stream = functions.create()
    assert functions.api("POST", "streams", {"id": stream}).status_code == 409
    session = functions.claim(stream)
    functions.report(stream, session)
    functions.cloud.drain_events()
    multivariant = functions.viewer(f"{stream}/master.m3u8")
    assert multivariant.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert multivariant.headers["cache-control"] == "public, max-age=1, s-maxage=1, must-revalidate"
    for slot in SLOTS:
        assert f"\n{slot}/playlist.m3u8\n" in multivariant.text
        lines = functions.viewer(f"{stream}/{slot}/playlist.m3u8").text.splitlines()
        uris = [line for line in lines if not line.startswith("#")]
        assert len(uris) == 3
        assert all(functions.viewer(f"{stream}/{slot}/{uri}").content == b"media" for uri in uris)
    assert functions.viewer(f"{stream}/state.json").json()["state"] == "live"
    ended = functions.api("POST", f"streams/{stream}/end")
    assert (ended.status_code, ended.json()["state"]) == (200, "ended")
    for slot in SLOTS:
        assert functions.viewer(f"{stream}/{slot}/playlist.m3u8").text.endswith("#EXT-X-ENDLIST\n")
    assert functions.api("POST", f"streams/{stream}/end").status_code == 409


@pytest.mark.usefixtures("without_events")
def test_a_direct_wake_brings_the_playlists_when_every_event_is_lost(functions: Functions) -> None:
    stream = functions.create()
    facts = functions.report(stream, functions.claim(stream))
    wake = object_finalized_request("ingest", facts)
    assert functions.viewer(f"{stream}/master.m3u8").status_code == 404
    answer = requests.post(
        f"{functions.cloud.url}/functions/publish", data=wake.body, headers=wake.headers, timeout=SECONDS
    )
    assert answer.ok
    assert functions.viewer(f"{stream}/master.m3u8").ok


@pytest.mark.usefixtures("without_events")
def test_the_reaper_ends_a_broadcast_whose_reconnect_window_ran_out(functions: Functions) -> None:
    stream = functions.create(reconnect_window_seconds=0)
    functions.report(stream, functions.claim(stream), ended=True)
    functions.reap()
    assert functions.viewer(f"{stream}/state.json").json()["state"] == "ended"
    for slot in SLOTS:
        assert functions.viewer(f"{stream}/{slot}/playlist.m3u8").text.endswith("#EXT-X-ENDLIST\n")


def test_a_second_broadcaster_is_refused_while_the_first_is_on_air(functions: Functions) -> None:
    stream = functions.create()
    functions.claim(stream)
    request = claim_request(EncoderId("other"), start=datetime.now(UTC))
    refused = functions.sessions("claim", encode_record(request).replace(b'"demo"', f'"{stream}"'.encode()))
    assert refused.status_code == 409
    assert "another broadcaster" in refused.json()["detail"]


def test_two_broadcasts_are_rebuilt_from_the_buckets_alone(
    functions: Functions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """P3, after every playlist, `state.json` and every document of Firestore are gone."""
    rungs = [{"name": slot, "video_kbps": int(slot[:-1]) * 3} for slot in SLOTS]
    chosen = {"rungs": rungs, "reconnect_window_seconds": 77, "id": f"s-{uuid4().hex[:8]}"}
    created = functions.api("POST", "streams", chosen).json()
    stream = StreamId(created["id"])
    functions.report(stream, functions.claim(stream, "first"))
    functions.cloud.drain_events()
    gone = f'{{"stream": "{stream}", "session": 1, "encoder": "first", "silent_seconds": 10}}'
    assert functions.sessions("renew", gone.encode()).json() == {"holds": "on"}
    assert functions.api("POST", f"streams/{stream}/end").json()["broadcast"] == 1
    functions.report(stream, functions.claim(stream, "second"))
    functions.cloud.drain_events()
    before, document = functions.playlists(stream), _document(stream)
    assert (document.state, document.broadcast, len(before)) == ("live", 2, len(SLOTS) + 1)
    assert all(b"segment_00000002" in content for name, content in before.items() if "playlist" in name)

    functions.lose(stream)
    assert functions.playlists(stream) == {}
    assert functions.viewer(f"{stream}/state.json").status_code == 404
    rebuilt = functions.api("POST", f"streams/{stream}/rebuild")
    assert (rebuilt.status_code, rebuilt.json()["state"]) == (200, "live")
    assert functions.playlists(stream) == before
    assert functions.viewer(f"{stream}/state.json").json()["broadcast"] == 2
    again = _document(stream)
    assert again.configuration == document.configuration
    assert again.key_hash == key_hash(parse_stream_key(created["stream_key"]))
    assert again.next_session == document.next_session

    functions.api("POST", f"streams/{stream}/end")
    ended = functions.playlists(stream)
    functions.lose(stream)
    monkeypatch.setenv("BUCKETCAST_ADMIN_TOKEN", TOKEN)
    assert rebuild.main(["--api", f"{functions.cloud.url}/v1/streams"]) == 0
    assert f"{stream}: ended, broadcast 2, session 2, 720p to 5" in capsys.readouterr().out
    assert functions.playlists(stream) == ended


def _document(stream: StreamId) -> StreamDocument:
    stored = handlers().claims.documents.read(stream)
    assert stored is not None
    return stored.document


def test_prometheus_reads_the_streams_that_are_on_air(functions: Functions) -> None:
    stream = functions.create()
    functions.report(stream, functions.claim(stream))
    functions.cloud.drain_events()
    url = f"{functions.cloud.url}/functions/api/metrics"
    assert requests.get(url, timeout=SECONDS).status_code == 401
    scraped = requests.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=SECONDS)
    samples = [
        sample
        for family in text_string_to_metric_families(scraped.text)
        for sample in family.samples
        if sample.labels["stream"] == stream
    ]
    stale = {s.labels["rendition"]: s.value for s in samples if s.name == "bucketcast_rendition_stale_seconds"}
    assert stale == dict.fromkeys(SLOTS, 0.0)
    view = functions.api("GET", f"streams/{stream}").json()["health"]
    assert [each["name"] for each in view["renditions"]] == list(SLOTS)
    assert all(each["playlist_replaced"] and not each["behind_segments"] for each in view["renditions"])
