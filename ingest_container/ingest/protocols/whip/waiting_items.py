"""Feed items that wait for whoever takes them: bounded, and whole groups at a time."""

import asyncio
from collections import deque

from ingest.feed import CodecConfiguration, EncodedFrame, FeedItem, Track

# What a frame takes beside its data, roughly: an object, its times and a place in the queue.
_BYTES_PER_ITEM = 500


class WaitingItems:
    """A queue of at most *max_bytes* and *max_items*.

    A WebRTC publisher cannot be held back. What comes when the queue is full is dropped, and after it
    everything up to the next keyframe that finds it half empty, so that no decoder meets a broken group.
    """

    def __init__(self, *, max_bytes: int, max_items: int) -> None:
        self._max_bytes = max_bytes
        self._max_items = max_items
        self._items: deque[FeedItem] = deque()
        self._configurations: dict[Track, CodecConfiguration] = {}  # what the next frames need
        self._bytes = 0
        self._is_dropping = self._has_ended = False
        self._changed = asyncio.Event()
        self.dropped = 0
        """Frames that were dropped."""

    def put(self, item: FeedItem) -> None:
        """Take *item*, or drop it; a configuration waits for a frame that is taken."""
        if isinstance(item, CodecConfiguration):
            self._configurations[item.track] = item
        elif self._has_ended or not self._admits(item):
            self.dropped += 1
        else:
            taken: tuple[FeedItem, ...] = (*self._configurations.values(), item)
            for needed in taken:
                self._items.append(needed)
                self._bytes += len(needed.data) + _BYTES_PER_ITEM
            self._configurations.clear()
            self._changed.set()

    def end(self, *, drop: bool) -> None:
        """Take nothing more; whoever takes items out gets what waits, unless it is to *drop*, and then None."""
        self._has_ended = True
        if drop:
            self.dropped += len(self._items)
            self._items.clear()
        self._changed.set()

    def _admits(self, frame: EncodedFrame) -> bool:
        starts = frame.track is Track.VIDEO and frame.keyframe
        if self._is_dropping and starts and self._is_below(half=True):
            self._is_dropping = False
        elif not self._is_below(half=False):
            self._is_dropping = True
        return not self._is_dropping

    def _is_below(self, *, half: bool) -> bool:
        share = 2 if half else 1
        return self._bytes * share < self._max_bytes and len(self._items) * share < self._max_items

    async def get(self) -> FeedItem | None:
        """Wait for the oldest item, and take it out; None when there is none any more."""
        while not self._items:
            if self._has_ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        item = self._items.popleft()
        self._bytes -= len(item.data) + _BYTES_PER_ITEM
        return item
