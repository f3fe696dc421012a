"""A media playlist (RFC 8216bis, section 4.4.3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from bucketcast.errors import InvalidInput
from bucketcast.hls.attributes import MAX_DECIMAL_INTEGER
from bucketcast.hls.segment import MediaSegment


class PlaylistType(StrEnum):
    """How a media playlist may change."""

    EVENT = "EVENT"
    VOD = "VOD"


class NumberedSegment(NamedTuple):
    """A segment with its media sequence number and discontinuity sequence number."""

    number: int
    discontinuity_number: int
    segment: MediaSegment


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlaylist:
    """The segments of one rendition that a viewer may ask for."""

    target_duration: int  # EXT-X-TARGETDURATION, in seconds
    media_sequence: int = 0  # EXT-X-MEDIA-SEQUENCE
    discontinuity_sequence: int = 0  # EXT-X-DISCONTINUITY-SEQUENCE
    independent_segments: bool = False  # EXT-X-INDEPENDENT-SEGMENTS
    playlist_type: PlaylistType | None = None  # EXT-X-PLAYLIST-TYPE; a live playlist has none (section 6.2.2)
    i_frames_only: bool = False  # EXT-X-I-FRAMES-ONLY: each segment is one I-frame
    ended: bool = False  # EXT-X-ENDLIST
    segments: tuple[MediaSegment, ...] = ()

    def __post_init__(self) -> None:
        """Raise InvalidInput where the playlist would break a rule of the RFC."""
        # Section 4.4.3.1: "Its value MUST be at least 1."
        if not 1 <= self.target_duration <= MAX_DECIMAL_INTEGER:
            raise InvalidInput("the target duration is at least 1 second, and below 2^64")
        if not 0 <= self.media_sequence <= MAX_DECIMAL_INTEGER:
            raise InvalidInput("the media sequence number is from 0 to 2^64-1")
        if not 0 <= self.discontinuity_sequence <= MAX_DECIMAL_INTEGER:
            raise InvalidInput("the discontinuity sequence number is from 0 to 2^64-1")
        for segment in self.segments:
            # Section 4.4.3.1: "The EXTINF duration of each Media Segment in a Playlist file, when rounded to
            # the nearest integer, MUST be less than or equal to the Target Duration."
            if segment.rounded_duration > self.target_duration:
                raise InvalidInput(
                    f"a segment lasts {segment.duration.total_seconds()} s: cut it shorter, or give the "
                    f"playlist a target duration of {segment.rounded_duration} from its beginning"
                )

    @property
    def version(self) -> int:
        """The least EXT-X-VERSION that fits what the playlist uses (section 8)."""
        # Section 8: "in protocol version 6 and later it indicates the maximum segment duration rounded to the
        # nearest integer number of seconds"; earlier it was the maximum itself.
        if any(segment.duration > timedelta(seconds=self.target_duration) for segment in self.segments):
            return 6
        # Section 8: 4 or higher for "The EXT-X-BYTERANGE tag" and "The EXT-X-I-FRAMES-ONLY tag".
        if self.i_frames_only or any(segment.byte_range for segment in self.segments):
            return 4
        # Section 8: 3 or higher for "Floating-point EXTINF duration values", which is how all are written.
        return 3 if self.segments else 1

    @property
    def duration(self) -> timedelta:
        """The sum of the segments' durations (section 4.1)."""
        return sum((segment.duration for segment in self.segments), timedelta(0))

    def numbered_segments(self) -> Iterator[NumberedSegment]:
        """Yield every segment with its numbers (sections 3 and 6.2.1)."""
        discontinuity_number = self.discontinuity_sequence
        for number, segment in enumerate(self.segments, self.media_sequence):
            discontinuity_number += segment.discontinuity
            yield NumberedSegment(number, discontinuity_number, segment)
