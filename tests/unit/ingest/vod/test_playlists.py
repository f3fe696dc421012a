from datetime import timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from bucketcast.hls import MediaPlaylist, MultivariantPlaylist, PlaylistType, parse
from ingest.vod.playlists import measured_bandwidth, media_playlist, playlist_objects
from unit.ingest.vod.vod_plans import HIGH, LOW, NAMES, plan_of, recording, rungs_of, segment


def test_media_playlists_are_complete_and_say_so() -> None:
    plan = plan_of(recording(frame_rate=Fraction(30000, 1001)))
    playlist = media_playlist(rungs_of(plan)[HIGH])
    assert (playlist.playlist_type, playlist.ended, playlist.target_duration) == (PlaylistType.VOD, True, 6)
    assert [each.uri for each in playlist.segments][:2] == ["segment_0000000000.ts", "segment_0000000001.ts"]
    assert playlist.duration == plan.duration
    assert not any(each.byte_range for each in playlist.segments)


def test_i_frame_playlists_have_the_first_picture_of_each_segment() -> None:
    playlist = media_playlist(rungs_of(plan_of(recording()))[LOW], i_frames_only=True)
    assert playlist.i_frames_only
    assert {
        (each.byte_range.offset, each.byte_range.length) for each in playlist.segments if each.byte_range
    } == {(564, 9_400)}
    assert playlist.duration == timedelta(seconds=20)


def test_the_multivariant_playlist_comes_last_and_names_the_others() -> None:
    plan = plan_of(recording())
    made = playlist_objects(plan, NAMES, rungs_of(plan))
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
    target = media_playlist(segments).target_duration
    for size, seconds in made:
        if seconds >= target / 2:
            assert 8 * size / seconds <= bandwidth.peak + 1
