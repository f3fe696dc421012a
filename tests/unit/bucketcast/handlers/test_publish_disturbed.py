"""The publisher, killed at any call of a port, refused at any write, or overtaken by another at any moment."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pytest

import playlist_history
from bucketcast.errors import PreconditionFailed, TooManyWrites, Unavailable
from bucketcast.ports import Bucket, StreamDocuments
from bucketcast.records import decode_record
from bucketcast.stream.identifiers import EncoderId
from bucketcast.stream.object_names import seal_name
from bucketcast.stream.published_objects import REVISION_KEY
from bucketcast.stream.seal import Seal
from bucketcast.stream.timeline import TimelineSegment
from stream_world import FIRST, SLOTS, STREAM, A, B, World, uploaded

Port = TypeVar("Port", bound=Bucket | StreamDocuments)


class Killed(BaseException):
    """The process of a publisher ends here; nothing of its own may catch it."""


class Disturbance:
    """Counts the calls of every port that it wraps, and does *disturb* at the one that is armed."""

    def __init__(self, disturb: Callable[[str], object], *, after: bool = False) -> None:
        self._disturb = disturb
        self._after = after
        self._countdown = -1
        self.happened = 0

    def arm(self, call: int) -> None:
        """Disturb the call that comes after *call* others."""
        self._countdown = call

    def disarm(self) -> None:
        """Disturb nothing more."""
        self._countdown = -1

    def around(self, port: Port) -> Port:
        """*port*, disturbed."""
        disturbance = self

        class Disturbed:
            def __getattr__(self, name: str) -> Any:
                method = getattr(port, name)

                def call(*args: Any, **keywords: Any) -> Any:
                    if not disturbance.after:
                        disturbance.count(name)
                    answer = method(*args, **keywords)
                    if disturbance.after:
                        disturbance.count(name)
                    return answer

                return call

        return Disturbed()  # type: ignore[return-value]

    @property
    def after(self) -> bool:
        """Whether the call is done when it is disturbed."""
        return self._after

    def count(self, name: str) -> None:
        """A call is made."""
        self._countdown -= 1
        if self._countdown == -1:
            self.happened += 1
            self._disturb(name)


def kill(_name: str) -> None:
    raise Killed


def story(world: World) -> Iterator[None]:
    """Let everything happen that makes a publisher work; at each pause it has something to do."""

    def segments(count: int, lag: int = 0, gap: int = -1) -> list[TimelineSegment]:
        return [
            uploaded(
                index,
                SLOTS if index < count - lag else SLOTS[:1],
                gaps=SLOTS[1:2] if index == gap else (),
            )
            for index in range(count)
        ]

    yield  # only the stream's state
    first = world.claim(A)
    world.report(first, A, segments(2))
    yield  # the first segments
    world.clock.advance(3)
    world.report(first, A, segments(5, lag=2, gap=1))
    yield  # a rung that lags
    world.upload(first, uploaded(4, SLOTS[2:]))
    second = world.claim_at_once(B)
    world.clock.advance(10)
    world.report(second, B, segments(3))
    yield  # a tail to be filled, a seal, and the next session behind it
    world.clock.advance(3)
    world.report(second, B, segments(4), ended=True)
    yield
    world.clock.advance(3)
    world.streams.end(STREAM)
    third = world.claim_at_once(A)  # of the next broadcast; the encoder's name is free again
    yield  # ENDLIST
    world.clock.advance(3)
    world.report(third, A, segments(2))
    yield  # a new broadcast


def undisturbed() -> World:
    world = World()
    for _ in story(world):
        world.other_publisher.publish(STREAM)
    return world


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_publisher_that_is_killed_at_any_call_and_runs_again_leaves_no_trace(*, after: bool) -> None:
    """Before the call, or after it was done and before its answer arrived."""
    expected = undisturbed().playlists()
    call = killed = 0
    while killed or call == 0:
        disturbance = Disturbance(kill, after=after)
        world = World(wrapped=disturbance.around, wrapped_documents=disturbance.around)
        for _ in story(world):
            disturbance.arm(call)
            with suppress(Killed):
                world.wake()
            disturbance.disarm()
            world.new_publisher().publish(STREAM)
        assert world.playlists() == expected, call
        playlist_history.check(world.media)
        killed, call = disturbance.happened, call + 1
    assert call > 25


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_two_publishers_that_meet_at_any_call_publish_as_one_does(*, after: bool) -> None:
    """The second one runs from beginning to end within the first; nobody runs after them."""
    expected = undisturbed().playlists()
    call = met = 0
    while met or call == 0:
        disturbance = Disturbance(lambda _: world.other_publisher.publish(STREAM), after=after)  # noqa: B023 - of this round
        world = World(wrapped=disturbance.around, wrapped_documents=disturbance.around)
        for _ in story(world):
            disturbance.arm(call)
            world.wake()
            disturbance.disarm()
        assert world.playlists() == expected, call
        playlist_history.check(world.media)
        met, call = disturbance.happened, call + 1
    assert call > 25


def test_a_publisher_that_is_overtaken_by_newer_segments_never_goes_back() -> None:
    """Another encoder's report, and the publisher that it wakes, come in the middle of any call."""
    call = met = 0
    while met or call == 0:

        def newer(world: World) -> None:
            world.report_later(FIRST, B, [uploaded(index) for index in range(1, 5)])
            world.other_publisher.publish(STREAM)
            world.clock.advance(2)

        world, met = _met_at(call, newer)
        if met:
            assert world.playlist(SLOTS[0]).count("#EXTINF") == 5
        call += 1
    assert call > 5


@pytest.mark.parametrize("publishes", [False, True])
def test_a_session_that_grows_while_it_is_sealed_ends_where_its_seal_says(*, publishes: bool) -> None:
    """P7 in the moment between the decision and its record."""
    call = met = 0
    while met or call == 0:

        def grow(world: World) -> None:
            world.report_later(FIRST, B, [uploaded(index) for index in range(2, 5)])
            if publishes:
                world.other_publisher.publish(STREAM)

        def end(world: World) -> None:
            world.report_later(world.claim_at_once(EncoderId("c")), EncoderId("c"), [uploaded(0)], ended=True)
            world.clock.advance(5)

        world, met = _met_at(call, grow, prepare=end)
        world.wake()
        content = world.ingest.read(seal_name(STREAM, FIRST))
        assert content is not None
        seal = decode_record(Seal, content)
        assert [(s.session, s.index, s.media_sequence) for s in world.document.window] == [
            *((FIRST, index, index) for index in range(seal.last_index + 1)),
            (2, 0, seal.next_media_sequence),
        ]
        playlist_history.check(world.media)
        call += 1
    assert call > 5


def _met_at(
    call: int, event: Callable[[World], None], prepare: Callable[[World], None] = lambda _: None
) -> tuple[World, int]:
    """A world in which *event* came in the middle of a publication, at its *call*-th call of a port."""
    disturbance = Disturbance(lambda _: event(world))
    world = World(wrapped=disturbance.around, wrapped_documents=disturbance.around)
    world.other_publisher.publish(STREAM)
    world.report(world.claim(A), A, [uploaded(0)])
    world.other_publisher.publish(STREAM)
    world.report_later(FIRST, A, [uploaded(0), uploaded(1)])
    prepare(world)
    disturbance.arm(call)
    world.wake()
    disturbance.disarm()
    playlist_history.check(world.media)
    return world, disturbance.happened


@pytest.mark.parametrize("refusal", [TooManyWrites("429"), PreconditionFailed("412")])
def test_a_write_that_is_refused_is_made_good(refusal: Exception) -> None:
    """By waiting the second out, or by reading again what another wrote."""
    expected = undisturbed().playlists()
    call = refused = 0
    while refused or call == 0:
        disturbance = Disturbance(lambda name: _refuse(name, refusal))

        def writes_only(port: Bucket, disturbance: Disturbance = disturbance) -> Bucket:
            return _OnlyPlaylists(port, disturbance)

        world = World(wrapped=writes_only)
        for _ in story(world):
            disturbance.arm(call)
            world.wake()
            disturbance.disarm()
        assert world.playlists() == expected, call
        refused, call = disturbance.happened, call + 1
    assert call > 3


class _OnlyPlaylists:
    """A bucket whose writes of published objects are disturbed."""

    def __init__(self, port: Bucket, disturbance: Disturbance) -> None:
        self._port = port
        self._disturbance = disturbance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def write(self, new: Any, **keywords: Any) -> Any:
        if REVISION_KEY in new.metadata:
            self._disturbance.count("write")
        return self._port.write(new, **keywords)


def _refuse(_name: str, refusal: Exception) -> None:
    raise refusal


def test_what_never_ends_is_given_up_for_another_wakeup() -> None:
    """Retryable, so that the event comes again."""

    def refuse(name: str) -> None:
        if name == "replace":
            raise PreconditionFailed("always")

    class Always(Disturbance):
        def count(self, name: str) -> None:
            refuse(name)

    world = World(wrapped_documents=Always(refuse).around)
    with pytest.raises(Unavailable, match="12 rounds"):
        world.wake()


def test_objects_of_unknown_origin_are_replaced() -> None:
    """A playlist that somebody else wrote has no revision, and is older than all."""
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    world.wake()
    name = f"{STREAM}/720p/playlist.m3u8"
    published = world.playlists()
    new, facts = world.media.objects[name]
    world.clock.advance(5)
    world.media.objects[name] = new, type(facts)(**{**_fields(facts), "metadata": {}})
    world.new_publisher().publish(STREAM)
    assert world.media.objects[name][1].metadata[REVISION_KEY].isdecimal()
    del world.media.objects[name]
    world.new_publisher().publish(STREAM)
    assert world.playlists() == published


def _fields(facts: Any) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in type(facts).__dataclass_fields__}


def test_an_endlist_is_written_before_the_next_broadcast_takes_its_place() -> None:
    """Its publisher was killed between document and playlists, and the next broadcaster was quick."""
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    world.wake()
    before = dict(world.media.objects)
    world.clock.advance(5)
    world.streams.end(STREAM)
    world.wake()
    world.media.objects = before
    world.clock.advance(5)
    second = world.claim(B)
    world.report(second, B, [uploaded(index) for index in range(3)])
    world.publisher = world.new_publisher()
    world.wake()
    first = [new.content for _, new in world.media.log if new.name.endswith("720p/playlist.m3u8")]
    assert b"#EXT-X-ENDLIST" in first[-2]
    assert b"segment_00000002" in first[-1]
