"""The endpoint as its publishers see it, over ASGI and with sessions that are noted down."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.types import Message

from bucketcast.stream.identifiers import parse_stream_id
from ingest.protocols.publishing import PublishRefused, RefusalReason
from ingest.protocols.whip import http
from ingest.protocols.whip.endpoint import (
    MAX_BODY_BYTES,
    EndpointSettings,
    IceServer,
    Opened,
    OpenSession,
    SessionFacts,
)
from ingest.protocols.whip.http import whip_routes
from ingest.protocols.whip.negotiation import LocalTransport, answer
from ingest.protocols.whip.offer_rate import OFFERS_AT_ONCE
from ingest.protocols.whip.session_status import SessionState, SessionStatus
from tools.whip_offers import FINGERPRINT, FRAGMENT, chromium

KEY = "demo_0123456789abcdef"
HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/sdp"}
OFFER = chromium().encode()
LOCAL = LocalTransport(
    fragment="abcdEFGH", password="p" * 24, fingerprint=FINGERPRINT, candidates=(("127.0.0.1", 8189),)
)


LIVE = SessionStatus(stream=parse_stream_id("demo"), state=SessionState.LIVE, faults=())


@dataclass
class Sessions:
    """Sessions that do nothing; *failure* is what opening one raises."""

    failure: Exception | None = None
    peers: list[str] = field(default_factory=list)
    open_sessions: dict[str, SessionFacts] = field(default_factory=dict)

    async def open(self, wanted: OpenSession, *, peer_address: str) -> Opened:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        self.peers.append(peer_address)
        session_id = f"session-{len(self.peers)}"
        self.open_sessions[session_id] = SessionFacts(
            stream_key=wanted.stream_key, fragment=wanted.negotiated.fragment
        )
        return Opened(session_id=session_id, answer=answer(wanted.offer, wanted.negotiated, LOCAL))

    def facts(self, session_id: str) -> SessionFacts | None:
        return self.open_sessions.get(session_id)

    def status(self, session_id: str) -> SessionStatus | None:
        return LIVE if session_id in self.open_sessions else None

    def end(self, session_id: str) -> bool:
        self.open_sessions[session_id] = replace(self.open_sessions[session_id], has_ended=True)
        return True


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for each, value in self.headers if each == name), None)


class Client:
    """Calls the routes as a web server would."""

    def __init__(self, sessions: Sessions, settings: EndpointSettings = EndpointSettings()) -> None:  # noqa: B008 - frozen
        self.now = 0.0
        self._application = Starlette(routes=whip_routes(sessions, settings, clock=lambda: self.now))

    async def call(
        self,
        method: str,
        path: str = "/whip",
        headers: Mapping[str, str] = HEADERS,
        pieces: tuple[bytes, ...] | AsyncIterator[bytes] = (),
    ) -> Answer:
        path, _, query = path.partition("?")
        sent: list[Message] = []
        waiting = aiter(pieces) if isinstance(pieces, AsyncIterator) else _each(pieces)
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.1", 50000),
            "server": ("127.0.0.1", 8080),
        }

        async def receive() -> Message:
            piece = await anext(waiting, None)
            if piece is None:
                return {"type": "http.request", "body": b"", "more_body": False}
            return {"type": "http.request", "body": piece, "more_body": True}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._application(scope, receive, send)
        start, *rest = sent
        return Answer(
            status=start["status"],
            headers=[(name.decode(), value.decode()) for name, value in start["headers"]],
            body=b"".join(each.get("body", b"") for each in rest),
        )

    async def publish(self, **headers: str) -> Answer:
        return await self.call("POST", headers={**HEADERS, **headers}, pieces=(OFFER,))


async def _each(pieces: tuple[bytes, ...]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_session_is_opened_and_trickled_to_and_ended() -> None:
    sessions = Sessions()
    client = Client(sessions, EndpointSettings(ice_servers=(IceServer(url="stun:a"), IceServer(url="stun:b"))))
    created = await client.publish()
    location, etag = created.header("location"), created.header("etag")
    assert location is not None
    assert etag is not None
    assert created.status == 201
    assert created.body.startswith(b"v=0\r\n")
    assert [value for name, value in created.headers if name == "link"] == [
        '<stun:a>; rel="ice-server"',
        '<stun:b>; rel="ice-server"',
    ]
    trickle = {"content-type": "application/trickle-ice-sdpfrag", "if-match": etag}
    fragment = f"a=ice-ufrag:{FRAGMENT}\r\na=end-of-candidates\r\n".encode()
    assert (await client.call("PATCH", location, trickle, (fragment,))).status == 204
    assert (await client.call("GET", f"{location}/status")).header("content-type") == "application/json"
    for _ in range(2):
        assert (await client.call("DELETE", location)).status == 200
    assert (await client.call("PATCH", location, trickle, (fragment,))).status == 404
    assert [each.has_ended for each in sessions.open_sessions.values()] == [True]


async def test_an_offer_may_come_in_pieces() -> None:
    pieces = tuple(OFFER[start : start + 100] for start in range(0, len(OFFER), 100))
    assert (await Client(Sessions()).call("POST", pieces=pieces)).status == 201


async def test_of_a_body_that_is_too_large_no_more_is_read_than_it_takes_to_know() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield bytes(1024)

    assert (await Client(Sessions()).call("POST", pieces=endless())).status == 413
    assert read <= MAX_BODY_BYTES // 1024 + 1


async def test_a_body_that_does_not_come_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    monkeypatch.setattr(http, "BODY_SECONDS", 0.0)
    assert (await Client(Sessions()).call("POST", pieces=silent())).status == 408


async def test_200_offers_in_a_minute_are_answered_and_most_are_told_to_wait() -> None:
    sessions = Sessions()
    client = Client(sessions)
    statuses = []
    for _ in range(200):
        statuses.append((await client.publish()).status)
        client.now += 0.1
    assert statuses[:OFFERS_AT_ONCE] == [201] * OFFERS_AT_ONCE
    assert set(statuses) == {201, 429}
    assert len(sessions.peers) == statuses.count(201) <= OFFERS_AT_ONCE + 20


async def test_only_offers_are_counted() -> None:
    client = Client(Sessions())
    while (await client.publish()).status == 201:
        pass
    assert (await client.call("OPTIONS")).status == 200
    assert (await client.call("DELETE", "/whip/session-1")).status == 200


async def test_the_publisher_s_address_is_what_a_trusted_proxy_says() -> None:
    sessions = Sessions()
    await Client(sessions).publish(**{"x-forwarded-for": "203.0.113.9"})
    await Client(sessions, EndpointSettings(trusted_proxies=1)).publish(**{"x-forwarded-for": "203.0.113.9"})
    assert sessions.peers == ["192.0.2.1", "203.0.113.9"]


async def test_a_refusal_is_told_and_noted_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sessions = Sessions(failure=PublishRefused(RefusalReason.ON_AIR, "Stop the other one first."))
    answered = await Client(sessions).publish()
    assert answered.status == 409
    assert answered.header("content-type") == "application/problem+json"
    assert json.loads(answered.body)["detail"] == "Stop the other one first."
    (record,) = caplog.records
    assert (vars(record)["status"], vars(record)["detail"]) == (409, "Stop the other one first.")
    assert KEY not in str(vars(record))


async def test_what_goes_wrong_behind_it_is_noted_and_told_in_general_without_the_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answered = await Client(Sessions(failure=RuntimeError("inside"))).publish()
    assert answered.status == 500
    assert b"inside" not in answered.body
    (record,) = caplog.records
    assert record.exc_info is not None
    assert KEY not in caplog.text + str(vars(record))


async def test_a_time_out_behind_it_is_no_time_out_of_the_request() -> None:
    assert (await Client(Sessions(failure=TimeoutError())).publish()).status == 500


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PROPFIND"])
@pytest.mark.parametrize("path", ["/whip", "/whip/", "/whip/gone", "/whip/gone/status"])
async def test_every_method_on_every_address_is_answered_by_the_endpoint(method: str, path: str) -> None:
    assert (await Client(Sessions()).call(method, path)).header("cache-control") == "no-store"


async def test_a_publisher_that_goes_away_in_the_middle_of_its_offer_is_let_go() -> None:
    route, *_ = whip_routes(Sessions(), EndpointSettings())
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/whip",
        "query_string": b"",
        "headers": [],
        "client": None,
    }
    await route.app(scope, receive, send)
    assert sent == []


@given(st.data())
def test_any_bytes_are_answered_with_201_or_a_fault_of_the_sender_s(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(OFFER)))
    end = data.draw(st.integers(start, min(len(OFFER), start + 40)))
    body = OFFER[:start] + data.draw(st.binary(max_size=40)) + OFFER[end:]
    status = asyncio.run(Client(Sessions()).call("POST", pieces=(body,))).status
    assert status in (201, 400, 422)
