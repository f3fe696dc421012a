"""What holds for every history of a stream: the design's promises P1 to P5 and P7."""

from datetime import timedelta
from itertools import permutations
from random import Random

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import playlist_history
from bucketcast.stream.identifiers import EncoderId, SegmentIndex, SessionNumber
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.timeline import TIMELINE_SEGMENTS, RungSegment, Timeline, join
from fakes import EPOCH
from strategies import History, histories, segment
from stream_world import FIRST, GAP, SLOTS, STREAM, UPLOADED, A, B, World, uploaded

# Every drain, every silence and all patience with a newcomer is over by then; no reconnect window is.
DRAINED = 20.0


@settings(max_examples=100)
@given(histories())
def test_wakeups_may_be_lost_and_repeated_without_a_trace(history: History) -> None:
    """P3: one last wake-up gives the same playlists, whatever wake-ups came before it.

    They are a function of the bucket: where a publisher was quicker than an encoder to decide a segment that
    had been overtaken for long, the buckets differ, and there is nothing to compare.
    """
    every, few = World(), World()
    history.play(every)
    history.play(few, all_wakes=False)
    last = max(every.clock.now(), few.clock.now()) + timedelta(seconds=DRAINED)
    for world in (every, few):
        world.clock.time = last
        world.wake()
    assume(every.decided() == few.decided())
    assert every.playlists() == few.playlists()


@settings(max_examples=100)
@given(histories())
def test_playlists_only_ever_go_forward(history: History) -> None:
    """P1, P2, P4 and P5, on every version of every playlist that was written."""
    world = World()
    history.play(world)
    world.clock.advance(DRAINED)
    world.wake()
    playlist_history.check(world.media)


@settings(max_examples=40)
@given(histories())
def test_a_wakeup_without_news_writes_nothing(history: History) -> None:
    """The reader of the log sees each change once, however often the publisher runs."""
    world = World()
    history.play(world)
    world.wake()
    document, written = world.document, len(world.media.log) + len(world.ingest.log)
    world.wake()
    assert world.document == document
    assert len(world.media.log) + len(world.ingest.log) == written


@settings(max_examples=40)
@given(histories(max_sessions=2), st.integers(1, 8))
def test_a_sealed_session_grows_in_vain(history: History, more: int) -> None:
    """P7: what an encoder reports behind its session's seal changes nothing."""
    world = World()
    history.play(world)
    world.claim_at_once(EncoderId("last"))
    world.clock.advance(DRAINED)
    world.wake()
    sealed = SessionNumber(world.document.next_session - 2)
    before, state = world.playlists(), world.document.state
    world.report(
        sealed,
        EncoderId("late"),
        [segment(index, dict.fromkeys(SLOTS, UPLOADED)) for index in range(12 + more)],
    )
    world.wake()
    assert world.playlists() == before
    assert world.document.state == state


@settings(max_examples=10)
@given(
    length=st.integers(1, 3 * TIMELINE_SEGMENTS),
    wakes=st.sets(st.integers(0, 3 * TIMELINE_SEGMENTS), max_size=6),
    stuck=st.none() | st.integers(0, 3 * TIMELINE_SEGMENTS),
)
@example(length=140, wakes={5}, stuck=None)
@example(length=160, wakes={5, 90}, stuck=40)
def test_a_window_that_timelines_have_left_behind_goes_on(
    length: int, wakes: set[int], stuck: int | None
) -> None:
    """P3 and P4 where so many wake-ups are lost, or a rung stays undecided for so long, that facts are gone."""
    every, few = World(slots=SLOTS[:2]), World(slots=SLOTS[:2])
    for world, chosen in ((every, range(length)), (few, wakes & set(range(length)))):
        session = world.claim(A, SLOTS[:2])
        segments = [uploaded(index, SLOTS[:1] if index == stuck else SLOTS[:2]) for index in range(length)]
        for step in range(length):
            world.clock.advance(2)
            if step in chosen or step == length - 1:
                for recent in segments[max(step + 1 - TIMELINE_SEGMENTS, 0) : step + 1]:
                    world.upload(session, recent)
                world.report(session, A, segments[: step + 1][-TIMELINE_SEGMENTS:])
                world.wake()
        playlist_history.check(world.media)
        assert len(world.document.window) <= TIMELINE_SEGMENTS
        assert world.document.window[-1].index == length - 1
    if stuck is None or stuck <= length - 1 - TIMELINE_SEGMENTS:
        assert every.playlists() == few.playlists()


facts: st.SearchStrategy[RungSegment] = st.sampled_from([UPLOADED, GAP])
timelines = st.lists(
    st.builds(
        lambda encoder, ended, at, segments: Timeline(
            stream=STREAM,
            session=FIRST,
            encoder=EncoderId(encoder),
            ended=ended,
            media_at=EPOCH + at,
            segments=tuple(segments[index] for index in sorted(segments)),
        ),
        st.sampled_from("abc"),
        st.booleans(),
        st.timedeltas(timedelta(0), timedelta(hours=1)),
        st.dictionaries(st.integers(0, 5), st.dictionaries(st.sampled_from(SLOTS), facts), max_size=4).map(
            lambda cells: {index: segment(index, rungs) for index, rungs in cells.items()}
        ),
    ),
    max_size=3,
)


@settings(max_examples=40)
@given(timelines)
def test_the_join_of_timelines_knows_no_order_and_no_repetition(several: list[Timeline]) -> None:
    joined = join(several)
    assert all(join(order) == joined for order in permutations(several))
    assert join(several + several) == joined
    assert joined.segments.keys() == {SegmentIndex(s.index) for timeline in several for s in timeline.segments}


@settings(max_examples=40)
@given(timelines, timelines)
def test_the_join_of_timelines_knows_no_grouping(some: list[Timeline], others: list[Timeline]) -> None:
    def as_timelines(several: list[Timeline]) -> list[Timeline]:
        joined = join(several)
        assert joined.media_at is not None
        whole = Timeline(
            stream=STREAM,
            session=FIRST,
            encoder=B,
            ended=joined.ended,
            media_at=joined.media_at,
            segments=tuple(joined.segments[index] for index in sorted(joined.segments)),
        )
        return [whole]

    grouped = [*(as_timelines(some) if some else []), *(as_timelines(others) if others else [])]
    assert join(grouped) == join([*some, *others])


@pytest.mark.parametrize("seed", range(3))
def test_a_broadcast_ends_alike_however_late_it_is_noticed(seed: int) -> None:
    """P3 for the end by the reconnect window: it runs from the last media, not from a late wake-up."""
    random = Random(seed)
    ends = []
    for wakes in ([], sorted(random.uniform(0, 80) for _ in range(4))):
        world = World(reconnect_window=60)
        world.report(world.claim(A), A, [uploaded(index) for index in range(3)], ended=True)
        for at in [*wakes, 85]:
            world.clock.time = EPOCH + timedelta(seconds=at)
            world.wake()
        assert world.document.state is StreamState.ENDED
        ends.append(world.playlists())
    assert ends[0] == ends[1]
    assert ends[0][f"{STREAM}/360p/playlist.m3u8"].endswith("#EXT-X-ENDLIST\n")
