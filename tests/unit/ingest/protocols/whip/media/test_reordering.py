from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.whip.media import reordering
from ingest.protocols.whip.media.reception import MAX_DROPOUT
from ingest.protocols.whip.media.reordering import (
    MAX_HELD_BYTES,
    MAX_HELD_PACKETS,
    MAX_MISSING,
    MAX_REQUESTS,
    MIN_ASK_SECONDS,
    REORDERING_SECONDS,
    Numbered,
    ReorderBuffer,
)
from ingest.protocols.whip.media.rtp import RtpPacket

PATIENCE = 0.4


def _packet(number: int, *, at: float = 0.0, payload: bytes = b"x") -> RtpPacket:
    return RtpPacket(96, True, number & 0xFFFF, 0, 1, payload, at)


def _buffer(*, asks: bool = True) -> ReorderBuffer:
    return ReorderBuffer(patience=PATIENCE, asks=asks)


def _put(buffer: ReorderBuffer, numbers: Iterable[int], *, at: float = 0.0) -> list[int]:
    return _numbers([each for number in numbers for each in buffer.put(number, _packet(number, at=at))])


def _numbers(ready: list[Numbered]) -> list[int]:
    assert all(number & 0xFFFF == packet.sequence_number for number, packet in ready)
    return [number for number, _ in ready]


@given(st.integers(-100_000, 100_000), st.permutations(range(1, 40)), st.lists(st.integers(0, 38), max_size=20))
def test_any_order_with_duplicates_gives_each_packet_once_in_order(
    first: int, order: list[int], duplicates: list[int]
) -> None:
    buffer = _buffer()
    order = [
        number
        for position, number in enumerate(order)
        for number in [number] * (1 + duplicates.count(position))
    ]
    assert _put(buffer, [first, *(first + number for number in order)]) == [first + n for n in range(40)]
    assert (buffer.lost, buffer.late) == (0, len(duplicates))
    assert buffer.give_up(1000 * PATIENCE) == []


@given(st.sets(st.integers(1, 98)), st.randoms(use_true_random=False))
def test_what_never_comes_is_given_up_and_the_rest_is_in_order(lost: set[int], random: Random) -> None:
    buffer = _buffer(asks=False)
    order = [number for number in range(1, 99) if number not in lost]
    random.shuffle(order)
    ready = _put(buffer, [0, *order, 99])
    ready += _numbers(buffer.give_up(PATIENCE))
    assert ready == [number for number in range(100) if number not in lost]
    assert buffer.lost == len(lost)


def test_a_missing_packet_is_waited_for_and_then_not() -> None:
    buffer = _buffer()
    assert _put(buffer, [0, 2], at=1.0) == [0]
    assert buffer.give_up(1.0 + PATIENCE - 0.001) == []
    assert _numbers(buffer.give_up(1.0 + PATIENCE)) == [2]
    assert _put(buffer, [1]) == []
    assert (buffer.lost, buffer.late) == (1, 1)


def test_each_hole_has_its_own_deadline() -> None:
    buffer = _buffer()
    _put(buffer, [0, 2], at=1.0)
    _put(buffer, [4], at=1.2)
    assert _numbers(buffer.give_up(1.0 + PATIENCE)) == [2]
    assert _numbers(buffer.give_up(1.2 + PATIENCE)) == [4]


def test_a_packet_is_asked_for_after_the_tolerance_for_reordering() -> None:
    buffer = _buffer()
    _put(buffer, [0, 3], at=1.0)
    assert buffer.requests(1.0) == []
    assert buffer.requests(1.0 + REORDERING_SECONDS) == [1, 2]
    assert buffer.requests(1.0 + REORDERING_SECONDS) == []


def test_a_packet_that_was_only_late_is_not_asked_for() -> None:
    buffer = _buffer()
    _put(buffer, [0, 2, 1], at=1.0)
    assert buffer.requests(2.0) == []
    assert buffer.recovered == 0


def test_a_packet_is_asked_for_again_and_no_more_than_so_often() -> None:
    buffer = _buffer()
    _put(buffer, [0, 2], at=0.0)
    times = [step / 1000 for step in range(2000) if buffer.requests(step / 1000)]
    assert len(times) == MAX_REQUESTS
    assert times[0] == pytest.approx(REORDERING_SECONDS, abs=0.001)
    assert times[1] - times[0] == pytest.approx(1.25 * reordering.FIRST_ROUND_TRIP, abs=0.002)
    assert buffer.give_up(PATIENCE)


def test_requests_follow_the_round_trip_that_is_measured() -> None:
    buffer = _buffer()
    _put(buffer, [0, 2], at=0.0)
    buffer.requests(0.1)
    assert _put(buffer, [1], at=0.14) == [1, 2]
    assert buffer.round_trip == pytest.approx(0.04)
    assert buffer.recovered == 1
    _put(buffer, [4], at=1.0)
    buffer.requests(1.1)
    assert buffer.requests(1.149) == []
    assert buffer.requests(1.151) == [3]
    _put(buffer, [3], at=1.2)
    assert buffer.round_trip == pytest.approx(0.04), "of two requests nobody knows which was answered"
    _put(buffer, [6], at=2.0)
    buffer.requests(2.1)
    _put(buffer, [5], at=2.22)
    assert buffer.round_trip == pytest.approx(0.04 + 0.08 / 8)


def test_requests_are_never_so_frequent_that_they_crowd_out_their_answers() -> None:
    buffer = _buffer()
    _put(buffer, [0, 2], at=0.0)
    buffer.requests(0.1)
    _put(buffer, [1], at=0.1)
    assert buffer.round_trip == 0
    _put(buffer, [4], at=1.0)
    buffer.requests(1.1)
    assert buffer.requests(1.1 + MIN_ASK_SECONDS - 0.001) == []


def test_nothing_is_asked_for_without_nack() -> None:
    buffer = _buffer(asks=False)
    _put(buffer, [0, 2], at=0.0)
    assert buffer.requests(0.3) == []
    assert buffer.give_up(PATIENCE)


def test_a_hole_too_large_to_be_asked_for_is_given_up_at_once() -> None:
    """And what was waited for before it: its group is damaged anyhow."""
    buffer = _buffer()
    _put(buffer, [0, 2])
    after = 3 + MAX_MISSING
    assert _put(buffer, [after]) == [2, after]
    assert buffer.requests(1.0) == []
    assert buffer.lost == 1 + MAX_MISSING
    assert _put(buffer, [after + 1]) == [after + 1]


def test_the_largest_hole_is_asked_for() -> None:
    buffer = _buffer()
    _put(buffer, [0, 1 + MAX_MISSING])
    assert buffer.requests(0.2) == list(range(1, 1 + MAX_MISSING))


@pytest.mark.parametrize("jump", [MAX_DROPOUT + 1, -MAX_DROPOUT - 1, 32_000])
def test_a_source_that_counts_anew_is_followed(jump: int) -> None:
    buffer = _buffer()
    _put(buffer, [0, 2])
    assert _put(buffer, [2 + jump, 3 + jump]) == [2, 2 + jump, 3 + jump]
    assert buffer.lost == 1


def test_a_keyframe_of_4_megabytes_waits_for_its_first_packet() -> None:
    buffer = _buffer()
    _put(buffer, [0])
    payload = bytes(1200)
    for number in range(2, 3502):
        assert buffer.put(number, _packet(number, payload=payload)) == []
    assert len(_put(buffer, [1])) == 3501


@pytest.mark.parametrize("size", [1, 1200, 60_000])
def test_what_is_held_is_bounded_in_packets_and_bytes(size: int) -> None:
    buffer = _buffer()
    _put(buffer, [0])
    held = most = 0
    for number in range(2, 20_000):
        ready = buffer.put(number, _packet(number, payload=bytes(size)))
        held += 1 - len(ready)
        most = max(most, held)
        if ready:
            break
    assert most <= MAX_HELD_PACKETS
    assert most * size <= MAX_HELD_BYTES
    assert buffer.lost == 1


@given(
    st.lists(
        st.one_of(st.integers(-40, 40), st.sampled_from([MAX_MISSING, 3000, -3000, 20_000, -20_000])),
        max_size=60,
    ),
    st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_whatever_comes_goes_out_at_most_once_and_in_runs(steps: list[int], polls: list[bool]) -> None:
    buffer = _buffer()
    number, now = 0, 0.0
    seen: set[int] = set()
    for step, polled in zip(steps, polls, strict=False):
        number += step
        now += 0.05
        numbers = _put(buffer, [number], at=now)
        if polled:
            numbers += _numbers(buffer.give_up(now))
            assert len(buffer.requests(now)) <= MAX_MISSING
        if any(abs(each) > 2000 for each in steps):
            continue
        assert numbers == sorted(numbers)
        assert not seen & set(numbers)
        seen |= set(numbers)
    buffer.flush()
    assert buffer.give_up(1000 * PATIENCE) == []
