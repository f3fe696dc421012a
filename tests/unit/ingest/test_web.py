"""The ingest's own addresses: health and metrics; and what publishers are told."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import requests
from prometheus_client import CollectorRegistry

from ingest.metrics import Metrics, StreamMetrics
from ingest.protocols.publishing import PublishRefused, RefusalReason
from ingest.protocols.whip.endpoint import EndpointSettings, Opened, OpenSession, SessionFacts
from ingest.protocols.whip.session_status import SessionStatus
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


class NoSessions:
    """What publishers find when nobody publishes."""

    async def open(self, wanted: OpenSession, *, peer_address: str) -> Opened:
        raise PublishRefused(RefusalReason.UNAVAILABLE, "Not now.")

    def facts(self, session_id: str) -> SessionFacts | None:
        return None

    def status(self, session_id: str) -> SessionStatus | None:
        return None

    def end(self, session_id: str) -> bool:
        return False


@pytest.fixture
async def publishers_url() -> AsyncIterator[str]:
    """The address of an ingest among several."""
    settings = EndpointSettings(studio_origins=("https://*.example",))
    application = whip_application(NoSessions(), settings, viewer_url="https://watch/{stream}")
    listener = listen("127.0.0.1", 0)
    web = WebServer(application, listener)
    web.start()
    host, port = listener.getsockname()
    yield f"http://{host}:{port}"
    await web.close()


async def test_publishers_find_the_endpoint_and_its_sessions(publishers_url: str) -> None:
    for path, status in {"/whip": 204, "/whip/unknown": 404, "/whip/unknown/status": 404}.items():
        answer = await asyncio.to_thread(requests.get, publishers_url + path, timeout=10)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "*")


async def test_the_studio_may_talk_to_the_server_that_holds_its_session(publishers_url: str) -> None:
    answer = await asyncio.to_thread(requests.get, f"{publishers_url}/studio", timeout=10)
    assert "connect-src 'self' https://*.example;" in answer.headers["content-security-policy"]
