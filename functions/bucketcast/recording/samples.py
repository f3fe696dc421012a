"""Samples (ISO/IEC 14496-12, 3.1): a segment's pictures and its frames of sound, with their times and sizes.

Times are in ticks of 90 kHz on the clock of the session's transport streams, without its wrap at 33 bits.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from bucketcast.recording.audio_format import ENCODED_SOUND, AudioFormat
from bucketcast.recording.boxes import Column
from bucketcast.recording.parameter_sets import VideoFormat
from bucketcast.stream.identifiers import SegmentIndex
from bucketcast.stream.silence import AUDIO_FRAME_SAMPLES, AUDIO_SAMPLE_RATE

TICKS_PER_SECOND: Final = 90_000
AUDIO_FRAME_TICKS: Final = AUDIO_FRAME_SAMPLES * TICKS_PER_SECOND // AUDIO_SAMPLE_RATE

# ISO/IEC 14496-12, 8.8.3.1: a sample that depends on no other; one that does, and is not for starting at.
SYNC_SAMPLE: Final = 0x0200_0000
OTHER_SAMPLE: Final = 0x0101_0000


def ticks(time: timedelta) -> int:
    """Return *time* in ticks, rounded to the nearest."""
    return (time // timedelta(microseconds=1) * TICKS_PER_SECOND + 500_000) // 1_000_000


def table(values: Iterable[int] = ()) -> Column:
    """Return *values*, of 32 bits each, in little room."""
    return array("I", values)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTable:
    """One track's samples, at least one, in order of decoding; the columns are of equal length.

    *composition_offsets* say how much later than decoded samples are shown; *flags* are SYNC_SAMPLE or another.
    """

    decode_time: int  # of the first
    durations: Column
    sizes: Column
    composition_offsets: Column
    flags: Column

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.sizes)

    @property
    def end(self) -> int:
        """When the last sample's decoding time is over."""
        return self.decode_time + sum(self.durations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """A track's share of a segment, with its media."""

    table: SampleTable
    media: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSamples:
    """Segment *index*; without pictures there may be no *video_format*.

    What has no sound just now has the *audio_format* of what is around it.
    """

    index: SegmentIndex
    video_format: VideoFormat | None
    video: Samples | None
    audio: Samples | None
    audio_format: AudioFormat | None = ENCODED_SOUND
