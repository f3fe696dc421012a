"""The story: everything follows from the seed, and can be played."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.stream_request import RungRequest, StreamRequest
from fault_storm.story import RUNGS, Connection, Ending, Show, tell

seeds = st.integers(0, 1 << 32)
shows = st.builds(
    lambda seed, streams: tell(seed, media=timedelta(minutes=30), streams=streams), seeds, st.integers(1, 4)
)


@given(seeds)
def test_the_same_seed_tells_the_same_story(seed: int) -> None:
    assert tell(seed, media=timedelta(hours=1), streams=2) == tell(seed, media=timedelta(hours=1), streams=2)


@given(shows)
def test_as_much_media_is_sent_as_asked_for(told: tuple[Show, ...]) -> None:
    sent = sum((show.media for show in told), timedelta(0))
    longest = max(show.segment_duration for show in told)
    assert timedelta(minutes=30) <= sent <= timedelta(minutes=30) + len(told) * longest


@given(shows)
def test_every_stream_can_be_made(told: tuple[Show, ...]) -> None:
    for show in told:
        request = StreamRequest(
            id=show.stream,
            rungs=tuple(RungRequest(name=rung, video_kbps=RUNGS[rung]) for rung in show.rungs),
            segment_seconds=show.segment_duration.total_seconds(),
            reconnect_window_seconds=int(show.reconnect_window.total_seconds()),
        )
        assert request.configuration().segment_duration == show.segment_duration


@given(shows)
def test_encoders_make_what_their_session_has(told: tuple[Show, ...]) -> None:
    for show in told:
        for connection in show.connections:
            assert connection.rungs
            assert set(connection.rungs) <= set(show.rungs)
            assert all(rung in connection.rungs for rung, _ in connection.gaps)
            # A segment that was never made is only noticed when a later one is.
            assert all(index < connection.segments - 1 for _, index in connection.gaps)
            assert connection.late is None or connection.late.rung in connection.rungs
            assert connection.handover is None or 0 < connection.handover.first < connection.segments


def connections() -> list[Connection]:
    return [
        connection for show in tell(1, media=timedelta(hours=20), streams=2) for connection in show.connections
    ]


def test_an_hour_or_some_have_everything_that_can_happen() -> None:
    told = connections()
    assert {connection.ending for connection in told} == set(Ending)
    assert any(connection.segments == 0 for connection in told)
    assert any(connection.ends_before for connection in told)
    assert any(connection.late for connection in told)
    assert {connection.handover.crash for connection in told if connection.handover} == {True, False}
    assert any(index == 0 for connection in told for _, index in connection.gaps)
    assert any(
        {rung for rung, _ in connection.gaps} == set(connection.rungs) for connection in told if connection.gaps
    )
