from collections.abc import Iterable

import pytest

from ingest.protocols.whip.media.assembly import (
    MAX_GROUP_BYTES,
    MAX_GROUP_PACKETS,
    PacketGroup,
    PacketGrouper,
)
from ingest.protocols.whip.media.rtp import RtpPacket

Sent = tuple[int, int, bytes, bool]
"""Number, timestamp, payload and marker."""


def _groups(packets: Iterable[Sent]) -> list[PacketGroup]:
    grouper = PacketGrouper()
    return [
        group
        for number, timestamp, payload, marker in packets
        for group in grouper.add((number, RtpPacket(96, marker, number, timestamp, 1, payload, number / 100)))
    ]


def test_a_picture_ends_at_its_marker() -> None:
    assert _groups([(0, 10, b"a", False), (1, 10, b"b", True), (2, 20, b"c", True)]) == [
        PacketGroup(10, 0.0, [b"a", b"b"], is_whole=True, follows_hole=True),
        PacketGroup(20, 0.02, [b"c"], is_whole=True, follows_hole=False),
    ]


def test_a_picture_without_a_marker_ends_where_the_timestamp_changes() -> None:
    assert _groups([(0, 10, b"a", False), (1, 10, b"b", False), (2, 20, b"c", False)]) == [
        PacketGroup(10, 0.0, [b"a", b"b"], is_whole=True, follows_hole=True)
    ]


def test_a_picture_ends_twice_where_a_new_timestamp_has_its_marker_at_once() -> None:
    groups = _groups([(0, 10, b"a", False), (1, 20, b"b", True)])
    assert [group.timestamp for group in groups] == [10, 20]


def test_a_hole_within_a_picture_damages_it_alone() -> None:
    groups = _groups([(0, 10, b"a", False), (2, 10, b"c", True), (3, 20, b"d", True)])
    assert groups[0] == PacketGroup(10, 0.0, [], is_whole=False, follows_hole=True)
    assert groups[1] == PacketGroup(20, 0.03, [b"d"], is_whole=True, follows_hole=False)


def test_a_hole_after_a_marker_is_before_the_next_picture() -> None:
    first, second = _groups([(0, 10, b"a", True), (2, 20, b"c", True)])
    assert first.is_whole
    assert (second.is_whole, second.follows_hole) == (True, True)


def test_a_hole_without_a_marker_may_be_either_pictures() -> None:
    first, second = _groups([(0, 10, b"a", False), (2, 20, b"c", True)])
    assert not first.is_whole
    assert (second.is_whole, second.follows_hole) == (True, True)


def test_packets_of_padding_alone_have_a_place_but_no_part() -> None:
    """Browsers probe the bandwidth with them."""
    groups = _groups([(0, 10, b"a", True), (1, 10, b"", False), (2, 10, b"", True), (3, 20, b"b", True)])
    assert [(group.payloads, group.follows_hole) for group in groups] == [([b"a"], True), ([b"b"], False)]


def test_a_hole_before_padding_is_remembered() -> None:
    groups = _groups([(0, 10, b"a", True), (2, 10, b"", False), (3, 20, b"b", True)])
    assert [group.follows_hole for group in groups] == [True, True]


def test_only_the_first_picture_may_lack_what_was_before() -> None:
    groups = _groups([(0, 10, b"a", True), (1, 20, b"b", True), (2, 30, b"c", True)])
    assert [group.follows_hole for group in groups] == [True, False, False]


@pytest.mark.parametrize(
    ("count", "size"), [(MAX_GROUP_PACKETS + 1, 1), (MAX_GROUP_BYTES // 60_000 + 1, 60_000)]
)
def test_a_picture_larger_than_any_is_given_up_and_not_kept(count: int, size: int) -> None:
    grouper = PacketGrouper()
    for number in range(count + 5):
        assert grouper.add((number, RtpPacket(96, False, number, 10, 1, bytes(size), 0.0))) == []
    (group,) = grouper.add((count + 5, RtpPacket(96, True, 0, 10, 1, b"x", 0.0)))
    assert (group.is_whole, group.payloads) == (False, [])
