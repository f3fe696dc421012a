"""Segments and parts made up for tests, and a reader of movies that shares nothing with their writer."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bucketcast.recording.movie import Piece
from bucketcast.recording.parameter_sets import VideoFormat, video_format
from bucketcast.recording.part import Part
from bucketcast.recording.part_head import PartHead, read_head
from bucketcast.recording.samples import (
    AUDIO_FRAME_TICKS,
    OTHER_SAMPLE,
    SYNC_SAMPLE,
    Samples,
    SampleTable,
    SegmentSamples,
)
from bucketcast.stream.identifiers import SegmentIndex, SessionNumber

# As x264 writes them for 320x180 in the high profile.
SEQUENCE_SET: Final = bytes.fromhex("6764001eacec1419f9e10000030001000003003c8f162d38")
PICTURE_SET: Final = bytes.fromhex("68efbcb0")
FORMAT: Final = video_format([SEQUENCE_SET], [PICTURE_SET])
CLOCK_START: Final = 900_000
FIRST_SESSION: Final = SessionNumber(1)
VIDEO_PID, AUDIO_PID = 0x100, 0x101


def access_unit(*nal_units: bytes) -> bytes:
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in nal_units)


def keyframe(content: bytes = b"\x88\x80") -> bytes:
    return access_unit(b"\x09\x10", SEQUENCE_SET, PICTURE_SET, b"\x65" + content)


def picture(content: bytes = b"\x9a\x80") -> bytes:
    return access_unit(b"\x09\x30", b"\x41" + content)


def adts(frame: bytes, *, checksum: bool = False) -> bytes:
    size = len(frame) + (9 if checksum else 7)
    protection = 0xF0 if checksum else 0xF1
    header = bytes((0xFF, protection, 0x4C, 0x80 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC))
    return header + (b"\x12\x34" if checksum else b"") + frame


def pes(content: bytes, presentation: int, decode: int | None = None) -> bytes:
    """A PES packet (ISO/IEC 13818-1, 2.4.3.6)."""
    times = [(3 if decode is not None else 2, presentation), *([(1, decode)] if decode is not None else [])]
    fields = b"".join(_timestamp(prefix, time % 2**33) for prefix, time in times)
    flags = 0xC0 if decode is not None else 0x80
    return b"\x00\x00\x01\xe0\x00\x00" + bytes((0x80, flags, len(fields))) + fields + content


def _timestamp(prefix: int, time: int) -> bytes:
    high, middle, low = time >> 30, time >> 15 & 0x7FFF, time & 0x7FFF
    return (prefix << 36 | high << 33 | 1 << 32 | middle << 17 | 1 << 16 | low << 1 | 1).to_bytes(5)


def packets(pid: int, unit: bytes) -> bytes:
    """*unit* in packets, the last of which is stuffed."""
    made = b""
    for number, begin in enumerate(range(0, len(unit), 184)):
        payload = unit[begin : begin + 184]
        room = 184 - len(payload)
        stuffing = bytes((room - 1,)) + (b"\x00" + b"\xff" * (room - 2) if room > 1 else b"") if room else b""
        header = bytes((0x47, (0 if begin else 0x40) | pid >> 8, pid & 0xFF, 0x30 if room else 0x10))
        made += header[:3] + bytes((header[3] | number % 16,)) + stuffing + payload
    return made


def table_packet(pid: int = 0) -> bytes:
    return bytes((0x47, 0x40 | pid >> 8, pid & 0xFF, 0x10)).ljust(188, b"\xff")


def samples(
    sizes: Sequence[int],
    *,
    decode_time: int,
    durations: Sequence[int],
    offsets: Sequence[int] | None = None,
    sync: Iterable[int] = (),
    stamp: bytes = b"",
) -> Samples:
    """Samples whose media say which they are, as far as there is room."""
    keyframes = set(sync)
    media = b"".join((stamp + number.to_bytes(2)).ljust(size, b".")[:size] for number, size in enumerate(sizes))
    return Samples(
        table=SampleTable(
            decode_time=decode_time,
            durations=array("I", durations),
            sizes=array("I", sizes),
            composition_offsets=array("I", offsets or [0] * len(sizes)),
            flags=array("I", (SYNC_SAMPLE if n in keyframes else OTHER_SAMPLE for n in range(len(sizes)))),
        ),
        media=media,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """How a session is made: of pictures of *ticks* each, decoded *delay* pictures before they are shown.

    Every second picture is out of order if *delay* allows for it.
    """

    session: SessionNumber = FIRST_SESSION
    ticks: int = 3000
    pictures: int = 30  # in a segment
    delay: int = 1
    format: VideoFormat = FORMAT
    overhang: int = 0  # frames of sound behind the last segment's

    def start(self, index: int) -> int:
        """When segment *index* starts."""
        return CLOCK_START + index * self.pictures * self.ticks

    def segment(self, index: int, *, last: bool = False) -> SegmentSamples:
        """Segment *index*; the session's *last* one has the overhang."""
        start, reordered = self.start(index), self.delay * self.ticks
        shown = list(range(self.pictures))
        if self.delay:
            for number in range(1, self.pictures - 1, 2):
                shown[number], shown[number + 1] = shown[number + 1], shown[number]
        stamp = bytes((self.session % 256,)) + index.to_bytes(4)
        first = -(-(start - reordered - CLOCK_START) // AUDIO_FRAME_TICKS) if index else 0
        end = -(-(self.start(index + 1) - reordered - CLOCK_START) // AUDIO_FRAME_TICKS)
        frames = end - first + (self.overhang if last else 0)
        return SegmentSamples(
            index=SegmentIndex(index),
            video_format=self.format,
            video=samples(
                [12 + number % 5 for number in range(self.pictures)],
                decode_time=start - reordered,
                durations=[self.ticks] * self.pictures,
                offsets=[(place - number + self.delay) * self.ticks for number, place in enumerate(shown)],
                sync=[0],
                stamp=b"v" + stamp,
            ),
            audio=samples(
                [9 + number % 3 for number in range(frames)],
                decode_time=CLOCK_START + first * AUDIO_FRAME_TICKS,
                durations=[AUDIO_FRAME_TICKS] * frames,
                sync=range(frames),
                stamp=b"a" + stamp,
            ),
        )


def head_of(part: Part) -> PartHead:
    return read_head(part.content[: part.head_bytes], size=len(part.content))


def piece(part: Part, session: int = 1, *, first: int | None = None, last: int | None = None) -> Piece:
    return Piece(
        session=SessionNumber(session),
        first=part.first if first is None else SegmentIndex(first),
        last=part.last if last is None else SegmentIndex(last),
        head=head_of(part),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSample:
    """A sample of a movie; times are in ticks of its track."""

    decode: int
    shown: int
    duration: int
    sync: bool
    media: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTrack:
    """A track of a movie."""

    samples: tuple[ReadSample, ...]
    duration: int
    movie_duration: int


def read_movie(content: bytes) -> dict[str, ReadTrack]:
    """The tracks of the progressive movie *content*, by the names of their handlers: vide and soun."""
    boxes = dict(_boxes(content, 0, len(content)))
    assert list(boxes) == ["ftyp", "moov", "mdat"]
    tracks = {}
    for kind, track in _boxes(content, *boxes["moov"]):
        if kind == "trak":
            name, read = _read_track(content, dict(_boxes(content, *track)))
            tracks[name] = read
    return tracks


def _boxes(content: bytes, begin: int, end: int) -> Iterator[tuple[str, tuple[int, int]]]:
    while begin < end:
        size, header = int.from_bytes(content[begin : begin + 4]), 8
        if size == 1:
            size, header = int.from_bytes(content[begin + 8 : begin + 16]), 16
        yield content[begin + 4 : begin + 8].decode(), (begin + header, begin + size)
        begin += size
    assert begin == end


def _read_track(content: bytes, boxes: dict[str, tuple[int, int]]) -> tuple[str, ReadTrack]:
    def numbers(place: tuple[int, int], skip: int, width: int = 4) -> list[int]:
        begin, end = place
        return [int.from_bytes(content[at : at + width]) for at in range(begin + skip, end, width)]

    media = dict(_boxes(content, *boxes["mdia"]))
    table = dict(_boxes(content, *dict(_boxes(content, *media["minf"]))["stbl"]))
    handler = content[media["hdlr"][0] + 8 :][:4].decode()
    durations = _expanded(numbers(table["stts"], 8))
    sizes = numbers(table["stsz"], 12)
    offsets = _expanded(numbers(table["ctts"], 8)) if "ctts" in table else [0] * len(sizes)
    sync = set(numbers(table["stss"], 8)) if "stss" in table else set(range(1, len(sizes) + 1))
    edits = numbers(dict(_boxes(content, *boxes["edts"]))["elst"], 8, 8)[:2] if "edts" in boxes else [0, 0]
    positions = _positions(sizes, numbers(table["stsc"], 8), numbers(table["co64"], 8, 8))
    assert len(durations) == len(sizes) == len(offsets) == len(positions)
    read, time = [], 0
    for number, duration in enumerate(durations):
        read.append(
            ReadSample(
                decode=time,
                shown=time + offsets[number] - edits[1],
                duration=duration,
                sync=number + 1 in sync,
                media=content[positions[number] : positions[number] + sizes[number]],
            )
        )
        time += duration
    header = boxes["tkhd"][0]
    return handler, ReadTrack(
        samples=tuple(read),
        duration=int.from_bytes(content[media["mdhd"][0] + 24 :][:8]),
        movie_duration=int.from_bytes(content[header + 28 : header + 36]),
    )


def _expanded(runs: list[int]) -> list[int]:
    return [value for count, value in zip(runs[::2], runs[1::2], strict=True) for _ in range(count)]


def _positions(sizes: list[int], per_chunk: list[int], chunks: list[int]) -> list[int]:
    """ISO/IEC 14496-12, 8.7.4: where each sample lies."""
    firsts = [*per_chunk[::3], len(chunks) + 1]
    counts = [
        count
        for first, following, count in zip(firsts, firsts[1:], per_chunk[1::3], strict=False)
        for _ in range(following - first)
    ]
    positions: list[int] = []
    for chunk, count in zip(chunks, counts, strict=True):
        first = len(positions)
        positions += [chunk + sum(sizes[first : first + number]) for number in range(count)]
    return positions
