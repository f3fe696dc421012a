"""What Prometheus is told of WHIP sessions: what is, and nothing of those that are over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from bucketcast.stream.identifiers import StreamId, parse_stream_id
from ingest.feed import Track
from ingest.protocols.whip.media import TrackStatistics
from ingest.protocols.whip.session import WhipSession
from ingest.protocols.whip.session_status import SessionState
from ingest.protocols.whip.udp import Discarded
from ingest.whip_metrics import WhipCollector

DEMO = parse_stream_id("demo")
DISCARDED = {Discarded.UNCHECKED_PATH: 5}
PICTURES = TrackStatistics(
    track=Track.VIDEO,
    packets=100,
    bytes=90_000,
    lost=1,
    recovered=2,
    late=0,
    malformed=0,
    nacks=3,
    plis=4,
    jitter=timedelta(milliseconds=5),
    round_trip=timedelta(milliseconds=40),
    frames=30,
    frames_dropped=6,
    b_frames=0,
    keyframe_interval=timedelta(seconds=2),
    ssrc_changes=1,
)
SILENT = TrackStatistics(
    track=Track.AUDIO,
    packets=0,
    bytes=0,
    lost=0,
    recovered=0,
    late=0,
    malformed=0,
    nacks=0,
    plis=0,
    jitter=timedelta(0),
    round_trip=None,
    frames=0,
    frames_dropped=0,
    b_frames=0,
    keyframe_interval=None,
    ssrc_changes=0,
)


@dataclass
class Session:
    """As much of a session as is read."""

    state: SessionState = SessionState.LIVE
    stream: StreamId | None = DEMO
    statistics: tuple[TrackStatistics, ...] = (PICTURES, SILENT)
    datagrams_dropped: int = 7
    datagrams_malformed: int = 9
    frames_not_taken: int = 8


def exposed(sessions: Sequence[Session]) -> list[str]:
    registry = CollectorRegistry()
    registry.register(WhipCollector(lambda: cast("Sequence[WhipSession]", sessions), lambda: DISCARDED))
    return generate_latest(registry).decode().splitlines()


@pytest.mark.parametrize(
    "line",
    [
        'bucketcast_whip_sessions{state="live"} 1.0',
        'bucketcast_whip_sessions{state="connecting"} 0.0',
        'bucketcast_whip_packets_total{stream="demo",track="video"} 100.0',
        'bucketcast_whip_packets_lost_total{stream="demo",track="video"} 1.0',
        'bucketcast_whip_packets_recovered_total{stream="demo",track="video"} 2.0',
        'bucketcast_whip_nacks_total{stream="demo",track="video"} 3.0',
        'bucketcast_whip_plis_total{stream="demo",track="video"} 4.0',
        'bucketcast_whip_frames_dropped_total{stream="demo",track="video"} 6.0',
        'bucketcast_whip_jitter_seconds{stream="demo",track="video"} 0.005',
        'bucketcast_whip_round_trip_seconds{stream="demo",track="video"} 0.04',
        'bucketcast_whip_keyframe_interval_seconds{stream="demo",track="video"} 2.0',
        'bucketcast_whip_packets_total{stream="demo",track="audio"} 0.0',
        'bucketcast_whip_b_frames_total{stream="demo",track="video"} 0.0',
        'bucketcast_whip_datagrams_dropped_total{stream="demo"} 7.0',
        'bucketcast_whip_datagrams_malformed_total{stream="demo"} 9.0',
        'bucketcast_whip_frames_not_taken_total{stream="demo"} 8.0',
        'bucketcast_whip_datagrams_discarded_total{reason="unchecked path"} 5.0',
        'bucketcast_whip_datagrams_discarded_total{reason="wrong password"} 0.0',
    ],
)
def test_what_is_measured_of_a_session_is_told(line: str) -> None:
    assert line in exposed([Session()])


def test_what_is_not_known_is_not_told() -> None:
    lines = exposed([Session()])
    assert not any("round_trip" in line and "audio" in line for line in lines)
    assert not any("keyframe_interval" in line and "audio" in line for line in lines)


def test_nothing_is_left_of_a_session_that_is_over() -> None:
    assert not any("demo" in line for line in exposed([]))


def test_a_session_that_closes_is_not_told_beside_its_successor() -> None:
    """A bug: Prometheus had two samples for one stream."""
    lines = exposed([Session(state=SessionState.ENDED), Session()])
    assert (
        len(
            [
                line
                for line in lines
                if line.startswith('bucketcast_whip_packets_total{stream="demo",track="video"')
            ]
        )
        == 1
    )
