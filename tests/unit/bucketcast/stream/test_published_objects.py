import json

import pytest

from bucketcast.hls import MultivariantPlaylist, parse
from bucketcast.stream.bandwidth import declared_bandwidth
from bucketcast.stream.published_objects import LIVE, PLAYLIST, digest, published_objects
from stream_world import FIRST, SLOTS, STREAM, A, World, uploaded


def world_with(*segments: int, rungs: tuple[int, ...] = (0, 1, 2)) -> World:
    world = World()
    names = [SLOTS[position] for position in rungs]
    session = world.claim(A, names)
    world.report(session, A, [uploaded(index, names) for index in segments])
    world.wake()
    return world


def test_a_stream_that_never_was_on_air_publishes_its_state_only() -> None:
    world = World()
    (playlists, multivariant, (state,)) = published_objects(world.document)
    assert (playlists, multivariant) == ((), ())
    assert state.name == "demo/state.json"
    assert json.loads(state.content) == {
        "version": 1,
        "stream": "demo",
        "state": "idle",
        "broadcast": 0,
        "since": "2026-01-01T00:00:00Z",
    }


def test_every_rank_names_only_objects_of_the_ranks_before_it() -> None:
    playlists, (multivariant,), _ = published_objects(world_with(0, 1, 2).document)
    assert [playlist.name for playlist in playlists] == [f"demo/{slot}/playlist.m3u8" for slot in SLOTS]
    assert multivariant.name == "demo/master.m3u8"
    assert all(new.content_type == PLAYLIST for new in (*playlists, multivariant))
    assert all(
        new.cache_control == LIVE for rank in published_objects(world_with(0, 1, 2).document) for new in rank
    )


def test_the_multivariant_playlist_waits_for_every_slot() -> None:
    """Players read it once."""
    world = World()
    session = world.claim(A)
    world.report(session, A, [uploaded(0, SLOTS[:2])])
    world.wake()
    world.clock.advance(11)  # and is cut off
    playlists, multivariant, _ = published_objects(world.wake())
    assert (len(playlists), multivariant) == (2, ())


def test_a_media_playlist_looks_like_this() -> None:
    world = World()
    session = world.claim(A)
    world.report(session, A, [uploaded(0), uploaded(1, SLOTS[1:], gaps=SLOTS[:1]), uploaded(2)])
    world.wake()
    assert world.playlist(SLOTS[0]) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:3\n"
        "#EXT-X-TARGETDURATION:2\n"
        "#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:0\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T01:00:00.000Z\n"
        "#EXTINF:2.000,\n"
        "segment_00000001_0000000000.ts\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T01:00:02.000Z\n"
        "#EXT-X-GAP\n"
        "#EXTINF:2.000,\n"
        "segment_00000001_0000000001.ts\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T01:00:04.000Z\n"
        "#EXTINF:2.000,\n"
        "segment_00000001_0000000002.ts\n"
    )


def test_a_slot_that_a_session_lacks_lists_another_rung_in_its_folder() -> None:
    world = world_with(0, 1, 2, rungs=(1,))
    for slot, uri in zip(SLOTS, ("../480p/segment", "segment", "../480p/segment"), strict=True):
        assert f"\n{uri}_00000001_0000000000.ts\n" in world.playlist(slot)


@pytest.mark.parametrize(("rungs", "filled_by"), [((0, 1, 2), (0, 1, 2)), ((2,), (0, 1, 2)), ((0,), (0, 0, 0))])
def test_the_declared_bandwidth_is_the_slots_or_that_of_a_larger_rung_that_fills_it(
    rungs: tuple[int, ...], filled_by: tuple[int, ...]
) -> None:
    document = world_with(0, 1, 2, rungs=rungs).document
    configuration = document.configuration
    _, (multivariant,), _ = published_objects(document)
    playlist = parse(multivariant.content.decode())
    assert isinstance(playlist, MultivariantPlaylist)
    assert [variant.bandwidth for variant in playlist.variant_streams] == [
        declared_bandwidth(
            configuration.rungs[rung], configuration.audio_bitrate, configuration.segment_duration
        )
        for rung in filled_by
    ]
    shown = playlist.variant_streams[0].resolution
    assert shown is not None
    assert (shown.height, playlist.variant_streams[0].codecs) == (
        int(SLOTS[rungs[0]][:-1]),
        "avc1.64001f,mp4a.40.2",
    )


def test_the_state_names_the_broadcast_on_air_and_afterwards_the_last_one() -> None:
    world = world_with(0, 1, 2)

    def state() -> tuple[str, int]:
        shown = json.loads(world.media.contents()["demo/state.json"])
        return shown["state"], shown["broadcast"]

    assert state() == ("live", 1)
    world.clock.advance(11)
    world.wake()
    assert state() == ("interrupted", 1)
    world.clock.advance(2)
    world.streams.end(STREAM)
    world.wake()
    assert state() == ("ended", 1)
    assert world.document.sessions[0].session == FIRST


def test_a_digest_tells_contents_apart() -> None:
    assert digest(b"a") == digest(b"a") != digest(b"b")
