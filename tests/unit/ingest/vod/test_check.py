from dataclasses import replace
from fractions import Fraction

import pytest

from bucketcast.hls import parse, render
from bucketcast.objects import NewObject
from ingest.vod.check import InvalidVod, check
from ingest.vod.playlists import fill_slots, playlist_objects
from ingest.vod.storyboard import Size, storyboard_object
from unit.ingest.vod.vod_plans import HIGH, LOW, NAMES, plan_of, recording, rungs_of

PLAN = plan_of(recording())
RUNGS = rungs_of(PLAN)
WRITTEN = (
    *playlist_objects(PLAN, NAMES, RUNGS),
    storyboard_object(NAMES, RUNGS[LOW], Size(width=160, height=90)),
)
SIZES = {
    **{segment.name: segment.size for segments in RUNGS.values() for segment in segments},
    **{new.name: len(new.content) for new in WRITTEN},
    NAMES.sprite(0): 20_000,
}


def changed(name: str, before: str, after: str) -> tuple[NewObject, ...]:
    """What was written, with another text in the object *name*."""
    assert any(before in new.content.decode() for new in WRITTEN if new.name == name)
    return tuple(
        replace(new, content=new.content.decode().replace(before, after, 1).encode())
        if new.name == name
        else new
        for new in WRITTEN
    )


def test_what_was_planned_and_made_passes() -> None:
    check(PLAN, WRITTEN, SIZES)


@pytest.mark.parametrize("name", [name for name in SIZES if not name.endswith((".vtt", "master.m3u8"))])
def test_every_address_has_to_be_there(name: str) -> None:
    sizes = {known: size for known, size in SIZES.items() if known != name}
    with pytest.raises(InvalidVod, match="which is not there"):
        check(PLAN, WRITTEN, sizes)


def test_an_empty_object_is_not_there() -> None:
    name = RUNGS[HIGH][2].name
    with pytest.raises(InvalidVod, match=r"segment_0000000002\.ts, which is not there"):
        check(PLAN, WRITTEN, {**SIZES, name: 0})


def test_a_byte_range_lies_within_its_segment() -> None:
    with pytest.raises(InvalidVod, match=r"names bytes up to 9964 of segment_0000000003\.ts, which has 9963"):
        check(PLAN, WRITTEN, {**SIZES, RUNGS[LOW][3].name: 9_963})


def test_playlists_last_as_long_as_the_recording_give_or_take_a_picture() -> None:
    check(PLAN, changed(NAMES.media_playlist(HIGH), "#EXTINF:2.000", "#EXTINF:2.033333"), SIZES)
    with pytest.raises(InvalidVod, match=r"lasts 0:00:20\.034000 instead of 0:00:20 of \S*/full_stream\.mp4"):
        check(PLAN, changed(NAMES.media_playlist(HIGH), "#EXTINF:2.000", "#EXTINF:2.034"), SIZES)


def test_playlists_list_every_segment() -> None:
    playlist = next(new for new in WRITTEN if new.name == NAMES.i_frame_playlist(LOW))
    shorter = parse(playlist.content.decode())
    lines = render(shorter).replace("#EXTINF:2.000,\n#EXT-X-BYTERANGE:9400@564\nsegment_0000000003.ts\n", "")
    written = [replace(new, content=lines.encode()) if new is playlist else new for new in WRITTEN]
    with pytest.raises(InvalidVod, match="lists 3 segments instead of 4"):
        check(PLAN, written, SIZES)


def test_playlists_can_be_parsed() -> None:
    with pytest.raises(InvalidVod, match="is no playlist: line 3"):
        check(PLAN, changed(NAMES.media_playlist(LOW), "TARGETDURATION:6", "TARGETDURATION:x"), SIZES)


def test_each_of_several_files_has_its_segments_between_discontinuities() -> None:
    plan = plan_of(recording(), recording(width=360, height=640, duration=Fraction(8)))
    slots = fill_slots(plan, rungs_of(plan))
    written = playlist_objects(plan, NAMES, slots)
    sizes = {
        **{segment.name: segment.size for segments in slots.values() for segment in segments},
        **{new.name: len(new.content) for new in written},
    }
    check(plan, written, sizes)
    last, discontinuity = b"#EXTINF:2.000,\nsegment_0000000003.ts\n", b"#EXT-X-DISCONTINUITY\n"
    for before, after, problem in (
        (discontinuity, b"", "has 1 files instead of 2"),
        # As long as ever in all.
        (last + discontinuity, discontinuity + last, r"lists 3 segments instead of 4 of \S*/full_stream\.mp4"),
    ):
        wrong = [replace(new, content=new.content.replace(before, after)) for new in written]
        with pytest.raises(InvalidVod, match=problem):
            check(plan, wrong, sizes)
