"""What is wrong with a broadcaster's input, seen from its frames' times alone."""

from collections import deque
from datetime import timedelta
from itertools import pairwise
from typing import Final

from bucketcast.stream.encoder_report import InputFault
from ingest.feed.frames import EncodedFrame, Track

# Players start at a keyframe and FFmpeg resumes at one: twice the two seconds that OBS is told to use.
LONG_KEYFRAME_INTERVAL: Final = timedelta(seconds=4)
# Sound that has come for so long without a picture: more than any sender's unevenness, and told before viewers
# have played the pictures that they have in hand.
NO_VIDEO_AFTER: Final = timedelta(seconds=2)
# How far back the monitor looks: long enough to tell a burst from a slow uplink.
WINDOW: Final = timedelta(seconds=10)
# As many frames as the window holds at 240 a second; the bound is against a flood whose times stand still.
MAX_FRAMES: Final = 2400
# Media seconds a second: below this a viewer's buffer runs dry within minutes.
SLOW: Final = 0.95
# A frame that comes more than this many usual intervals after the one before leaves a hole.
UNEVEN: Final = 2.5
# A screen recording that drops one frame now and then is no reason to tell anybody.
MANY_HOLES: Final = 5


class InputMonitor:
    """Watches the frames of one session; times of arrival are seconds of a monotonic clock."""

    def __init__(self, *, has_audio: bool, adaptive: bool = False) -> None:
        """Watch a source that has, or lacks, sound; uneven pictures are in an *adaptive* one's nature."""
        self._has_audio = has_audio
        self._adaptive = adaptive
        self._frames: deque[tuple[float, timedelta]] = deque(maxlen=MAX_FRAMES)
        self._keyframe_at: timedelta | None = None
        self._keyframe_interval = timedelta(0)
        self._sound_alone: tuple[timedelta, timedelta] | None = None  # since the last picture: from, until

    def observe(self, frame: EncodedFrame, *, arrived: float) -> None:
        """Take note of *frame*."""
        if frame.track is Track.VIDEO:
            self._sound_alone = None
            self._observe_picture(frame, arrived=arrived)
        else:
            begin, _ = self._sound_alone or (frame.decode_time, frame.decode_time)
            self._sound_alone = begin, frame.decode_time

    def _observe_picture(self, frame: EncodedFrame, *, arrived: float) -> None:
        time = frame.decode_time
        since = timedelta(0) if self._keyframe_at is None else time - self._keyframe_at
        if frame.keyframe:
            self._keyframe_interval = since
            self._keyframe_at = time
        else:  # a keyframe that never comes is late too
            self._keyframe_interval = max(since, self._keyframe_interval)
        self._frames.append((arrived, time))
        while time - self._frames[0][1] > WINDOW:
            self._frames.popleft()

    def faults(self) -> tuple[InputFault, ...]:
        """What is wrong now."""
        found = (
            (InputFault.NO_AUDIO, not self._has_audio),
            (InputFault.NO_VIDEO, self._lacks_pictures()),
            (InputFault.LONG_KEYFRAME_INTERVAL, self._keyframe_interval > LONG_KEYFRAME_INTERVAL),
            (InputFault.VARIABLE_FRAME_RATE, not self._adaptive and self._is_uneven()),
            (InputFault.SLOWER_THAN_REAL_TIME, self._is_slow()),
        )
        return tuple(fault for fault, present in found if present)

    def _lacks_pictures(self) -> bool:
        # How long sound goes on, not how far it is ahead: some senders' tracks do not begin at the same time.
        begin, until = self._sound_alone or (timedelta(0), timedelta(0))
        return until - begin > NO_VIDEO_AFTER

    def _is_slow(self) -> bool:
        if len(self._frames) < 2:
            return False
        (arrived, time), (last_arrived, last_time) = self._frames[0], self._frames[-1]
        media = (last_time - time).total_seconds()
        # Only a full window tells: the first seconds come in bursts.
        return media > 0.9 * WINDOW.total_seconds() and media < SLOW * (last_arrived - arrived)

    def _is_uneven(self) -> bool:
        times = [time for _, time in self._frames]
        intervals = sorted(after - before for before, after in pairwise(times))
        if not intervals:
            return False
        usual = intervals[len(intervals) // 2]
        return sum(interval > UNEVEN * usual for interval in intervals) >= MANY_HOLES
