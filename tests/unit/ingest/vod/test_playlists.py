from datetime import timedelta
from fractions import Fraction
from posixpath import dirname, normpath

from hypothesis import given
from hypothesis import strategies as st

from bucketcast.hls import MediaPlaylist, MultivariantPlaylist, PlaylistType, parse
from ingest.vod.playlists import Rungs, fill_slots, measured_bandwidth, media_playlist, playlist_objects
from unit.ingest.vod.vod_plans import HIGH, LOW, NAMES, plan_of, recording, rungs_of, segment

ONE_FILE = plan_of(recording())


def test_media_playlists_are_complete_and_say_so() -> None:
    plan = plan_of(recording(frame_rate=Fraction(30000, 1001)))
    playlist = media_playlist(plan, HIGH, rungs_of(plan)[HIGH])
    assert (playlist.playlist_type, playlist.ended, playlist.target_duration) == (PlaylistType.VOD, True, 6)
    assert [each.uri for each in playlist.segments][:2] == ["segment_0000000000.ts", "segment_0000000001.ts"]
    assert playlist.duration == plan.duration
    assert not any(each.byte_range or each.discontinuity for each in playlist.segments)


def test_i_frame_playlists_have_the_first_picture_of_each_segment() -> None:
    playlist = media_playlist(ONE_FILE, LOW, rungs_of(ONE_FILE)[LOW], i_frames_only=True)
    assert playlist.i_frames_only
    assert {
        (each.byte_range.offset, each.byte_range.length) for each in playlist.segments if each.byte_range
    } == {(564, 9_400)}
    assert playlist.duration == timedelta(seconds=20)


def test_the_multivariant_playlist_comes_last_and_names_the_others() -> None:
    made = playlist_objects(ONE_FILE, NAMES, rungs_of(ONE_FILE))
    assert [new.name.removeprefix(NAMES.folder) for new in made] == [
        "720p/playlist.m3u8",
        "720p/iframes.m3u8",
        "360p/playlist.m3u8",
        "360p/iframes.m3u8",
        "master.m3u8",
    ]
    playlists = [parse(new.content.decode()) for new in made]
    assert all(isinstance(playlist, MediaPlaylist) for playlist in playlists[:-1])
    multivariant = playlists[-1]
    assert isinstance(multivariant, MultivariantPlaylist)
    assert [each.uri for each in multivariant.variant_streams] == ["720p/playlist.m3u8", "360p/playlist.m3u8"]
    assert [each.uri for each in multivariant.i_frame_streams] == ["720p/iframes.m3u8", "360p/iframes.m3u8"]
    assert multivariant.variant_streams[0].codecs == "avc1.64001f,mp4a.40.2"
    assert multivariant.i_frame_streams[0].codecs == "avc1.64001f"


def test_of_one_file_slots_are_its_rungs() -> None:
    assert fill_slots(ONE_FILE, rungs_of(ONE_FILE)) == rungs_of(ONE_FILE)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([(1280, 720), (360, 640), (1920, 1080)]),
            st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(60)]),
            st.fractions(Fraction(1, 50), 20, max_denominator=1000),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_every_slot_plays_every_file_one_after_the_other(
    files: list[tuple[tuple[int, int], Fraction, Fraction]],
) -> None:
    plan = plan_of(
        *(
            recording(width=width, height=height, frame_rate=rate, duration=duration)
            for (width, height), rate, duration in files
        )
    )
    rungs: Rungs = rungs_of(plan)
    encoded = {each.name for segments in rungs.values() for each in segments}
    made = playlist_objects(plan, NAMES, fill_slots(plan, rungs))
    playlists = [(new.name, parse(new.content.decode())) for new in made]
    multivariant = playlists.pop()[1]
    assert isinstance(multivariant, MultivariantPlaylist)
    assert [each.uri for each in multivariant.variant_streams] == [
        f"{slot}/playlist.m3u8" for slot in plan.slots
    ]
    listed = []
    for name, playlist in playlists:
        assert isinstance(playlist, MediaPlaylist)
        assert playlist.target_duration == max(each.rounded_duration for each in playlist.segments) or (
            playlist.target_duration == 1
        )
        assert playlist.duration == plan.duration
        numbers = [each.discontinuity_number for each in playlist.numbered_segments()]
        assert numbers == [number for number, source in enumerate(plan.sources) for _ in source.indexes]
        addresses = [normpath(f"{dirname(name)}/{each.uri}") for each in playlist.segments]
        assert [address[-13:-3] for address in addresses] == [f"{n:010}" for n in range(plan.segments)]
        listed += addresses
    assert set(listed) == encoded


def test_a_slot_that_a_file_lacks_lists_another_rungs_segments() -> None:
    plan = plan_of(recording(duration=Fraction(7)), recording(width=360, height=640, duration=Fraction(5)))
    slots = fill_slots(plan, rungs_of(plan))
    for i_frames_only in (False, True):
        playlist = media_playlist(plan, HIGH, slots[HIGH], i_frames_only=i_frames_only)
        assert [(each.uri, each.discontinuity) for each in playlist.segments] == [
            ("segment_0000000000.ts", False),
            ("segment_0000000001.ts", False),
            ("../360p/segment_0000000002.ts", True),
        ]


def test_bandwidth_is_the_peak_over_a_target_duration_and_the_average() -> None:
    segments = [segment(LOW, index) for index in range(4)]
    bandwidth = measured_bandwidth(segments, [600_000, 1_200_000, 600_000, 600_000])
    assert (bandwidth.peak, bandwidth.average) == (1_600_000, 1_000_000)


def test_a_short_last_segment_does_not_count_alone() -> None:
    """A single keyframe at the end would otherwise look like the highest bit rate of all."""
    segments = [segment(LOW, 0), segment(LOW, 1, seconds=0.04)]
    bandwidth = measured_bandwidth(segments, [600_000, 60_000])
    assert bandwidth.peak == 874_173  # both together: 5,280,000 bits in 6.04 s, rounded up


def test_of_a_recording_shorter_than_a_segment_the_peak_is_the_average() -> None:
    bandwidth = measured_bandwidth([segment(LOW, 0, seconds=0.2)], [1000])
    assert bandwidth.peak == bandwidth.average == 40_000


@given(
    st.lists(
        st.tuples(st.integers(1, 10**7), st.floats(0.04, 6.4).map(lambda seconds: round(seconds, 6))),
        min_size=1,
        max_size=20,
    )
)
def test_the_peak_is_never_below_the_average_and_no_whole_segment_exceeds_it(
    made: list[tuple[int, float]],
) -> None:
    segments = [segment(LOW, index, seconds=seconds) for index, (_, seconds) in enumerate(made)]
    bandwidth = measured_bandwidth(segments, [size for size, _ in made])
    assert bandwidth.peak >= bandwidth.average
    target = media_playlist(ONE_FILE, LOW, segments).target_duration
    for size, seconds in made:
        if seconds >= target / 2:
            assert 8 * size / seconds <= bandwidth.peak + 1
