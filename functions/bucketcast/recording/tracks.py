"""The boxes of a movie with one track of H.264 and one of sound, whatever their samples.

Sections are those of ISO/IEC 14496-12, where not said otherwise. Durations have 64 bits: with 32, a movie's
clock of 90 kHz ends after 13 hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bucketcast.recording.audio_format import AudioCoding, AudioFormat
from bucketcast.recording.boxes import Box, box, full_box
from bucketcast.recording.parameter_sets import VideoFormat
from bucketcast.recording.samples import TICKS_PER_SECOND

VIDEO_TRACK: Final = 1
AUDIO_TRACK: Final = 2

# 6.2.2: no rotation, no scaling.
_MATRIX: Final = b"".join(number.to_bytes(4) for number in (0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000))
_NO_TIMES: Final = bytes(16)  # of creation and modification
_LANGUAGE: Final = 0x55C4  # "und", five bits each
_ENABLED_IN_MOVIE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One of the movie's tracks: which it is, what it shows or sounds like, and its sample tables.

    *duration* is in ticks of *timescale*, *edited_duration* in the movie's; *edits* are its edit list, if any.
    """

    kind: VideoFormat | AudioFormat
    timescale: int
    duration: int
    edited_duration: int
    tables: Sequence[Box]
    edits: Sequence[Box] = ()


def track_id(kind: VideoFormat | AudioFormat) -> int:
    """Return the number of the track of *kind*."""
    return VIDEO_TRACK if isinstance(kind, VideoFormat) else AUDIO_TRACK


def movie_box(tracks: Sequence[Track], *further: Box) -> Box:
    """Return a movie's box (8.2.1) with *tracks*, in ticks of 90 kHz."""
    header = full_box(
        b"mvhd",
        _NO_TIMES,
        TICKS_PER_SECOND.to_bytes(4),
        max(track.edited_duration for track in tracks).to_bytes(8),
        0x1_0000.to_bytes(4),  # rate
        0x100.to_bytes(2),  # volume
        bytes(10),
        _MATRIX,
        bytes(24),
        (AUDIO_TRACK + 1).to_bytes(4),  # next_track_ID
        version=1,
    )
    return box(b"moov", header, *map(_track_box, tracks), *further)


def _track_box(track: Track) -> Box:
    """8.3 and 8.4."""
    if isinstance(track.kind, VideoFormat):
        volume, size = 0, (track.kind.width, track.kind.height)
        handler, name = b"vide", b"Video\x00"
        kind_header, entry = full_box(b"vmhd", bytes(8), flags=1), _video_entry(track.kind)
    else:
        volume, size = 0x100, (0, 0)
        handler, name = b"soun", b"Sound\x00"
        kind_header, entry = full_box(b"smhd", bytes(4)), _audio_entry(track.kind)
    header = full_box(
        b"tkhd",
        _NO_TIMES,
        track_id(track.kind).to_bytes(4),
        bytes(4),
        track.edited_duration.to_bytes(8),
        bytes(12),
        volume.to_bytes(2),
        bytes(2),
        _MATRIX,
        *((side << 16).to_bytes(4) for side in size),
        version=1,
        flags=_ENABLED_IN_MOVIE,
    )
    media_header = full_box(
        b"mdhd",
        _NO_TIMES,
        track.timescale.to_bytes(4),
        track.duration.to_bytes(8),
        _LANGUAGE.to_bytes(2),
        bytes(2),
        version=1,
    )
    return box(
        b"trak",
        header,
        *track.edits,
        box(
            b"mdia",
            media_header,
            full_box(b"hdlr", bytes(4), handler, bytes(12), name),
            box(
                b"minf",
                kind_header,
                # 8.7.1: the media is in this file.
                box(b"dinf", full_box(b"dref", (1).to_bytes(4), full_box(b"url ", flags=1))),
                box(b"stbl", full_box(b"stsd", (1).to_bytes(4), entry), *track.tables),
            ),
        ),
    )


def _video_entry(video: VideoFormat) -> Box:
    """8.5.2 and 12.1.3; ISO/IEC 14496-15, 5.4.2."""
    return box(
        b"avc3" if video.in_band else b"avc1",
        bytes(6),
        (1).to_bytes(2),  # data_reference_index
        bytes(16),
        video.width.to_bytes(2),
        video.height.to_bytes(2),
        0x48_0000.to_bytes(4) * 2,  # 72 dpi
        bytes(4),
        (1).to_bytes(2),  # frame_count
        bytes(32),  # compressorname
        (24).to_bytes(2),  # depth
        b"\xff\xff",
        box(b"avcC", video.configuration),
    )


def _audio_entry(audio: AudioFormat) -> Box:
    """8.5.2 and 12.2.3; ISO/IEC 14496-14, 5.6; Encapsulation of Opus in ISO Base Media File Format, 4.3."""
    return box(
        audio.coding.encode(),
        bytes(6),
        (1).to_bytes(2),  # data_reference_index
        bytes(8),
        audio.channels.to_bytes(2),
        (16).to_bytes(2),  # samplesize
        bytes(4),
        (audio.sample_rate << 16).to_bytes(4),
        full_box(b"esds", _elementary_stream(audio.configuration))
        if audio.coding is AudioCoding.AAC
        else box(b"dOps", audio.configuration),
    )


def _elementary_stream(configuration: bytes) -> bytes:
    """ISO/IEC 14496-1, 7.2.6: ES_Descriptor, with bitrates unstated."""
    # MPEG-4 audio, an audio stream; buffer size, highest and average bitrate.
    decoder = bytes((0x40, 5 << 2 | 1)) + bytes(11) + _descriptor(5, configuration)
    synchronization = _descriptor(6, b"\x02")  # as MP4 files have it
    return _descriptor(3, bytes(3) + _descriptor(4, decoder) + synchronization)


def _descriptor(tag: int, content: bytes) -> bytes:
    return bytes((tag, len(content))) + content
