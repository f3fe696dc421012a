from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from bucketcast.stream.configuration import (
    MAX_SEGMENT_DURATION,
    MIN_SEGMENT_DURATION,
    SEGMENT_DURATION_STEP,
    StreamConfiguration,
)
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import RungName
from bucketcast.stream.window import (
    listed_segments,
    live_window_duration,
    rung_for_slot,
    slot_rungs,
    target_duration,
)
from stream_world import SLOTS, A, World, encoded_rung, uploaded

DURATIONS = [
    MIN_SEGMENT_DURATION + step * SEGMENT_DURATION_STEP
    for step in range((MAX_SEGMENT_DURATION - MIN_SEGMENT_DURATION) // SEGMENT_DURATION_STEP + 1)
]


@pytest.mark.parametrize("duration", DURATIONS)
def test_no_legal_segment_rounds_above_the_target_duration_and_none_smaller_would_do(
    duration: timedelta,
) -> None:
    """A segment ends less than a frame behind the grid, a tenth of a second at most."""
    target = target_duration(StreamConfiguration(segment_duration=duration))
    longest = duration + timedelta(milliseconds=99)
    assert (longest + timedelta(milliseconds=500)) // timedelta(seconds=1) == target


@pytest.mark.parametrize(
    ("slot", "rungs", "filled_by"),
    [
        ("720p", ("1080p", "720p", "360p"), "720p"),
        ("720p", ("1080p", "480p", "360p"), "480p"),
        ("360p", ("1080p", "720p"), "720p"),
        ("1080p", ("360p",), "360p"),
        ("362p", ("364p", "360p"), "360p"),
    ],
)
def test_a_slot_lists_itself_or_the_nearest_below_or_the_nearest_above(
    slot: str, rungs: tuple[str, ...], filled_by: str
) -> None:
    encoded = tuple(encoded_rung(RungName(name)) for name in rungs)
    assert rung_for_slot(RungName(slot), encoded).name == filled_by
    assert rung_for_slot(RungName(slot), encoded[::-1]).name == filled_by


def published(count: int, lag: int = 0) -> StreamDocument:
    world = World()
    session = world.claim(A)
    world.report(session, A, [uploaded(i, SLOTS if i < count - lag else SLOTS[:1]) for i in range(count)])
    return world.wake()


def test_six_segments_are_listed_of_a_long_broadcast() -> None:
    document = published(20)
    for slot in SLOTS:
        assert [s.index for s in listed_segments(document, slot_rungs(document, slot))] == list(range(14, 20))
    assert [segment.index for segment in document.window] == list(range(14, 20))


def test_a_rendition_is_listed_up_to_its_own_first_pending_segment() -> None:
    document = published(20, lag=3)
    listed = {slot: [s.index for s in listed_segments(document, slot_rungs(document, slot))] for slot in SLOTS}
    assert listed == {
        SLOTS[0]: list(range(14, 20)),
        SLOTS[1]: list(range(11, 17)),
        SLOTS[2]: list(range(11, 17)),
    }
    assert document.window[0].index == 11


def test_a_rendition_without_any_decided_segment_lists_nothing() -> None:
    document = published(2, lag=2)
    assert listed_segments(document, slot_rungs(document, SLOTS[1])) == ()


@pytest.mark.parametrize("duration", DURATIONS)
def test_a_live_window_has_six_segments_and_three_target_durations(duration: timedelta) -> None:
    """RFC 8216bis, 6.2.2."""
    configuration = StreamConfiguration(segment_duration=duration)
    length = live_window_duration(configuration)
    assert length >= 6 * duration
    assert length >= 3 * timedelta(seconds=target_duration(configuration))


@given(st.lists(st.integers(1, 2100), min_size=1, max_size=12))
@example([2000] * 7)
@example([2100] * 12)
def test_the_window_is_as_long_as_players_need_and_no_longer(milliseconds: list[int]) -> None:
    """At least 6 segment durations and 3 target durations; without its first segment it would be too short."""
    document = published(1)
    segment = document.window[0]
    window = tuple(replace(segment, duration=timedelta(milliseconds=ms)) for ms in milliseconds)
    document = replace(document, window=window)
    listed = listed_segments(document, slot_rungs(document, SLOTS[0]))
    length = sum((s.duration for s in listed), timedelta(0))
    least = timedelta(seconds=12)
    assert length >= least or len(listed) == len(window)
    assert length - listed[0].duration < least
