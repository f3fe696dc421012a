"""A queue that is bounded, and that drops groups rather than frames."""

import asyncio
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.feed import CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.protocols.whip.waiting_items import WaitingItems

CONFIGURATION = CodecConfiguration(codec=VideoCodec.H264, data=b"avcC")


def frame(number: int, *, keyframe: bool = False, size: int = 100, track: Track = Track.VIDEO) -> EncodedFrame:
    time = timedelta(milliseconds=number)
    return EncodedFrame(
        track=track, decode_time=time, presentation_time=time, keyframe=keyframe, data=bytes(size)
    )


async def taken(items: WaitingItems, count: int) -> list[FeedItem]:
    found = [await items.get() for _ in range(count)]
    return [item for item in found if item is not None]


async def test_what_is_put_comes_out_in_order() -> None:
    items = WaitingItems(max_bytes=10_000, max_items=100)
    put: list[FeedItem] = [CONFIGURATION, frame(0, keyframe=True), frame(1)]
    for item in put:
        items.put(item)
    assert await taken(items, 3) == put


async def test_a_full_queue_drops_up_to_a_keyframe_that_finds_it_half_empty() -> None:
    items = WaitingItems(max_bytes=2_400, max_items=100)
    for number in range(6):  # four have room
        items.put(frame(number, keyframe=number == 0))
    assert items.dropped == 2
    items.put(frame(6, keyframe=True))  # still full
    await taken(items, 3)
    items.put(frame(7))  # not where a decoder can start
    items.put(frame(7, track=Track.AUDIO))
    assert items.dropped == 5
    items.put(CONFIGURATION)
    items.put(frame(8, keyframe=True))
    assert await taken(items, 3) == [frame(3), CONFIGURATION, frame(8, keyframe=True)]


async def test_who_waits_gets_what_comes() -> None:
    items = WaitingItems(max_bytes=1_000, max_items=10)
    waiting = asyncio.create_task(items.get())
    await asyncio.sleep(0)
    items.put(frame(0, keyframe=True))
    assert await waiting == frame(0, keyframe=True)


async def test_what_waits_at_the_end_is_still_taken_out_and_then_nothing() -> None:
    items = WaitingItems(max_bytes=10_000, max_items=10)
    items.put(frame(0, keyframe=True))
    items.end(drop=False)
    items.put(frame(1))
    assert [await items.get(), await items.get()] == [frame(0, keyframe=True), None]
    assert items.dropped == 1


async def test_what_is_dropped_at_the_end_is_counted() -> None:
    items = WaitingItems(max_bytes=10_000, max_items=10)
    items.put(frame(0, keyframe=True))
    items.end(drop=True)
    assert (await items.get(), items.dropped) == (None, 1)


async def test_who_waits_at_the_end_is_told() -> None:
    items = WaitingItems(max_bytes=10_000, max_items=10)
    waiting = asyncio.create_task(items.get())
    await asyncio.sleep(0)
    items.end(drop=False)
    assert await waiting is None


async def test_configurations_are_bounded_and_the_newest_comes_with_its_frame() -> None:
    """A bug: a sender whose picture changed its shape again and again filled the queue with them."""
    items = WaitingItems(max_bytes=10_000, max_items=2)
    newest = CodecConfiguration(codec=VideoCodec.H264, data=b"newest")
    for _ in range(5_000):
        items.put(CONFIGURATION)
    items.put(newest)
    items.put(frame(0, keyframe=True))
    assert await taken(items, 2) == [newest, frame(0, keyframe=True)]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=60))
def test_the_bound_holds_and_no_group_has_a_hole(frames: list[tuple[bool, int]]) -> None:
    async def story() -> None:
        items = WaitingItems(max_bytes=5_000, max_items=20)
        put = [frame(n, keyframe=key or n == 0, size=size) for n, (key, size) in enumerate(frames)]
        for item in put:
            items.put(item)
        kept = await taken(items, len(put) - items.dropped)
        assert len(kept) <= 20
        assert sum(len(item.data) + 500 for item in kept) <= 5_000 + 900
        numbers = [put.index(item) for item in kept if isinstance(item, EncodedFrame)]
        assert len(numbers) == len(kept)
        for before, after in pairwise([-1, *numbers]):
            assert put[after].keyframe or after == before + 1

    asyncio.run(story())
