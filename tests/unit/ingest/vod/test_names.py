import pytest

from bucketcast.errors import InvalidName
from bucketcast.stream.identifiers import SegmentIndex
from bucketcast.stream.object_names import parse_segment_name
from unit.ingest.vod.vod_plans import HIGH, NAMES

FOLDER = "concert/recording/00000007/vod/"


def test_names_are_those_of_the_documentation() -> None:
    assert NAMES.folder == FOLDER
    assert NAMES.multivariant_playlist == f"{FOLDER}master.m3u8"
    assert NAMES.media_playlist(HIGH) == f"{FOLDER}720p/playlist.m3u8"
    assert NAMES.i_frame_playlist(HIGH) == f"{FOLDER}720p/iframes.m3u8"
    assert NAMES.segment(HIGH, SegmentIndex(12)) == f"{FOLDER}720p/segment_0000000012.ts"
    assert NAMES.sprite(3) == f"{FOLDER}storyboard_00003.jpg"
    assert NAMES.storyboard == f"{FOLDER}storyboard.vtt"
    assert NAMES.poster == f"{FOLDER}poster.jpg"
    assert NAMES.facts == f"{FOLDER}facts.json"
    assert NAMES.plan == "concert/vod_00000007/plan.json"
    assert NAMES.progress(2) == "concert/vod_00000007/progress/00002.json"


def test_a_segments_name_gives_its_rung_and_index_back() -> None:
    assert NAMES.parse_segment(NAMES.segment(HIGH, SegmentIndex(12))) == (HIGH, 12)


@pytest.mark.parametrize(
    "name",
    [
        f"{FOLDER}720p/playlist.m3u8",
        f"{FOLDER}segment_0000000012.ts",
        f"{FOLDER}720p/segment_12.ts",
        "720p/segment_0000000012.ts",
        "concert/recording/00000008/vod/720p/segment_0000000012.ts",
    ],
)
def test_other_names_are_no_segments_of_this_vod(name: str) -> None:
    assert NAMES.parse_segment(name) is None


def test_live_segments_and_vod_segments_are_not_taken_for_each_other() -> None:
    with pytest.raises(InvalidName):
        parse_segment_name(NAMES.segment(HIGH, SegmentIndex(0)))
