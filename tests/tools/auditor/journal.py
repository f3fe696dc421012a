"""What the auditor reads, and what it finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectGeneration:
    """One generation of an object: what was written, when, and when it was deleted if it was."""

    bucket: str
    name: str
    generation: int
    created: datetime
    size: int
    content: bytes | None = field(default=None, repr=False)
    content_type: str = ""
    cache_control: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    deleted: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """What a decoder finds in a segment's bytes."""

    codecs: frozenset[str]
    width: int
    height: int
    frames: int
    start: Fraction  # the first frame's presentation time in seconds
    duration: Fraction  # from there to the end of the last frame
    starts_with_keyframe: bool


class Rule(StrEnum):
    """What can be broken; the value says what should hold."""

    SYNTAX = "every playlist parses, and is of the kind that its name says (RFC 8216bis, section 4)"
    VERSION = "EXT-X-VERSION is what the playlist's tags need (section 8, 6.2.1)"
    PLAYLIST_TYPE = "a live playlist has no EXT-X-PLAYLIST-TYPE (section 6.2.2)"
    TARGET_DURATION = "the target duration never changes and is the same everywhere (P2; sections 6.2.1, 6.2.4)"
    MEDIA_SEQUENCE = "neither the first nor the last media sequence number goes back (P2; section 6.2.2)"
    IDENTITY = "a number keeps its address, duration, date and gap (P2)"
    NUMBERING = "numbers are dense: a session's base plus the segment's index (P2)"
    DISCONTINUITY = "every session has a discontinuity sequence number of its own, rising (P2; section 6.2.2)"
    DATE = "dates follow from the durations within a session and never overlap (section 6.2.1)"
    LIVE_WINDOW = "what was published is listed for 6 segments and 3 target durations (P2; section 6.2.2)"
    ENDLIST = "after ENDLIST comes nothing but a new broadcast with none of the old segments (P2, P5)"
    ALIGNMENT = "one number is the same segment in all renditions (P2; section 6.2.4)"
    SEGMENT_NAME = "segments are named by session and index and sort as they play (P1)"
    DANGLING = "what is named exists, whole, before it is named (P1, P4)"
    GAP = "a segment is listed as a gap exactly where a gap object lies (P4)"
    IMMUTABLE = "a media object is created once (P1)"
    RETENTION = "a segment outlives its listing by its availability duration (P1; section 6.2.2)"
    METADATA = "a media object's metadata says what the playlists say (DESIGN, section 4)"
    CONTENT_TYPE = "every object has its media type (section 4)"
    CACHE_CONTROL = "every object has its Cache-Control (DESIGN, section 4)"
    WRITE_RATE = "a name is written at most once a second (P5)"
    BANDWIDTH = "BANDWIDTH is never exceeded by the peak segment bit rate (section 4.4.6.2)"
    CODECS = "CODECS names the formats in the segments, and no other (section 6.2.4)"
    RESOLUTION = "RESOLUTION is the segments' (section 4.4.6.2)"
    FRAME_RATE = "FRAME-RATE is the segments' (section 4.4.6.2)"
    MEDIA_DURATION = "EXTINF is the duration of the segment's pictures (section 3)"
    MEDIA_CONTINUITY = "timestamps run on from segment to segment (section 3)"
    MEDIA_ALIGNMENT = "matching content has matching timestamps (section 6.2.4)"
    INDEPENDENT = "every segment starts with a keyframe (section 4.4.2.1)"
    STATE = "state.json is valid, and goes the way of the life cycle (P5)"
    ANSWER = "every address answers a player with status, type, size and CORS (P1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A *rule* that the *generation* of the object *name* breaks."""

    rule: Rule
    name: str
    generation: int
    text: str

    def __str__(self) -> str:
        return f"{self.rule.name} {self.name}#{self.generation}: {self.text}"
