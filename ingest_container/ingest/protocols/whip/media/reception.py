"""What a receiver keeps count of for one source: sequence numbers, loss and jitter (RFC 3550, appendix A)."""

from datetime import timedelta
from typing import Final

from ingest.protocols.whip.media.rtcp import ReportBlock, SenderReport

# RFC 3550, A.1 has 3,000 forwards and 100 backwards, for 50 packets a second. A packet that is sent again comes
# up to a second late, and at 20 Mb/s that is 2,000 packets back.
MAX_DROPOUT: Final = 3000
_MODULUS: Final = 1 << 16
_HALF: Final = 1 << 15
_HALF_CLOCK: Final = 1 << 31
# 6.4.1: jitter is kept in the timestamp's units, with a gain of 1/16.
_JITTER_GAIN: Final = 16


class SourceStatistics:
    """Counts the packets of the source *ssrc* with *clock_rate* timestamp units a second."""

    def __init__(self, ssrc: int, clock_rate: int) -> None:
        self.ssrc = ssrc
        self._clock_rate = clock_rate
        self._first: int | None = None
        self.highest = 0
        """The number of the latest packet."""
        self._received = 0
        self._expected_before = 0
        self._received_before = 0
        self._suspect: int | None = None
        self._arrival = 0.0
        self._timestamp: int | None = None
        self._jitter = 0.0
        self._sender_report = 0
        self._sender_report_arrived = 0.0

    @property
    def jitter_seconds(self) -> float:
        """How unevenly packets come (6.4.1)."""
        return self._jitter / self._clock_rate

    def nearest(self, sequence_number: int) -> int:
        """Return the number nearest to the latest packet's that *sequence_number* stands for."""
        return self.highest + (sequence_number - self.highest + _HALF) % _MODULUS - _HALF

    def extend(self, sequence_number: int) -> int | None:
        """Return *sequence_number* as a number that does not wrap, or None for one that cannot be believed yet.

        A.1: a source that jumps far is believed when its next packet bears it out, and counted anew. What comes
        then is further than MAX_DROPOUT from all before.
        """
        if self._first is None:
            self._first = self.highest = sequence_number
        number = self.nearest(sequence_number)
        if not -MAX_DROPOUT <= number - self.highest <= MAX_DROPOUT:
            if sequence_number != self._suspect:
                self._suspect = (sequence_number + 1) % _MODULUS
                return None
            self._first = self.highest = number
            self._received = self._expected_before = self._received_before = 0
        self._suspect = None
        self._received += 1
        self.highest = max(self.highest, number)
        return number

    def observe_transit(self, timestamp: int, arrived: float) -> None:
        """Take the latest packet, with *timestamp*, into the jitter."""
        # 6.4.1 takes every packet; those of one picture are sent one after another with the same timestamp, and
        # what they would add is how long a picture takes to be sent.
        if timestamp == self._timestamp:
            return
        before, self._timestamp = self._timestamp, timestamp
        arrival_before, self._arrival = self._arrival, arrived * self._clock_rate
        if before is None:
            return
        media = (timestamp - before + _HALF_CLOCK) % (2 * _HALF_CLOCK) - _HALF_CLOCK
        # A source that starts its clock anew is late by no more than a second.
        step = min(abs(self._arrival - arrival_before - media), self._clock_rate)
        self._jitter += (step - self._jitter) / _JITTER_GAIN

    def observe_sender_report(self, report: SenderReport, arrived: float) -> None:
        """Take note of *report*, which the next report block refers to."""
        self._sender_report, self._sender_report_arrived = report.compact_ntp, arrived

    def report(self, now: float) -> ReportBlock:
        """Return what is to be reported now; the fraction is of what came since the last report (A.3)."""
        expected = 0 if self._first is None else self.highest - self._first + 1
        since = expected - self._expected_before
        lost_since = since - (self._received - self._received_before)
        self._expected_before, self._received_before = expected, self._received
        delay = now - self._sender_report_arrived if self._sender_report else 0.0
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=min((lost_since << 8) // since, 255) if lost_since > 0 else 0,
            packets_lost=expected - self._received,
            highest_sequence_number=self.highest,
            jitter=int(self._jitter),
            last_sender_report=self._sender_report,
            delay=timedelta(seconds=delay),
        )
