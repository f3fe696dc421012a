"""The ingest's own addresses: health and metrics; and what publishers are told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

import pytest
import requests
from prometheus_client import CollectorRegistry

from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import parse_stream_id
from ingest.metrics import Metrics, StreamMetrics
from ingest.protocols.publishing import CloseReason
from ingest.protocols.whip.endpoint import EndpointSettings
from ingest.protocols.whip.server import WhipServer
from ingest.protocols.whip.session import SessionState, SessionStatus
from ingest.web import web_application, whip_application
from local_cloud.connections import WebServer, listen

# Dashboards and alerts are made with these.
NAMES = {
    "bucketcast_sessions",
    "bucketcast_connections_closed_total",
    "bucketcast_publish_refused_total",
    "bucketcast_ffmpeg_speed_ratio",
    "bucketcast_ffmpeg_restarts_total",
    "bucketcast_segments_uploaded_total",
    "bucketcast_segments_retried_total",
    "bucketcast_segments_lost_total",
    "bucketcast_upload_seconds_bucket",
    "bucketcast_visible_seconds_bucket",
}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """The address of an ingest that has had a session."""
    metrics = Metrics(CollectorRegistry())
    metrics.connections_closed.labels("unpublished").inc()
    metrics.refused.labels("key").inc()
    session = StreamMetrics(metrics, "demo")
    session.uploaded(seconds=0.1)
    session.retried()
    session.lost()
    session.visible(seconds=0.1)
    session.follow(restarts=1, speed=1.0)
    listener = listen("127.0.0.1", 0)
    server = WebServer(web_application(metrics.registry), listener)
    server.start()
    yield "http://{}:{}".format(*listener.getsockname())
    await server.close()


async def test_healthz_says_ok(url: str) -> None:
    answer = await asyncio.to_thread(requests.get, f"{url}/healthz", timeout=10)
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_metrics_are_there_under_their_names(url: str) -> None:
    answer = await asyncio.to_thread(requests.get, f"{url}/metrics", timeout=10)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    found = {line.partition("{")[0].partition(" ")[0] for line in lines}
    assert found >= NAMES
    derived = ("_created", "_sum", "_count")
    assert {name for name in found if not name.endswith(derived)} == NAMES


async def test_there_is_nothing_else(url: str) -> None:
    answer = await asyncio.to_thread(requests.get, f"{url}/", timeout=10)
    assert answer.status_code == 404


@dataclass
class Publishing:
    """A server with one session, as far as its status goes."""

    status_of: dict[str, SessionStatus]

    def status(self, session_id: str) -> SessionStatus | None:
        return self.status_of.get(session_id)


@pytest.fixture
async def publishers_url() -> AsyncIterator[str]:
    """The address of an ingest to which a publisher of `demo` is connected."""
    status = SessionStatus(
        stream=parse_stream_id("demo"),
        state=SessionState.ENDED,
        faults=(InputFault.NO_AUDIO,),
        reason=CloseReason.ENDED,
        detail="The broadcast was ended.",
    )
    server = cast("WhipServer", Publishing({"known": status}))
    settings = EndpointSettings(session_origin="https://gateway-1.example")
    listener = listen("127.0.0.1", 0)
    web = WebServer(whip_application(server, settings, viewer_url="https://watch/{stream}"), listener)
    web.start()
    host, port = listener.getsockname()
    yield f"http://{host}:{port}"
    await web.close()


async def test_a_publisher_may_ask_for_its_session_s_status(publishers_url: str) -> None:
    answer = await asyncio.to_thread(requests.get, f"{publishers_url}/whip/known/status", timeout=10)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "state": "ended",
        "faults": ["no-audio"],
        "viewer": "https://watch/demo",
        "reason": "ended",
        "detail": "The broadcast was ended.",
    }


async def test_a_session_that_nobody_knows_has_no_status(publishers_url: str) -> None:
    answer = await asyncio.to_thread(requests.get, f"{publishers_url}/whip/unknown/status", timeout=10)
    assert answer.status_code == 404


async def test_the_studio_may_talk_to_the_gateway_that_holds_its_session(publishers_url: str) -> None:
    answer = await asyncio.to_thread(requests.get, f"{publishers_url}/studio", timeout=10)
    assert "https://gateway-1.example" in answer.headers["content-security-policy"]
