"""Cuts one rung's MPEG transport stream (ISO/IEC 13818-1) into segments, at keyframes and by media time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from bucketcast.stream.identifiers import SegmentIndex
from ingest.encode.grid import SegmentGrid

# The configuration's highest bitrate (60 Mb/s) for its longest segment (6 s), with the buffer's second and the
# transport stream around it, is 56 MB.
MAX_SEGMENT_BYTES = 64 * 2**20

_PACKET_BYTES = 188
_SYNC_BYTE = 0x47
_UNIT_START = 0x40  # payload_unit_start_indicator, in the second byte
_TICKS_PER_SECOND = 90_000  # ISO/IEC 13818-1, 2.4.3.7: PTS and DTS
_TIMESTAMP_WRAP = 2**33
# FFmpeg's, which it states in the program map table.
_VIDEO_PID, _AUDIO_PID = 0x100, 0x101
# Association, service description, and FFmpeg's program map.
_TABLE_PIDS = frozenset({0x0000, 0x0011, 0x1000})


class InvalidTransportStream(ValueError):
    """The bytes are not the transport stream that FFmpeg was told to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSegment:
    """A whole segment of one rung; *start* and *duration* are on the session's clock, exact to the frame."""

    index: SegmentIndex
    start: timedelta
    duration: timedelta
    data: bytes


class SegmentCutter:
    """Takes a transport stream in pieces of any size and yields its segments.

    *first* is the segment that is wanted first, *clock_start* where the session's time 0 lies on the stream's
    clock. A segment begins with the program tables before the keyframe that is its first frame, and holds its
    own pictures only; what a copied source has before the first, and keyframes within a segment, do no harm. A
    frame of sound belongs to the segment in which it lies by decode time; what lies before the first keyframe,
    or before the session's beginning, is dropped, so that the encoder before and its replacement share every
    frame out between them.
    """

    def __init__(self, grid: SegmentGrid, *, first: SegmentIndex, clock_start: timedelta) -> None:
        self._grid = grid
        self._first = grid.first_frame(first)
        self._frames_per_tick = (grid.frame_rate / _TICKS_PER_SECOND).as_integer_ratio()
        self._clock_start = _ticks(clock_start)
        self._time = self._clock_start + _ticks(grid.start(first))
        self._pending = b""
        self._segment = bytearray()
        self._tables_at: int | None = None
        self._index: SegmentIndex | None = None
        self._frames = range(0)  # of the segment
        self._first_decode_time = 0
        self._audio_admitted = False
        self._last_frame = self._first - 1

    @property
    def last_frame(self) -> int:
        """The highest number of a picture seen so far; before the first that is wanted, the one before it."""
        return self._last_frame

    @property
    def is_empty(self) -> bool:
        """Whether no segment has begun."""
        return self._index is None

    def feed(self, data: bytes) -> Iterator[MediaSegment]:
        """Take *data* and yield the segments that it completes.

        Raises InvalidTransportStream for what FFmpeg would not write, and above MAX_SEGMENT_BYTES.
        """
        data = self._pending + data
        whole = len(data) - len(data) % _PACKET_BYTES
        self._pending = data[whole:]
        kept = 0
        for offset in range(0, whole, _PACKET_BYTES):
            if data[offset] != _SYNC_BYTE:
                raise InvalidTransportStream("a packet does not start with the sync byte")
            # Within a unit there is nothing to decide, once all sound is admitted.
            if self._audio_admitted and not data[offset + 1] & _UNIT_START:
                continue
            self._keep(data[kept:offset])
            kept = offset + _PACKET_BYTES
            segment = self._take(data[offset:kept])
            if segment is not None:
                yield segment
        self._keep(data[kept:whole])

    def finish(self) -> MediaSegment | None:
        """Return the last segment, with its true duration; None if there is none."""
        if self._index is None:
            return None
        end = self._grid.time_of_frame(self._last_frame + 1)
        return self._segment_until(len(self._segment), end)

    def _take(self, packet: bytes) -> MediaSegment | None:
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        starts_unit = bool(packet[1] & _UNIT_START)
        segment = None
        if pid in _TABLE_PIDS:
            if self._tables_at is None:
                self._tables_at = len(self._segment)
        else:
            if starts_unit and pid == _VIDEO_PID:
                segment = self._begin_picture(packet)
            elif pid == _AUDIO_PID and not self._admit_audio(packet, starts_unit=starts_unit):
                return None
            self._tables_at = None
        self._keep(packet)
        return segment

    def _keep(self, packets: bytes) -> None:
        self._segment += packets
        if len(self._segment) > MAX_SEGMENT_BYTES:
            raise InvalidTransportStream("a segment is larger than any legal one")

    def _begin_picture(self, packet: bytes) -> MediaSegment | None:
        presentation, decode = self._timestamps(packet)
        frame = self._frame_at(presentation - self._clock_start)
        segment = None
        # 2.4.3.5: random_access_indicator, in the adaptation field.
        keyframe = packet[3] & 0x20 and packet[4] and packet[5] & 0x40
        if frame not in self._frames and (self._index is not None or frame >= self._first):
            if not keyframe or self._tables_at is None:
                raise InvalidTransportStream("a picture lies outside its segment")
            segment = self._begin_segment(frame, self._tables_at)
            if segment is None:
                self._first_decode_time = decode
        self._last_frame = max(self._last_frame, frame)
        return segment

    def _frame_at(self, ticks: int) -> int:
        """SegmentGrid.frame_at for *ticks*, in whole numbers: it is asked for every picture."""
        numerator, denominator = self._frames_per_tick
        return (2 * ticks * numerator + denominator) // (2 * denominator)

    def _begin_segment(self, frame: int, cut: int) -> MediaSegment | None:
        """Begin the segment of *frame*; return what lies before *cut*, if a segment ends there."""
        index = self._grid.index_of_frame(frame)
        if frame != self._grid.first_frame(index) or (self._index is not None and index <= self._index):
            raise InvalidTransportStream("a keyframe is not at the beginning of a segment")
        self._frames = range(frame, self._grid.first_frame(SegmentIndex(index + 1)))
        segment = None
        if self._index is not None:
            segment = self._segment_until(cut, self._grid.start(SegmentIndex(self._index + 1)))
        del self._segment[:cut]
        self._index = index
        return segment

    def _segment_until(self, cut: int, end: timedelta) -> MediaSegment:
        assert self._index is not None
        start = self._grid.start(self._index)
        return MediaSegment(
            index=self._index, start=start, duration=end - start, data=bytes(self._segment[:cut])
        )

    def _admit_audio(self, packet: bytes, *, starts_unit: bool) -> bool:
        if starts_unit and not self._audio_admitted and self._index is not None:
            presentation, _ = self._timestamps(packet)
            self._audio_admitted = presentation >= max(self._first_decode_time, self._clock_start)
        return self._audio_admitted

    def _timestamps(self, packet: bytes) -> tuple[int, int]:
        """The presentation and decode time of the unit that *packet* begins, unwrapped (2.4.3.7)."""
        payload = 5 + packet[4] if packet[3] & 0x20 else 4
        header = packet[payload : payload + 19]
        if len(header) < 14 or header[:3] != b"\x00\x00\x01" or not header[7] & 0x80:
            raise InvalidTransportStream("a frame has no presentation time")
        presentation = self._unwrap(_timestamp(header[9:14]))
        if not header[7] & 0x40 or len(header) < 19:
            return presentation, presentation
        return presentation, self._unwrap(_timestamp(header[14:19]))

    def _unwrap(self, timestamp: int) -> int:
        """The time next to the last one that *timestamp*, which has 33 bits, can mean."""
        half = _TIMESTAMP_WRAP // 2
        self._time += (timestamp - self._time + half) % _TIMESTAMP_WRAP - half
        return self._time


def _timestamp(field: bytes) -> int:
    """2.4.3.6: 33 bits in five bytes, with marker bits between."""
    return (field[0] & 0x0E) << 29 | field[1] << 22 | (field[2] & 0xFE) << 14 | field[3] << 7 | field[4] >> 1


def _ticks(time: timedelta) -> int:
    return round(Fraction(time // timedelta(microseconds=1), 1_000_000) * _TICKS_PER_SECOND)
