import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.errors import InvalidName
from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.object_names import (
    SegmentName,
    SessionObjectName,
    StreamRecordName,
    media_playlist_name,
    multivariant_playlist_name,
    parse_ingest_object_name,
    parse_segment_name,
    seal_name,
    segment_name,
    session_record_name,
    state_name,
    stream_record_name,
    stream_records_prefix,
    timeline_name,
    timelines_prefix,
)

DEMO = StreamId("demo")
P720 = RungName("720p")
numbers = st.integers(1, 10**8 - 1).map(SessionNumber)
indexes = st.integers(0, 10**10 - 1).map(SegmentIndex)


def test_the_media_bucket_has_the_layout_that_was_asked_for() -> None:
    assert multivariant_playlist_name(DEMO) == "demo/master.m3u8"
    assert media_playlist_name(DEMO, P720) == "demo/720p/playlist.m3u8"
    assert state_name(DEMO) == "demo/state.json"
    assert (
        segment_name(DEMO, P720, SessionNumber(7), SegmentIndex(42))
        == "demo/720p/segment_00000007_0000000042.ts"
    )


@given(st.lists(st.tuples(numbers, indexes), min_size=2, max_size=2))
def test_the_names_of_segments_sort_as_they_play(places: list[tuple[SessionNumber, SegmentIndex]]) -> None:
    assert sorted(places) == sorted(places, key=lambda place: segment_name(DEMO, P720, *place))


@given(numbers)
def test_a_name_in_the_ingest_bucket_says_what_it_stands_for(number: SessionNumber) -> None:
    of_session = SessionObjectName(stream=DEMO, session=number)
    assert parse_ingest_object_name(stream_record_name(DEMO, number)) == StreamRecordName(stream=DEMO)
    assert parse_ingest_object_name(session_record_name(DEMO, number)) == of_session
    assert parse_ingest_object_name(seal_name(DEMO, number)) == of_session
    assert parse_ingest_object_name(timeline_name(DEMO, number, EncoderId("e1"))) == of_session


def test_a_prefix_holds_the_names_of_one_stream_and_session_only() -> None:
    assert stream_record_name(DEMO, 1).startswith(stream_records_prefix(DEMO))
    assert not stream_record_name(StreamId("demo2"), 1).startswith(stream_records_prefix(DEMO))
    first = timelines_prefix(DEMO, SessionNumber(1))
    assert timeline_name(DEMO, SessionNumber(1), EncoderId("e")).startswith(first)
    assert not timeline_name(DEMO, SessionNumber(11), EncoderId("e")).startswith(first)


def test_a_segment_s_name_says_which_it_is() -> None:
    name = segment_name(StreamId("demo"), RungName("720p"), SessionNumber(7), SegmentIndex(12))
    assert parse_segment_name(name) == SegmentName(
        stream=StreamId("demo"), rung=RungName("720p"), session=SessionNumber(7), index=SegmentIndex(12)
    )


@pytest.mark.parametrize(
    "name",
    [
        "demo/720p/playlist.m3u8",
        "demo/720p/segment_00000001_000000001.ts",
        "demo/segment_00000001_0000000001.ts",
        "demo/720/segment_00000001_0000000001.ts",
        "Demo/720p/segment_00000001_0000000001.ts",
        "demo/720p/segment_00000001_0000000001.ts\n",
    ],
)
def test_what_is_no_segment_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        parse_segment_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "demo/master.m3u8",
        "streams/demo/1.json",
        "streams/demo/00000001.json.bak",
        "sessions/demo/0000000a.json",
        "others/demo/00000001.json",
        "streams/Demo/00000001.json",
        "streams/player/00000001.json",
        "seals/a/b/00000001.json",
        "timelines/demo/00000001.json",
        "timelines/demo/00000001/E.json",
        "timelines/demo/00000001/a/b.json",
        "timelines/demo/00000001/.json",
        "timelines/de_mo/00000001/e.json",
        "streams/demo/00000001.json\n",
    ],
)
def test_what_is_no_record_and_no_timeline_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        parse_ingest_object_name(name)
