import logging

import pytest

from bucketcast.errors import Unavailable
from bucketcast.handlers.reap import SETTLING
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.stream_request import StreamRequest
from fakes import FakeBucket
from stream_world import SLOTS, STREAM, A, B, World, uploaded


def on_air() -> World:
    world = World(reconnect_window=60)
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    world.wake()
    return world


def test_a_broadcast_without_events_is_interrupted_and_ended() -> None:
    world = on_air()
    world.clock.advance(30)
    world.reaper.reap()
    assert world.streams.view(STREAM).state is StreamState.INTERRUPTED
    world.clock.advance(30)
    world.reaper.reap()
    assert world.document.state is StreamState.ENDED
    assert "#EXT-X-ENDLIST" in world.playlist(SLOTS[0])


def test_a_playlist_that_a_killed_publisher_left_behind_is_made_good_after_the_end() -> None:
    """The document says ENDLIST, the bucket does not, and no event will come any more."""
    world = on_air()
    before = world.media.objects[f"{STREAM}/{SLOTS[0]}/playlist.m3u8"]
    world.clock.advance(5)
    world.streams.end(STREAM)
    world.wake()
    world.media.objects[f"{STREAM}/{SLOTS[0]}/playlist.m3u8"] = before
    world.clock.advance(5)
    world.reaper.reap()
    assert "#EXT-X-ENDLIST" in world.playlist(SLOTS[0])


def test_a_stream_that_is_settled_is_left_alone() -> None:
    world = on_air()
    world.streams.end(STREAM)
    world.wake()
    world.clock.advance(SETTLING.total_seconds())
    del world.media.objects[f"{STREAM}/state.json"]
    world.reaper.reap()
    assert f"{STREAM}/state.json" not in world.media.objects


def test_an_ended_stream_with_a_claim_is_looked_after() -> None:
    world = on_air()
    world.streams.end(STREAM)
    world.wake()
    world.clock.advance(SETTLING.total_seconds())
    world.report(world.claim(B), B, [uploaded(index) for index in range(3)])
    world.reaper.reap()
    assert world.document.state is StreamState.LIVE


class Broken(FakeBucket):
    """A bucket that does not answer for one stream."""

    def names(self, prefix: str) -> list[str]:
        if prefix.startswith(f"timelines/{STREAM}"):
            raise Unavailable(prefix)
        return super().names(prefix)


def test_one_streams_trouble_does_not_keep_the_others_from_being_reaped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = on_air()
    world.ingest.__class__ = Broken
    world.streams.create(StreamRequest(id="zebra"))
    with caplog.at_level(logging.ERROR):
        world.reaper.reap()
    assert [record.message for record in caplog.records] == ["a stream could not be reaped"]
    assert "zebra/state.json" in world.media.objects
