"""Publication by example; what holds for every history is in test_publication_properties.py."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

import playlist_history
from bucketcast.errors import IllegalTransition
from bucketcast.hls import MediaPlaylist, parse
from bucketcast.records import decode_record
from bucketcast.stream.document import ListedAs, StreamDocument, WindowSegment, decided_rungs
from bucketcast.stream.identifiers import (
    DiscontinuitySequenceNumber,
    EncoderId,
    MediaSequenceNumber,
    RungName,
    SegmentIndex,
    SessionNumber,
)
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.object_names import seal_name, segment_name, session_record_name
from bucketcast.stream.publication import (
    Evidence,
    advance,
    end_broadcast,
    has_begun,
    has_waited_long,
    holes,
    is_complete,
    is_followed,
    next_unannounced,
    overtaken,
    undecided,
)
from bucketcast.stream.seal import Seal
from bucketcast.stream.timeline import JoinedTimeline, TimelineSegment
from fakes import EPOCH
from stream_world import FIRST, SEGMENT, SLOTS, STREAM, A, B, World, uploaded

C = EncoderId("c")
SILENCE = 10.0  # three segment durations and four seconds
THREE = [uploaded(index) for index in range(3)]  # what puts a broadcast on air
PATIENCE = 14.0  # two segment durations and ten seconds


def listed(world: World, slot: int = 0) -> list[tuple[int, int, bool]]:
    """Session, index and whether it is a gap, of every listed segment."""
    playlist = parse(world.playlist(SLOTS[slot]))
    assert isinstance(playlist, MediaPlaylist)
    found = []
    for segment in playlist.segments:
        _, session, index = segment.uri.removesuffix(".ts").split("_")
        found.append((int(session), int(index), segment.gap))
    return found


def ended(world: World) -> bool:
    return all("#EXT-X-ENDLIST" in world.playlist(slot) for slot in SLOTS)


def on_air(count: int = 3, *, reconnect_window: int = 60, finished: bool = False) -> World:
    world = World(reconnect_window=reconnect_window)
    world.report(world.claim(A), A, [uploaded(index) for index in range(count)], ended=finished)
    world.wake()
    return world


def test_nothing_is_published_of_a_session_whose_record_is_not_there() -> None:
    world = World()
    session = world.claim(A)
    record = world.ingest.objects.pop(session_record_name(STREAM, session))
    world.report(session, A, THREE)
    world.wake()
    assert not world.playlists()
    world.ingest.objects[session_record_name(STREAM, session)] = record
    world.wake()
    assert listed(world) == [(1, 0, False), (1, 1, False), (1, 2, False)]


def test_a_number_whose_record_never_came_is_skipped() -> None:
    world = World()
    session = world.claim(A)
    del world.ingest.objects[session_record_name(STREAM, session)]
    world.report(world.claim_at_once(B), B, THREE)
    world.wake()
    assert not world.playlists()  # until the session before is drained
    world.clock.advance(4)
    world.wake()
    assert listed(world) == [(2, 0, False), (2, 1, False), (2, 2, False)]
    assert "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n" in world.playlist(SLOTS[0])


def test_a_hole_in_a_timeline_is_waited_for() -> None:
    """Uploads end in any order."""
    world = World()
    session = world.claim(A)
    world.report(session, A, [*THREE, uploaded(4)])
    world.wake()
    assert listed(world) == [(1, index, False) for index in range(3)]
    world.report_later(session, A, [*THREE, uploaded(3), uploaded(4)])
    world.wake()
    assert listed(world) == [(1, index, False) for index in range(5)]


def test_what_is_listed_stays_as_it_is_listed() -> None:
    """No timeline can call a gap a segment later, for its name is taken; and were it so, nothing moves."""
    world = World()
    session = world.claim(A)
    world.report(session, A, [uploaded(0, SLOTS[1:2], gaps=SLOTS[:1]), *THREE[1:]])
    world.wake()
    world.report_later(session, A, [*THREE, uploaded(3)])
    world.wake()
    assert listed(world) == [(1, index, index == 0) for index in range(4)]
    assert listed(world, 2) == [(1, index, False) for index in range(4)]


def test_the_next_session_waits_for_the_tail_of_the_one_before() -> None:
    world = on_air(3)
    world.clock.advance(4)
    second = world.claim_at_once(B)
    world.report(second, B, THREE)
    world.wake()
    assert [session for session, _, _ in listed(world)] == [1, 1, 1]
    world.report_later(FIRST, A, [*THREE, uploaded(3)], ended=True)
    world.wake()
    assert listed(world) == [
        *((1, index, False) for index in range(1, 4)),
        *((2, index, False) for index in range(3)),
    ]
    assert world.playlist(SLOTS[0]).count("#EXT-X-DISCONTINUITY\n") == 1


def test_what_a_rung_lacks_at_the_seal_is_taken_from_the_bucket_or_given_up() -> None:
    """Objects that were created before the seal are listed, although no timeline ever named them."""
    world = World()
    session = world.claim(A)
    world.report(session, A, [*THREE, uploaded(3, SLOTS[:1]), uploaded(4, SLOTS[:1])])
    world.upload(session, uploaded(3, SLOTS[1:]))
    world.wake()
    world.clock.advance(5)
    world.streams.end(STREAM)
    world.wake()
    assert listed(world, 1) == [(1, index, index == 4) for index in range(5)]
    gap = world.media.facts(segment_name(STREAM, SLOTS[1], session, SegmentIndex(4)))
    assert gap is not None
    assert gap.metadata["gap"] == "true"
    assert ended(world)


def test_a_seal_is_a_record_before_anything_stands_behind_it() -> None:
    world = on_air(3)
    world.clock.advance(4)
    world.report(world.claim_at_once(B), B, [uploaded(0)])
    world.clock.advance(4)
    world.wake()
    content = world.ingest.read(seal_name(STREAM, FIRST))
    assert content is not None
    seal = decode_record(Seal, content)
    assert (seal.session, seal.broadcast, seal.last_index) == (1, 1, 2)
    assert (seal.next_media_sequence, seal.next_discontinuity_sequence) == (3, 1)
    assert [new.name for _, new in world.ingest.log].count(seal_name(STREAM, FIRST)) == 1


def test_a_session_without_segments_counts_no_discontinuity() -> None:
    world = on_air(3)
    world.clock.advance(4)
    world.claim_at_once(B)
    world.clock.advance(8)
    third = world.claim_at_once(C)
    world.report(third, C, THREE)
    world.clock.advance(8)
    world.wake()
    assert listed(world) == [
        *((1, index, False) for index in range(3)),
        *((3, index, False) for index in range(3)),
    ]
    assert world.document.window[-1].media_sequence == 5
    assert world.document.window[-1].discontinuity_sequence == 1


def test_a_stream_goes_live_with_what_players_need_to_start() -> None:
    """Three target durations in every rendition; a broadcast that is cut off before shows what it has."""
    world = World()
    session = world.claim(A)
    assert world.wake().state is StreamState.IDLE
    world.report(session, A, [*THREE[:2], uploaded(2, SLOTS[:1])])
    assert world.wake().state is StreamState.IDLE
    assert not world.playlists()
    world.report_later(session, A, THREE)
    assert world.wake().state is StreamState.LIVE
    assert len(listed(world)) == 3


def test_a_broadcast_that_is_cut_off_before_players_can_start_is_a_broadcast() -> None:
    """What was verified in the bucket is never lost for viewers."""
    world = on_air(1)
    assert not world.playlists()
    world.clock.advance(SILENCE)
    assert world.wake().state is StreamState.INTERRUPTED
    assert listed(world) == [(1, 0, False)]


@pytest.mark.parametrize(("seconds", "state"), [(9.9, StreamState.LIVE), (10, StreamState.INTERRUPTED)])
def test_a_silent_encoder_interrupts_its_broadcast(seconds: float, state: StreamState) -> None:
    world = on_air()
    world.clock.advance(seconds)
    assert world.wake().state is state


def test_an_encoder_that_ended_interrupts_its_broadcast_at_once() -> None:
    world = on_air(finished=True)
    assert world.document.state is StreamState.INTERRUPTED
    assert not ended(world)


def test_a_session_that_was_over_before_anybody_looked_still_ends() -> None:
    """Its wake-ups were lost; it must not stay idle, for then nothing would ever write its ENDLIST."""
    world = on_air(finished=True)
    assert world.document.since == EPOCH
    world.clock.advance(60)
    assert world.wake().state is StreamState.ENDED
    assert ended(world)


def test_the_reconnect_window_runs_from_the_last_media() -> None:
    """Not from the wake-up that noticed the silence, which may be late."""
    world = on_air(reconnect_window=60)
    world.clock.advance(45)
    assert world.wake().since == EPOCH
    world.clock.advance(14.9)
    assert world.wake().state is StreamState.INTERRUPTED
    world.clock.advance(0.1)
    assert world.wake().state is StreamState.ENDED
    assert ended(world)


def test_an_encoder_that_was_cut_off_comes_back_without_a_discontinuity() -> None:
    world = on_air(3)
    world.clock.advance(30)
    assert world.wake().state is StreamState.INTERRUPTED
    world.report(FIRST, A, [*THREE, uploaded(3)])
    assert world.wake().state is StreamState.LIVE
    assert listed(world) == [(1, index, False) for index in range(4)]
    assert "#EXT-X-DISCONTINUITY\n" not in world.playlist(SLOTS[0])


def test_a_broadcaster_who_returns_within_the_window_goes_on_with_one_discontinuity() -> None:
    world = on_air(3, finished=True)
    world.clock.advance(59)
    world.wake()
    second = world.claim(B)
    world.clock.advance(5)
    assert world.wake().state is StreamState.INTERRUPTED
    world.report(second, B, THREE)
    assert world.wake().state is StreamState.LIVE
    assert listed(world) == [
        *((1, index, False) for index in range(3)),
        *((2, index, False) for index in range(3)),
    ]
    assert world.document.ended_broadcasts == 0


def test_without_a_reconnect_window_an_end_is_an_end() -> None:
    world = on_air(reconnect_window=0, finished=True)
    assert world.document.state is StreamState.ENDED
    assert ended(world)


def test_without_a_reconnect_window_a_newcomer_is_still_given_time_for_its_first_segment() -> None:
    world = on_air(reconnect_window=0)
    world.clock.advance(SILENCE - 1)
    world.claim(B)
    world.clock.advance(PATIENCE - 0.1)
    assert world.wake().state is StreamState.LIVE
    world.clock.advance(0.1)
    assert world.wake().state is StreamState.ENDED


def test_a_newcomer_with_segments_keeps_the_broadcast_open_however_late_anybody_looks() -> None:
    """The wake-ups that would have sealed the session before and published the newcomer's were lost."""
    world = on_air(reconnect_window=0)
    world.clock.advance(5)
    second = world.claim(B)
    world.clock.advance(100)
    world.report(second, B, [uploaded(index) for index in range(40)])
    assert world.wake().state is StreamState.LIVE
    assert listed(world)[-1] == (2, 39, False)
    assert world.document.ended_broadcasts == 0


def test_a_newcomer_without_segments_reopens_the_reconnect_window_once() -> None:
    world = on_air(reconnect_window=60, finished=True)
    world.clock.advance(50)
    world.claim(B)
    world.clock.advance(59)
    assert world.wake().state is StreamState.INTERRUPTED
    world.clock.advance(1)
    assert world.wake().state is StreamState.ENDED
    assert is_complete(world.document)


def test_a_sealed_session_keeps_nothing_on_air() -> None:
    """Whether its timeline was read once more must not decide what the stream's state is."""
    world = on_air(3)
    world.clock.advance(4)
    world.claim_at_once(B)
    world.report(FIRST, A, THREE)
    world.clock.advance(PATIENCE)
    assert world.wake().state is StreamState.INTERRUPTED
    assert world.wake().state is StreamState.INTERRUPTED


def returned(pause: timedelta) -> tuple[World, SessionNumber]:
    """A broadcaster is back *pause* after the end of what it had sent."""
    world = World()
    first = world.claim(A, start=EPOCH)
    world.report(first, A, THREE, ended=True)
    world.wake()
    world.release(first)
    second = world.claim(B, start=EPOCH + 3 * SEGMENT + pause)
    world.report_later(second, B, [uploaded(0)])
    world.wake()
    return world, second


@pytest.mark.parametrize("pause", [4, 50])
def test_after_a_pause_a_session_begins_with_three_segments(pause: int) -> None:
    """Players have run dry: with less they would never have anything in hand again."""
    world, second = returned(timedelta(seconds=pause))
    assert listed(world) == [(1, index, False) for index in range(3)]
    assert world.document.state is StreamState.INTERRUPTED
    world.report_later(second, B, [uploaded(0), uploaded(1)])
    world.wake()
    assert listed(world)[-1] == (1, 2, False)
    world.report_later(second, B, THREE)
    assert world.wake().state is StreamState.LIVE
    assert listed(world) == [(session, index, False) for session in (1, 2) for index in range(3)]


def test_where_players_still_have_something_in_hand_a_session_begins_at_once() -> None:
    world, _ = returned(timedelta(seconds=3.9))
    assert listed(world)[-1] == (2, 0, False)


def test_one_segment_is_all_that_a_session_has_if_it_ended() -> None:
    world, second = returned(timedelta(seconds=4))
    world.report_later(second, B, [uploaded(0)], ended=True)
    world.wake()
    assert listed(world)[-1] == (2, 0, False)


def test_one_segment_is_all_that_a_session_has_if_it_fell_silent() -> None:
    """Its broadcast must not be kept from its end."""
    world, _ = returned(timedelta(seconds=4))
    world.clock.advance(20)
    world.wake()
    assert listed(world)[-1] == (2, 0, False)
    world.clock.advance(2000)
    assert world.wake().state is StreamState.ENDED


def test_a_broadcaster_who_changes_its_source_is_not_gone() -> None:
    """Its session ended, and its next one is about to be claimed: no window opens, however short it is."""
    world = on_air(reconnect_window=0)
    world.report_later(FIRST, A, THREE, ended=True, continues=True)
    assert world.wake().state is StreamState.LIVE
    world.clock.advance(1)
    second = world.claim_at_once(B)
    assert world.wake().state is StreamState.LIVE
    world.report_later(second, B, THREE)
    assert world.wake().state is StreamState.LIVE
    assert listed(world)[-1] == (2, 2, False)


def test_a_broadcaster_whose_next_session_never_comes_is_gone() -> None:
    world = on_air(reconnect_window=0)
    world.report_later(FIRST, A, THREE, ended=True, continues=True)
    world.clock.advance(SILENCE)
    assert world.wake().state is StreamState.ENDED


def test_what_lies_in_the_bucket_is_found_where_timelines_leave_a_hole() -> None:
    """An encoder was lost before it said what it had uploaded, and its replacement went on behind that."""
    world = on_air(3)
    world.upload(FIRST, uploaded(3))
    world.upload(FIRST, uploaded(4, SLOTS[:1], gaps=SLOTS[1:2]))
    world.report_later(FIRST, B, [uploaded(5), uploaded(6)])
    world.wake()
    assert listed(world)[-3:] == [(1, 4, False), (1, 5, False), (1, 6, False)]
    assert listed(world, 1)[-3:] == [(1, 4, True), (1, 5, False), (1, 6, False)]
    assert listed(world, 2)[-1] == (1, 3, False)  # not decided there


def test_what_was_uploaded_and_never_announced_is_published_before_the_seal() -> None:
    """The encoder was killed between upload and timeline: what was verified is not lost."""
    world = on_air(3)
    world.upload(FIRST, uploaded(3))
    world.upload(FIRST, uploaded(4, SLOTS[1:]))
    world.clock.advance(SILENCE)
    world.claim(B)
    world.clock.advance(5)
    world.wake()
    assert listed(world) == [*((1, index, False) for index in range(4)), (1, 4, True)]
    assert listed(world, 1)[-1] == (1, 4, False)


def test_only_what_continues_the_line_is_found_behind_a_silent_encoder() -> None:
    world = on_air(3)
    world.upload(FIRST, uploaded(4))
    world.clock.advance(SILENCE)
    world.wake()
    assert listed(world)[-1] == (1, 2, False)


def test_a_first_session_that_is_replaced_before_players_can_start_begins_nothing() -> None:
    """However many wake-ups were lost: the newcomer goes on with the same broadcast, or is waited for."""
    for wakes in ((), (9, 12), (11, 13)):
        world = World()
        world.report(world.claim(A), A, [uploaded(0)])
        world.clock.advance(5)
        second = world.claim(B)
        world.clock.advance(3)
        world.report(second, B, [uploaded(0)])
        for at in (*wakes, 15):
            world.clock.time = EPOCH + timedelta(seconds=at)
            assert world.wake().state is StreamState.IDLE
        world.clock.advance(4)
        assert world.wake().state is StreamState.INTERRUPTED
        assert listed(world) == [(1, 0, False), (2, 0, False)]


def test_an_end_ends_newcomers_too() -> None:
    """`POST .../end` closes the broadcast at once, whatever is on its way into it."""
    world = on_air(3)
    world.clock.advance(4)
    second = world.claim_at_once(B)
    world.streams.end(STREAM)
    world.wake()
    assert ended(world)
    world.clock.advance(2)
    world.report(second, B, [uploaded(0)])
    world.wake()
    assert {session for session, _, _ in listed(world)} == {1}


def test_a_claim_after_an_end_belongs_to_the_next_broadcast_even_before_the_seal() -> None:
    world = on_air(3)
    world.clock.advance(4)
    world.streams.end(STREAM)
    second = world.claim_at_once(B)
    world.report(second, B, THREE)
    world.wake()
    assert listed(world) == [(2, 0, False), (2, 1, False), (2, 2, False)]
    assert not ended(world)
    assert world.document.state is StreamState.LIVE
    assert world.document.window[0].media_sequence == 3
    assert world.document.window[0].discontinuity_sequence == 1


def test_a_broadcast_gets_its_endlist_even_if_the_next_one_is_there_already() -> None:
    """Its viewers are told that it is over, for as long as any object has to stay."""
    world = on_air(3)
    world.clock.advance(4)
    world.streams.end(STREAM)
    world.report(world.claim_at_once(B), B, THREE)
    world.wake()
    for slot in SLOTS:
        written = [new.content for _, new in world.media.log if new.name == f"{STREAM}/{slot}/playlist.m3u8"]
        assert [content.endswith(b"#EXT-X-ENDLIST\n") for content in written] == [False, True, False]


def test_endlist_stays_until_players_can_start_in_the_next_broadcast() -> None:
    world = on_air(3)
    world.clock.advance(4)
    world.streams.end(STREAM)
    world.wake()
    world.clock.advance(100)
    second = world.claim(B)
    world.wake()
    assert ended(world)
    world.report(second, B, THREE[:2])
    world.wake()
    assert ended(world)
    world.report_later(second, B, THREE)
    world.wake()
    assert listed(world) == [(2, 0, False), (2, 1, False), (2, 2, False)]
    assert not ended(world)


def test_a_broadcast_can_be_ended_before_players_can_start() -> None:
    """From its first segment: who ends a broadcast must not be told that there is none, and see it go on."""
    world = on_air(1)
    world.clock.advance(2)
    world.streams.end(STREAM)
    assert world.wake().state is StreamState.ENDED
    assert listed(world) == [(1, 0, False)]
    assert ended(world)


def test_a_stream_that_is_not_on_air_cannot_be_ended() -> None:
    world = World()
    with pytest.raises(IllegalTransition):
        world.streams.end(STREAM)
    world = on_air(3)
    world.streams.end(STREAM)
    with pytest.raises(IllegalTransition):
        world.streams.end(STREAM)


def test_a_rung_that_is_missing_in_one_session_is_filled_there_only() -> None:
    world = World()
    first = world.claim(A, SLOTS[:1])
    world.report(first, A, [uploaded(0, SLOTS[:1])], ended=True)
    world.wake()
    world.clock.advance(5)
    world.report(world.claim(B), B, THREE)
    world.wake()
    uris = [line for line in world.playlist(SLOTS[2]).splitlines() if not line.startswith("#")]
    assert uris == [
        "../720p/segment_00000001_0000000000.ts",
        *(f"segment_00000002_{index:010d}.ts" for index in range(3)),
    ]


def test_the_document_forgets_what_nobody_lists() -> None:
    """Sessions and segments; after forty sessions it is no larger than after a few."""
    world = World()
    sizes = []
    for number in range(40):
        encoder = EncoderId(f"e{number}")
        session = world.claim_at_once(encoder)
        world.report(session, encoder, [uploaded(index) for index in range(3)], ended=True)
        world.wake()
        world.clock.advance(5)
        sizes.append((len(world.document.sessions), len(world.document.window), len(world.document.objects)))
    assert max(sizes) == max(sizes[:6])
    assert sizes[-1] == (2, 6, 5)


def joined(*segments: TimelineSegment) -> JoinedTimeline:
    return JoinedTimeline(media_at=EPOCH, segments={segment.index: segment for segment in segments})


@pytest.mark.parametrize(
    ("named", "asked"),
    [
        ((0, 1, 2), ()),
        ((4,), (3,)),
        ((1, 4, 6), (3, 5)),
        ((70, 140), (*range(6, 70), *range(71, 140))),
        ((0, 200), tuple(range(136, 200))),
        ((2, 200), tuple(range(136, 200))),  # no more than a timeline behind what is named and not published
    ],
)
def test_what_no_timeline_names_is_asked_for_by_name(named: tuple[int, ...], asked: tuple[int, ...]) -> None:
    assert holes(on_air(3).document, FIRST, joined(*map(uploaded, named))) == asked


def test_behind_a_timeline_is_looked_only_where_its_encoder_may_be_gone() -> None:
    """It fell silent, or another session follows; behind a seal nothing is looked for."""
    world = on_air(3)
    alone, timeline = world.document, joined(*THREE)
    talking, silent = EPOCH + timedelta(seconds=SILENCE - 0.1), EPOCH + timedelta(seconds=SILENCE)
    assert next_unannounced(alone, FIRST, timeline, now=talking) is None
    assert next_unannounced(alone, FIRST, timeline, now=silent) == 3
    assert next_unannounced(alone, FIRST, replace(timeline, segments={}), now=silent) == 3
    assert next_unannounced(alone, FIRST, joined(*THREE, uploaded(7)), now=silent) == 8
    world.claim_at_once(B)
    assert next_unannounced(world.document, FIRST, timeline, now=talking) == 3
    assert next_unannounced(sealing(world.document), FIRST, timeline, now=silent) is None


def sealing(document: StreamDocument) -> StreamDocument:
    """*document* with the seal of its first session decided, and not written yet."""
    first = document.sessions[0]
    seal = Seal(
        stream=STREAM,
        session=first.session,
        broadcast=first.broadcast,
        last_index=2,
        next_media_sequence=document.next_media_sequence,
        next_discontinuity_sequence=document.next_discontinuity_sequence,
    )
    return replace(document, sessions=(replace(first, seal=seal), *document.sessions[1:]))


def between_others(*segments: TimelineSegment) -> StreamDocument:
    """A document with *segments* of session 2 in its window, and segments 0 and 3 of sessions 1 and 3."""
    document = on_air(3).document
    (session,) = document.sessions

    def shown(number: int, segment: TimelineSegment) -> WindowSegment:
        return replace(
            document.window[0],
            session=SessionNumber(number),
            index=segment.index,
            rungs=decided_rungs(segment),
        )

    others = [uploaded(0, SLOTS[:1]), uploaded(3)]
    return replace(
        document,
        sessions=tuple(replace(session, session=SessionNumber(number)) for number in (1, 2, 3)),
        window=(
            *(shown(1, segment) for segment in others),
            *(shown(2, segment) for segment in segments),
            *(shown(3, segment) for segment in others),
        ),
    )


def test_undecided_is_what_neither_the_window_nor_a_timeline_decides() -> None:
    document = between_others(uploaded(6, SLOTS[:1]), uploaded(7, SLOTS[:1]))
    timeline = joined(uploaded(9, SLOTS[:1]), uploaded(8), uploaded(7, SLOTS[1:]))
    assert undecided(document, SessionNumber(2), timeline) == (6, 9)


def test_a_broadcast_is_complete_when_it_is_over_and_all_its_sessions_are_sealed() -> None:
    world = on_air(3)
    world.clock.advance(4)
    world.report(world.claim_at_once(B), B, [uploaded(0)])
    world.clock.advance(4)
    document = world.wake()
    assert document.sessions[0].sealed
    assert not is_complete(document)
    assert not is_complete(end_broadcast(document, now=world.clock.now()))
    world.streams.end(STREAM)
    document = world.wake()
    assert is_complete(document)
    assert not is_followed(document)
    world.claim_at_once(C)
    assert is_followed(world.document)


def test_nothing_takes_the_place_of_a_broadcast_before_its_endlist_is_written() -> None:
    world = on_air(3)
    world.clock.advance(4)
    world.streams.end(STREAM)
    before = world.wake()
    world.report(world.claim_at_once(B), B, THREE)
    for is_written in (False, True):
        evidence = world.publisher._reader.evidence(
            world.document, is_written=is_written, now=world.clock.now()
        )
        document = advance(world.document, evidence, now=world.clock.now())
        assert (document.window == before.window) is not is_written


@pytest.mark.parametrize(("start", "last"), [(9.0, 4), (8.999, 3)])
def test_a_session_shows_a_second_beyond_the_start_of_the_next_and_no_more(start: float, last: int) -> None:
    """RFC 8216bis, 6.2.1."""
    world = World()
    first = world.claim(A, start=EPOCH)
    world.report(first, A, THREE)
    world.release(first)
    world.claim(B, start=EPOCH + timedelta(seconds=start))
    world.report_later(first, A, [uploaded(index) for index in range(9)])
    world.wake()
    assert listed(world)[-1] == (1, last, False)


def test_a_seal_behind_a_hole_keeps_what_was_listed() -> None:
    """P2: only what no timeline reaches back to begins anew."""
    world = on_air(3)
    world.report_later(FIRST, A, [*THREE, uploaded(4)])
    world.claim_at_once(B)
    world.clock.advance(4)
    world.wake()
    assert listed(world) == [(1, index, index == 3) for index in range(5)]


def test_a_seal_gives_up_no_more_than_a_timeline_holds() -> None:
    """However far behind what was published an encoder has gone on."""
    world = on_air(3)
    end = 1000
    world.report_later(FIRST, A, [uploaded(index) for index in range(end - 10, end)])
    world.claim_at_once(B)
    world.clock.advance(4)
    world.wake()
    names = [segment_name(STREAM, SLOTS[0], FIRST, SegmentIndex(index)) for index in range(end - 64, end - 10)]
    assert [name for name, how in world.decided().items() if how == "gap" and SLOTS[0] in name] == names


def test_a_session_lists_its_own_rungs_only() -> None:
    """What a later session has of the same index is not its own."""
    world = World()
    world.report(world.claim(A, SLOTS[:1]), A, [uploaded(0, SLOTS[:1])], ended=True)
    world.wake()
    world.clock.advance(5)
    world.report(world.claim(B), B, THREE)
    world.wake()
    assert [set(segment.rungs) for segment in world.document.window] == [
        {SLOTS[0]},
        *(set(SLOTS) for _ in range(3)),
    ]


def reported(document: StreamDocument, *segments: TimelineSegment, at: datetime = EPOCH) -> Evidence:
    """All that is known of the newest session of *document*."""
    newest = document.sessions[-1].session
    timeline = replace(joined(*segments), media_at=at)
    return Evidence(timelines={newest: timeline}, seals={}, is_written=True)


def shown_first(document: StreamDocument, *segments: TimelineSegment) -> StreamDocument:
    """*document*, of one session, with *segments* in its window."""
    window = tuple(
        replace(document.window[0], index=segment.index, rungs=decided_rungs(segment)) for segment in segments
    )
    return replace(document, window=window)


def test_what_later_segments_of_its_rung_have_overtaken_is_named_with_its_place_and_its_witnesses() -> None:
    """What a timeline knows of it counts; else the grid says where it lies."""
    document = on_air(3).document
    moved = replace(uploaded(3, SLOTS[:2]), start=timedelta(seconds=6.5), duration=timedelta(seconds=1.5))
    found = overtaken(document, reported(document, moved, uploaded(5)), now=EPOCH)
    assert [(one.rung, one.index, one.witness_rung, one.witnesses) for one in found] == [
        *((rung, 4, rung, (5,)) for rung in SLOTS[:2]),
        *((SLOTS[2], index, SLOTS[2], (5,)) for index in (3, 4)),
    ]
    start = document.sessions[0].start
    assert [(one.session, one.start.total_seconds(), one.duration.total_seconds()) for one in found[1:]] == [
        (1, 8, 2),
        (1, 6.5, 1.5),
        (1, 8, 2),
    ]
    assert [one.date - start for one in found] == [one.start for one in found]


def test_a_session_before_its_first_published_segment_waits_for_all_from_the_first() -> None:
    world = World()
    world.claim(A)
    found = overtaken(world.wake(), reported(world.document, uploaded(2)), now=EPOCH)
    assert [(one.rung, one.index) for one in found] == [(rung, index) for rung in SLOTS for index in (0, 1)]


def test_nothing_is_overtaken_where_nothing_is_known() -> None:
    world = World()
    world.claim(A)
    assert overtaken(world.wake(), reported(world.document), now=EPOCH) == ()


def test_what_is_overtaken_has_eight_witnesses_the_first_behind_it() -> None:
    """P8: an outage of many segments costs no more reads than one of a few."""
    document = on_air(3).document
    found = overtaken(document, reported(document, *map(uploaded, range(4, 30))), now=EPOCH)
    assert [one.witnesses for one in found] == [tuple(range(4, 12))] * len(SLOTS)


def test_a_rung_without_segments_is_overtaken_by_another_when_half_a_timeline_has_passed_it() -> None:
    """Its encoder is gone, or hangs; before it falls out of the timelines it is given up."""
    document = on_air(3).document
    for last, found in ((34, ()), (35, ((SLOTS[2], 3, (35,)),))):
        evidence = reported(document, *(uploaded(index, SLOTS[:2]) for index in range(3, last + 1)))
        named = overtaken(document, evidence, now=EPOCH)
        assert tuple((one.rung, one.index, one.witnesses) for one in named) == found
        assert all(one.witness_rung in SLOTS[:2] for one in named)


def test_no_more_is_overtaken_than_a_timeline_holds() -> None:
    """P8: what lies further behind is of no use to anybody."""
    document = on_air(3).document
    found = overtaken(document, reported(document, uploaded(200)), now=EPOCH)
    assert [one.index for one in found if one.rung == SLOTS[0]] == list(range(137, 200))


def test_another_session_s_segments_overtake_nothing_and_are_not_waited_for() -> None:
    document = between_others(uploaded(2, SLOTS[:2]))
    timelines = {SessionNumber(2): joined(uploaded(4))}
    evidence = Evidence(timelines=timelines, seals={}, is_written=True)
    found = [one for one in overtaken(document, evidence, now=EPOCH) if one.session == 2]
    assert [(one.rung, one.index, one.witnesses) for one in found] == [
        (SLOTS[0], 3, (4,)),
        (SLOTS[1], 3, (4,)),
        (SLOTS[2], 2, (4,)),
        (SLOTS[2], 3, (4,)),
    ]


def test_nothing_is_given_up_of_a_session_that_has_no_record_or_that_is_being_sealed() -> None:
    """Of the one nothing may ever be published; what the other lacks, its seal decides."""
    document = on_air(3).document
    evidence = reported(document, uploaded(4))
    unrecorded = replace(document, sessions=(replace(document.sessions[0], recorded=False),))
    assert overtaken(document, evidence, now=EPOCH)
    assert overtaken(unrecorded, evidence, now=EPOCH) == ()
    assert overtaken(sealing(document), evidence, now=EPOCH) == ()


@pytest.mark.parametrize(
    ("finished", "seconds", "left"), [(False, 9.9, False), (False, 10, True), (True, 0, True)]
)
def test_what_is_overtaken_is_left_when_its_encoders_ended_or_are_silent(
    finished: bool,  # noqa: FBT001
    seconds: float,
    left: bool,  # noqa: FBT001
) -> None:
    document = on_air(3).document
    timeline = replace(joined(uploaded(4)), ended=finished)
    evidence = Evidence(timelines={FIRST: timeline}, seals={}, is_written=True)
    found = overtaken(document, evidence, now=EPOCH + timedelta(seconds=seconds))
    assert [one.is_left for one in found] == [left] * len(SLOTS)


@pytest.mark.parametrize(
    ("left", "written", "now", "long"),
    [
        (True, (), 100, False),  # its witnesses are gone
        (True, (4, 0, 2), 5.9, False),
        (True, (4, 0, 2), 6, True),
        (False, (4, 0, 2), 100, False),
        (False, (4, 0, 6, 2), 6, True),  # later ones may be verified earlier
        (False, (0, 3, 6), 6, True),
        (False, (0, 3.1, 6), 6, False),  # the longer pause is an outage
        (False, (0, 100, 103, 105.9), 200, False),
        (False, (0, 100, 103, 106), 200, True),
    ],
)
def test_three_segment_durations_in_which_something_was_written_are_long(
    left: bool,  # noqa: FBT001
    written: tuple[float, ...],
    now: float,
    long: bool,  # noqa: FBT001
) -> None:
    """Where an encoder is left only the bucket's clock counts, and no outage; else ours does."""
    document = on_air(3).document
    (one, *_) = overtaken(document, reported(document, uploaded(4)), now=EPOCH)
    waited = has_waited_long(
        replace(one, is_left=left),
        [EPOCH + timedelta(seconds=seconds) for seconds in written],
        segment_duration=timedelta(seconds=2),
        now=EPOCH + timedelta(seconds=now),
    )
    assert waited is long


def test_a_broadcast_that_is_over_stays_over_whatever_ended_since() -> None:
    world = on_air(3)
    world.clock.advance(4)
    world.streams.end(STREAM)
    document = world.wake()
    assert document.since == world.clock.now()
    for ended_broadcasts in (1, 2):
        later = replace(document, ended_broadcasts=ended_broadcasts)
        assert is_complete(later)
        assert has_begun(later)


def going_on(*timeline: int) -> tuple[int, ...]:
    """What is listed of a session, whose segments 0 to 2 are, with *timeline* in its timelines."""
    document = on_air(3).document
    return tuple(
        segment.index
        for segment in advance(document, reported(document, *map(uploaded, timeline)), now=EPOCH).window
    )


def test_a_hole_is_waited_for_until_a_whole_timeline_lies_behind_it() -> None:
    """Then nobody can report it any more, and the window moves past all that it held."""
    assert going_on(*range(10, 73)) == (0, 1, 2)
    assert going_on(*range(10, 74)) == (68, 69, 70, 71, 72, 73)
    assert going_on(*range(10, 90)) == (84, 85, 86, 87, 88, 89)
    # What lies before the hole is not behind it.
    assert going_on(*range(3), *range(10, 73)) == (0, 1, 2)


def test_nothing_of_a_session_without_a_record_is_ever_published() -> None:
    """Also not by its seal: nobody knows what rungs it has, or when it began."""
    world = World()
    session = world.claim(A)
    world.report(session, A, THREE)
    del world.ingest.objects[session_record_name(STREAM, session)]
    world.report(world.claim_at_once(B), B, THREE)
    world.clock.advance(4)
    world.wake()
    assert listed(world) == [(2, 0, False), (2, 1, False), (2, 2, False)]


def test_a_seal_that_is_decided_is_where_its_session_ends() -> None:
    """P7: what is reported between the decision and its record comes too late; what was open is filled."""
    document = on_air(3).document
    evidence = reported(sealing(document), *map(uploaded, range(6)))
    advanced = advance(sealing(document), evidence, now=EPOCH)
    assert [segment.index for segment in advanced.window] == [0, 1, 2]
    open_one = replace(document.window[2], rungs=decided_rungs(uploaded(2, SLOTS[:1])))
    holding_on = replace(sealing(document), window=(*document.window[:2], open_one))
    assert advance(holding_on, evidence, now=EPOCH).window == document.window


def test_a_seal_is_taken_once_however_often_it_is_read() -> None:
    """P2: the numbers of its session are counted once."""
    world = on_air(3)
    world.clock.advance(4)
    world.claim_at_once(B)
    world.clock.advance(4)
    document = world.wake()
    seal = document.sessions[0].seal
    assert seal is not None
    evidence = Evidence(timelines={}, seals={FIRST: seal}, is_written=True)
    assert advance(document, evidence, now=world.clock.now()) == document


@pytest.mark.parametrize(("seconds", "sealed"), [(3.9, False), (4, True)])
def test_a_session_drains_for_two_segments_and_no_longer(seconds: float, sealed: bool) -> None:  # noqa: FBT001
    world = on_air(3)
    world.clock.advance(4)
    world.claim_at_once(B)
    world.clock.advance(seconds)
    assert world.wake().sessions[0].sealed is sealed


def test_an_encoder_that_ended_is_not_sealed_before_another_session_follows() -> None:
    """Its replacement, which does not know yet that it is one, may still report."""
    world = on_air(3, finished=True)
    assert world.document.sessions[0].seal is None
    world.clock.advance(4)
    world.claim_at_once(B)
    assert world.wake().sessions[0].sealed


def test_a_session_of_a_single_segment_counts_a_discontinuity() -> None:
    world = World()
    world.report(world.claim(A), A, [uploaded(0)], ended=True)
    world.claim_at_once(B)
    document = world.wake()
    assert (document.next_media_sequence, document.next_discontinuity_sequence) == (1, 1)


def test_a_seal_waits_until_all_that_it_lacks_was_looked_for() -> None:
    """What is not in the bucket yet would be listed as nothing for ever."""
    document = on_air(3).document
    lacking = replace(document.window[2], rungs=decided_rungs(uploaded(2, SLOTS[:1])))
    pending = replace(sealing(document), window=(*document.window[:2], lacking))
    seal = pending.sessions[0].seal
    assert seal is not None
    keys = [(FIRST, SegmentIndex(2), rung) for rung in SLOTS[1:]]
    for found in ({}, {keys[0]: ListedAs.GAP}):
        evidence = Evidence(timelines={}, seals={FIRST: seal}, found=found, is_written=True)
        assert not advance(pending, evidence, now=EPOCH).sessions[0].sealed
    found = {keys[0]: ListedAs.GAP, keys[1]: ListedAs.SEGMENT}
    evidence = Evidence(timelines={}, seals={FIRST: seal}, found=found, is_written=True)
    sealed = advance(pending, evidence, now=EPOCH)
    assert sealed.sessions[0].sealed
    assert sealed.window == (
        *document.window[:2],
        replace(lacking, rungs=lacking.rungs | {SLOTS[1]: ListedAs.GAP, SLOTS[2]: ListedAs.SEGMENT}),
    )


def test_a_seal_fills_its_own_session_only() -> None:
    """Other sessions have segments of the same index."""
    document = between_others(uploaded(0, SLOTS[:1]))
    first, second, third = document.sessions
    seal = sealing(document).sessions[0].seal
    assert seal is not None
    decided = replace(seal, session=second.session, last_index=0)
    pending = replace(document, sessions=(replace(first, sealed=True), replace(second, seal=decided), third))
    found = {(second.session, SegmentIndex(0), rung): ListedAs.GAP for rung in SLOTS[1:]}
    evidence = Evidence(timelines={}, seals={second.session: decided}, found=found, is_written=True)
    advanced = advance(pending, evidence, now=EPOCH)
    assert advanced.sessions[1].sealed
    assert [s.rungs for s in advanced.window if s.session != 2] == [
        s.rungs for s in document.window if s.session != 2
    ]


def test_the_document_holds_no_more_than_two_timelines_of_segments() -> None:
    """P8: where a rung stands still, however long, and nothing decides what it lacks."""
    document = on_air(3).document
    for last in range(66, 200, 63):
        behind = [uploaded(index, SLOTS[:2]) for index in range(last - 63, last)]
        document = advance(document, reported(document, *behind), now=EPOCH)
    assert [segment.index for segment in document.window] == list(range(192 - 128, 192))


def test_a_window_moves_past_what_is_undecided_only_to_where_every_rendition_has_one() -> None:
    """One rung lacks a segment in six, and nobody decides it: playlists keep what they have."""
    document = on_air(3).document
    lacking = {index: SLOTS[: 2 if index % 6 == 0 else 3] for index in range(3, 140)}
    for last in (60, 100, 124):
        behind = [uploaded(index, lacking[index]) for index in range(last - 57, last)]
        document = advance(document, reported(document, *behind), now=EPOCH)
        assert document.window[0].index == 0
    lacking[96] = SLOTS
    behind = [uploaded(index, lacking[index]) for index in range(76, 140)]
    document = advance(document, reported(document, *behind), now=EPOCH)
    assert [segment.index for segment in document.window] == list(range(91, 140))


@pytest.mark.parametrize("published", [8, 20])
def test_many_lost_wake_ups_and_an_undecided_segment_leave_every_rendition_a_window(published: int) -> None:
    """RFC 8216bis, 6.2.2: whether the first of what timelines still hold continues what is listed or not."""
    world = on_air(published)
    world.clock.advance(160)
    world.report(FIRST, A, [uploaded(index, SLOTS[:1] if index == 21 else SLOTS) for index in range(20, 84)])
    world.wake()
    assert [listed(world, slot)[0] for slot in range(len(SLOTS))] == [(1, 78, False)] * 3
    playlist_history.check(world.media)


def test_a_window_that_is_too_long_begins_at_the_first_place_where_every_rendition_has_one() -> None:
    document = on_air(20).document
    segments = [uploaded(index, SLOTS[:1] if index == 21 else SLOTS) for index in range(20, 84)]
    advanced = advance(document, reported(document, *segments), now=EPOCH)
    assert [segment.index for segment in advanced.window] == list(range(22, 84))


def test_a_window_that_moves_on_may_begin_with_the_first_that_is_there() -> None:
    """Behind it a rung has exactly a window, and no more."""
    document = on_air(3).document
    segments = [uploaded(index, SLOTS[:2] if index == 16 else SLOTS) for index in range(10, 74)]
    advanced = advance(document, reported(document, *segments), now=EPOCH)
    assert [segment.index for segment in advanced.window] == list(range(10, 74))


def test_a_window_stays_where_nothing_behind_what_was_lost_is_decided_in_every_rung() -> None:
    world = on_air(8)
    world.clock.advance(160)
    evens = [uploaded(index, SLOTS if index % 2 else SLOTS[:1]) for index in range(20, 84)]
    world.report(FIRST, A, evens)
    world.wake()
    assert listed(world, 1)[-1] == (1, 7, False)
    playlist_history.check(world.media)


def test_a_seal_does_not_move_to_the_little_that_is_in_time() -> None:
    """Of an encoder that went on and on nothing counts behind the start of its successor."""
    world = World()
    world.claim(A, start=EPOCH)
    world.report_later(FIRST, A, [uploaded(index) for index in range(8)])
    world.wake()
    world.release(FIRST)
    world.claim(B, start=EPOCH + 101 * SEGMENT)
    world.report_later(FIRST, A, [uploaded(index) for index in range(100, 164)])
    world.clock.advance(4)
    world.wake()
    assert listed(world)[-1] == (1, 7, False)
    playlist_history.check(world.media)


def test_a_window_that_moves_past_what_it_held_keeps_nothing_of_it() -> None:
    """Numbers are dense, also where a rung stood still before, and where another hole follows."""
    document = shown_first(on_air(3).document, uploaded(0), uploaded(1), uploaded(2, SLOTS[:2]))
    evidence = reported(document, *map(uploaded, range(10, 41)), *map(uploaded, range(45, 90)))
    assert [segment.index for segment in advance(document, evidence, now=EPOCH).window] == list(range(35, 41))


def test_a_seal_that_moves_past_what_was_listed_keeps_nothing_of_it() -> None:
    """A zombie has gone on for minutes, and its successor began in between."""
    world = on_air(3)
    start = world.document.sessions[0].start
    world.release(FIRST)
    world.claim(B, start=start + timedelta(seconds=304))
    world.report_later(FIRST, A, [uploaded(index) for index in range(200, 210)])
    world.clock.advance(4)
    world.wake()
    assert [index for _, index, _ in listed(world)] == list(range(146, 152))


def test_a_seal_costs_no_more_the_longer_its_session_was() -> None:
    """P8: twenty years of segments were never published, but for the last."""
    world = World()
    session = world.claim(A)
    last = 300_000_000
    world.report(session, A, [uploaded(index) for index in range(last - 10, last)], ended=True)
    world.claim_at_once(B)
    world.wake()
    assert [index for _, index, _ in listed(world)] == list(range(last - 6, last))


def test_a_window_that_moves_on_begins_with_the_first_that_is_there_in_whatever_order_they_were_named() -> None:
    document = on_air(3).document
    segments = [uploaded(index, SLOTS[:2] if index in (12, 20) else SLOTS) for index in range(10, 75)]
    advanced = advance(document, reported(document, *reversed(segments)), now=EPOCH)
    assert [segment.index for segment in advanced.window] == list(range(14, 75))
    advanced = advance(document, reported(document, *reversed(segments[:64])), now=EPOCH)
    assert [segment.index for segment in advanced.window] == list(range(14, 74))


@pytest.mark.parametrize("named", [SLOTS[1:], SLOTS])
def test_a_rung_that_is_decided_later_changes_nothing_of_the_others(named: tuple[RungName, ...]) -> None:
    """P2: also where timelines have lost what was listed, or call it something else."""
    document = shown_first(on_air(3).document, uploaded(0, (), SLOTS[:1]))
    (segment,) = advance(document, reported(document, uploaded(0, named)), now=EPOCH).window
    assert segment.rungs == {
        SLOTS[0]: ListedAs.GAP,
        SLOTS[1]: ListedAs.SEGMENT,
        SLOTS[2]: ListedAs.SEGMENT,
    }


def test_what_another_session_lists_is_no_segment_of_this_one() -> None:
    assert holes(between_others(uploaded(1)), SessionNumber(2), joined(uploaded(5))) == (2, 3, 4)


def test_a_seal_is_what_its_record_says_whoever_decided_it() -> None:
    """P7: another publisher was first, and knew of one segment less."""
    document = on_air(3).document
    pending = sealing(document)
    decided = pending.sessions[0].seal
    assert decided is not None
    written = replace(decided, last_index=1, next_media_sequence=MediaSequenceNumber(2))
    evidence = Evidence(timelines={}, seals={FIRST: written}, is_written=True)
    assert advance(pending, evidence, now=EPOCH).sessions[0].seal == written


@pytest.mark.parametrize(("last", "following"), [(4, 5), (2, 3), (1, 3)])
def test_numbers_go_on_behind_what_the_seal_covers_and_behind_what_is_listed(last: int, following: int) -> None:
    """P2: a document that was rebuilt may have listed less, or more, than the lost one had at its seal."""
    document = on_air(3).document
    pending = sealing(document)
    decided = pending.sessions[0].seal
    assert decided is not None
    written = replace(decided, last_index=last, next_media_sequence=MediaSequenceNumber(last + 1))
    evidence = Evidence(timelines={}, seals={FIRST: written}, is_written=True)
    advanced = advance(pending, evidence, now=EPOCH)
    assert (advanced.next_media_sequence, advanced.next_discontinuity_sequence) == (following, 1)


def test_a_seal_counts_the_discontinuity_of_what_is_gone() -> None:
    """P2: a document that was rebuilt has listed nothing of a session whose media was deleted."""
    pending = replace(sealing(on_air(3).document), window=(), state=StreamState.IDLE)
    decided = pending.sessions[0].seal
    assert decided is not None
    written = replace(decided, next_discontinuity_sequence=DiscontinuitySequenceNumber(1))
    evidence = Evidence(timelines={}, seals={FIRST: written}, is_written=True)
    assert advance(pending, evidence, now=EPOCH).next_discontinuity_sequence == 1


def test_a_stream_says_since_when_it_is_what_it_is() -> None:
    """By its broadcaster's last sign of life, however late anybody noticed."""
    world = World()
    world.clock.advance(100)
    session = world.claim(A)
    world.report_later(session, A, THREE)
    world.clock.advance(1)
    live = world.wake()
    assert (live.state, live.since) == (StreamState.LIVE, EPOCH + timedelta(seconds=102))
    world.report_later(session, A, THREE)
    world.clock.advance(30)
    gone = world.wake()
    assert (gone.state, gone.since) == (StreamState.INTERRUPTED, EPOCH + timedelta(seconds=105))


def test_a_broadcast_stays_interrupted_until_its_newcomer_s_media_is_published() -> None:
    world = on_air(3, finished=True)
    world.clock.advance(2)
    world.claim_at_once(B)
    assert world.wake().sessions[0].sealed
    assert world.wake().state is StreamState.INTERRUPTED


def test_a_session_that_never_reported_is_looked_for_when_patience_with_it_is_over() -> None:
    """Its encoder may have been killed between its first upload and its first timeline."""
    world = World()
    world.claim(A)
    document = world.wake()
    nothing = JoinedTimeline(segments={})
    for seconds, index in ((PATIENCE - 0.1, None), (PATIENCE, 0), (PATIENCE + 1, 0)):
        assert next_unannounced(document, FIRST, nothing, now=EPOCH + timedelta(seconds=seconds)) == index


def test_a_newcomer_s_claim_is_the_last_that_was_heard_of_a_broadcast_whose_session_is_sealed() -> None:
    """It never had a segment. What the encoder of a sealed session says is not heard, read or not (P3)."""
    world = on_air(3)
    world.clock.advance(5)
    world.claim(B)
    world.report_later(FIRST, A, THREE)
    world.clock.advance(8)
    document = world.wake()
    assert document.sessions[0].sealed
    talking = replace(joined(*THREE), media_at=EPOCH + timedelta(seconds=7))
    for timelines in ({}, {FIRST: talking}):
        evidence = Evidence(timelines=timelines, seals={}, is_written=True)
        interrupted = advance(document, evidence, now=EPOCH + timedelta(seconds=20))
        assert interrupted.state is StreamState.INTERRUPTED
        assert interrupted.since == EPOCH + timedelta(seconds=5)


def test_a_broadcast_is_heard_of_by_a_claim_before_what_was_claimed_is_published() -> None:
    world = World()
    world.report(world.claim(A), A, THREE)
    world.clock.advance(5)
    world.claim(B)
    assert world.wake().state is StreamState.LIVE
    assert world.document.since == EPOCH + timedelta(seconds=5)


def test_a_broadcast_is_heard_of_as_long_as_its_newest_session_is() -> None:
    world = on_air(3, finished=True)
    world.clock.advance(9)
    second = world.claim(B)
    world.report_later(second, B, THREE)
    assert world.wake().state is StreamState.LIVE
    world.clock.advance(SILENCE)
    assert world.wake().state is StreamState.INTERRUPTED
    assert world.document.since == EPOCH + timedelta(seconds=11)


def test_who_returns_just_before_the_reconnect_window_ends_has_time_for_a_first_segment() -> None:
    world = on_air(3, reconnect_window=1, finished=True)
    world.clock.advance(0.5)
    world.claim_at_once(B)
    world.clock.advance(PATIENCE - 0.1)
    assert world.wake().state is StreamState.INTERRUPTED
    world.clock.advance(0.1)
    assert world.wake().state is StreamState.ENDED


def test_a_broadcaster_who_left_is_gone_although_it_came_only_just_before() -> None:
    """Sessions that are shown are not waited for."""
    world = on_air(3)
    world.clock.advance(1)
    second = world.claim_at_once(B)
    world.report(FIRST, A, THREE, ended=True)
    world.report_later(second, B, [uploaded(0)], ended=True)
    assert world.wake().state is StreamState.INTERRUPTED
    assert listed(world)[-1] == (2, 0, False)


def test_a_newcomer_whose_record_never_came_is_waited_for_no_longer_than_others() -> None:
    """Whatever it says that it has uploaded can never be published."""
    world = on_air(3, reconnect_window=0)
    world.clock.advance(5)
    second = world.claim(B)
    del world.ingest.objects[session_record_name(STREAM, second)]
    world.report(second, B, THREE)
    world.clock.advance(PATIENCE)
    assert world.wake().state is StreamState.ENDED


def test_a_broadcast_that_is_first_published_by_a_seal_starts_with_none_of_the_old_segments() -> None:
    """Its encoder was lost before it had decided its first segment; an ENDLIST is never taken back."""
    world = on_air(3)
    world.clock.advance(4)
    world.streams.end(STREAM)
    world.wake()
    world.clock.advance(10)
    world.report(world.claim(B), B, [uploaded(index) for index in range(1, 4)])
    world.claim_at_once(C)
    world.clock.advance(4)
    world.wake()
    assert listed(world) == [(2, index, index == 0) for index in range(4)]
    playlist_history.check(world.media)


@pytest.mark.parametrize("wakes", [(), (15,)])
def test_a_reconnect_window_runs_out_alike_however_many_wakeups_were_lost(wakes: tuple[float, ...]) -> None:
    """P3: a newcomer had no segment, and the encoder that it replaced went on for two seconds."""
    world = on_air(3, reconnect_window=60)
    world.clock.advance(5)
    world.claim(B)
    world.report_later(FIRST, A, THREE)
    for at in (*wakes, 66):
        world.clock.time = EPOCH + timedelta(seconds=at)
        world.wake()
    assert world.document.since == EPOCH + timedelta(seconds=66)
    assert ended(world)
