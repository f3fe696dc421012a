"""A stream's configuration: what its owner chose, fixed in the stream record.

The rungs are the stream's *slots*: players read the multivariant playlist once, so the slots and the segment
duration never change while the stream exists.
"""

from datetime import timedelta
from enum import StrEnum
from itertools import pairwise

from msgspec import Struct

from bucketcast.errors import InvalidConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, RungName, parse_rung_name

# Below 144 lines nothing can be made out; above 2160 lines no two cores keep up.
MIN_RUNG_HEIGHT, MAX_RUNG_HEIGHT = 144, 2160
# H.264 at the smallest rung needs some 100 kb/s; level 5.2 in TS carries more than 60 Mb/s, no viewer does.
MIN_VIDEO_BITRATE, MAX_VIDEO_BITRATE = BitsPerSecond(100_000), BitsPerSecond(60_000_000)
# AAC-LC in stereo: below 32 kb/s it is unusable, above 320 kb/s nobody hears a difference.
MIN_AUDIO_BITRATE, MAX_AUDIO_BITRATE = BitsPerSecond(32_000), BitsPerSecond(320_000)
# One process encodes them all, and a player has no use for more steps.
MAX_RUNGS = 8
# Playlists change once a segment, and Cloud Storage takes one write a second to a name.
MIN_SEGMENT_DURATION, MAX_SEGMENT_DURATION = timedelta(seconds=1), timedelta(seconds=6)
# Whole and half seconds leave the target duration the same at every frame rate from 10 to 60 fps.
SEGMENT_DURATION_STEP = timedelta(milliseconds=500)
# A broadcaster's machine that starts anew takes minutes; who is away for longer begins another broadcast.
MAX_RECONNECT_WINDOW = timedelta(seconds=1800)


class Preset(StrEnum):
    """x264's presets that run in real time."""

    ULTRAFAST = "ultrafast"
    SUPERFAST = "superfast"
    VERYFAST = "veryfast"
    FASTER = "faster"
    FAST = "fast"
    MEDIUM = "medium"


class RecordingMode(StrEnum):
    """What is kept of a broadcast."""

    OFF = "off"
    ON = "on"
    """The best rung, as viewers got it."""
    SOURCE = "source"
    """What the broadcaster sent, as it came."""


class RungConfiguration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the encoding ladder: a picture whose short side *name* says, at *video_bitrate*."""

    name: RungName
    video_bitrate: BitsPerSecond

    def __post_init__(self) -> None:
        """Raise InvalidConfiguration where a value is outside its bounds."""
        parse_rung_name(self.name)
        if not MIN_RUNG_HEIGHT <= self.short_side <= MAX_RUNG_HEIGHT or self.short_side % 2:
            raise InvalidConfiguration(
                f"rung {self.name}: the short side is even and from {MIN_RUNG_HEIGHT} to {MAX_RUNG_HEIGHT}"
            )
        if not MIN_VIDEO_BITRATE <= self.video_bitrate <= MAX_VIDEO_BITRATE:
            raise InvalidConfiguration(
                f"rung {self.name}: the video bitrate is from {MIN_VIDEO_BITRATE} to {MAX_VIDEO_BITRATE} bit/s"
            )

    @property
    def short_side(self) -> int:
        """The smaller of width and height in pixels (portrait pictures keep their orientation)."""
        return int(self.name[:-1])


DEFAULT_RUNGS = (
    RungConfiguration(name=RungName("1080p"), video_bitrate=BitsPerSecond(5_000_000)),
    RungConfiguration(name=RungName("720p"), video_bitrate=BitsPerSecond(2_800_000)),
    RungConfiguration(name=RungName("480p"), video_bitrate=BitsPerSecond(1_400_000)),
    RungConfiguration(name=RungName("360p"), video_bitrate=BitsPerSecond(800_000)),
)


class StreamConfiguration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the owner of a stream chose, or the defaults."""

    rungs: tuple[RungConfiguration, ...] = DEFAULT_RUNGS
    audio_bitrate: BitsPerSecond = BitsPerSecond(128_000)
    segment_duration: timedelta = timedelta(seconds=2)
    reconnect_window: timedelta = timedelta(seconds=60)
    preset: Preset = Preset.SUPERFAST
    pass_through: bool = False
    recording: RecordingMode = RecordingMode.ON
    vod: bool = False  # encode the recording once more, for less bytes

    def __post_init__(self) -> None:
        """Raise InvalidConfiguration where values are outside their bounds or do not fit together."""
        if not 1 <= len(self.rungs) <= MAX_RUNGS:
            raise InvalidConfiguration(f"a stream has 1 to {MAX_RUNGS} rungs")
        for higher, lower in pairwise(self.rungs):
            if lower.short_side >= higher.short_side or lower.video_bitrate >= higher.video_bitrate:
                raise InvalidConfiguration(
                    f"rungs go down in size and bitrate: {lower.name} cannot follow {higher.name}"
                )
        if not MIN_AUDIO_BITRATE <= self.audio_bitrate <= MAX_AUDIO_BITRATE:
            raise InvalidConfiguration(
                f"the audio bitrate is from {MIN_AUDIO_BITRATE} to {MAX_AUDIO_BITRATE} bit/s"
            )
        if (
            not MIN_SEGMENT_DURATION <= self.segment_duration <= MAX_SEGMENT_DURATION
            or self.segment_duration % SEGMENT_DURATION_STEP
        ):
            raise InvalidConfiguration(
                f"the segment duration is from {_seconds(MIN_SEGMENT_DURATION)} to"
                f" {_seconds(MAX_SEGMENT_DURATION)} s, in steps of {_seconds(SEGMENT_DURATION_STEP)} s"
            )
        if not timedelta(0) <= self.reconnect_window <= MAX_RECONNECT_WINDOW:
            raise InvalidConfiguration(f"the reconnect window is from 0 to {_seconds(MAX_RECONNECT_WINDOW)} s")
        if self.vod and self.recording is RecordingMode.OFF:
            raise InvalidConfiguration(
                f"a VOD is made of a recording: with a VOD, the recording is not {RecordingMode.OFF}"
            )


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g}"
