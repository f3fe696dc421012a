"""The grid of a session: which output frames belong to which segment, in exact arithmetic.

A session's output has a constant frame rate; frame n is shown at n / rate. Segment i begins with the first
frame at or after i * duration, so every encoder of the session cuts the same intervals, and a duration that
is no whole number of frames (2 s at 30000/1001) never drifts.
"""

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from bucketcast.stream.identifiers import SegmentIndex

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentGrid:
    """Frames at *frame_rate* in segments of *segment_duration*."""

    frame_rate: Fraction
    segment_duration: timedelta

    @property
    def frames_per_segment(self) -> Fraction:
        """Frames in a segment, on average; a segment has this number rounded down or up."""
        return self.frame_rate * (self.segment_duration // _MICROSECOND) / 1_000_000

    def first_frame(self, index: SegmentIndex) -> int:
        """The number of the first frame of segment *index*."""
        return -(-index * self.frames_per_segment // 1)

    def index_of_frame(self, frame: int) -> SegmentIndex:
        """The segment that *frame* belongs to."""
        return SegmentIndex(frame // self.frames_per_segment)

    def frame_at(self, time: Fraction) -> int:
        """The number of the frame that is shown at *time* seconds, give or take half a frame."""
        return round(time * self.frame_rate)

    def time_of_frame(self, frame: int) -> timedelta:
        """When *frame* is shown, to the nearest microsecond."""
        return _MICROSECOND * round(frame * 1_000_000 / self.frame_rate)

    def start(self, index: SegmentIndex) -> timedelta:
        """When segment *index* starts: the time of its first frame."""
        return self.time_of_frame(self.first_frame(index))

    def duration(self, index: SegmentIndex) -> timedelta:
        """How long segment *index* is when it is whole."""
        return self.start(SegmentIndex(index + 1)) - self.start(index)
