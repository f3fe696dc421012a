"""What is wrong with a stream on air, and since when."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings

from bucketcast.hls import MediaPlaylist, parse
from bucketcast.stream import watchdog
from bucketcast.stream.object_names import media_playlist_name
from bucketcast.stream.publication import reconnect_until
from bucketcast.stream.watchdog import PlaylistFacts, RenditionHealth, StreamHealth
from fakes import EPOCH
from strategies import History, histories
from stream_world import FIRST, SEGMENT, SLOTS, STREAM, A, B, World, uploaded

DUE = timedelta(seconds=3)  # one and a half target durations


def health(world: World) -> StreamHealth:
    (seen,) = world.streams.watchdog.watch([world.document])
    return seen


def rendition(world: World, number: int = 0) -> RenditionHealth:
    return health(world).renditions[number]


def on_air(count: int = 3) -> World:
    world = World(reconnect_window=60)
    world.report(world.claim(A), A, [uploaded(index) for index in range(count)])
    world.wake()
    return world


def test_a_stream_that_never_was_on_air_has_nothing_to_watch() -> None:
    assert health(World()) == StreamHealth()


def test_nothing_is_wrong_with_a_stream_that_has_just_been_published() -> None:
    world = on_air()
    assert [r.name for r in health(world).renditions] == list(SLOTS)
    for each in health(world).renditions:
        assert each == RenditionHealth(name=each.name, playlist_replaced=world.clock.now())
    assert (health(world).drift_seconds, health(world).drift_since) == (0, None)


def test_a_live_playlist_is_stale_one_and_a_half_target_durations_after_it_was_replaced() -> None:
    """RFC 8216bis, 6.2.2."""
    world = on_air()
    replaced = world.clock.now()
    world.clock.advance(DUE.total_seconds() - 0.001)
    assert rendition(world).stale_since is None
    world.clock.advance(0.001)
    assert rendition(world).stale_since == replaced + DUE
    world.clock.advance(100)
    assert rendition(world).stale_since == replaced + DUE


def test_a_playlist_that_goes_on_is_not_stale() -> None:
    world = on_air()
    world.report_later(FIRST, A, [uploaded(index) for index in range(4)])
    world.wake()
    world.clock.advance(DUE.total_seconds() - 0.001)
    assert rendition(world).stale_since is None


def test_a_live_playlist_that_is_gone_is_stale() -> None:
    world = on_air()
    del world.media.objects[media_playlist_name(STREAM, SLOTS[0])]
    world.clock.advance(DUE.total_seconds())
    assert rendition(world) == RenditionHealth(
        name=SLOTS[0], playlist_replaced=None, stale_since=world.clock.now()
    )
    assert rendition(world, 1).stale_since is not None


def interrupted() -> World:
    world = on_air()
    world.clock.advance(2)
    world.report(FIRST, A, [uploaded(index) for index in range(4)], ended=True)
    world.wake()
    return world


def test_an_interrupted_playlist_is_not_stale_and_the_broadcast_s_end_is_known() -> None:
    world = interrupted()
    left = world.clock.now()
    world.clock.advance(50)
    assert all(each.stale_since is None for each in health(world).renditions)
    assert health(world).reconnect_until == left + timedelta(seconds=60)


def test_a_claim_opens_the_reconnect_window_anew() -> None:
    world = interrupted()
    world.clock.advance(30)
    world.claim(B)
    assert reconnect_until(world.document) == world.clock.now() + timedelta(seconds=60)


def test_an_endlist_that_does_not_land_is_stale() -> None:
    """The document is over, and viewers still read a live playlist."""
    world = interrupted()
    world.clock.advance(30)
    world.streams.end(STREAM)
    ended = world.clock.now()
    world.wake()
    assert all(each.stale_since is None for each in health(world).renditions)
    name = media_playlist_name(STREAM, SLOTS[0])
    new, facts = world.media.objects[name]
    world.media.objects[name] = new, replace(facts, metadata={}, updated=ended - timedelta(seconds=30))
    world.clock.advance(DUE.total_seconds())
    assert rendition(world).stale_since == ended + DUE
    assert rendition(world, 1).stale_since is None


def test_a_broadcast_that_is_over_for_long_is_not_watched_any_more() -> None:
    world = interrupted()
    world.clock.advance(3)
    world.streams.end(STREAM)
    world.wake()
    assert health(world).renditions
    world.clock.advance(3600)
    assert health(world) == StreamHealth()


def test_a_rendition_is_behind_from_when_it_should_have_listed_what_another_one_lists() -> None:
    world = on_air()
    world.clock.advance(2)
    fourth = uploaded(3, SLOTS[1:])
    world.report(FIRST, A, [*(uploaded(index) for index in range(3)), fourth])
    world.wake()
    since = world.clock.now()
    seen = health(world)
    assert (seen.renditions[0].behind_segments, seen.renditions[0].behind_since) == (1, since)
    assert (seen.renditions[1].behind_segments, seen.renditions[1].behind_since) == (0, None)
    assert (seen.drift_seconds, seen.drift_since) == (2.0, since)
    world.clock.advance(2)
    world.report(FIRST, A, [*(uploaded(index) for index in range(3)), fourth, uploaded(4, SLOTS[1:])])
    world.wake()
    seen = health(world)
    assert (seen.renditions[0].behind_segments, seen.renditions[0].behind_since) == (2, since)
    assert (seen.drift_seconds, seen.drift_since) == (4.0, since)


def test_a_broadcaster_s_clock_that_is_wrong_does_not_move_since_when() -> None:
    """Dates are the broadcaster's: here they lie an hour ahead of ours."""
    world = on_air()
    assert world.document.window[-1].date > world.clock.now() + timedelta(minutes=59)
    world.report_later(FIRST, A, [*(uploaded(index) for index in range(3)), uploaded(3, SLOTS[:1])])
    world.wake()
    assert rendition(world, 1).behind_since == world.clock.now()


def test_gaps_are_counted_while_they_are_listed() -> None:
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    world.wake()
    lost = uploaded(3, SLOTS[1:], gaps=SLOTS[:1])
    world.report_later(FIRST, A, [*(uploaded(index) for index in range(3)), lost])
    world.wake()
    since = world.clock.now()
    assert (rendition(world).gaps, rendition(world).gaps_since) == (1, since)
    assert (rendition(world, 1).gaps, rendition(world, 1).gaps_since) == (0, None)
    segments = [*(uploaded(index) for index in range(3)), lost]
    for index in range(4, 11):
        segments.append(uploaded(index))
        world.report_later(FIRST, A, segments)
        world.wake()
    assert (rendition(world).gaps, rendition(world).gaps_since) == (0, None)


def test_a_slot_shows_the_gaps_of_the_rung_that_fills_it() -> None:
    world = World()
    lost = uploaded(1, SLOTS[2:], gaps=SLOTS[1:2])
    world.report(world.claim(A, SLOTS[1:]), A, [uploaded(0, SLOTS[1:]), lost, uploaded(2, SLOTS[1:])])
    world.wake()
    assert [each.gaps for each in health(world).renditions] == [1, 1, 0]


def test_where_no_playlist_is_the_newest_dates_are_taken_as_they_are() -> None:
    world = World()
    world.report(world.claim(A, start=EPOCH - timedelta(minutes=1)), A, [uploaded(index) for index in range(3)])
    world.wake()
    world.report_later(FIRST, A, [*(uploaded(index) for index in range(3)), uploaded(3, SLOTS[:1])])
    world.wake()
    for slot in SLOTS:
        del world.media.objects[media_playlist_name(STREAM, slot)]
    assert rendition(world, 1).behind_since == EPOCH - timedelta(minutes=1) + 4 * SEGMENT


@pytest.mark.parametrize(
    ("replaced", "newest", "since"),
    [
        ((5, 1), (True, True), 1),  # the quickest
        ((5, 1), (True, False), 5),  # what was replaced before says nothing of the newest segment
        ((30, 40), (True, True), 20),  # never in the future
    ],
)
def test_since_when_follows_the_quickest_playlist_that_is_the_newest(
    replaced: tuple[int, int], newest: tuple[bool, bool], since: int
) -> None:
    world = on_air()
    world.report_later(FIRST, A, [*(uploaded(index) for index in range(3)), uploaded(3, SLOTS[:2])])
    world.wake()
    playlists = {
        slot: PlaylistFacts(replaced=EPOCH + timedelta(seconds=at), is_newest=is_newest)
        for slot, at, is_newest in zip(SLOTS, replaced, newest, strict=False)
    }
    seen = watchdog.health(world.document, playlists, now=EPOCH + timedelta(seconds=20))
    assert seen.renditions[2].behind_since == EPOCH + timedelta(seconds=since)


@settings(max_examples=25)
@given(histories(max_sessions=2))
def test_what_is_said_of_a_playlist_is_what_it_holds(history: History) -> None:
    """Gaps and ends as in the objects, nothing since the future, and no drift where nobody is behind."""
    world = World()

    def look() -> None:
        now, seen = world.clock.now(), health(world)
        playlists = {}
        for each in seen.renditions:
            name = media_playlist_name(STREAM, each.name)
            if name in world.playlists():
                playlists[each.name] = playlist = parse(world.playlist(each.name))
                assert isinstance(playlist, MediaPlaylist)
                assert each.gaps == sum(segment.gap for segment in playlist.segments)
            for count, since in ((each.behind_segments, each.behind_since), (each.gaps, each.gaps_since)):
                assert (count == 0) == (since is None)
                assert since is None or since <= now
            assert each.stale_since is None or each.stale_since <= now
        if len(playlists) == len(SLOTS):
            ends = {
                name: playlist.media_sequence + len(playlist.segments)
                for name, playlist in playlists.items()
                if isinstance(playlist, MediaPlaylist)
            }
            behind = {each.name: each.behind_segments for each in seen.renditions}
            assert behind == {name: max(ends.values()) - end for name, end in ends.items()}
        assert (seen.drift_seconds > 0) == (seen.drift_since is not None)
        assert bool(seen.drift_seconds) == any(each.behind_segments for each in seen.renditions)

    history.play(world, after_each=look)
