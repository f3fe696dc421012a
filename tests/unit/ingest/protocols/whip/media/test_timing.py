from datetime import timedelta
from itertools import pairwise

import pytest

from ingest.feed.frames import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.protocols.whip.media.clock import MAX_HOLD, ClockMapper
from ingest.protocols.whip.media.formats import TrackFormat
from ingest.protocols.whip.media.timing import (
    MAX_WAITING_BYTES,
    MAX_WAITING_FRAMES,
    FramePlacer,
    TrackFrame,
)

HOLD = MAX_HOLD.total_seconds()
CONFIGURATION = CodecConfiguration(codec=VideoCodec.VP8, data=b"header")


def _placer() -> FramePlacer:
    formats = (
        TrackFormat(track=Track.VIDEO, codec=VideoCodec.VP8, payload_type=96, clock_rate=90_000),
        TrackFormat(track=Track.AUDIO, codec=AudioCodec.OPUS, payload_type=111, clock_rate=48_000),
    )
    return FramePlacer(Track.VIDEO, ClockMapper(formats))


def _frame(number: int, *, data: bytes = b"x", first: int = 0) -> TrackFrame:
    timestamp = first + 3000 * number & 0xFFFFFFFF
    return TrackFrame(timestamp, number / 30, number == 0, data, CONFIGURATION if number == 0 else None)


def _times(items: list[FeedItem]) -> list[timedelta]:
    return [item.presentation_time for item in items if isinstance(item, EncodedFrame)]


@pytest.mark.parametrize("first", [0, 2**32 - 6000])
def test_the_first_frames_wait_until_the_clock_is_settled_and_all_come_in_order(first: int) -> None:
    placer = _placer()
    items = [item for number in range(20) for item in placer.place(_frame(number, first=first))]
    assert items == []
    assert placer.release(HOLD - 0.01) == []
    items = placer.release(HOLD)
    assert items[0] is CONFIGURATION
    times = _times(items)
    assert len(times) == placer.frames == 20
    gaps = [after - before for before, after in pairwise(times)]
    assert all(abs(gap - timedelta(seconds=1) / 30) < timedelta(milliseconds=1) for gap in gaps)
    assert len(placer.place(_frame(31, first=first))) == 1
    assert placer.release(100.0) == []


def test_the_next_frame_releases_those_that_wait() -> None:
    placer = _placer()
    placer.place(_frame(0))
    items = placer.place(_frame(35))
    assert [type(item) for item in items] == [CodecConfiguration, EncodedFrame, EncodedFrame]
    assert isinstance(items[1], EncodedFrame)
    assert items[1].keyframe


@pytest.mark.parametrize("size", [0, 2**20])
def test_what_waits_is_bounded_in_frames_and_bytes(size: int) -> None:
    placer = _placer()
    count = 0
    while not placer.place(TrackFrame(count, 0.0, False, bytes(size))):
        count += 1
    assert count == min(MAX_WAITING_FRAMES, MAX_WAITING_BYTES // max(size, 1))


def test_frames_to_be_shown_before_earlier_ones_are_counted() -> None:
    """B-frames, which WebRTC has no decode times for."""
    placer = _placer()
    for number in (0, 4, 2, 1, 3, 8, 6, 5, 7):
        placer.place(_frame(number))
    assert placer.backward_timestamps == 6


def test_after_a_restart_times_go_on_whatever_the_timestamps() -> None:
    placer = _placer()
    placer.place(_frame(0))
    last = _times(placer.place(_frame(40)))[-1]
    placer.restart()
    items = placer.place(_frame(41, first=2**31)) + placer.flush()
    assert timedelta(0) <= _times(items)[0] - last < timedelta(seconds=1)
