"""The sample's streams, and when its broadcast is on air."""

from pathlib import Path

import pytest

from bucketcast.stream.identifiers import SegmentIndex, SessionNumber
from bucketcast.stream.object_names import segment_file_name
from local_system.sample import FULL, SMALL, SampleSize, lists_session, sample_arguments


def playlist(*sessions: int, folder: str = "") -> bytes:
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2"]
    for index, session in enumerate(sessions):
        name = segment_file_name(SessionNumber(session), SegmentIndex(index))
        lines += ["#EXTINF:2.00000,", f"{folder}{name}"]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()


@pytest.mark.parametrize("folder", ["", "../720p/"])
def test_what_an_earlier_run_left_is_not_the_new_broadcast(folder: str) -> None:
    earlier = playlist(1, 2, 2, folder=folder)
    assert not lists_session(earlier, SessionNumber(3))
    assert lists_session(playlist(2, 2, 3, folder=folder), SessionNumber(3))
    assert lists_session(playlist(4, folder=folder), SessionNumber(3))
    assert lists_session(playlist(10, folder=folder), SessionNumber(3))


def test_a_playlist_without_segments_lists_no_session() -> None:
    assert not lists_session(playlist(), SessionNumber(1))


def test_each_size_has_a_stream_of_its_own() -> None:
    """A stream's rungs never change: under one name --full-hd would silently keep the small ladder."""
    assert SMALL.stream == "demo"
    assert FULL.stream != SMALL.stream


@pytest.mark.parametrize("size", [SMALL, FULL])
def test_the_sample_fills_the_highest_rung(size: SampleSize) -> None:
    name, kbps = size.rungs[0]
    assert name == f"{size.height}p"
    assert size.video_kbps > kbps
    assert f"testsrc2=size={size.width}x{size.height}:rate=30" in sample_arguments(
        Path("ffmpeg"), size, "rtmp://x"
    )
