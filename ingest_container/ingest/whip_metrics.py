"""Prometheus metrics of WHIP sessions, read from them when they are asked for: what ends leaves nothing."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ingest.protocols.whip.media import TrackStatistics
from ingest.protocols.whip.session import SessionState, WhipSession

_PREFIX: Final = "bucketcast_whip_"
_LABELS: Final = ("stream", "track")
_COUNTERS: Final[dict[str, tuple[str, Callable[[TrackStatistics], int]]]] = {
    "packets": ("RTP packets that came", lambda track: track.packets),
    "bytes": ("Bytes of media that came", lambda track: track.bytes),
    "packets_lost": ("Packets that did not come in time", lambda track: track.lost),
    "packets_recovered": ("Packets that came after they were asked for", lambda track: track.recovered),
    "nacks": ("Packets that were asked for again", lambda track: track.nacks),
    "plis": ("Keyframes that were asked for", lambda track: track.plis),
    "frames": ("Frames that were handed on", lambda track: track.frames),
    "frames_dropped": (
        "Frames that loss has damaged, or what they refer to",
        lambda track: track.frames_dropped,
    ),
    "ssrc_changes": ("Times that the sender went on under another SSRC", lambda track: track.ssrc_changes),
}


class WhipCollector(Collector):
    """Collects from the *sessions* that are open."""

    def __init__(self, sessions: Callable[[], Iterable[WhipSession]]) -> None:
        self._sessions = sessions

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        sessions = tuple(self._sessions())
        yield _states(sessions)
        tracks = [
            ((str(session.stream), track.track.value), track)
            for session in sessions
            if session.state is not SessionState.ENDED  # its successor may be there already
            for track in session.statistics
        ]
        for name, (help_text, value) in _COUNTERS.items():
            counter = CounterMetricFamily(_PREFIX + name, help_text, labels=_LABELS)
            for labels, track in tracks:
                counter.add_metric(labels, value(track))
            yield counter
        jitter = GaugeMetricFamily(_PREFIX + "jitter_seconds", "RFC 3550, 6.4.1", labels=_LABELS)
        round_trip = GaugeMetricFamily(_PREFIX + "round_trip_seconds", "Where it is known", labels=_LABELS)
        interval = GaugeMetricFamily(
            _PREFIX + "keyframe_interval_seconds", "Between the last two keyframes", labels=_LABELS
        )
        for labels, track in tracks:
            jitter.add_metric(labels, track.jitter.total_seconds())
            if track.round_trip is not None:
                round_trip.add_metric(labels, track.round_trip.total_seconds())
            if track.keyframe_interval is not None:
                interval.add_metric(labels, track.keyframe_interval.total_seconds())
        yield from (jitter, round_trip, interval)


def _states(sessions: Iterable[WhipSession]) -> Metric:
    found = Counter(session.state for session in sessions)
    gauge = GaugeMetricFamily(_PREFIX + "sessions", "WHIP sessions by state", labels=["state"])
    for state in SessionState:
        gauge.add_metric([state.value], found[state])
    return gauge
