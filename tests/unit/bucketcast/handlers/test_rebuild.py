"""A document that is gone is made again from the buckets, and playlists with it (P3)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import playlist_history
from bucketcast.errors import PreconditionFailed, Refused
from bucketcast.handlers.creation import create_once
from bucketcast.records import record_object
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import (
    BroadcastNumber,
    DiscontinuitySequenceNumber,
    MediaSequenceNumber,
    SessionNumber,
)
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.object_names import seal_name, session_record_name
from bucketcast.stream.seal import Seal
from fakes import EPOCH, FakeClock, FakeStreamDocuments
from strategies import History, histories
from stream_world import FIRST, SLOTS, STREAM, A, B, World, claim_request, uploaded

THREE = [uploaded(index) for index in range(3)]
# Every drain, every silence, every reconnect window and all patience with a newcomer is over by then.
SETTLED = 2000.0


def lose(world: World, *, playlists: bool = True) -> None:
    """Every document of Firestore is gone, and every playlist, as far as *playlists* says."""
    world.documents._documents.clear()
    world.documents._leases.clear()
    for name in [*world.media.objects]:
        if playlists and not name.endswith(".ts"):
            del world.media.objects[name]


@settings(max_examples=100)
@given(histories())
def test_rebuilding_gives_back_every_playlist(history: History) -> None:
    """P3, to the byte, for every history that has come to rest."""
    world = World()
    history.play(world)
    world.clock.advance(SETTLED)
    world.wake()
    playlists, document = world.playlists(), world.document
    lose(world)
    world.new_publisher().publish(STREAM)
    assert world.playlists() == playlists
    assert world.document.next_session >= document.next_session - 1  # a claim without a record is forgotten
    assert world.document.next_media_sequence == document.next_media_sequence
    assert world.document.ended_broadcasts == document.ended_broadcasts
    assert world.document.state == document.state
    assert (world.document.key_hash, world.document.configuration) == (
        document.key_hash,
        document.configuration,
    )


@settings(max_examples=50)
@given(histories(max_sessions=2), st.booleans())
def test_a_stream_goes_on_where_it_was_after_it_was_rebuilt(before: History, playlists: bool) -> None:  # noqa: FBT001
    """P2: the numbers go on although nobody remembers them, with playlists in the bucket or without."""
    world = World()
    before.play(world)
    lose(world, playlists=playlists)
    world.clock.advance(20)
    world.wake()
    session = world.claim_at_once(B)
    world.clock.advance(20)
    world.report(session, B, THREE)
    world.wake()
    world.clock.advance(20)
    world.wake()
    playlist_history.check(world.media)


def on_air() -> World:
    world = World(reconnect_window=60)
    world.report(world.claim(A), A, THREE)
    world.wake()
    return world


def test_a_live_stream_that_loses_its_document_stays_live() -> None:
    world = on_air()
    playlists = world.playlists()
    lose(world)
    assert world.wake().state is StreamState.LIVE
    assert world.playlists() == playlists
    world.report_later(FIRST, A, [*THREE, uploaded(3)])
    world.wake()
    assert world.playlist(SLOTS[0]).endswith("segment_00000001_0000000003.ts\n")


def test_playlists_that_are_there_are_older_than_the_rebuilt_document() -> None:
    """Its revision begins behind theirs: nobody takes the old ones for the newer."""
    world = on_air()
    lose(world, playlists=False)
    world.report_later(FIRST, A, [*THREE, uploaded(3)])
    world.new_publisher().publish(STREAM)
    assert world.playlist(SLOTS[0]).endswith("segment_00000001_0000000003.ts\n")


def test_a_document_that_is_lost_twice_is_newer_each_time_whatever_the_clocks_say() -> None:
    """The first to rebuild it had a clock that was an hour ahead."""
    world = on_air()
    lose(world, playlists=False)
    ahead = FakeClock()
    ahead.advance(3600)
    replace(world.rebuilt, clock=ahead).read(STREAM)
    world.report_later(FIRST, A, [*THREE, uploaded(3)])
    world.wake()
    lose(world, playlists=False)
    world.report_later(FIRST, A, [*THREE, uploaded(3), uploaded(4)])
    world.new_publisher().publish(STREAM)
    assert world.playlist(SLOTS[0]).endswith("segment_00000001_0000000004.ts\n")


@pytest.mark.parametrize("sealed", [0, 3], ids=["nothing", "three segments"])
def test_a_seal_of_a_document_that_was_lost_takes_no_number_back(sealed: int) -> None:
    """Who decided the seal writes it only after the rebuilt document has listed more of its session."""
    world = World()
    session = world.claim(A)
    world.report(session, A, THREE[:sealed])
    world.wake()
    lose(world, playlists=False)
    world.report_later(session, A, [uploaded(index) for index in range(5)])
    world.wake()
    late = Seal(
        stream=STREAM,
        session=session,
        broadcast=BroadcastNumber(1),
        last_index=sealed - 1,
        next_media_sequence=MediaSequenceNumber(sealed),
        next_discontinuity_sequence=DiscontinuitySequenceNumber(int(sealed > 0)),
    )
    create_once(world.ingest, record_object(seal_name(STREAM, session), late))
    world.clock.advance(20)
    newcomer = world.claim_at_once(B)
    world.clock.advance(20)
    world.report(newcomer, B, THREE)
    world.wake()
    world.clock.advance(20)
    assert (world.wake().next_media_sequence, world.document.next_discontinuity_sequence) == (5, 1)
    assert world.document.window[-1].media_sequence == 7
    playlist_history.check(world.media)


def test_the_reaper_finds_what_was_lost() -> None:
    world = on_air()
    lose(world)
    world.reaper.reap()
    assert "#EXTINF" in world.playlist(SLOTS[0])


def test_a_broadcast_that_was_ended_stays_ended() -> None:
    world = on_air()
    world.clock.advance(2)
    world.streams.end(STREAM)
    world.wake()
    playlists = world.playlists()
    assert "#EXT-X-ENDLIST" in world.playlist(SLOTS[0])
    lose(world)
    world.clock.advance(2)
    assert world.wake().state is StreamState.ENDED
    assert world.playlists() == playlists


def test_a_broadcast_whose_newcomer_was_lost_with_the_document_stays_open() -> None:
    """Its last session is sealed, and no record tells of the one that it was sealed for: this is no end."""
    world = on_air()
    world.clock.advance(5)
    second = world.claim(B)
    del world.ingest.objects[session_record_name(STREAM, second)]
    world.clock.advance(5)
    world.wake()
    lose(world)
    assert world.wake().state is StreamState.INTERRUPTED
    assert "#EXT-X-ENDLIST" not in world.playlist(SLOTS[0])
    assert world.document.sessions[0].sealed


def test_a_claim_that_was_under_way_keeps_its_number_and_the_next_one_gets_another() -> None:
    """The document was lost between a claim and its record: two encoders were promised the same number."""
    world = on_air()
    world.clock.advance(5)
    lost = claim_request(A.__class__("lost"), start=EPOCH + timedelta(hours=5))
    record = world.claims.claim(lost)
    written = world.ingest.objects.pop(session_record_name(STREAM, record.session))
    lose(world)
    world.wake()
    # Now the one whose record is late, and one who comes in the meantime.
    newcomer = claim_request(B, rungs=SLOTS[1:], start=EPOCH + timedelta(hours=6))
    world.ingest.objects[session_record_name(STREAM, record.session)] = written
    with pytest.raises(Refused):
        world.claims.claim(newcomer)
    assert world.wake().sessions[-1].encoder == lost.encoder
    assert world.document.sessions[-1].rungs == record.rungs
    world.clock.advance(5)
    assert world.claims.claim(newcomer).session == record.session + 1


class MadeMeanwhile(FakeStreamDocuments):
    """Another makes the document just before."""

    def create(self, document: StreamDocument) -> None:
        super().create(document)
        raise PreconditionFailed("made")


def test_two_may_make_a_document_at_once() -> None:
    world = World()
    world.documents._documents.clear()
    world.documents.__class__ = MadeMeanwhile
    assert world.wake().stream == STREAM


def test_a_seal_says_whether_its_broadcast_was_over() -> None:
    world = on_air()
    world.clock.advance(5)
    second = world.claim(B)
    world.clock.advance(5)
    world.wake()
    world.streams.end(STREAM)
    world.wake()
    seals = [world.rebuilt.reader.seal(STREAM, number) for number in (FIRST, second)]
    assert [seal and seal.ended for seal in seals] == [False, True]
    assert seal_name(STREAM, SessionNumber(3)) not in world.ingest.objects


def test_a_record_without_its_end_is_no_obstacle() -> None:
    """A sealed number whose record never came, and one whose objects were deleted."""
    world = on_air()
    world.clock.advance(5)
    second = world.claim(B)
    del world.ingest.objects[session_record_name(STREAM, second)]
    world.clock.advance(5)
    third = world.claim(B.__class__("c"))
    world.clock.advance(5)
    world.report(third, B.__class__("c"), THREE)
    world.wake()
    playlists = world.playlists()
    lose(world)
    assert world.wake().next_session == third + 1
    assert world.playlists() == playlists
