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
    return [await items.get() for _ in range(count)]


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
    items.put(CONFIGURATION)
    assert await waiting is CONFIGURATION


async def test_all_is_taken_when_who_takes_comes_back_for_more() -> None:
    items = WaitingItems(max_bytes=10_000, max_items=10)
    items.put(frame(0, keyframe=True))
    all_taken = asyncio.create_task(items.all_taken())
    await items.get()
    await asyncio.sleep(0)
    assert not all_taken.done()
    more = asyncio.create_task(items.get())
    await all_taken
    more.cancel()


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
