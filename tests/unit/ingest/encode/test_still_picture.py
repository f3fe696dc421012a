from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.encode import still_picture
from ingest.encode.still_picture import DISTANCE, MAX_GROUP_PICTURES, PATIENCE, StillPicture
from ingest.feed import EncodedFrame, Track

INTERVAL = timedelta(milliseconds=40)


def picture(number: int, *, shown: int | None = None, keyframe: bool = False) -> EncodedFrame:
    return EncodedFrame(
        track=Track.VIDEO,
        decode_time=number * INTERVAL,
        presentation_time=(number if shown is None else shown) * INTERVAL,
        keyframe=keyframe,
        data=bytes((number % 256,)),
    )


def after(pictures: Sequence[EncodedFrame]) -> StillPicture:
    still = StillPicture()
    for each in pictures:
        still.observe(each)
    return still


def group(count: int) -> list[EncodedFrame]:
    return [picture(number, keyframe=number == 0) for number in range(count)]


@given(
    orders=st.lists(st.permutations(range(5)), min_size=1, max_size=3),
    late=st.timedeltas(min_value=PATIENCE, max_value=timedelta(minutes=1)),
)
def test_the_group_comes_again_in_its_order_and_nothing_of_it_after_the_last_picture_s_new_time(
    orders: list[list[int]], late: timedelta
) -> None:
    """Whatever order it is shown in; a decoder ends where it was."""
    shown = [5 * number + place for number, order in enumerate(orders) for place in order]
    pictures = [picture(number, shown=at, keyframe=number == 0) for number, at in enumerate(shown)]
    heard = max(shown) * INTERVAL + late + timedelta.resolution
    repeated = after(pictures).repeat(heard)
    assert [(each.data, each.keyframe) for each in repeated] == [
        (each.data, each.keyframe) for each in pictures
    ]
    assert max(each.presentation_time for each in repeated) == heard - DISTANCE
    by_time = sorted(range(len(repeated)), key=lambda number: repeated[number].presentation_time)
    assert by_time == sorted(range(len(repeated)), key=lambda number: shown[number])
    assert min(each.presentation_time for each in repeated) > max(shown) * INTERVAL


def test_only_the_group_that_the_feed_is_in_is_repeated() -> None:
    pictures = [picture(number, keyframe=number in {0, 10}) for number in range(15)]
    repeated = after(pictures).repeat(timedelta(seconds=10))
    assert [each.data for each in repeated] == [each.data for each in pictures[10:]]


def test_pictures_are_waited_for_and_then_repeated_again_and_again_until_one_comes() -> None:
    still = after(group(2))
    last = INTERVAL
    assert still.repeat(last + PATIENCE) == []
    first = last + PATIENCE + timedelta.resolution
    assert len(still.repeat(first)) == 2
    assert still.repeat(first + PATIENCE - DISTANCE) == []
    assert len(still.repeat(first + PATIENCE - DISTANCE + timedelta.resolution)) == 2
    back = first + timedelta(seconds=2)
    still.observe(picture(back // INTERVAL))
    assert still.repeat(back + PATIENCE - INTERVAL) == []


def test_nothing_is_repeated_before_a_keyframe() -> None:
    assert after([]).repeat(timedelta(hours=1)) == []
    assert after([picture(1), picture(2)]).repeat(timedelta(hours=1)) == []


def test_a_group_of_too_many_pictures_is_not_repeated_but_the_next_one_is() -> None:
    still = after(group(MAX_GROUP_PICTURES + 1))
    assert still.repeat(timedelta(hours=1)) == []
    still.observe(picture(MAX_GROUP_PICTURES + 2))
    assert still.repeat(timedelta(hours=1)) == []
    still.observe(picture(MAX_GROUP_PICTURES + 3, keyframe=True))
    assert len(still.repeat(timedelta(hours=1))) == 1


def test_a_group_of_too_many_bytes_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(still_picture, "MAX_GROUP_BYTES", 3)
    assert len(after(group(3)).repeat(timedelta(hours=1))) == 3
    assert after(group(4)).repeat(timedelta(hours=1)) == []
