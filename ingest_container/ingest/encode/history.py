"""The latest part of a feed, kept so that a replacement encoder can be given it again."""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from ingest.feed import CodecConfiguration, FeedItem, Track

# Above two groups of ten seconds at the highest bitrate that broadcasters use (20 Mb/s), and little beside
# what FFmpeg itself takes. Beyond it the oldest items are let go, and a replacement starts later.
MAX_KEPT_BYTES = 64 * 2**20
# What a frame takes beside its data, roughly: an object, its times and a place in the queue.
_BYTES_PER_ITEM = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStart:
    """Where a decoder can start: the *position* of a keyframe, its *time*, and what must come before it."""

    position: int
    time: timedelta
    configurations: tuple[CodecConfiguration, ...]


class FeedHistory:
    """Feed items by position; positions count from 0 and stay what they are when old items are let go."""

    def __init__(self, *, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self._max_bytes = max_bytes
        # Each item with the bytes of all items before it.
        self._items: deque[tuple[FeedItem, int]] = deque()
        self._first = 0
        self._bytes = 0
        self._starts: deque[GroupStart] = deque()
        self._configurations: dict[Track, CodecConfiguration] = {}

    @property
    def end(self) -> int:
        """The position that the next item will have."""
        return self._first + len(self._items)

    @property
    def kept_bytes(self) -> int:
        """What the kept items take."""
        return self.bytes_from(self._first)

    def append(self, item: FeedItem) -> None:
        """Keep *item*."""
        if isinstance(item, CodecConfiguration):
            self._configurations[item.track] = item
        elif item.track is Track.VIDEO and item.keyframe:
            start = GroupStart(
                position=self.end, time=item.presentation_time, configurations=self.configurations
            )
            self._starts.append(start)
        self._items.append((item, self._bytes))
        self._bytes += _BYTES_PER_ITEM + len(item.data)

    @property
    def configurations(self) -> tuple[CodecConfiguration, ...]:
        """The formats that hold now."""
        return tuple(self._configurations.values())

    def at(self, position: int) -> FeedItem:
        """The item at *position*, which is kept."""
        return self._items[position - self._first][0]

    def since(self, start: GroupStart) -> tuple[FeedItem, ...]:
        """What a decoder that starts at *start* is given: the formats, and all items from there on."""
        items = islice(self._items, start.position - self._first, None)
        return (*start.configurations, *(item for item, _ in items))

    def bytes_from(self, position: int) -> int:
        """What the items from *position* on take."""
        if position >= self.end:
            return 0
        return self._bytes - self._items[position - self._first][1]

    @property
    def newest_start(self) -> GroupStart | None:
        """The last group that is kept."""
        return self._starts[-1] if self._starts else None

    def start_for(self, time: timedelta) -> GroupStart | None:
        """The last group that starts at or before *time*, else the first that is kept, else None."""
        earlier = [start for start in self._starts if start.time <= time]
        return earlier[-1] if earlier else next(iter(self._starts), None)

    def start_from(self, time: timedelta) -> GroupStart | None:
        """The first group that starts at or after *time*."""
        return next((start for start in self._starts if start.time >= time), None)

    def release(self, time: timedelta, *, read: int) -> None:
        """Let go what is not needed to start at *time*; above the bound of bytes, also what is.

        Items from position *read* on are kept in any case: no encoder has had them yet.
        """
        start = self.start_for(time)
        needed = start.position if start is not None else self._first
        while self._first < read and (self._first < needed or self.kept_bytes > self._max_bytes):
            self._items.popleft()
            self._first += 1
        while self._starts and self._starts[0].position < self._first:
            self._starts.popleft()
