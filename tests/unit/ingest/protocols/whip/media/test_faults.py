from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.encoder_report import InputFault
from ingest.feed import Track
from ingest.protocols.whip.media import TrackStatistics
from ingest.protocols.whip.media.faults import (
    LOSS,
    MAX_OBSERVATIONS,
    MIN_PACKETS,
    UNREPAIRED_LOSS,
    WINDOW,
    ReceptionMonitor,
)

NOTHING = TrackStatistics(
    track=Track.VIDEO,
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


def told(packets: int, *, lost: int = 0, recovered: int = 0, b_frames: int = 0) -> tuple[InputFault, ...]:
    """The faults after a second of so much."""
    monitor = ReceptionMonitor()
    counted = replace(NOTHING, packets=packets, lost=lost, recovered=recovered, b_frames=b_frames)
    monitor.observe([counted, NOTHING], now=1.0)
    return monitor.faults()


def test_nothing_is_wrong_before_anything_came() -> None:
    assert ReceptionMonitor().faults() == ()
    assert told(0) == ()


@pytest.mark.parametrize(
    ("lost", "recovered", "is_told"),
    [
        (round(1000 * UNREPAIRED_LOSS) - 1, 0, False),
        (round(1000 * UNREPAIRED_LOSS), 0, True),
        (0, round(1000 * LOSS) - 1, False),
        (0, round(1000 * LOSS), True),
    ],
)
def test_loss_is_told_from_its_bound_on(lost: int, recovered: int, *, is_told: bool) -> None:
    assert (InputFault.PACKET_LOSS in told(1000 - lost, lost=lost, recovered=recovered)) == is_told


def test_a_packet_lost_of_a_few_is_no_share() -> None:
    assert told(MIN_PACKETS - 2, lost=1) == ()
    assert told(MIN_PACKETS - 1, lost=1) == (InputFault.PACKET_LOSS,)


def test_b_frames_are_told_from_the_first_one_on() -> None:
    assert told(1, b_frames=1) == (InputFault.B_FRAMES,)


@given(st.lists(st.integers(0, 1000), min_size=12, max_size=30), st.sampled_from([0.1, 1.0]))
def test_what_is_mended_is_told_no_longer_than_the_window(losses: list[int], interval: float) -> None:
    monitor = ReceptionMonitor()
    now, counted = 100.0, NOTHING
    for lost in losses:
        counted = replace(counted, packets=counted.packets + 1000, lost=counted.lost + lost, b_frames=lost)
        monitor.observe([counted], now=now)
        now += interval
    until = now + WINDOW
    while now <= until:
        counted = replace(counted, packets=counted.packets + 1000)
        monitor.observe([counted], now=now)
        now += interval
    assert monitor.faults() == ()


def test_what_is_remembered_is_bounded() -> None:
    monitor = ReceptionMonitor()
    counted = NOTHING
    for number in range(10 * MAX_OBSERVATIONS):
        counted = replace(NOTHING, packets=10 * number, lost=number)
        monitor.observe([counted], now=0.001 * number)
    # Of a tenth of what the window holds, the same is to be seen.
    assert monitor.faults() == (InputFault.PACKET_LOSS,)
