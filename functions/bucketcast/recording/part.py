"""Recording parts: some seconds of a session, as fragmented MP4 (ISO/IEC 14496-12, 8.8).

`[ftyp][moov][moof][mdat]`: each part plays on its own, and its head, which is all but the media, says
everything that a movie of many parts has to know. One fragment holds all segments, each of them as a run of
every track: VLC 3 shows no more than the first of several fragments that lie before their media.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bucketcast.recording.audio_format import AudioFormat
from bucketcast.recording.boxes import HEADER_BYTES, Box, big_endian, box, full_box
from bucketcast.recording.parameter_sets import VideoFormat
from bucketcast.recording.samples import (
    TICKS_PER_SECOND,
    Samples,
    SampleTable,
    SegmentSamples,
    table,
)
from bucketcast.recording.tracks import Track, movie_box, track_id
from bucketcast.stream.identifiers import SegmentIndex

# 8.8.8: data_offset has 31 bits. Ten seconds of the highest bitrate, and one more segment, are half of this.
MAX_PART_BYTES: Final = 256 * 2**20
# 8.8.5: sequence_number has 32 bits; it is the first segment's index and one more, because it begins at 1.
MAX_SEGMENT_INDEX: Final = 2**32 - 2

PART_TYPE: Final = box(b"ftyp", b"iso5", bytes(4), b"iso5", b"iso6", b"mp41")
# 8.8.7: default-base-is-moof. 8.8.8: data offset; duration, size, flags and composition offset of each sample.
FRAGMENT_FLAGS: Final = 0x02_0000
RUN_FLAGS: Final = 0x00_0F01
RUN_COLUMNS: Final = 4
_MAX_DURATION: Final = 2**32 - 1
_FINGERPRINT_DIGITS: Final = 16  # in hexadecimal: enough to tell a broadcast's few formats apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part as it is stored: its head is the first *head_bytes* of *content*."""

    content: bytes = field(repr=False)
    head_bytes: int
    first: SegmentIndex
    last: SegmentIndex
    video_format: VideoFormat | None
    audio_format: AudioFormat | None

    @property
    def fingerprint(self) -> str | None:
        """A short text that is equal for equal formats only; None if there are no pictures."""
        if (video := self.video_format) is None:
            return None
        text = f"{video.width}x{video.height} {video.in_band} {video.configuration.hex()}"
        if self.audio_format:
            text += f" {self.audio_format.coding} {self.audio_format.configuration.hex()}"
        return hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT_DIGITS]


def write_part(segments: Sequence[SegmentSamples]) -> Part:
    """Return the part of *segments*, at least one, which follow each other and have one format.

    Sound that a segment has before the end of the sound of the one before is left out. Raises ValueError if
    segments, or their times, do not follow each other, are of several formats, or larger than MAX_PART_BYTES.
    """
    video_formats = {segment.video_format for segment in segments} - {None}
    audio_formats = {segment.audio_format for segment in segments}
    indexes = [segment.index for segment in segments]
    if not segments or indexes != list(range(indexes[0], indexes[0] + len(indexes))):
        raise ValueError("a part has segments that follow each other")
    if len(video_formats) > 1 or len(audio_formats) > 1 or indexes[-1] > MAX_SEGMENT_INDEX:
        raise ValueError("a part has one format, and segments that can be numbered")
    video_format, audio_format = next(iter(video_formats), None), next(iter(audio_formats))
    columns: tuple[tuple[VideoFormat | AudioFormat | None, list[Samples | None]], ...] = (
        (video_format, _without_holes([segment.video for segment in segments])),
        (audio_format, _without_holes(_without_overlaps([segment.audio for segment in segments]))),
    )
    tracks = {kind: column for kind, column in columns if kind and any(column)}
    media = [samples.media for row in zip(*tracks.values(), strict=True) for samples in row if samples]
    if sum(map(len, media)) > MAX_PART_BYTES:
        raise ValueError("a part is too large")
    opening = bytes(PART_TYPE) + bytes(_movie(tracks))
    # The fragment's size does not depend on where the media lie.
    fragment_bytes = _fragment(tracks, indexes[0], data_offset=0).size + HEADER_BYTES
    fragment = _fragment(tracks, indexes[0], data_offset=fragment_bytes)
    return Part(
        content=b"".join((opening, *fragment.buffers, *box(b"mdat", *media).buffers)),
        head_bytes=len(opening) + fragment_bytes,
        first=indexes[0],
        last=indexes[-1],
        video_format=video_format,
        audio_format=audio_format,
    )


# By kind of track, what each segment has of it.
_Tracks = Mapping[VideoFormat | AudioFormat, Sequence[Samples | None]]


def _without_overlaps(column: Iterable[Samples | None]) -> Iterator[Samples | None]:
    """Leave out the frames of sound that begin before those of the segment before have ended."""
    end = 0
    for samples in column:
        cut = samples and _cut(samples, end)
        end = cut.table.end if cut else end
        yield cut


def _cut(samples: Samples, begin: int) -> Samples | None:
    """Those of *samples* that are not before *begin*, if there are any."""
    before, time = 0, samples.table.decode_time
    while before < len(samples.table) and time < begin:
        time += samples.table.durations[before]
        before += 1
    if before == len(samples.table):
        return None
    return Samples(
        table=SampleTable(
            decode_time=time,
            durations=samples.table.durations[before:],
            sizes=samples.table.sizes[before:],
            composition_offsets=samples.table.composition_offsets[before:],
            flags=samples.table.flags[before:],
        ),
        media=samples.media[sum(samples.table.sizes[:before]) :],
    )


def _without_holes(column: Iterable[Samples | None]) -> list[Samples | None]:
    """Let each segment's last sample last until the next one that there is: a fragment tells durations only."""
    lasting: list[Samples | None] = []
    following: int | None = None
    for samples in reversed(list(column)):
        if samples and following is not None:
            durations = samples.table.durations[:]
            last = durations[-1] + following - samples.table.end
            if not 0 < last <= _MAX_DURATION:
                raise ValueError("a segment's pictures are not behind those of the one before")
            durations[-1] = last
            lasting.append(replace(samples, table=replace(samples.table, durations=durations)))
        else:
            lasting.append(samples)
        following = samples.table.decode_time if samples else following
    return lasting[::-1]


def _movie(tracks: _Tracks) -> Box:
    """A movie whose samples are all in fragments, and whose tracks are on the transport stream's clock."""
    tables = [
        full_box(b"stts", bytes(4)),
        full_box(b"stsc", bytes(4)),
        full_box(b"stsz", bytes(8)),
        full_box(b"stco", bytes(4)),
    ]
    described = [
        Track(kind=kind, timescale=TICKS_PER_SECOND, duration=0, edited_duration=0, tables=tables)
        for kind in tracks
    ]
    extends = [full_box(b"trex", track_id(kind).to_bytes(4), (1).to_bytes(4), bytes(12)) for kind in tracks]
    return movie_box(described, box(b"mvex", *extends))


def _fragment(tracks: _Tracks, first: int, *, data_offset: int) -> Box:
    """The fragment (8.8.4) of segments from *first* on; their media begin at *data_offset* from its beginning.

    A segment's pictures lie before its sound, which lies before the next segment's pictures.
    """
    runs: dict[VideoFormat | AudioFormat, list[Box]] = {kind: [] for kind in tracks}
    for row in zip(*tracks.values(), strict=True):
        for kind, samples in zip(tracks, row, strict=True):
            runs[kind].append(_run(samples.table if samples else None, data_offset))
            data_offset += len(samples.media) if samples else 0
    fragments = [
        box(
            b"traf",
            full_box(b"tfhd", track_id(kind).to_bytes(4), flags=FRAGMENT_FLAGS),
            full_box(
                b"tfdt",
                next(samples.table.decode_time for samples in column if samples).to_bytes(8),
                version=1,
            ),
            *runs[kind],
        )
        for kind, column in tracks.items()
    ]
    return box(b"moof", full_box(b"mfhd", (first + 1).to_bytes(4)), *fragments)


def _run(samples: SampleTable | None, data_offset: int) -> Box:
    """8.8.8: a segment's samples, or none."""
    rows = table([0]) * (RUN_COLUMNS * len(samples or ()))
    if samples:
        columns = (samples.durations, samples.sizes, samples.flags, samples.composition_offsets)
        for number, column in enumerate(columns):
            rows[number::RUN_COLUMNS] = column
    count = len(samples or ()).to_bytes(4)
    return full_box(b"trun", count, data_offset.to_bytes(4), big_endian(rows), flags=RUN_FLAGS)
