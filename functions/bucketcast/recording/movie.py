"""The header of a whole recording: a progressive movie whose media are its parts, just as they are stored.

`[ftyp][moov][mdat: [silence][part 1][part 2]...]`: the sample tables (ISO/IEC 14496-12, 8.6 and 8.7) point into
the parts, which lie in the movie whole, with what each says of itself. So a recording is joined by storage, and
only its header is made.

Pictures keep their distances within a session, also over what is missing: the picture before stays. A session
follows the one before without a pause. Sound lies on one grid of frames from the movie's beginning to its end:
each frame goes to the place next to its time, which is never more than half a frame away, however many sessions
there are; places that nothing goes to are silent, and of two frames for one place the first stays. A source's
frames, whose times are uneven, follow each other as long as they are within MAX_UNEVENNESS of their times.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from bucketcast.recording.boxes import LARGE_HEADER_BYTES, Box, Buffer, box, media_data_header
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.movie_tracks import (
    SILENCE_BYTES,
    Pause,
    PictureTrack,
    SoundTrack,
    duration_of,
)
from bucketcast.recording.parameter_sets import VideoFormat
from bucketcast.recording.part_head import PartHead, PlacedSamples, PlacedSegment
from bucketcast.recording.tracks import movie_box
from bucketcast.stream.identifiers import SegmentIndex, SessionNumber

_MOVIE_TYPE: Final = box(b"ftyp", b"isom", 0x200.to_bytes(4), b"isom", b"iso2", b"avc1", b"mp41")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What is taken of a part: of *session*, the segments from *first* to *last*; *head* describes the part."""

    session: SessionNumber
    first: SegmentIndex
    last: SegmentIndex
    head: PartHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Movie:
    """A movie: *header* lies before its parts, buffer behind buffer, and *size* is that of all together."""

    header: tuple[Buffer, ...] = field(repr=False)
    header_bytes: int
    size: int
    duration: timedelta
    frames: int
    sessions: tuple[SessionNumber, ...]
    pauses: tuple[Pause, ...]


def write_movie(pieces: Iterable[Piece]) -> Movie:
    """Return the movie of *pieces*, which are taken one by one, in order of playing.

    Each piece's part lies in the movie whole, however little of it is taken. What a session has before its
    first picture is not shown, nor is a session without pictures. Raises InvalidMedia where heads contradict
    each other or their pieces, or say what no recording is like, and ValueError if pieces are not in order, are
    of different formats, or have no picture.
    """
    movie = _GrowingMovie()
    for piece in pieces:
        movie.add(piece)
    return movie.finish()


class _GrowingMovie:
    def __init__(self) -> None:
        self._pictures = PictureTrack()
        self._sound = SoundTrack()
        self._media_bytes = SILENCE_BYTES
        self._format: VideoFormat | None = None
        self._sessions: list[SessionNumber] = []
        self._reached = (0, -1)  # session and segment
        # Added to a time of the session at hand: to one of decoding, and to one of sound. None before its first
        # picture.
        self._shifts: tuple[int, int] | None = None

    def add(self, piece: Piece) -> None:
        if not self._reached < (piece.session, piece.first) <= (piece.session, piece.last):
            raise ValueError("pieces are not in order")
        held = piece.head.segments
        if not held[0].index <= piece.first <= piece.last <= held[-1].index:
            raise InvalidMedia("a part does not hold what is to be taken of it")
        if piece.head.video_format not in {None, self._format or piece.head.video_format}:
            raise ValueError("pieces are of different formats")
        self._format = self._format or piece.head.video_format
        if piece.head.audio_format:
            self._sound.begin(piece.head.audio_format)
        if piece.session != self._reached[0]:
            self._shifts = None
        self._reached = (piece.session, piece.last)
        for segment in held:
            if piece.first <= segment.index <= piece.last:
                self._add_segment(segment, piece.session)
        self._media_bytes += piece.head.size

    def _add_segment(self, segment: PlacedSegment, session: SessionNumber) -> None:
        if segment.video and not self._shifts:
            self._shifts = self._begin_session(segment.video)
            self._sessions.append(session)
        if self._shifts is None:
            return
        of_decoding, of_sound = self._shifts
        if segment.video:
            self._pictures.add(segment.video, shift=of_decoding, part_begin=self._media_bytes)
        if segment.audio:
            self._sound.add(segment.audio, shift=of_sound, part_begin=self._media_bytes)

    def _begin_session(self, first: PlacedSamples) -> tuple[int, int]:
        """Begin a session with its *first* pictures, where the sound of the one before has ended as well."""
        delay = first.table.composition_offsets[0]
        self._pictures.begin_session(delay)
        shift = max(self._pictures.end, self._sound.end) - first.table.decode_time
        return shift, shift - delay

    def finish(self) -> Movie:
        if self._format is None or not self._pictures.frames:
            raise ValueError("a movie has a picture")
        tracks = [(self._pictures.finish(self._format), self._pictures.chunks)]
        if self._sound.frames:
            tracks.append((self._sound.finish(), self._sound.chunks))

        def header(media_begin: int) -> Box:
            return movie_box(
                [
                    replace(track, tables=(*track.tables, chunks.offset_box(media_begin)))
                    for track, chunks in tracks
                ]
            )

        # Its size does not depend on what the offsets are.
        media_begin = _MOVIE_TYPE.size + header(0).size + LARGE_HEADER_BYTES
        media_header = media_data_header(self._media_bytes)
        return Movie(
            header=(*_MOVIE_TYPE.buffers, *header(media_begin).buffers, media_header, self._sound.silence),
            header_bytes=media_begin + SILENCE_BYTES,
            size=media_begin + self._media_bytes,
            duration=duration_of(max(track.edited_duration for track, _ in tracks)),
            frames=self._pictures.frames,
            sessions=tuple(self._sessions),
            pauses=tuple(self._pictures.pauses),
        )
