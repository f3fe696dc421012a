import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.errors import InvalidName
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.names import (
    SOURCE,
    PartFacts,
    header_name,
    joined_name,
    joined_prefix,
    newest_recording_name,
    parse_part,
    part_metadata,
    part_name,
    recording_file_name,
    session_parts_prefix,
    stream_parts_prefix,
)
from bucketcast.stream.identifiers import BroadcastNumber, RungName, SegmentIndex, SessionNumber, StreamId

DEMO, P1080 = StreamId("demo"), RungName("1080p")
BROADCAST = BroadcastNumber(3)
sessions = st.integers(1, 10**8 - 1).map(SessionNumber)
indexes = st.integers(0, 10**10 - 1).map(SegmentIndex)


@given(st.lists(st.tuples(sessions, indexes), min_size=2, max_size=2))
def test_the_names_of_parts_sort_as_they_play(places: list[tuple[SessionNumber, SegmentIndex]]) -> None:
    assert sorted(places) == sorted(places, key=lambda place: part_name(DEMO, *place))


@given(
    sessions,
    indexes,
    st.integers(0, 9),
    st.integers(1, 10**9),
    st.tuples(st.sampled_from([P1080, SOURCE]), st.sampled_from(["0123456789abcdef", None])),
)
def test_a_part_s_object_says_what_it_is(
    session: SessionNumber,
    first: SegmentIndex,
    more: int,
    head_bytes: int,
    kind: tuple[RungName, str | None],
) -> None:
    rung, media_format = kind
    last = SegmentIndex(min(first + more, 10**10 - 1))
    metadata = part_metadata(
        first=first, last=last, head_bytes=head_bytes, rung=rung, media_format=media_format
    )
    name = part_name(DEMO, session, first, of_source=rung == SOURCE)
    assert parse_part(name, size=head_bytes + 5, metadata=metadata) == PartFacts(
        name=name,
        session=session,
        first=first,
        last=last,
        size=head_bytes + 5,
        head_bytes=head_bytes,
        rung=rung,
        media_format=media_format,
    )


def test_names_are_found_by_their_prefixes() -> None:
    name = part_name(DEMO, SessionNumber(7), SegmentIndex(42))
    assert name == "demo/00000007/0000000042.mp4"
    assert name.startswith(session_parts_prefix(DEMO, SessionNumber(7)))
    assert not name.startswith(session_parts_prefix(DEMO, SessionNumber(70)))
    assert name.startswith(stream_parts_prefix(DEMO))
    header, joined = header_name(DEMO, BROADCAST, [b"x"]), joined_name(DEMO, BROADCAST, [name])
    assert {header.rpartition("/")[0], joined.rpartition("/")[0]} == {joined_prefix(DEMO, BROADCAST)[:-1]}
    for other in (header, joined):
        with pytest.raises(InvalidName):
            parse_part(other, size=1, metadata={})


def test_what_is_made_is_named_by_what_it_is_made_of() -> None:
    assert header_name(DEMO, BROADCAST, [b"ab", memoryview(b"c")]) == header_name(DEMO, BROADCAST, [b"abc"])
    assert header_name(DEMO, BROADCAST, [b"abc"]) != header_name(DEMO, BROADCAST, [b"abd"])
    assert joined_name(DEMO, BROADCAST, ["a", "b"]) != joined_name(DEMO, BROADCAST, ["b", "a"])
    assert joined_name(DEMO, BROADCAST, ["a", "b"]) != joined_name(DEMO, BROADCAST, ["ab"])


GOOD = dict(
    part_metadata(first=SegmentIndex(5), last=SegmentIndex(9), head_bytes=40, rung=P1080, media_format=None)
)
NAME = part_name(DEMO, SessionNumber(1), SegmentIndex(5))


@pytest.mark.parametrize(
    "change",
    [
        {"segments": ""},
        {"segments": "5"},
        {"segments": "6-9"},
        {"segments": "5-4"},
        {"head-bytes": "x"},
        {"head-bytes": "0"},
        {"head-bytes": "101"},
        {"format": ""},
    ],
)
def test_metadata_that_are_no_part_s_are_refused(change: dict[str, str]) -> None:
    assert parse_part(NAME, size=100, metadata=GOOD).last == 9
    with pytest.raises(InvalidMedia, match=NAME):
        parse_part(NAME, size=100, metadata=GOOD | change)


def test_a_part_is_of_a_rung() -> None:
    with pytest.raises(InvalidName):
        parse_part(NAME, size=100, metadata=GOOD | {"rung": "best"})


def test_a_recording_lies_beside_the_newest() -> None:
    assert recording_file_name(DEMO, BROADCAST) == "demo/recording/00000003/full_stream.mp4"
    assert recording_file_name(DEMO, BROADCAST, 2) == "demo/recording/00000003/full_stream_2.mp4"
    assert newest_recording_name(DEMO) == "demo/recording/full_stream.mp4"
    assert newest_recording_name(DEMO, 2) == "demo/recording/full_stream_2.mp4"
