import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.whip.media.reception import MAX_DROPOUT, SourceStatistics
from ingest.protocols.whip.media.rtcp import SenderReport


def _statistics() -> SourceStatistics:
    return SourceStatistics(77, 90_000)


@given(st.integers(0, 65_535), st.lists(st.integers(-100, 100), max_size=50))
def test_sequence_numbers_are_extended_wherever_they_begin(first: int, steps: list[int]) -> None:
    statistics = _statistics()
    assert statistics.extend(first) == first
    highest = first
    for step in steps:
        number = highest + step
        assert statistics.extend(number & 0xFFFF) == number
        highest = max(highest, number)
    assert statistics.highest == highest


def test_a_far_jump_is_believed_when_the_next_packet_bears_it_out() -> None:
    """RFC 3550, A.1: one stray packet disturbs nothing."""
    statistics = _statistics()
    statistics.extend(10)
    assert statistics.extend(30_000) is None
    assert statistics.extend(11) == 11
    assert statistics.extend(30_000) is None
    assert statistics.extend(30_001) == 30_001
    assert statistics.extend(30_002) == 30_002
    report = statistics.report(0)
    assert (report.packets_lost, report.highest_sequence_number) == (0, 30_002)


def test_a_step_is_far_above_what_is_lost_or_late() -> None:
    statistics = _statistics()
    statistics.extend(0)
    assert statistics.extend(MAX_DROPOUT) == MAX_DROPOUT
    assert statistics.extend(0) == 0
    assert statistics.extend(2 * MAX_DROPOUT + 1) is None


def test_loss_is_reported_in_all_and_since_the_last_report() -> None:
    """RFC 3550, A.3."""
    statistics = _statistics()
    assert statistics.report(0).fraction_lost == 0
    for number in (0, 1, 3, 4):
        statistics.extend(number)
    first = statistics.report(0)
    assert (first.fraction_lost, first.packets_lost) == (256 // 5, 1)
    for number in (5, 6, 7):
        statistics.extend(number)
    second = statistics.report(0)
    assert (second.ssrc, second.fraction_lost, second.packets_lost) == (77, 0, 1)


def test_duplicates_are_no_negative_fraction() -> None:
    statistics = _statistics()
    for _ in range(3):
        statistics.extend(0)
    report = statistics.report(0)
    assert (report.fraction_lost, report.packets_lost) == (0, -2)


def test_jitter_is_the_smoothed_unevenness_of_transit() -> None:
    """RFC 3550, 6.4.1: pictures that come 10 ms early and late by turns have a jitter towards 20 ms."""
    statistics = _statistics()
    for number in range(200):
        statistics.observe_transit(3000 * number, number / 30 + (0.01 if number % 2 else -0.01))
    assert statistics.jitter_seconds == pytest.approx(0.02, rel=0.01)
    assert statistics.report(0).jitter == pytest.approx(1800, rel=0.01)


def test_packets_of_one_picture_and_a_clock_that_starts_anew_are_no_jitter() -> None:
    statistics = _statistics()
    statistics.observe_transit(0, 0.0)
    statistics.observe_transit(0, 0.3)
    assert statistics.jitter_seconds == 0
    statistics.observe_transit(1 << 31, 0.3)
    assert statistics.jitter_seconds <= 1 / 16


def test_a_sender_report_is_referred_to() -> None:
    statistics = _statistics()
    report = SenderReport(ssrc=77, ntp=0x0123_4567_89AB_CDEF, rtp_timestamp=0, packets=0, bytes=0)
    statistics.observe_sender_report(report, 10.0)
    block = statistics.report(12.5)
    assert (block.last_sender_report, block.delay.total_seconds()) == (0x4567_89AB, 2.5)
