"""All that a publisher sends: datagrams in, feed items and feedback out."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import BitsPerSecond
from ingest.feed.frames import EncodedFrame, FeedItem, VideoCodec
from ingest.protocols.whip.media.audio import AudioFrames
from ingest.protocols.whip.media.clock import ClockMapper
from ingest.protocols.whip.media.faults import ReceptionMonitor
from ingest.protocols.whip.media.formats import TrackFormat
from ingest.protocols.whip.media.rtcp import (
    MAX_NACKED,
    InvalidRtcp,
    SenderReport,
    nack,
    parse_rtcp,
    pli,
    receiver_report,
    remb,
)
from ingest.protocols.whip.media.rtp import InvalidRtp, parse_rtp
from ingest.protocols.whip.media.track import TrackReceiver, TrackStatistics
from ingest.protocols.whip.media.video import VideoFrames

# Between reports. RFC 3550, 6.2 gives RTCP a twentieth of the bandwidth; this takes a thousandth, and browsers
# raise their bitrate by what they are told in it.
REPORT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What time brings: *items* of the feed, and *rtcp* datagrams to be sent."""

    items: list[FeedItem]
    rtcp: list[bytes]


class MediaReceiver:
    """Receives the tracks in *formats*, of one publisher, as *ssrc*.

    What is returned together is in the order of decoding, over both tracks.
    Asks for a keyframe about every *keyframe_interval*, and says that *max_bitrate* is what all tracks together
    may take. *arrived* and *now* are seconds of one monotonic clock, never less than in the call before.
    """

    def __init__(
        self,
        formats: Sequence[TrackFormat],
        *,
        ssrc: int,
        keyframe_interval: timedelta,
        max_bitrate: BitsPerSecond,
    ) -> None:
        self._ssrc = ssrc
        self._max_bitrate = max_bitrate
        clock = ClockMapper(formats)
        self._tracks = [
            TrackReceiver(track, _frames(track, clock, keyframe_interval), clock) for track in formats
        ]
        self._by_payload_type: dict[int, TrackReceiver] = {}
        for track in self._tracks:
            self._by_payload_type[track.format.payload_type] = track
            if track.format.retransmission_payload_type is not None:
                self._by_payload_type[track.format.retransmission_payload_type] = track
        self._report_at: float | None = None
        self._monitor = ReceptionMonitor()
        self.malformed = 0
        """Datagrams that are neither RTP of these tracks nor RTCP."""

    @property
    def statistics(self) -> tuple[TrackStatistics, ...]:
        """What came so far, by track."""
        return tuple(track.statistics() for track in self._tracks)

    def faults(self) -> tuple[InputFault, ...]:
        """What is wrong with what the publisher sends now, as far as its packets show it."""
        return self._monitor.faults()

    @property
    def has_ended(self) -> bool:
        """Whether the publisher said goodbye for all that it sent (RFC 3550, 6.6)."""
        sending = [track for track in self._tracks if track.ssrc is not None]
        return bool(sending) and all(track.has_ended for track in sending)

    def receive_rtp(self, data: bytes, *, arrived: float) -> list[FeedItem]:
        """Take an RTP datagram, decrypted, and return what it makes complete."""
        try:
            packet = parse_rtp(data, arrived=arrived)
        except InvalidRtp:
            self.malformed += 1
            return []
        track = self._by_payload_type.get(packet.payload_type)
        if track is None:
            self.malformed += 1
            return []
        known: list[FeedItem] = []
        if self._report_at is None:
            self._report_at = arrived
            audio = (each.frames for each in self._tracks if isinstance(each.frames, AudioFrames))
            known += [frames.configuration for frames in audio]
        received = track.receive(packet)
        # What settles where one track belongs settles it for the other.
        settled = [
            [*(received if each is track else ()), *each.frames.placer.release(arrived)]
            for each in self._tracks
        ]
        return [*known, *_merged(settled)]

    def receive_rtcp(self, data: bytes, *, arrived: float) -> None:
        """Take an RTCP datagram, decrypted."""
        try:
            packets = parse_rtcp(data)
        except InvalidRtcp:
            self.malformed += 1
            return
        for packet in packets:
            for track in self._tracks:
                if isinstance(packet, SenderReport):
                    track.sender_report(packet, arrived=arrived)
                elif track.ssrc in packet.ssrcs:
                    track.goodbye()

    def poll(self, *, now: float) -> Poll:
        """Return what is due; to be called some fifty times a second, at best after each batch of datagrams."""
        items = _merged([track.give_up(now) for track in self._tracks])
        rtcp: list[bytes] = []
        if self._report_at is not None and now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            rtcp.append(self._report(now))
            self._monitor.observe(self.statistics, now=now)
        # RFC 3550, 6.1: feedback stands behind a report, if only an empty one.
        rtcp += [receiver_report(self._ssrc, []) + feedback for feedback in self._feedback(now)]
        return Poll(items=items, rtcp=rtcp)

    def flush(self) -> list[FeedItem]:
        """Wait for nothing, and return all items that are held, as at the end."""
        return _merged([track.flush() for track in self._tracks])

    def _report(self, now: float) -> bytes:
        blocks = [block for track in self._tracks if (block := track.report(now)) is not None]
        report = receiver_report(self._ssrc, blocks)
        if any(track.format.remb for track in self._tracks):
            report += remb(self._ssrc, self._max_bitrate, [block.ssrc for block in blocks])
        return report

    def _feedback(self, now: float) -> Iterator[bytes]:
        for track in self._tracks:
            if track.ssrc is None:
                continue
            numbers = track.requests(now)
            for start in range(0, len(numbers), MAX_NACKED):
                yield nack(self._ssrc, track.ssrc, numbers[start : start + MAX_NACKED])
            frames = track.frames
            if track.format.pli and isinstance(frames, VideoFrames) and frames.asks_for_keyframe(now):
                track.plis += 1
                yield pli(self._ssrc, track.ssrc)


def _merged(tracks: Iterable[list[FeedItem]]) -> list[FeedItem]:
    """The items of *tracks*, each in its order, by the times of their frames."""
    filled = [items for items in tracks if items]
    if len(filled) <= 1:  # as good as always, and for every packet
        return filled[0] if filled else []
    merged = heapq.merge(*map(_timed, filled), key=lambda timed: timed[0])
    return [item for _, items in merged for item in items]


def _timed(items: Iterable[FeedItem]) -> Iterator[tuple[timedelta, list[FeedItem]]]:
    """Each frame of a track's *items* behind the configurations that it needs, with its time."""
    needed: list[FeedItem] = []
    for item in items:
        needed.append(item)
        if isinstance(item, EncodedFrame):
            yield item.decode_time, needed
            needed = []
    assert not needed, "a configuration comes with its frame"


def _frames(track: TrackFormat, clock: ClockMapper, keyframe_interval: timedelta) -> VideoFrames | AudioFrames:
    if isinstance(track.codec, VideoCodec):
        return VideoFrames(
            track.codec, clock, keyframe_interval=keyframe_interval, parameter_sets=track.parameter_sets
        )
    return AudioFrames(track.channels, clock)
