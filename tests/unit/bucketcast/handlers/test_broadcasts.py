"""Whole lives of a stream, through the handlers: broadcasts, sessions, gaps, storms, years."""

from collections.abc import Callable
from datetime import timedelta

import pytest

import playlist_history
from bucketcast.errors import TooManyWrites, Unavailable
from bucketcast.hls import MediaPlaylist, parse
from bucketcast.objects import ABSENT, Generation, NewObject, ObjectFacts
from bucketcast.records import record_object
from bucketcast.stream.identifiers import (
    BroadcastNumber,
    DiscontinuitySequenceNumber,
    EncoderId,
    MediaSequenceNumber,
    RungName,
    SessionNumber,
)
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.object_names import seal_name, timeline_name, timelines_prefix
from bucketcast.stream.publication import OUTLIVED_SEGMENTS
from bucketcast.stream.seal import Seal
from bucketcast.stream.timeline import TIMELINE_SEGMENTS
from fakes import EPOCH, FakeBucket
from stream_world import SLOTS, STREAM, A, B, World, uploaded

TOP, MIDDLE, LOW = SLOTS
YEARS = 2**31 - 2  # a media sequence number in its last two seconds as a signed 32-bit integer


def playlist(world: World, slot: RungName = TOP) -> MediaPlaylist:
    found = parse(world.playlist(slot))
    assert isinstance(found, MediaPlaylist)
    return found


def broadcast(world: World, encoder: str, count: int = 4) -> SessionNumber:
    """A whole broadcast, from its claim to its ENDLIST."""
    session = world.claim_at_once(EncoderId(encoder))
    for index in range(count):
        world.report_later(session, EncoderId(encoder), [uploaded(each) for each in range(index + 1)])
        world.wake()
    world.streams.end(STREAM)
    world.clock.advance(2)
    world.wake()
    return session


def test_every_broadcast_goes_on_with_the_numbers_of_the_one_before() -> None:
    world = World()
    for number in (1, 2, 3):
        broadcast(world, f"encoder-{number}")
        shown = playlist(world)
        assert shown.ended
        assert (shown.media_sequence, shown.discontinuity_sequence) == (4 * (number - 1), number - 1)
        assert {segment.uri[:16] for segment in shown.segments} == {f"segment_{number:08}"}
        assert world.document.state is StreamState.ENDED
    playlist_history.check(world.media)


def test_numbers_go_on_for_years() -> None:
    """Beyond 31 bits of sequence numbers, and in names that sort as they play."""
    world = World()
    past = Seal(
        stream=STREAM,
        session=SessionNumber(9_999_998),
        broadcast=BroadcastNumber(70_000),
        ended=True,
        last_index=YEARS,
        next_media_sequence=MediaSequenceNumber(YEARS),
        next_discontinuity_sequence=DiscontinuitySequenceNumber(YEARS),
    )
    world.ingest.write(record_object(seal_name(STREAM, past.session), past), if_generation=ABSENT)
    world.documents._documents.clear()
    world.wake()
    session = broadcast(world, "late")
    assert session == past.session + 1
    shown = playlist(world)
    assert (shown.media_sequence, shown.discontinuity_sequence) == (YEARS, YEARS)
    assert [number for number, _, _ in shown.numbered_segments()][-1] > 2**31
    assert broadcast(world, "later") == past.session + 2
    names = [name for name in world.media.objects if name.endswith(".ts") and TOP in name]
    assert names == sorted(names)
    assert world.document.broadcast == 70_003
    playlist_history.check(world.media)


def test_a_session_of_years_has_names_that_sort() -> None:
    world = World(slots=(TOP,))
    session = world.claim(A, (TOP,))
    last = 300_000_000  # twenty years of two seconds
    recent = [uploaded(index, (TOP,)) for index in range(last - TIMELINE_SEGMENTS, last)]
    world.report(session, A, recent)
    world.wake()
    shown = playlist(world)
    assert [segment.uri for segment in shown.segments][-1] == "segment_00000001_0299999999.ts"
    assert shown.media_sequence == last - 6


GAPS: dict[str, tuple[Callable[[int], tuple[tuple[RungName, ...], tuple[RungName, ...]]], str]] = {
    "one rung": (lambda index: ((MIDDLE, LOW), (TOP,)) if index == 2 else (SLOTS, ()), "..g..."),
    "all rungs": (lambda index: ((), SLOTS) if index == 2 else (SLOTS, ()), "..g..."),
    "the head": (lambda index: ((), SLOTS) if index == 0 else (SLOTS, ()), "g....."),
    "the tail": (lambda index: ((), SLOTS) if index == 5 else (SLOTS, ()), ".....g"),
    "everything": (lambda _: ((), SLOTS), "gggggg"),
}


@pytest.mark.parametrize("lost", GAPS)
def test_what_cannot_be_had_is_a_gap_and_stalls_nothing(lost: str) -> None:
    """P4: the playlist goes on, with the gap in its place."""
    decide, pattern = GAPS[lost]
    world = World()
    session = world.claim(A)
    for count in range(1, 7):
        segments = [uploaded(index, *decide(index)) for index in range(count)]
        world.report_later(session, A, segments)
        world.wake()
    assert "".join("g" if segment.gap else "." for segment in playlist(world).segments) == pattern
    playlist_history.check(world.media)


def test_a_gap_across_a_session_change() -> None:
    """The last segment of one session and the first of the next are lost: two gaps, one discontinuity."""
    world = World()
    first = world.claim(A)
    world.report_later(first, A, [*map(uploaded, range(3)), uploaded(3, (), SLOTS)])
    world.wake()
    second = world.claim_at_once(B)
    world.clock.advance(5)
    world.report_later(second, B, [uploaded(0, (), SLOTS), uploaded(1), uploaded(2)])
    world.wake()
    shown = playlist(world)
    assert [(s.gap, s.discontinuity) for s in shown.segments][-5:] == [
        (False, False),
        (True, False),
        (True, True),
        (False, False),
        (False, False),
    ]
    playlist_history.check(world.media)


def test_a_rung_that_is_lost_for_good_leaves_the_others_alone() -> None:
    """Its encoder never decides it: the rendition stands, and gets its gaps with the seal."""
    world = World()
    session = world.claim(A)
    for count in range(1, 12):
        world.report_later(session, A, [uploaded(i, SLOTS if i < 4 else SLOTS[:2]) for i in range(count)])
        world.wake()
    assert playlist(world).segments[-1].uri.endswith("10.ts")
    assert playlist(world, LOW).segments[-1].uri.endswith("03.ts")
    world.streams.end(STREAM)
    world.clock.advance(2)
    world.wake()
    assert playlist(world, LOW).segments[-1].uri.endswith("10.ts")
    assert playlist(world, LOW).segments[-1].gap
    playlist_history.check(world.media)


def test_ten_minutes_without_events_are_made_good_at_once() -> None:
    world = World()
    session = world.claim(A)
    world.report(session, A, [uploaded(index) for index in range(3)])
    world.wake()
    for count in range(4, 304):
        world.report_later(session, A, [uploaded(i) for i in range(max(0, count - TIMELINE_SEGMENTS), count)])
    document = world.wake()
    assert document.state is StreamState.LIVE
    assert playlist(world).media_sequence == 303 - 6
    playlist_history.check(world.media)


class Refusing(FakeBucket):
    """The service asks for fewer writes of playlists, so many times."""

    refusals = 0

    def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
        if new.name.endswith(".m3u8") and self.refusals:
            self.refusals -= 1
            raise TooManyWrites(new.name)
        return super().write(new, if_generation=if_generation)


@pytest.mark.parametrize("refusals", [1, 7, 25])
def test_endlist_lands_through_a_storm_of_429(refusals: int) -> None:
    """P5: newest wins, and the last state lands, however often the service asks for patience."""
    world = World()
    session = world.claim(A)
    world.report_later(session, A, [uploaded(index) for index in range(4)])
    world.wake()
    world.media.__class__ = Refusing
    world.clock.advance(2)
    assert isinstance(world.media, Refusing)
    world.media.refusals = refusals
    world.streams.end(STREAM)
    world.wake()
    assert world.media.refusals == 0
    assert all(playlist(world, slot).ended for slot in SLOTS)
    playlist_history.check(world.media)


@pytest.mark.parametrize("away", [1.0, 59.0, 1799.0])
def test_who_returns_within_the_window_goes_on_and_who_does_not_begins_anew(away: float) -> None:
    """P6, at both sides of the window's end, with another ladder."""
    for window, goes_on in ((int(away) + 1, True), (max(0, int(away) - 1), False)):
        world = World(reconnect_window=window)
        first = world.claim(A)
        world.report_later(first, A, [uploaded(index) for index in range(4)], ended=True)
        world.wake()
        world.clock.advance(away)
        world.reaper.reap()
        assert (world.document.state is StreamState.INTERRUPTED) is goes_on
        world.release(first)
        second = world.claim(B, SLOTS[1:])
        world.report_later(second, B, [uploaded(index, SLOTS[1:]) for index in range(4)])
        world.wake()
        shown = playlist(world)
        sessions = {segment.uri.rpartition("/")[2][:16] for segment in shown.segments}
        assert len(sessions) == (2 if goes_on else 1)
        assert sum(segment.discontinuity for segment in shown.segments) == (1 if goes_on else 0)
        assert shown.discontinuity_sequence == (0 if goes_on else 1)
        playlist_history.check(world.media)


def test_two_reapers_and_a_claim_at_the_same_moment() -> None:
    """The window is over: who is first decides, and nobody is lost."""
    for reapers_first in (True, False):
        world = World(reconnect_window=10)
        first = world.claim(A)
        world.report_later(first, A, [uploaded(index) for index in range(4)], ended=True)
        world.wake()
        world.clock.advance(10)
        if reapers_first:
            world.reaper.reap()
            world.reaper.reap()
        second = world.claim_at_once(B)
        world.reaper.reap()
        world.reaper.reap()
        world.report_later(second, B, [uploaded(index) for index in range(4)])
        world.clock.advance(5)
        world.reaper.reap()
        assert world.document.state is StreamState.LIVE
        assert world.document.ended_broadcasts == (1 if reapers_first else 0)
        assert playlist(world).media_sequence == (4 if reapers_first else 2)
        playlist_history.check(world.media)


def test_a_rung_that_is_overtaken_for_long_is_given_up_by_the_publisher() -> None:
    """P4 without its encoder's help: nobody will decide it any more, and creation decides for ever."""
    world = World()
    session = world.claim(A)
    for count in range(1, 8):
        world.report_later(session, A, [uploaded(i, SLOTS[:2] if i == 2 else SLOTS) for i in range(count)])
        world.wake()
    assert [segment.gap for segment in playlist(world, LOW).segments][-5:] == [True, *[False] * 4]
    assert not any(segment.gap for segment in playlist(world, TOP).segments)
    playlist_history.check(world.media)


def test_an_encoder_has_time_before_the_publisher_gives_up_in_its_place() -> None:
    """It comes back from an outage: later segments are verified a moment before the ones that are late."""
    world = World()
    session = world.claim(A)
    world.report_later(session, A, [*map(uploaded, range(3)), uploaded(4), uploaded(6)])
    world.wake()
    assert playlist(world).segments[-1].uri.endswith("02.ts")
    world.clock.advance(5.9)
    world.report(session, A, [uploaded(index) for index in range(7)])
    world.wake()
    assert not any(segment.gap for segment in playlist(world).segments)
    assert playlist(world).segments[-1].uri.endswith("06.ts")


def test_a_hole_in_all_rungs_is_given_up_too() -> None:
    world = World()
    session = world.claim(A)
    for count in range(1, 9):
        world.report_later(session, A, [uploaded(index) for index in range(count) if index != 3])
        world.wake()
    assert [segment.gap for segment in playlist(world).segments] == [False, True, *[False] * 4]


def test_a_rung_that_falls_out_of_the_timelines_is_given_up_without_a_witness() -> None:
    world = World()
    session = world.claim(A)
    for count in range(1, OUTLIVED_SEGMENTS + 9):
        world.report_later(session, A, [uploaded(i, SLOTS if i < 3 else SLOTS[:2]) for i in range(count)])
        world.wake()
    assert playlist(world, TOP).media_sequence == OUTLIVED_SEGMENTS + 8 - 6
    assert playlist(world, LOW).segments[-1].gap
    assert playlist(world, LOW).segments[-1].uri.endswith("0004.ts")


class Vanishing(FakeBucket):
    """What is created is gone when it is looked at."""

    def facts(self, name: str) -> ObjectFacts | None:
        return None if name.endswith("0002.ts") and LOW in name else super().facts(name)


def test_a_gap_that_vanishes_is_to_be_tried_again() -> None:
    world = World()
    session = world.claim(A)
    world.report(session, A, [uploaded(i, SLOTS[:2] if i == 2 else SLOTS) for i in range(5)])
    world.clock.advance(12)  # its encoder is silent by then
    world.media.__class__ = Vanishing
    with pytest.raises(Unavailable, match="is gone"):
        world.wake()


def test_a_zombie_s_media_ends_where_its_successor_s_begins() -> None:
    """It was replaced and does not know it: viewers see no minute twice."""
    world = World()
    first = world.claim(A, start=EPOCH)
    world.report_later(first, A, [uploaded(index) for index in range(4)])
    world.wake()
    world.release(first)
    second = world.claim(B, start=EPOCH + timedelta(seconds=9))
    world.report_later(first, A, [uploaded(index) for index in range(9)])
    world.wake()
    world.clock.advance(4)
    world.report(second, B, [uploaded(0)])
    world.wake()
    shown = [segment.uri.removesuffix(".ts")[-12:] for segment in playlist(world).segments]
    assert shown[-2:] == ["1_0000000004", "2_0000000000"]
    playlist_history.check(world.media)


def test_a_session_begins_where_the_media_before_it_ends() -> None:
    """A sender that was faster than real time, and that comes back with its tail not published yet."""
    world = World()
    first = world.claim(A, start=EPOCH)
    world.report(first, A, [uploaded(index) for index in range(20)])
    world.release(first)
    second = world.claim(B, start=EPOCH + timedelta(seconds=3))
    assert world.document.sessions[-1].start == EPOCH + timedelta(seconds=40)
    world.report_later(second, B, [uploaded(0)])
    world.clock.advance(5)
    world.wake()
    assert [segment.uri[-7:] for segment in playlist(world).segments][-2:] == ["0019.ts", "0000.ts"]


def test_a_seal_covers_what_was_reported_behind_a_hole() -> None:
    """P10: an encoder dies with a hole in its timeline, and its broadcaster comes back."""
    world = World()
    first = world.claim(A)
    world.report_later(first, A, [uploaded(index) for index in (0, 1, 2, 4, 5)])
    world.wake()
    world.release(first)
    second = world.claim(B)
    world.clock.advance(4)
    world.report(second, B, [uploaded(index) for index in range(3)])
    world.wake()
    shown = playlist(world)
    assert [(s.uri[-7:], s.gap) for s in shown.segments][-6:] == [
        ("0003.ts", True),
        ("0004.ts", False),
        ("0005.ts", False),
        ("0000.ts", False),
        ("0001.ts", False),
        ("0002.ts", False),
    ]
    playlist_history.check(world.media)


def test_a_seal_of_what_no_timeline_reaches_back_to_begins_anew() -> None:
    """So many wake-ups were lost that its window has moved past all that was listed."""
    world = World()
    first = world.claim(A)
    world.report_later(first, A, [uploaded(index) for index in range(3)])
    world.wake()
    world.report_later(first, A, [uploaded(index) for index in range(200, 210)])
    world.release(first)
    world.claim(B)
    world.clock.advance(4)
    world.wake()
    assert playlist(world).media_sequence == 204
    playlist_history.check(world.media)


def test_a_seal_through_a_storm_of_429() -> None:
    world = World()
    first = world.claim(A)
    world.report_later(first, A, [*map(uploaded, range(3)), uploaded(3, SLOTS[:2])])
    world.wake()
    world.release(first)
    world.claim(B)
    world.clock.advance(5)
    world.media.__class__ = Crowded
    world.wake()
    assert playlist(world, LOW).segments[-1].gap
    playlist_history.check(world.media)


class Crowded(FakeBucket):
    """The service asks once for fewer writes of gaps."""

    refused = False

    def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
        if "gap" in new.metadata and not self.refused:
            self.refused = True
            raise TooManyWrites(new.name)
        return super().write(new, if_generation=if_generation)


def test_an_outage_takes_nothing_from_an_encoder_that_lives() -> None:
    """Nothing at all could be written for a minute: what is late comes when its encoder can write again."""
    world = World()
    session = world.claim(A)
    world.report_later(session, A, [*map(uploaded, range(3)), uploaded(4)])
    world.wake()
    world.clock.advance(60)
    world.report(session, A, [*map(uploaded, range(3)), uploaded(4), uploaded(34)])
    world.wake()
    world.report_later(session, A, [uploaded(index) for index in range(36)])
    world.wake()
    assert not any(segment.gap for segment in playlist(world).segments)
    assert playlist(world).segments[-1].uri.endswith("35.ts")


def test_a_clock_that_is_ahead_takes_nothing_from_an_encoder_that_lives() -> None:
    world = World()
    session = world.claim(A)
    world.report_later(session, A, [*map(uploaded, range(3)), uploaded(3, SLOTS[1:]), uploaded(4)])
    world.clock.advance(7)
    world.wake()
    assert playlist(world).segments[-1].uri.endswith("02.ts")


def test_what_no_timeline_reaches_any_more_is_not_given_up_piece_by_piece() -> None:
    """P8: an outage of fifty minutes costs no more than one of two."""
    world = World()
    session = world.claim(A)
    world.report(session, A, [uploaded(index) for index in range(5)])
    world.wake()
    recent = range(1500 - TIMELINE_SEGMENTS, 1500)
    for count in range(4, TIMELINE_SEGMENTS + 1, 4):
        world.report_later(session, A, [uploaded(index) for index in recent[:count]])
        world.wake()
    assert playlist(world).segments[-1].uri.endswith("1499.ts")
    assert len(world.media.objects) < 3 * 4 * TIMELINE_SEGMENTS
    playlist_history.check(world.media)


def test_what_is_not_ours_in_the_bucket_stops_nothing() -> None:
    """P9: somebody made folders in the console, left a note, and wrote something that is no timeline."""
    world = World()
    session = world.claim(A)
    world.report(session, A, [uploaded(index) for index in range(3)])
    folders = ("streams/", f"streams/{STREAM}/note.txt", f"sessions/{STREAM}/", f"seals/{STREAM}/")
    timelines = (timeline_name(STREAM, session, B), timelines_prefix(STREAM, session))
    for name in (*folders, *timelines):
        odd = NewObject(name=name, content=b"?", content_type="text/plain", cache_control="no-store")
        world.ingest.write(odd, if_generation=ABSENT)
    world.reaper.reap()
    world.documents._documents.clear()
    world.reaper.reap()
    assert playlist(world).segments[-1].uri.endswith("02.ts")
    assert world.claim_at_once(B) == session + 1
