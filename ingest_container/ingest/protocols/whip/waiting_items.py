"""Feed items that wait for whoever takes them: bounded, and whole groups at a time."""

import asyncio
from collections import deque

from ingest.feed import EncodedFrame, FeedItem, Track

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
        self._bytes = 0
        self._is_dropping = False
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self.dropped = 0
        """Frames that were dropped."""

    def put(self, item: FeedItem) -> None:
        """Take *item*, or drop it."""
        if isinstance(item, EncodedFrame) and not self._admits(item):
            self.dropped += 1
            return
        self._items.append(item)
        self._bytes += len(item.data) + _BYTES_PER_ITEM
        self._arrived.set()
        self._taken.clear()

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

    async def all_taken(self) -> None:
        """Wait until there is no item left, and whoever took the last one has come back for more."""
        await self._taken.wait()

    async def get(self) -> FeedItem:
        """Wait for the oldest item, and take it out."""
        while not self._items:
            self._taken.set()
            self._arrived.clear()
            await self._arrived.wait()
        item = self._items.popleft()
        self._bytes -= len(item.data) + _BYTES_PER_ITEM
        return item
