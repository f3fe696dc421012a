"""What is read to watch the streams."""

from bucketcast.objects import ObjectFacts
from bucketcast.stream.identifiers import StreamId
from bucketcast.stream.stream_request import StreamRequest
from bucketcast.stream.watchdog import StreamHealth
from fakes import FakeBucket
from stream_world import SLOTS, STREAM, A, World, uploaded


class Counted(FakeBucket):
    """Notes whose facts are asked for."""

    asked: list[str]

    def facts(self, name: str) -> ObjectFacts | None:
        self.asked.append(name)
        return super().facts(name)


def test_only_a_stream_that_is_published_costs_reads_one_for_each_playlist() -> None:
    world = World()
    world.streams.create(StreamRequest(id=StreamId("idle")))
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    world.wake()
    world.media.__class__ = Counted
    assert isinstance(world.media, Counted)
    world.media.asked = []
    idle, live = [view.health for view in reversed(world.streams.all())]
    assert idle == StreamHealth()
    assert live is not None
    assert [each.name for each in live.renditions] == list(SLOTS)
    assert world.media.asked == [f"{STREAM}/{slot}/playlist.m3u8" for slot in SLOTS]


def test_nothing_to_watch_is_no_trouble() -> None:
    assert World().streams.watchdog.watch([]) == []
