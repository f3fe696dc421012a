"""Why a playlist held what it held: over what the handlers themselves wrote."""

from datetime import datetime

from hypothesis import given, settings

from bucketcast.hls import MediaPlaylist, parse
from bucketcast.objects import NewObject
from bucketcast.stream.identifiers import RungName
from bucketcast.stream.media_object import GAP_KEY
from bucketcast.stream.object_names import (
    media_playlist_name,
    seal_name,
    session_record_name,
    timeline_name,
)
from operating.explanation import Explanation, explain
from operating.past import Past, Write
from strategies import History, histories
from stream_world import FIRST, SLOTS, STREAM, A, B, World, uploaded

TOP = SLOTS[0]
THREE = [uploaded(index) for index in range(3)]


def writes(log: list[tuple[datetime, NewObject]]) -> list[Write]:
    return [
        Write(time=time, name=new.name, generation=number, metadata=new.metadata, content=new.content)
        for number, (time, new) in enumerate(log, 1)
    ]


def past(world: World, at: datetime | None = None) -> Past:
    return Past(
        STREAM, media=writes(world.media.log), ingest=writes(world.ingest.log), at=at or world.clock.now()
    )


def explained(world: World, slot: RungName = TOP, at: datetime | None = None) -> Explanation:
    return explain(past(world, at), slot)


def why(world: World, slot: RungName = TOP) -> list[tuple[int, str]]:
    return [(each.index, each.why) for each in explained(world, slot).unlisted]


def on_air() -> World:
    world = World(reconnect_window=60)
    world.report(world.claim(A), A, THREE)
    world.wake()
    return world


def test_a_stream_that_never_was_on_air_had_nothing_to_list() -> None:
    seen = explained(World())
    assert (seen.written, seen.playlist, seen.listed, seen.unlisted, seen.sessions) == (None, None, (), (), ())


def test_a_segment_is_listed_since_its_first_playlist_for_its_timeline_and_its_object() -> None:
    world = on_air()
    first = world.clock.now()
    world.report_later(FIRST, A, [*THREE, uploaded(3)])
    uploaded_at = world.clock.now()
    world.clock.advance(0.5)
    world.wake()
    seen = explained(world)
    assert [each.number for each in seen.listed] == [0, 1, 2, 3]
    assert [each.since.time for each in seen.listed] == [first] * 3 + [world.clock.now()]
    assert all(each.created for each in seen.listed)
    last = seen.listed[-1]
    assert last.created is not None
    assert last.named_by is not None
    assert (last.created.time, last.named_by.time) == (uploaded_at, uploaded_at)
    assert last.named_by.name == timeline_name(STREAM, FIRST, A)
    assert (last.name, last.gap) == (f"{STREAM}/{TOP}/segment_00000001_0000000003.ts", None)
    assert seen.unlisted == ()
    (session,) = seen.sessions
    assert session.record is not None
    assert session.record[1].name == session_record_name(STREAM, FIRST)
    assert (session.seal_before, session.seal) == (None, None)


def test_an_instant_shows_what_was_public_then_and_nothing_later() -> None:
    world = on_air()
    then = world.clock.now()
    before = explained(world)
    world.report_later(FIRST, A, [*THREE, uploaded(3)])
    world.wake()
    assert explained(world, at=then) == before
    assert explained(world) != before


def test_the_slot_of_a_missing_rung_is_explained_by_the_rung_that_fills_it() -> None:
    world = World()
    world.report(world.claim(A, SLOTS[1:]), A, [uploaded(index, SLOTS[1:]) for index in range(3)])
    world.wake()
    names = [each.name for each in explained(world).listed]
    assert names == [f"{STREAM}/{SLOTS[1]}/segment_00000001_000000000{index}.ts" for index in range(3)]
    assert all(each.created for each in explained(world).listed)


def test_what_was_announced_and_not_published_yet_waits_for_the_publisher() -> None:
    world = on_air()
    world.report_later(FIRST, A, [*THREE, uploaded(3)])
    world.clock.advance(0.25)
    name = timeline_name(STREAM, FIRST, A)
    assert why(world) == [(3, f"named by {name} 0.250 s before; the playlist was not replaced since")]


def test_an_undecided_rung_holds_back_what_is_behind_it_in_its_own_rendition_only() -> None:
    world = on_air()
    world.report_later(FIRST, A, [*THREE, uploaded(3, SLOTS[1:]), uploaded(4)])
    world.wake()
    assert why(world) == [
        (3, "undecided: nothing was created under its name"),
        (4, "behind segment 3"),
    ]
    assert why(world, SLOTS[1]) == []


def test_what_no_timeline_names_is_said_to_be_there() -> None:
    world = on_air()
    world.upload(FIRST, uploaded(3))
    assert why(world) == [(3, "in the bucket since 00:00:00.000000, and no timeline had named it yet")]


def test_a_gap_is_an_encoder_s_whose_timeline_says_so() -> None:
    world = on_air()
    world.report_later(FIRST, A, [*THREE, uploaded(3, SLOTS[1:], gaps=[TOP])])
    world.wake()
    assert [each.gap for each in explained(world).listed] == [None, None, None, "reported by the encoder a"]


def test_a_gap_that_no_encoder_tells_of_is_the_sealing_publisher_s() -> None:
    world = on_air()
    world.report_later(FIRST, A, [*THREE, uploaded(3, SLOTS[1:])], ended=True)
    world.claim_at_once(B)
    world.clock.advance(5)
    world.wake()
    world.clock.advance(5)
    world.wake()
    assert explained(world).listed[-1].gap == "created by the publisher that sealed session 1"
    assert explained(world).sessions[0].seal is not None


def test_a_gap_of_an_open_session_that_no_timeline_names_was_found_by_name() -> None:
    world = on_air()
    lost = uploaded(3, SLOTS[1:], gaps=[TOP])
    world.upload(FIRST, lost)
    world.clock.advance(11)  # silent for long enough
    world.wake()
    last = explained(world).listed[-1]
    assert (last.named_by, last.gap) == (None, "of an encoder or a publisher that has not said so yet")


def test_a_session_waits_for_the_seal_of_the_one_before() -> None:
    world = on_air()
    world.clock.advance(3)
    second = world.claim(B)
    world.report(second, B, THREE)
    world.wake()
    assert why(world) == [(index, "session 1 before it is not sealed yet") for index in range(3)]
    world.clock.advance(5)
    world.wake()
    seen = explained(world)
    assert [each.number for each in seen.listed] == [0, 1, 2, 3, 4, 5]
    assert seen.unlisted == ()
    before = seen.sessions[1].seal_before
    assert before is not None
    assert (before[0].next_media_sequence, before[1].name) == (3, seal_name(STREAM, FIRST))


def test_nothing_is_listed_of_a_session_without_its_record() -> None:
    world = on_air()
    world.clock.advance(3)
    second = world.claim(B)
    world.report(second, B, THREE)
    name = session_record_name(STREAM, second)
    world.ingest.log = [(time, new) for time, new in world.ingest.log if new.name != name]
    assert why(world) == [(index, "session 2 has no record yet") for index in range(3)]


def test_what_came_behind_the_seal_was_too_late() -> None:
    world = on_air()
    world.clock.advance(3)
    world.claim(B)
    world.clock.advance(5)
    world.wake()
    world.report_later(FIRST, A, [*THREE, uploaded(3)])
    world.wake()
    assert why(world) == [(3, "too late: the seal of 00:00:08.000000 ends session 1 at segment 2")]


def test_what_the_seal_covers_was_not_too_late() -> None:
    """Sealed, and the playlist still as it was before its last segment."""
    world = on_air()
    world.report_later(FIRST, A, [*THREE, uploaded(3)])
    world.streams.end(STREAM)
    world.publisher._advance(STREAM)
    world.publisher._write_seals(world.document)
    name = timeline_name(STREAM, FIRST, A)
    assert why(world) == [(3, f"named by {name} 0.000 s before; the playlist was not replaced since")]


def test_a_session_that_was_sealed_empty_lists_nothing_that_comes_later() -> None:
    world = on_air()
    world.clock.advance(3)
    second = world.claim(B)
    world.clock.advance(3)
    third = world.claim(B.__class__("c"))
    world.clock.advance(5)
    world.wake()
    world.report(second, B, [uploaded(0)])
    world.report(third, B.__class__("c"), [uploaded(0)])
    world.wake()
    assert [session.number for session in explained(world).sessions] == [FIRST, second, third]
    too_late, waits = why(world)
    assert too_late == (0, "too late: the seal of 00:00:11.000000 ends session 2 before its first segment")
    assert waits[1].endswith("or a session that follows a pause is to begin with 3 segments")


def test_a_broadcast_that_is_too_short_to_begin_is_not_listed_yet() -> None:
    world = World()
    world.report(world.claim(A), A, [uploaded(0)])
    world.wake()
    reason = "broadcast 1 has not begun: every rendition needs three target durations, or its broadcaster left"
    assert why(world) == [(0, reason)]
    world = on_air()
    world.clock.advance(3)
    world.streams.end(STREAM)
    world.wake()
    world.report(world.claim(B), B, [uploaded(0)])
    world.wake()
    assert why(world) == [(0, reason.replace("1", "2"))]


def test_a_new_broadcast_waits_for_the_end_of_the_old_one() -> None:
    world = on_air()
    world.clock.advance(3)
    world.streams.end(STREAM)
    world.publisher._advance(STREAM)
    world.report(world.claim(B), B, THREE)
    world.publisher._write_seals(world.document)
    assert why(world) == [(index, "broadcast 1 before it is not over yet") for index in range(3)]


def test_a_deleted_playlist_is_no_playlist() -> None:
    world = on_air()
    name = media_playlist_name(STREAM, TOP)
    deleted = Write(time=world.clock.now(), name=name, generation=99, is_deletion=True)
    gone = Past(
        STREAM,
        media=[*writes(world.media.log), deleted],
        ingest=writes(world.ingest.log),
        at=world.clock.now(),
    )
    assert explain(gone, TOP).written is None
    assert [each.index for each in explain(gone, TOP).unlisted] == [0, 1, 2]


def test_a_segment_that_the_log_does_not_reach_back_to_is_listed_all_the_same() -> None:
    world = on_air()
    known = [write for write in writes(world.media.log) if not write.name.endswith(".ts")]
    seen = explain(Past(STREAM, media=known, ingest=[], at=world.clock.now()), TOP)
    assert [(each.created, each.named_by) for each in seen.listed] == [(None, None)] * 3
    assert seen.sessions[0].record is None


@settings(max_examples=15)
@given(histories(max_sessions=2))
def test_every_history_is_explained(history: History) -> None:
    """What is said to be listed is what the playlist lists, and each was created and listed in that order."""
    world = World()
    history.play(world)
    for at in sorted({time for time, _ in world.media.log})[-4:]:
        for slot in SLOTS:
            seen = explained(world, slot, at)
            name = media_playlist_name(STREAM, slot)
            contents = [new.content for time, new in world.media.log if new.name == name and time <= at]
            assert (seen.written is None) == (not contents)
            if not contents:
                continue
            playlist = parse(contents[-1].decode())
            assert isinstance(playlist, MediaPlaylist)
            assert len(seen.listed) == len(playlist.segments)
            for listed, segment in zip(seen.listed, playlist.segments, strict=True):
                assert listed.name.endswith(segment.uri.removeprefix(".."))
                assert listed.created is not None
                assert listed.created.time <= listed.since.time <= at
                assert (GAP_KEY in listed.created.metadata) == (listed.gap is not None)
            assert not {each.name for each in seen.listed} & {
                f"{STREAM}/{each.rung}/segment_{each.session:08}_{each.index:010}.ts" for each in seen.unlisted
            }


def test_the_encoder_that_names_a_segment_first_is_the_one_that_is_named() -> None:
    world = on_air()
    world.clock.advance(2)
    world.report(FIRST, B, [uploaded(3)])
    world.wake()
    named = [each.named_by.name if each.named_by else None for each in explained(world).listed]
    assert named == [timeline_name(STREAM, FIRST, A)] * 3 + [timeline_name(STREAM, FIRST, B)]
