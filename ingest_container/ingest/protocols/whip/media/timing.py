"""A track's frames put on the feed's line of time, the first ones once it is known where they belong."""

from collections import deque
from typing import Final, NamedTuple

from ingest.feed.frames import CodecConfiguration, EncodedFrame, FeedItem, Track
from ingest.protocols.whip.media.clock import ClockMapper
from ingest.protocols.whip.media.rtp import TimestampUnwrapper

# Of frames that wait for their place, a second at most: 64 Mb/s, and 240 pictures with room for a burst.
MAX_WAITING_BYTES: Final = 8 * 2**20
MAX_WAITING_FRAMES: Final = 1024


class TrackFrame(NamedTuple):
    """An encoded frame with its RTP *timestamp*, and the *configuration* that goes before it, if any."""

    timestamp: int
    arrived: float
    keyframe: bool
    data: bytes
    configuration: CodecConfiguration | None = None


class FramePlacer:
    """Gives *track*'s frames their times, in the order in which they came."""

    def __init__(self, track: Track, clock: ClockMapper) -> None:
        self._track = track
        self._clock = clock
        self._waiting: deque[tuple[int, TrackFrame]] = deque()  # with their timestamps, unwrapped
        self._waiting_bytes = 0
        self._timestamps: TimestampUnwrapper | None = None
        self._latest = 0
        self.frames = 0
        """How many came."""
        self.backward_timestamps = 0
        """How many are to be shown before one that came before them."""

    def place(self, frame: TrackFrame) -> list[FeedItem]:
        """Take *frame*, and return what can be placed."""
        if self._timestamps is None:
            self._timestamps = TimestampUnwrapper(frame.timestamp)
            self._latest = frame.timestamp
        timestamp = self._timestamps.unwrap(frame.timestamp)
        self.frames += 1
        self.backward_timestamps += timestamp < self._latest
        self._latest = max(self._latest, timestamp)
        self._clock.observe(self._track, timestamp, arrived=frame.arrived)
        if not self._waiting and self._clock.settled(self._track, now=frame.arrived):
            return self._placed(timestamp, frame)
        self._waiting.append((timestamp, frame))
        self._waiting_bytes += len(frame.data)
        if self._waiting_bytes > MAX_WAITING_BYTES or len(self._waiting) > MAX_WAITING_FRAMES:
            return self.flush()
        return self.release(frame.arrived)

    def release(self, now: float) -> list[FeedItem]:
        """Return what can be placed by now."""
        if not self._waiting or not self._clock.settled(self._track, now=now):
            return []
        return self.flush()

    def flush(self) -> list[FeedItem]:
        """Return all frames that wait, placed as well as can be."""
        items = [item for waiting in self._waiting for item in self._placed(*waiting)]
        self._waiting.clear()
        self._waiting_bytes = 0
        return items

    def restart(self) -> None:
        """Begin with another source, which has a clock of its own; `flush` comes before."""
        self._clock.restart(self._track)
        self._timestamps = None

    def _placed(self, timestamp: int, frame: TrackFrame) -> list[FeedItem]:
        time = self._clock.frame_time(self._track, timestamp, arrived=frame.arrived)
        encoded = EncodedFrame(
            track=self._track,
            decode_time=time,
            presentation_time=time,
            keyframe=frame.keyframe,
            data=frame.data,
        )
        return [encoded] if frame.configuration is None else [frame.configuration, encoded]
