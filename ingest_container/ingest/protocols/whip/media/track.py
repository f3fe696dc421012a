"""One track: its packets from whatever source sends them, in order, and what its frames make of them."""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ingest.feed.frames import FeedItem, Track
from ingest.protocols.whip.media.audio import AudioFrames
from ingest.protocols.whip.media.clock import ClockMapper
from ingest.protocols.whip.media.formats import TrackFormat
from ingest.protocols.whip.media.reception import SourceStatistics
from ingest.protocols.whip.media.reordering import Numbered, ReorderBuffer
from ingest.protocols.whip.media.rtcp import ReportBlock, SenderReport
from ingest.protocols.whip.media.rtp import RtpPacket, restore_retransmission
from ingest.protocols.whip.media.video import VideoFrames

# How long a lost packet may be waited for where it is asked for: four times across a continent and back, so
# that of 10 % loss each way one packet in ten thousand is left. Viewers are seconds behind and notice nothing
# of it; a damaged group they see. Sound that lacks 20 ms is hardly heard.
_PATIENCE: Final = {Track.VIDEO: 0.5, Track.AUDIO: 0.2}
# And where it is not asked for, so that only its place in the order can be wrong.
_PATIENCE_WITHOUT_NACK: Final = 0.1
# Between two sources of one track. A sender that changes more often than this is none that could be decoded,
# and what is held is given up each time.
SOURCE_SECONDS: Final = 1.0
# Whose late packets are told from those of a new one.
_FORMER_SOURCES: Final = 8
# Whose reports are kept until they send: the other track's, and one that takes over.
_SILENT_SOURCES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackStatistics:
    """What came of a track so far.

    *lost* packets did not come in time, *recovered* ones came after they were asked for; *nacks* counts packets
    asked for, each time. *late* ones had come before, or been given up. *malformed* ones, and frames, could not
    be read or believed. *round_trip* is from a request to its answer, *keyframe_interval* between the last two.
    *b_frames* are pictures that are coded from later ones, or to be shown before one that came before them.
    """

    track: Track
    packets: int
    bytes: int
    lost: int
    recovered: int
    late: int
    malformed: int
    nacks: int
    plis: int
    jitter: timedelta
    round_trip: timedelta | None
    frames: int
    frames_dropped: int
    b_frames: int
    keyframe_interval: timedelta | None
    ssrc_changes: int


class _Source:
    """One SSRC, for as long as it sends the track."""

    def __init__(self, ssrc: int, track: TrackFormat) -> None:
        patience = _PATIENCE[track.track] if track.nack else _PATIENCE_WITHOUT_NACK
        self.statistics = SourceStatistics(ssrc, track.clock_rate)
        self.buffer = ReorderBuffer(patience=patience, asks=track.nack)
        self.heard = 0.0
        self.has_ended = False


class TrackReceiver:
    """Receives a track as *track* says, and hands its packets to *frames*."""

    def __init__(self, track: TrackFormat, frames: VideoFrames | AudioFrames, clock: ClockMapper) -> None:
        self.format = track
        self.frames = frames
        self._clock = clock
        self._source: _Source | None = None
        self._former: deque[int] = deque(maxlen=_FORMER_SOURCES)
        self._early_reports: dict[int, tuple[SenderReport, float]] = {}  # by SSRC
        self._changed_at: float | None = None
        self._packets = self._bytes = self._malformed = 0
        self._lost = self._recovered = self._late = 0  # of former sources
        self._changes = self._nacks = 0
        self.plis = 0

    @property
    def ssrc(self) -> int | None:
        """The source that sends, if one does."""
        return self._source.statistics.ssrc if self._source else None

    @property
    def has_ended(self) -> bool:
        """Whether the source said goodbye, and nothing has come since."""
        return self._source is not None and self._source.has_ended

    def receive(self, packet: RtpPacket) -> list[FeedItem]:
        """Take *packet*, and return what it makes complete."""
        if packet.payload_type != self.format.payload_type:
            return self._receive_again(packet)
        items: list[FeedItem] = []
        source = self._source
        if source is None or packet.ssrc != source.statistics.ssrc:
            if not self._may_begin(packet):
                self._malformed += 1
                return []
            items = self._end_source()
            source = self._begin_source(packet)
        self._packets += 1
        self._bytes += len(packet.payload)
        source.heard = packet.arrived
        source.has_ended = False
        statistics = source.statistics
        number = statistics.extend(packet.sequence_number)
        if number is None:
            self._malformed += 1
            return items
        if number == statistics.highest:
            statistics.observe_transit(packet.timestamp, packet.arrived)
        for numbered in source.buffer.put(number, packet):
            items += self.frames.take(numbered)
        return items

    def sender_report(self, report: SenderReport, *, arrived: float) -> None:
        """Take what a source says of its clock, maybe before it sends anything else, as FFmpeg's does."""
        if self._source is None or report.ssrc != self.ssrc:
            self._early_reports.pop(report.ssrc, None)
            self._early_reports[report.ssrc] = report, arrived
            if len(self._early_reports) > _SILENT_SOURCES:
                del self._early_reports[next(iter(self._early_reports))]
            return
        self._source.statistics.observe_sender_report(report, arrived)
        self._clock.sender_report(self.format.track, report.ntp, report.rtp_timestamp, arrived=arrived)

    def goodbye(self) -> None:
        """Take note that `ssrc` has ended."""
        assert self._source is not None
        self._source.has_ended = True

    def give_up(self, now: float) -> list[FeedItem]:
        """Wait no longer for what is late, and return what comes behind it."""
        items = self._take(self._source.buffer.give_up(now)) if self._source else []
        return items + self.frames.placer.release(now)

    def flush(self) -> list[FeedItem]:
        """Wait for nothing, and return all that is held."""
        held = self._take(self._source.buffer.flush()) if self._source else []
        return held + self.frames.placer.flush()

    def requests(self, now: float) -> list[int]:
        """Return the packets of `ssrc` to ask for now."""
        numbers = self._source.buffer.requests(now) if self._source else []
        self._nacks += len(numbers)
        return numbers

    def report(self, now: float) -> ReportBlock | None:
        """Return what to report of the source, if there is one."""
        return self._source.statistics.report(now) if self._source else None

    def statistics(self) -> TrackStatistics:
        """Return what came so far."""
        source, frames = self._source, self.frames
        buffer = source.buffer if source else None
        round_trip = buffer.round_trip if buffer else None
        return TrackStatistics(
            track=self.format.track,
            packets=self._packets,
            bytes=self._bytes,
            lost=self._lost + (buffer.lost if buffer else 0),
            recovered=self._recovered + (buffer.recovered if buffer else 0),
            late=self._late + (buffer.late if buffer else 0),
            malformed=self._malformed + frames.malformed,
            nacks=self._nacks,
            plis=self.plis,
            jitter=timedelta(seconds=source.statistics.jitter_seconds if source else 0),
            round_trip=None if round_trip is None else timedelta(seconds=round_trip),
            frames=frames.placer.frames,
            frames_dropped=frames.dropped,
            b_frames=frames.b_frames if isinstance(frames, VideoFrames) else 0,
            keyframe_interval=frames.keyframe_interval if isinstance(frames, VideoFrames) else None,
            ssrc_changes=self._changes,
        )

    def _receive_again(self, packet: RtpPacket) -> list[FeedItem]:
        """Take a retransmission: of a packet that is missing, or else it says nothing."""
        source = self._source
        if source is None or not self._belongs(packet.ssrc, source):
            return []
        restored = restore_retransmission(
            packet, payload_type=self.format.payload_type, ssrc=source.statistics.ssrc
        )
        if restored is None:
            return []
        self._packets += 1
        self._bytes += len(restored.payload)
        number = source.statistics.nearest(restored.sequence_number)
        if not source.buffer.is_missing(number):
            return []
        return self._take(source.buffer.put(number, restored))

    def _belongs(self, retransmission_ssrc: int, source: _Source) -> bool:
        """Whether *retransmission_ssrc* repeats what *source* sent, as far as is known (RFC 5576, 4.2)."""
        announced = self.format.retransmission_ssrc
        return announced in {None, retransmission_ssrc} or source.statistics.ssrc != self.format.ssrc

    def _take(self, packets: list[Numbered]) -> list[FeedItem]:
        return [item for numbered in packets for item in self.frames.take(numbered)]

    def _may_begin(self, packet: RtpPacket) -> bool:
        """Whether *packet*'s source takes over: at once, but for former ones' late packets and a flood."""
        if self._source is None:
            return True
        if self._changed_at is not None and packet.arrived - self._changed_at < SOURCE_SECONDS:
            return False
        return packet.ssrc not in self._former or packet.arrived - self._source.heard > SOURCE_SECONDS

    def _end_source(self) -> list[FeedItem]:
        if self._source is None:
            return []
        items = self.flush()
        buffer = self._source.buffer
        self._lost += buffer.lost
        self._recovered += buffer.recovered
        self._late += buffer.late
        self._former.append(self._source.statistics.ssrc)
        return items

    def _begin_source(self, packet: RtpPacket) -> _Source:
        if self._source is not None:
            self._changes += 1
            self._changed_at = packet.arrived
        self.frames.restart()
        self._source = _Source(packet.ssrc, self.format)
        if packet.ssrc in self._early_reports:
            report, arrived = self._early_reports.pop(packet.ssrc)
            self.sender_report(report, arrived=arrived)
        return self._source
