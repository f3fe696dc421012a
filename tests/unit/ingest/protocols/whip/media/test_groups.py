from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.whip.media.groups import (
    CONCEAL_AFTER,
    MAX_REQUEST_SECONDS,
    MAX_RHYTHM_SECONDS,
    MIN_REQUEST_SECONDS,
    GroupGate,
    KeyframeRequests,
)


def _gate() -> GroupGate:
    gate = GroupGate()
    assert gate.admits(keyframe=True, at=0.0)
    return gate


def test_nothing_is_let_through_before_the_first_keyframe_however_long() -> None:
    gate = GroupGate()
    gate.damage(0.0)
    assert not gate.admits(keyframe=False, at=0.0)
    assert not gate.admits(keyframe=False, at=1000.0)
    assert gate.lacks_keyframe
    assert gate.admits(keyframe=True, at=1000.0)


def test_after_loss_nothing_is_let_through_up_to_the_next_keyframe() -> None:
    gate = _gate()
    assert gate.admits(keyframe=False, at=0.1)
    gate.damage(0.2)
    assert not gate.admits(keyframe=False, at=0.2)
    assert gate.lacks_keyframe
    assert gate.admits(keyframe=True, at=0.3)
    assert gate.admits(keyframe=False, at=0.4)
    assert not gate.lacks_keyframe


def test_a_keyframe_is_not_waited_for_for_ever() -> None:
    """OBS ignores PLI: what a decoder conceals is better than nothing."""
    gate = _gate()
    gate.damage(1.0)
    assert not gate.admits(keyframe=False, at=1.0 + CONCEAL_AFTER)
    gate.damage(3.0)
    assert gate.admits(keyframe=False, at=1.01 + CONCEAL_AFTER), "counted from the first loss"
    gate.damage(4.0)
    assert gate.admits(keyframe=False, at=4.1), "more loss changes nothing"
    assert gate.lacks_keyframe
    assert gate.admits(keyframe=True, at=5.0)
    gate.damage(5.1)
    assert not gate.admits(keyframe=False, at=5.2), "and from a keyframe on groups are whole again"


@given(st.lists(st.sampled_from(["keyframe", "picture", "loss"]), max_size=50))
def test_no_picture_is_let_through_between_a_loss_and_a_keyframe(events: list[str]) -> None:
    gate = GroupGate()
    whole = False
    for number, event in enumerate(events):
        at = number / 30
        if event == "loss":
            gate.damage(at)
            whole = False
        else:
            whole = whole or event == "keyframe"
            assert gate.admits(keyframe=event == "keyframe", at=at) is whole
            assert gate.lacks_keyframe is not whole


def _asked(requests: KeyframeRequests, times: Iterable[float], *, lacks_keyframe: bool) -> list[float]:
    return [time for time in times if requests.is_due(time, lacks_keyframe=lacks_keyframe)]


def _times(begin: float, end: float) -> list[float]:
    return [begin + step / 100 for step in range(round(100 * (end - begin)))]


def test_a_keyframe_is_asked_for_at_once_and_then_less_and_less_often() -> None:
    asked = _asked(KeyframeRequests(2.0), _times(0, 20), lacks_keyframe=True)
    gaps = [after - before for before, after in pairwise(asked)]
    assert asked[0] == 0
    assert gaps[:4] == pytest.approx([MIN_REQUEST_SECONDS, 1.0, 2.0, MAX_REQUEST_SECONDS], abs=0.011)
    assert max(gaps) <= MAX_REQUEST_SECONDS + 0.011


def test_loss_after_a_keyframe_is_told_at_once() -> None:
    requests = KeyframeRequests(2.0)
    _asked(requests, _times(0, 10), lacks_keyframe=True)
    requests.observe_keyframe(10.0)
    assert _asked(requests, _times(10, 11), lacks_keyframe=False) == []
    assert _asked(requests, _times(11, 11.3), lacks_keyframe=True) == [11.0]


def test_two_requests_are_never_closer_than_a_round_trip() -> None:
    requests = KeyframeRequests(2.0)
    asked = []
    for time in _times(0, 10):
        asked += _asked(requests, [time], lacks_keyframe=round(time * 100) % 3 == 0)
        if round(time * 100) % 5 == 0:
            requests.observe_keyframe(time)
    assert min(after - before for before, after in pairwise(asked)) >= MIN_REQUEST_SECONDS


def test_a_keyframe_comes_about_every_interval_from_a_sender_that_answers() -> None:
    requests = KeyframeRequests(2.0)
    requests.observe_keyframe(0.0)
    asked = []
    for time in _times(0, 21):
        if _asked(requests, [time], lacks_keyframe=False):
            asked.append(time)
            requests.observe_keyframe(time + 0.05)
    assert len(asked) == 9
    assert requests.keyframe_interval == pytest.approx(2.25, abs=0.03)


def test_a_sender_that_keeps_to_the_interval_is_not_asked() -> None:
    requests = KeyframeRequests(2.0)
    for number in range(10):
        requests.observe_keyframe(2.0 * number + 0.1 * (number % 2))
        assert _asked(requests, _times(2.0 * number + 0.1, 2.0 * number + 2.0), lacks_keyframe=False) == []


def test_a_sender_that_does_not_answer_is_asked_more_and_more_rarely_for_a_rhythm() -> None:
    requests = KeyframeRequests(2.0)
    requests.observe_keyframe(0.0)
    asked = _asked(requests, (step / 10 for step in range(3000)), lacks_keyframe=False)
    assert asked[:4] == pytest.approx([2.2, 4.2, 8.2, 16.2], abs=0.1)
    assert max(after - before for before, after in pairwise(asked)) <= MAX_RHYTHM_SECONDS + 0.1


@pytest.mark.parametrize("interval", [0.0, 0.1])
def test_no_interval_asks_for_more_than_a_keyframe_a_second(interval: float) -> None:
    requests = KeyframeRequests(interval)
    requests.observe_keyframe(0.0)
    assert _asked(requests, _times(0, 1), lacks_keyframe=False) == []
