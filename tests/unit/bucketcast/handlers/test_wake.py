import pytest

from bucketcast.errors import NotFound
from bucketcast.events import OBJECT_FINALIZED, IngestObjectFinalized, parse_object_finalized
from bucketcast.handlers.publish import SeenObjects
from bucketcast.handlers.wake import wake
from bucketcast.stream.object_names import session_record_name, stream_record_name
from stream_world import FIRST, SLOTS, STREAM, A, World, uploaded


def finalized(name: str) -> IngestObjectFinalized:
    return parse_object_finalized({"type": OBJECT_FINALIZED}, {"bucket": "ingest", "name": name})


RECORD = finalized(stream_record_name(STREAM, 1))


def test_the_event_of_a_session_publishes_its_stream() -> None:
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    wake(finalized(session_record_name(STREAM, FIRST)), world.publisher)
    assert "#EXTINF" in world.playlist(SLOTS[0])


def test_the_event_of_a_stream_record_makes_the_document_if_there_is_none() -> None:
    world = World()
    document = world.document
    world.documents._documents.clear()
    wake(RECORD, world.publisher)
    assert world.document.key_hash == document.key_hash
    assert list(world.media.contents()) == ["demo/state.json"]


def test_the_event_of_a_stream_record_leaves_a_document_as_it_is() -> None:
    world = World()
    world.claim(A)
    wake(RECORD, world.publisher)
    assert world.document.next_session == 2


def test_an_event_of_a_stream_that_was_never_made_leaves_nothing() -> None:
    world = World()
    for name in ("streams/other/00000001.json", "seals/other/00000001.json"):
        with pytest.raises(NotFound, match="no stream 'other'"):
            wake(finalized(name), world.publisher)
    assert not world.media.contents("other")


def test_what_was_seen_longest_ago_is_forgotten_first() -> None:
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    world.wake()
    facts = [facts for _, facts in world.media.objects.values()][:3]
    seen = SeenObjects(limit=2)
    for one in facts:
        seen.put(one)
    assert [seen.get(one.name) for one in facts] == [None, *facts[1:]]
    seen.forget(facts[2].name)
    assert seen.get(facts[2].name) is None
