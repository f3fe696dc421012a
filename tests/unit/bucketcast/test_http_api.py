"""Every answer of the HTTP functions, over handlers on fakes."""

import json
import logging
from typing import Any

import pytest
from flask import Request, Response
from werkzeug.test import Client, EnvironBuilder

from bucketcast import http_api
from bucketcast.errors import BucketcastError, InvalidRecord, TooManyWrites, Unavailable
from bucketcast.http_api import MAX_REQUEST_BYTES, PROBLEM, Owner, WorkflowSteps
from bucketcast.objects import ABSENT, NewObject
from bucketcast.recording.document import RecordingFacts
from bucketcast.recording.names import recording_facts_name
from bucketcast.records import JSON, encode_record, record_object
from bucketcast.stream.configuration import MAX_RUNGS
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import BroadcastNumber, EncoderId, RungName
from fakes import FakeBucket, FakeStreamDocuments
from stream_world import SLOTS, STREAM, A, B, World, claim_request, uploaded

TOKEN = "0123456789abcdef"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
RENEWAL = b'{"stream": "demo", "session": 1, "encoder": "a"}'


def request(method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Request:
    return Request(
        EnvironBuilder(method=method, path=path, data=body, headers=list((headers or {}).items())).get_environ()
    )


def api(
    world: World, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = AUTHORIZED
) -> Response:
    return http_api.streams(request(method, path, body, headers), owner(world))


def owner(world: World) -> Owner:
    return Owner(
        streams=world.streams,
        publisher=world.publisher,
        recordings=world.recordings,
        deletions=world.deletions,
        admin_token=TOKEN,
    )


def sessions(world: World, method: str, path: str, body: bytes = b"") -> Response:
    return http_api.sessions(request(method, path, body), world.claims)


def problem(response: Response) -> dict[str, Any]:
    assert response.content_type == PROBLEM
    found: dict[str, Any] = json.loads(response.data)
    assert found.keys() == {"type", "title", "status", "detail"}
    assert found["status"] == response.status_code
    return found


def on_air() -> World:
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    world.wake()
    world.clock.advance(2)
    return world


def test_a_stream_is_made_and_its_key_shown() -> None:
    response = api(World(), "POST", "/v1/streams", b'{"id": "new"}')
    assert (response.status_code, response.content_type) == (201, JSON)
    created = json.loads(response.data)
    assert created.keys() == {"id", "stream_key"}
    assert created["stream_key"].startswith("new_")


def test_the_answer_to_a_new_stream_says_where_it_is() -> None:
    """RFC 9110, 10.2.2."""
    world = World()
    location = api(world, "POST", "/v1/streams", b'{"id": "new"}').headers["Location"]
    assert location == "/v1/streams/new"
    assert json.loads(api(world, "GET", location).data)["id"] == "new"


def test_streams_are_listed_and_shown_without_their_keys() -> None:
    world = on_air()
    listed, shown = api(world, "GET", "/v1/streams"), api(world, "GET", "/v1/streams/demo/")
    assert (listed.status_code, shown.status_code) == (200, 200)
    assert json.loads(listed.data) == {"streams": [json.loads(shown.data)]}
    assert json.loads(shown.data)["state"] == "live"
    assert b"key" not in shown.data


@pytest.mark.parametrize("path", ["/v1/streams", "/v1/streams/demo"])
def test_head_is_answered_like_get_without_the_body(path: str) -> None:
    world = on_air()
    get = request("GET", path, headers=AUTHORIZED)
    head = request("HEAD", path, headers=AUTHORIZED)
    answers = [Client(http_api.streams(asked, owner(world))).open(asked.environ) for asked in (get, head)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].headers == answers[1].headers
    assert int(answers[1].headers["Content-Length"]) == len(answers[0].data)
    assert answers[1].data == b""


@pytest.mark.parametrize(
    ("methods", "path", "allow"),
    [
        (("PUT", "DELETE", "OPTIONS"), "/v1/streams", "GET, POST, HEAD"),
        (("POST", "PUT"), "/v1/streams/demo", "GET, DELETE, HEAD"),
        (("GET", "HEAD", "DELETE"), "/v1/streams/demo/end", "POST"),
    ],
)
def test_a_method_that_is_not_for_an_address_is_told_those_that_are(
    methods: tuple[str, ...], path: str, allow: str
) -> None:
    """RFC 9110, 15.5.6: the answer MUST have the Allow field."""
    for method in methods:
        response = api(World(), method, path)
        assert (problem(response)["status"], response.headers["Allow"]) == (405, allow)


@pytest.mark.parametrize("path", ["/claim", "/renew", "/renew/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_encoders_only_post(method: str, path: str) -> None:
    response = sessions(World(), method, path)
    assert (problem(response)["status"], response.headers["Allow"]) == (405, "POST")


def test_the_largest_requests_are_far_below_the_bound() -> None:
    names = [RungName(f"{1080 - 2 * step}p") for step in range(MAX_RUNGS)]
    claim = encode_record(claim_request(EncoderId("e" * 63), names))
    stream = {
        "id": "s" * 63,
        "rungs": [{"name": name, "video_kbps": 60_000} for name in names],
        "audio_kbps": 320,
        "segment_seconds": 5.5,
        "reconnect_window_seconds": 1800,
        "preset": "superfast",
        "pass_through": False,
    }
    for body in (claim, json.dumps(stream, indent=4).encode()):
        assert len(body) < 2000 < MAX_REQUEST_BYTES


def test_an_end_is_published_before_it_is_answered() -> None:
    world = on_air()
    response = api(world, "POST", "/v1/streams/demo/end")
    assert (response.status_code, json.loads(response.data)["state"]) == (200, "ended")
    assert "#EXT-X-ENDLIST" in world.playlist(SLOTS[0])
    again = problem(api(world, "POST", "/v1/streams/demo/end"))
    assert (again["status"], again["title"]) == (409, "Conflict")


@pytest.mark.parametrize("error", [Unavailable("storage"), InvalidRecord("timeline")])
def test_an_end_that_cannot_be_published_now_is_an_end(
    error: BucketcastError, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked for again it would be refused, for it is decided; the reaper publishes it."""

    def fail(_name: str) -> bytes:
        raise error

    world = on_air()
    read, world.ingest.read = world.ingest.read, fail  # type: ignore[method-assign,assignment]
    with caplog.at_level(logging.ERROR):
        response = api(world, "POST", "/v1/streams/demo/end")
    assert (response.status_code, json.loads(response.data)["state"]) == (200, "ended")
    assert "an end is not published yet" in [record.message for record in caplog.records]
    world.ingest.read = read  # type: ignore[method-assign]
    world.reaper.reap()
    assert "#EXT-X-ENDLIST" in world.playlist(SLOTS[0])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}0"},
        {"Authorization": f"Bearer  {TOKEN}"},
        {"Authorization": "Bearer \xff"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/streams"),
        ("POST", "/v1/streams"),
        ("POST", "/v1/streams/demo/rebuild"),
        ("GET", "/metrics"),
        ("GET", "/nothing"),
    ],
)
def test_nothing_is_answered_without_the_admin_token(headers: dict[str, str], method: str, path: str) -> None:
    """Not even whether there is something at an address."""
    response = api(World(), method, path, b'{"id": "new"}', headers)
    assert problem(response)["title"] == "Unauthorized"
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="bucketcast"'
    assert TOKEN.encode() not in response.data


def test_the_schemes_name_is_read_in_any_case() -> None:
    assert api(World(), "GET", "/v1/streams", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


def test_a_rebuild_brings_back_what_was_deleted_although_it_was_seen() -> None:
    """Playlists, with the document and without it; the publisher that answers has seen them all."""
    world = on_air()
    playlists = world.playlists()
    for lost in (False, True):
        for name in playlists:
            del world.media.objects[name]
        if lost:
            world.documents._documents.clear()
        response = api(world, "POST", "/v1/streams/demo/rebuild")
        assert (response.status_code, json.loads(response.data)["state"]) == (200, "live")
        assert world.playlists() == playlists


def test_a_rebuild_brings_back_the_documents_of_recordings_whose_facts_are_there() -> None:
    world = on_air()
    for number in (1, 2):
        world.clock.advance(2)
        world.streams.end(STREAM)
        world.recordings.see(world.wake())
        facts = RecordingFacts(stream=STREAM, broadcast=BroadcastNumber(number), files=())
        name = recording_facts_name(STREAM, BroadcastNumber(number))
        world.media.write(record_object(name, facts), if_generation=ABSENT)
        world.clock.advance(5)
        world.report(world.claim(B), B, [uploaded(index) for index in range(3)])
        world.wake()
    world.recording_documents._documents.clear()
    world.executions.started.clear()
    assert api(world, "POST", "/v1/streams/demo/rebuild").status_code == 200
    found = json.loads(api(world, "GET", "/v1/streams/demo/recordings").data)["recordings"]
    assert [(one["broadcast"], one["state"]) for one in found] == [(1, "finalized"), (2, "waiting")]
    assert [argument["broadcast"] for _, argument in world.executions.started] == [2]


class WithoutFacts(FakeBucket):
    """A bucket that does not answer readers."""

    def facts(self, name: str) -> None:
        raise Unavailable(name)


def test_a_bucket_that_does_not_answer_hides_no_stream_and_no_end_and_fails_the_scrape() -> None:
    world = on_air()
    world.media.__class__ = WithoutFacts
    shown = json.loads(api(world, "GET", "/v1/streams/demo").data)
    assert (shown["state"], shown["health"]) == ("live", None)
    assert api(world, "GET", "/metrics").status_code == 503
    ended = api(world, "POST", "/v1/streams/demo/end")
    assert (ended.status_code, json.loads(ended.data)["state"]) == (200, "ended")


def test_metrics_are_text_that_prometheus_reads() -> None:
    response = api(on_air(), "GET", "/metrics")
    assert (response.status_code, response.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'bucketcast_stream_state{stream="demo",state="live"} 1.0\n' in response.get_data(as_text=True)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/streams", b"", 400),
        ("POST", "/v1/streams", b'{"id": "\xff"}', 400),
        ("POST", "/v1/streams", b'{"id": "Not an id"}', 400),
        ("POST", "/v1/streams", b'{"id": "new", "segment_seconds": 9}', 400),
        ("POST", "/v1/streams", b" " * MAX_REQUEST_BYTES, 400),
        ("POST", "/v1/streams", b" " * (MAX_REQUEST_BYTES + 1), 413),
        ("POST", "/v1/streams", b'{"id": "demo"}', 409),
        ("GET", "/v1/streams/Not-an-id", b"", 400),
        ("GET", "/v1/streams/unknown", b"", 404),
        ("POST", "/v1/streams/unknown/end", b"", 404),
        ("POST", "/v1/streams/demo/end", b"", 409),
        ("DELETE", "/v1/streams", b"", 405),
        ("POST", "/v1/streams/demo", b"", 405),
        ("GET", "/v1/streams/demo/end", b"", 405),
        ("POST", "/v1/streams/unknown/rebuild", b"", 404),
        ("GET", "/v1/streams/demo/rebuild", b"", 405),
        ("POST", "/metrics", b"", 405),
        ("GET", "/v1/streams/demo/start", b"", 404),
        ("GET", "/v1/streams/demo/end/now", b"", 404),
        ("GET", "/v1", b"", 404),
        ("GET", "/v2/streams", b"", 404),
        ("GET", "/streams", b"", 404),
        ("GET", "/streams/demo", b"", 404),
        ("POST", "/streams", b'{"id": "new"}', 404),
        ("GET", "/", b"", 404),
    ],
)
def test_a_request_that_cannot_be_done_is_answered_with_its_problem(
    method: str, path: str, body: bytes, status: int
) -> None:
    world = World()
    found = problem(api(world, method, path, body))
    assert found["status"] == status
    assert found["detail"]
    assert [document.stream for document in world.documents.all()] == ["demo"]


class Failing(FakeStreamDocuments):
    """Every read fails."""

    error: BucketcastError = Unavailable("Firestore: ServiceUnavailable")

    def read(self, stream: object) -> Any:
        raise self.error

    def all(self) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable("Firestore"), 503),
        (TooManyWrites("429"), 503),
        (InvalidRecord("not a StreamDocument"), 500),
    ],
)
def test_trouble_of_our_own_is_ours_and_logged(
    error: BucketcastError, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.documents.__class__ = Failing
    world.documents.error = error  # type: ignore[attr-defined]
    with caplog.at_level(logging.ERROR):
        assert problem(api(world, "GET", "/v1/streams/demo"))["status"] == status
    assert [record.message for record in caplog.records] == ["a request could not be answered"]


def test_an_encoder_claims_and_renews() -> None:
    world = World()
    claimed = sessions(world, "POST", "/claim", encode_record(claim_request(A)))
    assert (claimed.status_code, json.loads(claimed.data)["session"]) == (200, 1)
    renewed = sessions(world, "POST", "/renew/", RENEWAL)
    assert (renewed.status_code, json.loads(renewed.data)) == (200, {"holds": "on"})


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/claim", b"", 400),
        ("POST", "/claim", b'{"stream": "demo"}', 400),
        ("POST", "/claim", b"\xff", 400),
        ("POST", "/claim", b" " * (MAX_REQUEST_BYTES + 1), 413),
        ("POST", "/claim", encode_record(claim_request(B)), 409),
        ("POST", "/claim", encode_record(claim_request(B)).replace(b'"demo"', b'"other"'), 404),
        ("POST", "/claim", encode_record(claim_request(B)).replace(b'"demo"', b'"../x"'), 400),
        ("POST", "/claim", encode_record(claim_request(B)).replace(b"00Z", b"00+01:00"), 400),
        ("POST", "/claim", encode_record(claim_request(B)).replace(b"00Z", b"00"), 400),
        ("POST", "/claim", encode_record(claim_request(B)).replace(b'"height":720', b'"height":0'), 400),
        ("POST", "/renew", RENEWAL.replace(b"demo", b"a/b"), 400),
        ("POST", "/renew", RENEWAL.replace(b"demo", b"other"), 404),
        ("POST", "/renew", RENEWAL.replace(b'"a"', b'"A"'), 400),
        ("GET", "/claim", b"", 405),
        ("POST", "/v1/claim", encode_record(claim_request(B)), 404),
        ("POST", "/", b"", 404),
    ],
)
def test_an_encoders_request_that_cannot_be_done_leaves_no_trace(
    method: str, path: str, body: bytes, status: int
) -> None:
    world = World()
    world.claim(A)
    before: StreamDocument = world.document
    assert problem(sessions(world, method, path, body))["status"] == status
    assert world.document == before
    assert len(world.ingest.log) == 2  # the stream's record and the first session's


def test_a_claim_for_a_rung_without_a_slot_is_the_encoders_mistake() -> None:
    response = sessions(World(slots=SLOTS[1:]), "POST", "/claim", encode_record(claim_request(A)))
    assert problem(response)["detail"] == "the stream has no slot for 720p"


def step(world: World, path: str, body: object, method: str = "POST") -> Response:
    steps = WorkflowSteps(recordings=world.recordings, finalizer=world.finalizer, clean_up=world.clean_up)
    return http_api.workflow_step(request(method, path, json.dumps(body).encode()), steps)


def ended() -> World:
    """A stream whose broadcast was ended by its owner."""
    world = on_air()
    assert api(world, "POST", "/v1/streams/demo/end").status_code == 200
    world.clock.advance(2)
    world.wake()
    return world


def recordings(world: World) -> list[dict[str, Any]]:
    response = api(world, "GET", "/v1/streams/demo/recordings")
    assert response.status_code == 200
    found: list[dict[str, Any]] = json.loads(response.data)["recordings"]
    return found


SUBJECT = {"stream": "demo", "broadcast": 1}


def test_an_end_begins_a_recording() -> None:
    world = ended()
    assert world.executions.started == [("finalize_recording", SUBJECT)]
    assert [(found["broadcast"], found["state"], found["files"]) for found in recordings(world)] == [
        (1, "waiting", [])
    ]


def test_a_workflow_asks_whether_a_broadcast_is_over() -> None:
    response = step(ended(), "/rest", SUBJECT)
    assert (response.status_code, json.loads(response.data)) == (
        200,
        {"over": True, "on_air": False, "seconds": 0},
    )


def test_a_workflow_says_what_failed_and_its_owner_starts_it_again() -> None:
    world = ended()
    assert (
        step(world, "/fail", {**SUBJECT, "execution": "1", "step": "finalize", "reason": "why"}).status_code
        == 204
    )
    [found] = recordings(world)
    assert (found["state"], found["failed_step"], found["reason"]) == ("failed", "finalize", "why")
    response = api(world, "POST", "/v1/streams/demo/recordings/1/finalize")
    assert response.status_code == 202
    assert json.loads(response.data)["recordings"][0]["state"] == "waiting"
    assert len(world.executions.started) == 2


@pytest.mark.parametrize(
    "path",
    ["/v1/streams/demo/recordings/2/finalize", "/v1/streams/demo/recordings/x/finalize", "/v1/streams/demo/x"],
)
def test_a_recording_that_is_not_there_is_not_found(path: str) -> None:
    assert problem(api(ended(), "POST", path))["status"] == 404


def test_a_workflow_cleans_up_or_says_what_would_go() -> None:
    world = ended()
    world.clock.advance(8 * 86_400)
    for dry_run in (True, True, False):
        response = step(world, "/clean-up", {"dry_run": dry_run})
        assert response.status_code == 200
        assert json.loads(response.data)["more"] is False


@pytest.mark.parametrize("path", ["/rest", "/finalize", "/fail", "/clean-up"])
def test_what_a_workflow_asks_wrongly_is_told(path: str) -> None:
    assert problem(step(World(), path, {"unknown": 1}))["status"] == 400
    assert problem(step(World(), path, {}, method="GET"))["status"] == 405
    assert problem(step(World(), path + "s", {}))["status"] == 404


def test_a_stream_is_deleted_and_its_id_free_a_day_after() -> None:
    world = ended()
    world.clock.advance(3)
    assert problem(api(world, "DELETE", "/v1/streams/demo?keep_recordings=perhaps"))["status"] == 400
    assert api(world, "DELETE", "/v1/streams/demo").status_code == 204
    assert api(world, "GET", "/v1/streams/demo").status_code == 404
    assert api(world, "DELETE", "/v1/streams/demo").status_code == 204
    assert api(world, "DELETE", "/v1/streams/unknown").status_code == 404
    assert "a day after" in problem(api(world, "POST", "/v1/streams", b'{"id": "demo"}'))["detail"]
    world.clock.advance(86_400)
    step(world, "/clean-up", {})
    assert api(world, "POST", "/v1/streams", b'{"id": "demo"}').status_code == 201


def test_a_stream_on_air_is_not_deleted() -> None:
    assert "end its broadcast first" in problem(api(on_air(), "DELETE", "/v1/streams/demo"))["detail"]


def test_a_workflow_finalizes_and_announces_what_was_made_of_it() -> None:
    world = ended()
    assert json.loads(step(world, "/finalize", SUBJECT).data) == {"files": 0}
    [found] = recordings(world)
    assert (found["state"], found["vod"]) == ("finalized", None)
    assert problem(step(world, "/announce", SUBJECT))["status"] == 404
    facts = NewObject(
        name="demo/recording/00000001/vod/facts.json", content=b"{}", content_type=JSON, cache_control=""
    )
    world.media.write(facts, if_generation=ABSENT)
    assert step(world, "/announce", SUBJECT).status_code == 204
    assert (
        step(world, "/fail-vod", {**SUBJECT, "execution": "1", "step": "vod", "reason": "why"}).status_code
        == 204
    )
