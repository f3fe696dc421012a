"""What the ingest counts, under which names."""

import re

from prometheus_client import CollectorRegistry

from ingest.metrics import Metrics, StreamMetrics


def metrics_of(stream: str) -> tuple[CollectorRegistry, StreamMetrics]:
    registry = CollectorRegistry()
    return registry, StreamMetrics(Metrics(registry), stream)


def test_every_count_is_of_its_stream_and_of_its_session() -> None:
    registry, metrics = metrics_of("demo")
    metrics.uploaded(seconds=0.2)
    metrics.uploaded(seconds=0.4)
    metrics.retried()
    metrics.lost()
    metrics.visible(seconds=0.3)
    values = {
        name: registry.get_sample_value(name, {"stream": "demo"})
        for name in (
            "bucketcast_segments_uploaded_total",
            "bucketcast_segments_retried_total",
            "bucketcast_segments_lost_total",
            "bucketcast_upload_seconds_count",
            "bucketcast_upload_seconds_sum",
            "bucketcast_visible_seconds_sum",
        )
    }
    assert list(values.values()) == [2, 1, 1, 2, 0.6000000000000001, 0.3]
    assert (metrics.segments_uploaded, metrics.segments_retried, metrics.segments_lost) == (2, 1, 1)


def test_a_later_session_of_a_stream_counts_on_and_from_zero_for_itself() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for restarts in (2, 3):
        session = StreamMetrics(metrics, "demo")
        session.follow(restarts=1, speed=1.0)
        session.follow(restarts=restarts, speed=1.0)
        session.lost()
        assert session.segments_lost == 1
    assert registry.get_sample_value("bucketcast_ffmpeg_restarts_total", {"stream": "demo"}) == 5
    assert registry.get_sample_value("bucketcast_segments_lost_total", {"stream": "demo"}) == 2


def test_the_speed_of_a_session_that_is_over_is_not_shown() -> None:
    registry, metrics = metrics_of("demo")
    metrics.follow(restarts=0, speed=1.5)
    assert registry.get_sample_value("bucketcast_ffmpeg_speed_ratio", {"stream": "demo"}) == 1.5
    metrics.forget()
    metrics.forget()
    assert registry.get_sample_value("bucketcast_ffmpeg_speed_ratio", {"stream": "demo"}) is None


def test_names_and_units_are_as_prometheus_has_them() -> None:
    """Base units, `_total` for what only grows, and a help text: https://prometheus.io/docs/practices/naming."""
    registry = CollectorRegistry()
    Metrics(registry)
    families = list(registry.collect())
    assert families
    for family in families:
        assert re.fullmatch(r"bucketcast(_[a-z]+)+", family.name)
        assert family.documentation
        assert not re.search(r"_(ms|milliseconds|minutes|percent|total|count|sum|bucket)$", family.name)
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        assert family.type in {"counter", "gauge", "histogram"}  # a counter's samples end in _total
