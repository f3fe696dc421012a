"""Publication by example; what holds for every history is in test_publication_properties.py."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from bucketcast.errors import IllegalTransition
from bucketcast.hls import MediaPlaylist, parse
from bucketcast.records import decode_record
from bucketcast.stream.document import StreamDocument, WindowSegment, decided_rungs
from bucketcast.stream.identifiers import EncoderId, SegmentIndex, SessionNumber
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.object_names import seal_name, segment_name, session_record_name
from bucketcast.stream.publication import (
    advance,
    end_broadcast,
    holes,
    is_complete,
    is_followed,
    next_unannounced,
    undecided,
)
from bucketcast.stream.seal import Seal
from bucketcast.stream.timeline import JoinedTimeline, TimelineSegment
from fakes import EPOCH
from stream_world import FIRST, SLOTS, STREAM, A, B, World, uploaded

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
    world.report(second, B, [uploaded(0)])
    world.wake()
    assert [session for session, _, _ in listed(world)] == [1, 1, 1]
    world.report_later(FIRST, A, [*THREE, uploaded(3)], ended=True)
    world.wake()
    assert listed(world) == [*((1, index, False) for index in range(4)), (2, 0, False)]
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
    world.report(third, C, [uploaded(0)])
    world.clock.advance(8)
    world.wake()
    assert listed(world) == [*((1, index, False) for index in range(3)), (3, 0, False)]
    assert world.document.window[-1].media_sequence == 3
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
    world.report(second, B, [uploaded(0)])
    assert world.wake().state is StreamState.LIVE
    assert listed(world) == [*((1, index, False) for index in range(3)), (2, 0, False)]
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


def test_a_broadcaster_who_changes_its_source_is_not_gone() -> None:
    """Its session ended, and its next one is about to be claimed: no window opens, however short it is."""
    world = on_air(reconnect_window=0)
    world.report_later(FIRST, A, THREE, ended=True, continues=True)
    assert world.wake().state is StreamState.LIVE
    world.clock.advance(1)
    second = world.claim_at_once(B)
    assert world.wake().state is StreamState.LIVE
    world.report_later(second, B, [uploaded(0)])
    assert world.wake().state is StreamState.LIVE
    assert listed(world)[-1] == (2, 0, False)


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
    world.report(world.claim(B), B, [uploaded(0)])
    world.wake()
    uris = [line for line in world.playlist(SLOTS[2]).splitlines() if not line.startswith("#")]
    assert uris == ["../720p/segment_00000001_0000000000.ts", "segment_00000002_0000000000.ts"]


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
    world.report(world.claim(B), B, [uploaded(0)])
    world.wake()
    assert [set(segment.rungs) for segment in world.document.window] == [{SLOTS[0]}, set(SLOTS)]
