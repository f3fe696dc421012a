"""Reads the samples of a media segment, an MPEG transport stream (ISO/IEC 13818-1) as our encoder writes it.

Pictures are H.264 (in access units of NAL units behind start codes, ITU-T H.264, annex B), sound is AAC-LC with
ADTS headers (ISO/IEC 14496-3). Both are stored in a movie without what its tables say: start codes and
delimiters, parameter sets, headers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Final

from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.parameter_sets import LENGTH_BYTES, VideoFormat, video_format
from bucketcast.recording.samples import (
    AUDIO_FRAME_TICKS,
    OTHER_SAMPLE,
    SYNC_SAMPLE,
    Samples,
    SampleTable,
    SegmentSamples,
    table,
    ticks,
)
from bucketcast.stream.identifiers import SegmentIndex
from bucketcast.stream.silence import CLOCK_START

# The largest segment that an encoder cuts: the highest bitrate for the longest segment, with what is around it.
MAX_SEGMENT_BYTES: Final = 64 * 2**20
# Times within a segment are near its start. A segment lasts six seconds at most; sound and reordered pictures
# may precede it by less than a session's clock starts at, so that no time is negative.
MAX_LEAD: Final = CLOCK_START
MAX_LAG: Final = timedelta(seconds=60)

_PACKET_BYTES, _PACKET_HEADER_BYTES, _SYNC_BYTE = 188, 4, 0x47
_TIMESTAMP_WRAP: Final = 2**33
# FFmpeg's, which it states in the program map table; and association, service description, program map.
_VIDEO_PID, _AUDIO_PID = 0x100, 0x101
_TABLE_PIDS: Final = frozenset({0x0000, 0x0011, 0x1000})
_PES_HEADER_BYTES: Final = 9  # 2.4.3.6: before the optional fields
_START_CODE: Final = b"\x00\x00\x01"
# ITU-T H.264, table 7-1.
_IDR, _SEQUENCE_SET, _PICTURE_SET = 5, 7, 8
# Delimiter and filler: ISO/IEC 14496-15, 5.3.2 has samples without.
_DROPPED: Final = frozenset({9, 12})
# ISO/IEC 14496-3, 1.A.2.2: syncword, layer and protection bit; profile, rate and channels of AAC-LC at 48 kHz
# in stereo; no more than one raw block in a frame.
_ADTS_BYTES: Final = 7
_ADTS_FIXED_MASK, _ADTS_FIXED = 0xFFF6_FDC0_0000_03, 0xFFF0_4C80_0000_00


def read_segment(
    content: bytes, *, index: SegmentIndex, start: timedelta, duration: timedelta
) -> SegmentSamples:
    """Return the samples of segment *index*, whose bytes are *content*.

    *start* and *duration* are those of its media object, on the session's clock. The silence that takes a gap's
    place has no pictures. Raises InvalidMedia for anything that our encoder would not write.
    """
    video, audio = _read_units(content, ticks(start + CLOCK_START))
    pictures = _Pictures()
    for unit in video:
        pictures.add(unit)
    return SegmentSamples(
        index=index,
        video_format=pictures.format() if video else None,
        video=pictures.samples(ticks(start + duration + CLOCK_START)) if video else None,
        audio=_sound(audio) if audio else None,
    )


@dataclass(frozen=True, slots=True)
class _Unit:
    """What a PES packet holds: an access unit, or frames of sound."""

    presentation: int
    decode: int
    content: bytes


def _read_units(content: bytes, start: int) -> tuple[list[_Unit], list[_Unit]]:
    """The units of pictures and those of sound; times are next to *start*."""
    if not content or len(content) % _PACKET_BYTES or len(content) > MAX_SEGMENT_BYTES:
        raise InvalidMedia("a segment has no whole packets, or too many")
    units: dict[int, list[list[bytes]]] = {_VIDEO_PID: [], _AUDIO_PID: []}
    for begin in range(0, len(content), _PACKET_BYTES):
        sync, second, third, control = content[begin : begin + _PACKET_HEADER_BYTES]
        pid = (second & 0x1F) << 8 | third
        if sync != _SYNC_BYTE or second & 0x80 or pid not in units:
            if sync == _SYNC_BYTE and pid in _TABLE_PIDS:
                continue
            raise InvalidMedia("a packet is broken, or of no table, picture or sound")
        payload = begin + _PACKET_HEADER_BYTES
        if control & 0x20:  # 2.4.3.3: an adaptation field
            payload += 1 + content[payload]
        if second & 0x40:  # payload_unit_start_indicator
            units[pid].append([])
        if not control & 0x10 or payload >= begin + _PACKET_BYTES:
            continue
        if not units[pid]:
            raise InvalidMedia("a segment starts within a picture or a frame of sound")
        units[pid][-1].append(content[payload : begin + _PACKET_BYTES])
    return (
        [_unit(b"".join(pieces), start) for pieces in units[_VIDEO_PID]],
        [_unit(b"".join(pieces), start) for pieces in units[_AUDIO_PID]],
    )


def _unit(packet: bytes, start: int) -> _Unit:
    """Parse a PES *packet* (2.4.3.6)."""
    if len(packet) < _PES_HEADER_BYTES or not packet.startswith(_START_CODE):
        raise InvalidMedia("a picture or frame of sound does not start with its header")
    content = _PES_HEADER_BYTES + packet[8]
    has_presentation, has_decode = packet[7] & 0x80, packet[7] & 0x40
    if len(packet) < content or packet[8] < (10 if has_decode else 5) or not has_presentation:
        raise InvalidMedia("a picture or frame of sound has no time")
    presentation = _time(packet[9:14], start)
    decode = _time(packet[14:19], start) if has_decode else presentation
    if decode > presentation:
        raise InvalidMedia("a picture is shown before it is decoded")
    return _Unit(presentation, decode, packet[content:])


def _time(stamp: bytes, start: int) -> int:
    """The time next to *start* that *stamp* can mean, which has 33 bits and markers between them (2.4.3.7)."""
    value = (stamp[0] & 0x0E) << 29 | stamp[1] << 22 | (stamp[2] & 0xFE) << 14 | stamp[3] << 7 | stamp[4] >> 1
    half = _TIMESTAMP_WRAP // 2
    distance = (value - start + half) % _TIMESTAMP_WRAP - half
    if not -ticks(MAX_LEAD) <= distance <= ticks(MAX_LAG):
        raise InvalidMedia("a time lies outside its segment")
    return start + distance


@dataclass(slots=True)
class _Pictures:
    """Gathers a segment's access units."""

    sequence_sets: list[bytes] = field(default_factory=list)
    picture_sets: list[bytes] = field(default_factory=list)
    in_band: bool = False
    units: list[_Unit] = field(default_factory=list)  # as samples
    flags: list[int] = field(default_factory=list)

    def add(self, unit: _Unit) -> None:
        """Take the next access unit."""
        if self.units and unit.decode <= self.units[-1].decode:
            raise InvalidMedia("pictures are not in order")
        sample: list[bytes] = []
        keyframe = False
        for nal_unit in _nal_units(unit.content):
            kind = nal_unit[0] & 0x1F
            keyframe |= kind == _IDR
            if kind not in _DROPPED and not self._is_known_set(nal_unit, kind):
                sample += (len(nal_unit).to_bytes(LENGTH_BYTES), nal_unit)
        if not sample:
            raise InvalidMedia("a picture is empty")
        self.units.append(_Unit(unit.presentation, unit.decode, b"".join(sample)))
        self.flags.append(SYNC_SAMPLE if keyframe else OTHER_SAMPLE)

    def _is_known_set(self, nal_unit: bytes, kind: int) -> bool:
        """Whether *nal_unit* is a parameter set that the format holds: those of the first picture."""
        if kind not in {_SEQUENCE_SET, _PICTURE_SET}:
            return False
        known = self.sequence_sets if kind == _SEQUENCE_SET else self.picture_sets
        if nal_unit in known:
            return True
        if self.units:
            self.in_band = True
            return False
        known.append(nal_unit)
        return True

    def format(self) -> VideoFormat:
        """The format of all pictures."""
        return video_format(self.sequence_sets, self.picture_sets, in_band=self.in_band)

    def samples(self, end: int) -> Samples:
        """The pictures, the last of which is shown until *end* if it is the last one shown."""
        if self.flags[0] != SYNC_SAMPLE:
            raise InvalidMedia("a segment does not start with a keyframe")
        first, last = self.units[0], self.units[-1]
        # Decoding is as far ahead of showing at the end as at the beginning.
        final = end - (first.presentation - first.decode) - last.decode
        times = [unit.decode for unit in self.units]
        return _samples(times, max(1, final), self.units, self.flags)


def _nal_units(content: bytes) -> Iterator[bytes]:
    """The NAL units of an access unit (ITU-T H.264, B.1)."""
    begin = content.find(_START_CODE)
    if begin < 0 or content[:begin].strip(b"\x00"):
        raise InvalidMedia("a picture does not start with a start code")
    while begin >= 0:
        begin += len(_START_CODE)
        end = content.find(_START_CODE, begin)
        # Zeros behind a unit belong to none; a unit ends with a bit that is set (7.3.2.11, 7.4.1).
        nal_unit = (content[begin:end] if end >= 0 else content[begin:]).rstrip(b"\x00")
        if not nal_unit:
            raise InvalidMedia("a picture has an empty NAL unit")
        yield nal_unit
        begin = end


def _sound(units: Sequence[_Unit]) -> Samples:
    """The frames of sound, but those that come twice or too late: the pictures are worth more."""
    frames: list[_Unit] = []
    for frame in (frame for unit in units for frame in _frames(unit)):
        if not frames or frame.decode > frames[-1].decode:
            frames.append(frame)
    times = [frame.decode for frame in frames]
    return _samples(times, AUDIO_FRAME_TICKS, frames, [SYNC_SAMPLE] * len(frames))


def _frames(unit: _Unit) -> Iterator[_Unit]:
    """The frames of sound in *unit*, without their headers."""
    content, begin, time = unit.content, 0, unit.presentation
    while begin < len(content):
        header = content[begin : begin + _ADTS_BYTES]
        size = (header[3] & 0x03) << 11 | header[4] << 3 | header[5] >> 5 if len(header) == _ADTS_BYTES else 0
        if int.from_bytes(header) & _ADTS_FIXED_MASK != _ADTS_FIXED:
            raise InvalidMedia("sound is not AAC-LC in stereo at 48 kHz")
        first = begin + (_ADTS_BYTES if header[1] & 1 else _ADTS_BYTES + 2)  # with a checksum
        if not first < begin + size <= len(content):
            raise InvalidMedia("a frame of sound does not fit where it lies")
        yield _Unit(time, time, content[first : begin + size])
        begin += size
        time += AUDIO_FRAME_TICKS


def _samples(times: Sequence[int], last_duration: int, units: Sequence[_Unit], flags: Sequence[int]) -> Samples:
    durations = table(later - earlier for earlier, later in pairwise(times))
    durations.append(last_duration)
    return Samples(
        table=SampleTable(
            decode_time=times[0],
            durations=durations,
            sizes=table(len(unit.content) for unit in units),
            composition_offsets=table(unit.presentation - unit.decode for unit in units),
            flags=table(flags),
        ),
        media=b"".join(unit.content for unit in units),
    )
