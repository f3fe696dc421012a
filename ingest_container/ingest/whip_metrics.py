"""Prometheus metrics of WHIP sessions, read from them when they are asked for: what ends leaves nothing."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ingest.protocols.whip.media import TrackStatistics
from ingest.protocols.whip.session import WhipSession
from ingest.protocols.whip.session_status import SessionState
from ingest.protocols.whip.udp import Discarded

_PREFIX: Final = "bucketcast_whip_"
_LABELS: Final = ("stream", "track")
_COUNTERS: Final[dict[str, tuple[str, Callable[[TrackStatistics], int]]]] = {
    "packets": ("RTP packets that came", lambda track: track.packets),
    "bytes": ("Bytes of media that came", lambda track: track.bytes),
    "packets_lost": ("Packets that did not come in time", lambda track: track.lost),
    "packets_late": ("Packets that came twice, or after they were given up", lambda track: track.late),
    "packets_malformed": (
        "Packets, and frames, that could not be read or believed",
        lambda track: track.malformed,
    ),
    "packets_recovered": ("Packets that came after they were asked for", lambda track: track.recovered),
    "nacks": ("Packets that were asked for again", lambda track: track.nacks),
    "plis": ("Keyframes that were asked for", lambda track: track.plis),
    "frames": ("Frames that were handed on", lambda track: track.frames),
    "frames_dropped": (
        "Frames that loss has damaged, or what they refer to",
        lambda track: track.frames_dropped,
    ),
    "b_frames": ("Frames that are coded from later ones, or come after them", lambda track: track.b_frames),
    "ssrc_changes": ("Times that the sender went on under another SSRC", lambda track: track.ssrc_changes),
}
_SESSION_COUNTERS: Final[dict[str, tuple[str, Callable[[WhipSession], int]]]] = {
    "datagrams_dropped": (
        "Datagrams that came faster than they were read",
        lambda session: session.datagrams_dropped,
    ),
    "datagrams_malformed": (
        "Datagrams that are neither RTP of a track nor RTCP",
        lambda session: session.datagrams_malformed,
    ),
    "frames_not_taken": (
        "Frames that came faster than the encoder takes them",
        lambda session: session.frames_not_taken,
    ),
}


class WhipCollector(Collector):
    """Collects from the *sessions* that are open, and what was *discarded* before it reached any."""

    def __init__(
        self,
        sessions: Callable[[], Iterable[WhipSession]],
        discarded: Callable[[], Mapping[Discarded, int]],
    ) -> None:
        self._sessions = sessions
        self._discarded = discarded

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        sessions = tuple(self._sessions())
        yield _states(sessions)
        yield _discarded(self._discarded())
        # Of one that ended, the successor may be there already.
        present = [each for each in sessions if each.state is not SessionState.ENDED]
        yield from _by_session(present)
        tracks = [
            ((str(session.stream), track.track.value), track)
            for session in present
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


def _discarded(counts: Mapping[Discarded, int]) -> Metric:
    counter = CounterMetricFamily(
        _PREFIX + "datagrams_discarded", "Datagrams that reached no session", labels=["reason"]
    )
    for reason in Discarded:
        counter.add_metric([reason.value], counts.get(reason, 0))
    return counter


def _by_session(sessions: Iterable[WhipSession]) -> Iterator[Metric]:
    for name, (help_text, value) in _SESSION_COUNTERS.items():
        counter = CounterMetricFamily(_PREFIX + name, help_text, labels=["stream"])
        for session in sessions:
            counter.add_metric([str(session.stream)], value(session))
        yield counter
