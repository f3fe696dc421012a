"""Cuts one rung's MPEG transport stream (ISO/IEC 13818-1) into segments, at keyframes and by media time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import SegmentIndex
from bucketcast.stream.silence import AUDIO_FRAME_SAMPLES, AUDIO_SAMPLE_RATE

# The configuration's highest bitrate (60 Mb/s) for its longest segment (6 s), with the buffer's second and the
# transport stream around it, is 56 MB.
MAX_SEGMENT_BYTES = 64 * 2**20

_PACKET_BYTES = 188
_SYNC_BYTE = 0x47
_UNIT_START = 0x40  # payload_unit_start_indicator, in the second byte
_ADAPTATION_FIELD = 0x20  # the upper bit of adaptation_field_control, in the fourth
_TICKS_PER_SECOND = 90_000  # ISO/IEC 13818-1, 2.4.3.7: PTS and DTS
_TIMESTAMP_WRAP = 2**33
_SOUND_TICKS = AUDIO_FRAME_SAMPLES * _TICKS_PER_SECOND // AUDIO_SAMPLE_RATE
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

    A segment is yielded when the next one begins, or, if *prompt*, with its own last picture, provided that its
    sound is there: the same segment, but sooner. Only of the session's last segment, where that is a full one,
    the sound that goes with its last pictures could still follow: hence `expect_end`.
    """

    def __init__(
        self, grid: SegmentGrid, *, first: SegmentIndex, clock_start: timedelta, prompt: bool = False
    ) -> None:
        self._grid = grid
        self._first = grid.first_frame(first)
        self._frames_per_tick = (grid.frame_rate / _TICKS_PER_SECOND).as_integer_ratio()
        self._clock_start = _ticks(clock_start)
        self._prompt = prompt
        self._time = self._clock_start + _ticks(grid.start(first))
        self._pending = b""
        self._tables = bytearray()  # that may belong to a keyframe
        self._segment = bytearray()
        self._ahead: list[tuple[int, bytearray]] = []  # sound of segments to come, by time
        self._unit: bytearray | None = None  # what takes the rest of the unit at hand
        self._kept_bytes = 0
        self._index: SegmentIndex | None = None
        self._frames = range(0)  # of the segment that is open
        self._missing: set[int] = set()
        self._sound_start = self._sound_end = self._sound_reaches = 0
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
            # FFmpeg writes one unit after the other: there is nothing to decide within one.
            starts_unit = data[offset + 1] & _UNIT_START
            if not starts_unit and not data[offset + 3] & _ADAPTATION_FIELD:
                continue
            self._keep(data[kept:offset])
            kept = offset + _PACKET_BYTES
            packet = data[offset:kept]
            if starts_unit:
                # So the unit before has ended, also if it filled its last packet.
                self._take_sound()
                yield from self._close_complete()
                yield from self._begin_unit(packet)
            self._keep(packet)
            if _ends_unit(packet):
                yield from self._close_complete()
        self._keep(data[kept:whole])

    def expect_end(self) -> None:
        """Keep the segment at hand until the next one begins, or `finish`: the feed has ended."""
        self._prompt = False

    def finish(self) -> MediaSegment | None:
        """Return the last segment, with its true duration; None if there is none."""
        if not self._frames:
            return None
        self._take_sound()
        for _, sound in self._ahead:
            self._segment += sound
        self._ahead.clear()
        return self._close(self._grid.time_of_frame(self._last_frame + 1))

    def _keep(self, packets: bytes) -> None:
        if self._unit is None:
            return
        self._unit += packets
        self._kept_bytes += len(packets)
        if self._kept_bytes > MAX_SEGMENT_BYTES:
            raise InvalidTransportStream("a segment is larger than any legal one")

    def _begin_unit(self, packet: bytes) -> Iterator[MediaSegment]:
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        if pid in _TABLE_PIDS:
            self._unit = self._tables
            return
        if pid == _VIDEO_PID:
            yield from self._begin_picture(packet)
        elif pid == _AUDIO_PID:
            self._unit = self._begin_sound(packet)
        else:
            raise InvalidTransportStream("a packet is of no table, picture or sound")
        self._tables.clear()

    def _begin_picture(self, packet: bytes) -> Iterator[MediaSegment]:
        presentation, decode = self._timestamps(packet)
        frame = self._frame_at(presentation - self._clock_start)
        # 2.4.3.5: random_access_indicator, in the adaptation field.
        keyframe = packet[3] & _ADAPTATION_FIELD and packet[4] and packet[5] & 0x40
        if self._index is None and frame < self._first:
            self._unit = None
        elif frame in self._frames:
            self._segment += self._tables
            self._unit = self._segment
        elif keyframe and self._tables:
            yield from self._begin_segment(frame, self._frame_at(presentation - decode))
            self._unit = self._segment
        else:
            raise InvalidTransportStream("a picture lies outside its segment")
        self._missing.discard(frame)
        self._last_frame = max(self._last_frame, frame)

    def _frame_at(self, ticks: int) -> int:
        """SegmentGrid.frame_at for *ticks*, in whole numbers: it is asked for every picture."""
        numerator, denominator = self._frames_per_tick
        return (2 * ticks * numerator + denominator) // (2 * denominator)

    def _begin_segment(self, frame: int, reordered: int) -> Iterator[MediaSegment]:
        """Begin the segment of *frame*, which is decoded *reordered* frames before it is shown."""
        index = self._grid.index_of_frame(frame)
        if frame != self._grid.first_frame(index) or (self._index is not None and index <= self._index):
            raise InvalidTransportStream("a keyframe is not at the beginning of a segment")
        if self._frames:
            assert self._index is not None
            yield self._close(self._grid.start(SegmentIndex(self._index + 1)))
        self._segment += self._tables
        next_frame = self._grid.first_frame(SegmentIndex(index + 1))
        if self._index is None:
            self._sound_start = max(self._clock_start, self._ticks_of(frame - reordered))
        self._sound_end = self._ticks_of(next_frame - reordered)
        self._index, self._frames = index, range(frame, next_frame)
        self._missing = set(self._frames)

    def _ticks_of(self, frame: int) -> int:
        """The first tick at or after the time of *frame*: the same in every rung and for every encoder."""
        numerator, denominator = self._frames_per_tick
        return self._clock_start - -frame * denominator // numerator

    def _take_sound(self) -> None:
        """Take over the sound that came before the segment to which it belongs.

        It goes behind the keyframe, with which a segment begins.
        """
        if not self._frames or all(time >= self._sound_end for time, _ in self._ahead):
            return
        for time, sound in self._ahead:
            if self._sound_start <= time < self._sound_end:
                self._segment += sound
        self._ahead = [(time, sound) for time, sound in self._ahead if time >= self._sound_end]
        self._count()

    def _begin_sound(self, packet: bytes) -> bytearray | None:
        """Return what takes the frame of sound that *packet* begins."""
        time, _ = self._timestamps(packet)
        self._sound_reaches = time + _SOUND_TICKS
        if self._index is not None and time < self._sound_start:
            return None
        if self._frames and time < self._sound_end:
            return self._segment
        self._ahead.append((time, bytearray()))
        return self._ahead[-1][1]

    def _close_complete(self) -> Iterator[MediaSegment]:
        """Close the segment if it is complete: no unit of it is unfinished, or still to come."""
        if self._prompt and self._frames and not self._missing and self._sound_reaches >= self._sound_end:
            assert self._index is not None
            yield self._close(self._grid.start(SegmentIndex(self._index + 1)))

    def _close(self, end: timedelta) -> MediaSegment:
        assert self._index is not None
        self._take_sound()
        start = self._grid.start(self._index)
        segment = MediaSegment(index=self._index, start=start, duration=end - start, data=bytes(self._segment))
        self._segment.clear()
        self._frames = range(0)
        self._count()
        return segment

    def _count(self) -> None:
        self._kept_bytes = len(self._segment) + sum(len(sound) for _, sound in self._ahead)

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


def _ends_unit(packet: bytes) -> bool:
    """Whether *packet* is stuffed: 2.4.3.5, a unit's last one is, unless the unit fills it exactly."""
    if not packet[3] & _ADAPTATION_FIELD:
        return False
    length, flags = packet[4], packet[5]
    clock_reference = 6 if flags & 0x10 else 0
    # FFmpeg has the field for a flag, or a clock reference, or else for nothing but stuffing.
    return not length or not flags or length > 1 + clock_reference


def _timestamp(field: bytes) -> int:
    """2.4.3.6: 33 bits in five bytes, with marker bits between."""
    return (field[0] & 0x0E) << 29 | field[1] << 22 | (field[2] & 0xFE) << 14 | field[3] << 7 | field[4] >> 1


def _ticks(time: timedelta) -> int:
    return round(Fraction(time // timedelta(microseconds=1), 1_000_000) * _TICKS_PER_SECOND)
