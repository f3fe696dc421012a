"""The ingest's own addresses: health and metrics."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import requests
from prometheus_client import CollectorRegistry

from ingest.metrics import Metrics, StreamMetrics
from ingest.web import web_application
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
