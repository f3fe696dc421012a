"""Stream metrics: the watchdog's view in Prometheus's text format, version 0.0.4.

Rendered here because it is all gauges, worked out when they are asked for: prometheus_client would add some
60 ms to every function's cold start and take no line away.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bucketcast.stream.document import StreamDocument
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.watchdog import RenditionHealth, StreamHealth

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Watched = Sequence[tuple[StreamDocument, StreamHealth]]
Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A metric and its samples by label; labels are ids, which need no escaping."""

    name: str
    help: str
    samples: tuple[Sample, ...]


def stream_metrics(watched: Watched, *, now: datetime) -> str:
    """Return the metrics of all streams *watched* at *now*; a time since something is 0 where nothing is."""
    return "".join(
        line for gauge in (*_of_streams(watched, now), *_of_renditions(watched, now)) for line in _lines(gauge)
    )


def _of_streams(watched: Watched, now: datetime) -> tuple[Gauge, ...]:
    return (
        Gauge(
            name="bucketcast_stream_state",
            help="1 for the state that the stream is in, 0 for the others",
            samples=tuple(
                ({"stream": document.stream, "state": state}, float(document.state is state))
                for document, _ in watched
                for state in StreamState
            ),
        ),
        _per_stream(
            "bucketcast_stream_broadcast_number",
            "The broadcast on air, else the last one; 0 before the first",
            ((document, document.last_broadcast) for document, _ in watched),
        ),
        _per_stream(
            "bucketcast_stream_session_number",
            "The session claimed last; 0 before the first",
            ((document, document.next_session - 1) for document, _ in watched),
        ),
        _per_stream(
            "bucketcast_stream_reconnect_window_remaining_seconds",
            "Until an interrupted broadcast ends unless its broadcaster returns; 0 while not interrupted",
            ((document, _until(health.reconnect_until, now)) for document, health in watched),
        ),
        _per_stream(
            "bucketcast_stream_drift_seconds",
            "How far the slowest rendition's end lies behind the quickest's",
            ((document, health.drift_seconds) for document, health in watched),
        ),
        _per_stream(
            "bucketcast_stream_drift_duration_seconds",
            "For how long renditions have ended apart",
            ((document, _for(health.drift_since, now)) for document, health in watched),
        ),
    )


def _of_renditions(watched: Watched, now: datetime) -> tuple[Gauge, ...]:
    renditions = [(document, rendition) for document, health in watched for rendition in health.renditions]
    return (
        _per_rendition(
            "bucketcast_rendition_stale_seconds",
            "For how long the playlist has been overdue for its next version",
            ((at, _for(at[1].stale_since, now)) for at in renditions),
        ),
        _per_rendition(
            "bucketcast_rendition_behind_segments",
            "Segments that another rendition lists and this one does not",
            ((at, at[1].behind_segments) for at in renditions),
        ),
        _per_rendition(
            "bucketcast_rendition_behind_duration_seconds",
            "For how long the rendition has lacked segments that another one lists",
            ((at, _for(at[1].behind_since, now)) for at in renditions),
        ),
        _per_rendition(
            "bucketcast_rendition_gap_segments",
            "Gaps that the playlist lists",
            ((at, at[1].gaps) for at in renditions),
        ),
        _per_rendition(
            "bucketcast_rendition_gap_duration_seconds",
            "For how long the playlist has listed gaps",
            ((at, _for(at[1].gaps_since, now)) for at in renditions),
        ),
    )


def _per_stream(name: str, text: str, values: Iterable[tuple[StreamDocument, float]]) -> Gauge:
    samples = tuple(({"stream": document.stream}, value) for document, value in values)
    return Gauge(name=name, help=text, samples=samples)


def _per_rendition(
    name: str, text: str, values: Iterable[tuple[tuple[StreamDocument, RenditionHealth], float]]
) -> Gauge:
    samples = tuple(
        ({"stream": document.stream, "rendition": rendition.name}, value)
        for (document, rendition), value in values
    )
    return Gauge(name=name, help=text, samples=samples)


def _for(since: datetime | None, now: datetime) -> float:
    return (now - since).total_seconds() if since else 0.0


def _until(then: datetime | None, now: datetime) -> float:
    return max(0.0, (then - now).total_seconds()) if then else 0.0


def _lines(gauge: Gauge) -> Iterator[str]:
    yield f"# HELP {gauge.name} {gauge.help}\n# TYPE {gauge.name} gauge\n"
    for labels, value in gauge.samples:
        pairs = ",".join(f'{label}="{text}"' for label, text in labels.items())
        yield f"{gauge.name}{{{pairs}}} {value}\n"
