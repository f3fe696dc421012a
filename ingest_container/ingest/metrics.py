"""Prometheus metrics of the ingest."""

from contextlib import suppress
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From a quick loopback to a segment duration that was missed.
_SECONDS: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """Every metric of one process, in *registry*."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the metrics."""
        self.registry = registry
        self.sessions = Gauge(
            "bucketcast_sessions", "Sessions on air, or with a tail to be delivered", registry=registry
        )
        self.connections_closed = Counter(
            "bucketcast_connections_closed",
            "Connections of broadcasters who were let in, by what closed them",
            ["reason"],
            registry=registry,
        )
        self.refused = Counter(
            "bucketcast_publish_refused",
            "Broadcasters who were refused before any media was read",
            ["reason"],
            registry=registry,
        )
        self.speed = Gauge(
            "bucketcast_ffmpeg_speed_ratio",
            "Seconds of media that FFmpeg encodes in a second",
            ["stream"],
            registry=registry,
        )
        self.restarts = Counter(
            "bucketcast_ffmpeg_restarts", "FFmpeg processes that were replaced", ["stream"], registry=registry
        )
        self.uploaded = Counter(
            "bucketcast_segments_uploaded",
            "Segments, of every rung, that were verified in the bucket",
            ["stream"],
            registry=registry,
        )
        self.retried = Counter(
            "bucketcast_segments_retried",
            "Tries to upload a segment, or the gap in its place, that failed and were made again",
            ["stream"],
            registry=registry,
        )
        self.lost = Counter(
            "bucketcast_segments_lost",
            "Segments that became gaps, or were left behind in a long outage",
            ["stream"],
            registry=registry,
        )
        self.recorded = Counter(
            "bucketcast_recording_parts_written",
            "Parts of recordings that are in their bucket",
            ["stream"],
            registry=registry,
        )
        self.parts_lost = Counter(
            "bucketcast_recording_parts_lost",
            "Parts of recordings that are left to be made of the live segments",
            ["stream"],
            registry=registry,
        )
        self.upload_seconds = Histogram(
            "bucketcast_upload_seconds",
            "From a segment closed by the encoder to its verified object, with all tries",
            ["stream"],
            buckets=_SECONDS,
            registry=registry,
        )
        # The publisher's answer says that it brought the playlists up to the timeline, not what they list: a
        # rendition waits for what comes before the segment. What can never succeed is acknowledged, too.
        self.visible_seconds = Histogram(
            "bucketcast_visible_seconds",
            "From a segment closed by the encoder to the publisher's answer for a timeline that holds it",
            ["stream"],
            buckets=_SECONDS,
            registry=registry,
        )


class StreamMetrics:
    """The metrics of one stream's session, and their counts since it began."""

    def __init__(self, metrics: Metrics, stream: str) -> None:
        """Count under the label *stream*."""
        self._metrics = metrics
        self._stream = stream
        self.segments_uploaded = 0
        self.segments_retried = 0
        self.segments_lost = 0
        self._restarts = 0

    def uploaded(self, *, seconds: float) -> None:
        """Count a verified segment that took *seconds*."""
        self.segments_uploaded += 1
        self._metrics.uploaded.labels(self._stream).inc()
        self._metrics.upload_seconds.labels(self._stream).observe(seconds)

    def retried(self) -> None:
        """Count an upload that is tried again."""
        self.segments_retried += 1
        self._metrics.retried.labels(self._stream).inc()

    def lost(self) -> None:
        """Count a segment that viewers do not get."""
        self.segments_lost += 1
        self._metrics.lost.labels(self._stream).inc()

    def recorded(self) -> None:
        """Count a part of the recording that is in its bucket."""
        self._metrics.recorded.labels(self._stream).inc()

    def part_lost(self) -> None:
        """Count a part of the recording that is left to be made of the live segments."""
        self._metrics.parts_lost.labels(self._stream).inc()

    def visible(self, *, seconds: float) -> None:
        """Observe that the publisher answered for a segment, *seconds* after the encoder closed it."""
        self._metrics.visible_seconds.labels(self._stream).observe(seconds)

    def follow(self, *, restarts: int, speed: float) -> None:
        """Note FFmpeg's *speed*, and how many *restarts* there were since the session began."""
        self._metrics.restarts.labels(self._stream).inc(restarts - self._restarts)
        self._restarts = restarts
        self._metrics.speed.labels(self._stream).set(speed)

    def forget(self) -> None:
        """Drop the gauge of a session that is over; counters stay."""
        with suppress(KeyError):  # it was over before FFmpeg reported
            self._metrics.speed.remove(self._stream)
