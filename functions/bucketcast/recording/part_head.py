"""Reads the head of a recording part, strictly as `write_part` writes it."""

from dataclasses import dataclass
from typing import Final

from bucketcast.recording.audio_format import AudioCoding, AudioFormat, aac_format, opus_format
from bucketcast.recording.boxes import HEADER_BYTES, Buffer, ReadBox, descend, numbers, read_boxes
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.parameter_sets import VideoFormat
from bucketcast.recording.part import (
    FRAGMENT_FLAGS,
    MAX_PART_BYTES,
    RUN_COLUMNS,
    RUN_FLAGS,
)
from bucketcast.recording.samples import TICKS_PER_SECOND, SampleTable
from bucketcast.recording.tracks import AUDIO_TRACK, VIDEO_TRACK
from bucketcast.stream.identifiers import SegmentIndex

# Sixteen bytes a sample: ten seconds at 60 pictures a second are 18 KB, and this is a hundred times as much.
MAX_HEAD_BYTES: Final = 2 * 2**20
# Ten centuries: a session's clock does not get there, and sums with it keep to 64 bits.
MAX_DECODE_TIME: Final = 1000 * 366 * 86_400 * TICKS_PER_SECOND

# Of a picture's and of a sound's sample entry, before the boxes in it.
_VIDEO_ENTRY_BYTES, _AUDIO_ENTRY_BYTES = 78, 28
# ISO/IEC 14496-1, 7.2.6: DecoderSpecificInfo has tag 5; before it lie what a full box begins with, and the
# beginnings of two descriptors.
_CONFIGURATION_PLACE, _CONFIGURATION_TAG = 4 + 5 + 15, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedSamples:
    """Samples of one track; their media lie one behind the other, from *position* in the part on."""

    table: SampleTable
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedSegment:
    """What a part says of segment *index*."""

    index: SegmentIndex
    video: PlacedSamples | None
    audio: PlacedSamples | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHead:
    """What the head of a part of *size* bytes says: *segments* in order, and their formats.

    A format is None where there are no samples of it.
    """

    size: int
    video_format: VideoFormat | None
    audio_format: AudioFormat | None
    segments: tuple[PlacedSegment, ...]


def read_head(head: bytes, *, size: int) -> PartHead:
    """Return what *head*, the beginning of a part of *size* bytes, says.

    Raises InvalidMedia for anything that `write_part` does not write.
    """
    if len(head) > MAX_HEAD_BYTES or not len(head) <= size <= MAX_PART_BYTES + len(head):
        raise InvalidMedia("a part or its head is too large, or larger than the part")
    media_header = head[-HEADER_BYTES:]
    media = range(len(head), size)
    if media_header != (HEADER_BYTES + len(media)).to_bytes(4) + b"mdat":
        raise InvalidMedia("a part's media do not follow its head")
    boxes = list(read_boxes(head[:-HEADER_BYTES]))
    if [one.kind for one in boxes] != [b"ftyp", b"moov", b"moof"]:
        raise InvalidMedia("a part does not consist of its type, its movie and a fragment")
    video_format, audio_format = _read_formats(boxes[1].content)
    segments = _read_fragment(boxes[2], media)
    if video_format is None and any(segment.video for segment in segments):
        raise InvalidMedia("a part does not describe its pictures")
    if audio_format is None and any(segment.audio for segment in segments):
        raise InvalidMedia("a part does not describe its sound")
    return PartHead(size=size, video_format=video_format, audio_format=audio_format, segments=segments)


def _read_formats(movie: Buffer) -> tuple[VideoFormat | None, AudioFormat | None]:
    """The formats of the pictures and of the sound, each from its track's sample entry."""
    video: VideoFormat | None = None
    audio: AudioFormat | None = None
    for track in read_boxes(movie):
        if track.kind != b"trak":
            continue
        entries = descend(track.content, (b"mdia", b"minf", b"stbl", b"stsd"))[8:]
        for entry in read_boxes(entries):
            if entry.kind in {b"avc1", b"avc3"} and len(entry.content) > _VIDEO_ENTRY_BYTES:
                video = _read_video_entry(entry)
            elif entry.kind == AudioCoding.AAC.encode():
                audio = aac_format(_read_configuration(entry.content[_AUDIO_ENTRY_BYTES:]))
            elif entry.kind == AudioCoding.OPUS.encode():
                audio = opus_format(bytes(descend(entry.content[_AUDIO_ENTRY_BYTES:], [b"dOps"])))
    return video, audio


def _read_video_entry(entry: ReadBox) -> VideoFormat:
    return VideoFormat(
        configuration=bytes(descend(entry.content[_VIDEO_ENTRY_BYTES:], [b"avcC"])),
        width=int.from_bytes(entry.content[24:26]),
        height=int.from_bytes(entry.content[26:28]),
        in_band=entry.kind == b"avc3",
    )


def _read_configuration(boxes: Buffer) -> bytes:
    """The AudioSpecificConfig among the descriptors of a sound's elementary stream."""
    descriptors = bytes(descend(boxes, [b"esds"]))[_CONFIGURATION_PLACE:]
    if len(descriptors) < 2 or descriptors[0] != _CONFIGURATION_TAG:
        raise InvalidMedia("a part does not describe its sound")
    return descriptors[2 : 2 + descriptors[1]]


def _read_fragment(fragment: ReadBox, media: range) -> tuple[PlacedSegment, ...]:
    """The segments of the *fragment*, whose samples have to lie in *media*."""
    boxes = list(read_boxes(fragment.content))
    first = int.from_bytes(_content(boxes[0], b"mfhd", size=4)) - 1 if boxes else -1
    tracks = dict(_read_track(track, fragment.begin, media) for track in boxes[1:])
    lengths = {len(column) for column in tracks.values()}
    if first < 0 or len(tracks) != len(boxes) - 1 or len(lengths) != 1:
        raise InvalidMedia("a fragment is not numbered, or its tracks are not of the same segments")
    (count,) = lengths
    nothing = [None] * count
    videos, audios = tracks.pop(VIDEO_TRACK, nothing), tracks.pop(AUDIO_TRACK, nothing)
    if tracks:
        raise InvalidMedia("a fragment has other tracks than one of pictures and one of sound")
    return tuple(
        PlacedSegment(index=SegmentIndex(index), video=video, audio=audio)
        for index, (video, audio) in enumerate(zip(videos, audios, strict=True), first)
    )


def _read_track(track: ReadBox, fragment_begin: int, media: range) -> tuple[int, list[PlacedSamples | None]]:
    """A track's number, and what each segment has of it."""
    boxes = list(read_boxes(track.content))
    if track.kind != b"traf" or len(boxes) < 3:
        raise InvalidMedia("a fragment has something else than tracks with samples")
    number = int.from_bytes(_content(boxes[0], b"tfhd", size=4, flags=FRAGMENT_FLAGS))
    time = int.from_bytes(_content(boxes[1], b"tfdt", size=8, version=1))
    column: list[PlacedSamples | None] = []
    for run in boxes[2:]:
        samples, data_offset = _read_run(_content(run, b"trun", flags=RUN_FLAGS), time)
        position = fragment_begin + data_offset
        if not media.start <= position <= position + sum(samples.sizes) <= media.stop:
            raise InvalidMedia("samples lie outside the part's media")
        time = samples.end
        column.append(PlacedSamples(table=samples, position=position) if len(samples) else None)
    return number, column


def _read_run(run: memoryview, time: int) -> tuple[SampleTable, int]:
    """A segment's samples, from *time* on, and where their media lie from the fragment's beginning."""
    rows = run[8:]
    if len(rows) != 4 * RUN_COLUMNS * int.from_bytes(run[:4]) or time > MAX_DECODE_TIME:
        raise InvalidMedia("a table of samples is cut short, or out of all time")
    cells = numbers(rows)
    samples = SampleTable(
        decode_time=time,
        durations=cells[0::RUN_COLUMNS],
        sizes=cells[1::RUN_COLUMNS],
        flags=cells[2::RUN_COLUMNS],
        composition_offsets=cells[3::RUN_COLUMNS],
    )
    return samples, int.from_bytes(run[4:8], signed=True)


def _content(
    found: ReadBox, kind: bytes, *, version: int = 0, flags: int = 0, size: int | None = None
) -> memoryview:
    """What *found* holds behind its version and flags, which have to be these, as have its type and size."""
    expected = bytes((version,)) + flags.to_bytes(3)
    content = found.content[4:]
    if found.kind != kind or found.content[:4] != expected or len(content) != (size or len(content)):
        raise InvalidMedia(f"there is another box where {kind.decode('ascii')} should be")
    return content
