from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from local_cloud.storage import journal as journal_module
from local_cloud.storage.journal import MAX_KEPT_CONTENT_BYTES, entry_json
from local_cloud.storage.objects import Attributes, Bucket
from local_cloud.storage.store import ComposeSource, ExpectedChecksums, ObjectStore, Target
from tools.manual_clock import ManualClock

PLAYLIST = Target(
    bucket="media",
    name="s/1080p/playlist.m3u8",
    attributes=Attributes(content_type="application/vnd.apple.mpegurl", metadata={"revision": "1"}),
)
SEGMENT = Target(bucket="media", name="s/1080p/1.ts", attributes=Attributes(content_type="video/mp2t"))


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    clock = ManualClock()
    with closing(ObjectStore(None, clock=clock, limit_writes=False)) as opened:
        for name in ("media", "ingest"):
            opened.create_bucket(Bucket(name=name, time_created=clock()))
        yield opened


def insert(store: ObjectStore, target: Target, content: bytes) -> None:
    with closing(store.draft()) as draft:
        draft.append(content)
        store.insert(target, draft, ExpectedChecksums())


def test_every_generation_of_a_playlist_can_be_read(store: ObjectStore) -> None:
    for revision in range(5):
        insert(store, PLAYLIST, f"#EXTM3U {revision}".encode())
    store.delete("media", PLAYLIST.name)
    written = [entry for entry in store.journal.entries() if entry.operation == "insert"]
    assert [entry.content for entry in written] == [f"#EXTM3U {revision}".encode() for revision in range(5)]
    assert [entry.stored.generation for entry in written] == sorted({e.stored.generation for e in written})
    assert written[0].stored.attributes == PLAYLIST.attributes


def test_media_is_kept_only_as_long_as_its_object(store: ObjectStore) -> None:
    insert(store, SEGMENT, b"media")
    insert(store, replace(PLAYLIST, name="large"), bytes(MAX_KEPT_CONTENT_BYTES + 1))
    entries = store.journal.entries()
    assert [entry.content for entry in entries] == [None, None]
    assert [entry.stored.size for entry in entries] == [5, MAX_KEPT_CONTENT_BYTES + 1]


def test_every_kind_of_change_is_noted(store: ObjectStore) -> None:
    insert(store, PLAYLIST, b"1")
    store.compose(replace(PLAYLIST, name="b"), [ComposeSource(name=PLAYLIST.name)])
    store.rewrite(
        replace(PLAYLIST, name="c"), source_bucket="media", source_name="b", changes=lambda same: same
    )
    store.patch("media", "c", lambda attributes: replace(attributes, cache_control="no-store"))
    store.delete("media", "b")
    operations = [(entry.operation, entry.stored.name) for entry in store.journal.entries()]
    assert operations == [
        ("insert", PLAYLIST.name),
        ("compose", "b"),
        ("rewrite", "c"),
        ("patch", "c"),
        ("delete", "b"),
    ]
    assert store.journal.entries()[3].stored.attributes.cache_control == "no-store"


def test_entries_can_be_chosen(store: ObjectStore) -> None:
    insert(store, PLAYLIST, b"1")
    insert(store, replace(PLAYLIST, bucket="ingest"), b"2")
    insert(store, replace(PLAYLIST, name="s_/%"), b"3")
    insert(store, replace(PLAYLIST, name="s_/%x"), b"4")

    def chosen(**query: object) -> list[bytes | None]:
        return [entry.content for entry in store.journal.entries(**query)]  # type: ignore[arg-type]

    assert chosen(bucket="media") == [b"1", b"3", b"4"]
    assert chosen(prefix="s_/%") == [b"3", b"4"]
    assert chosen(since=2) == [b"3", b"4"]
    assert chosen(since=1, limit=2) == [b"2", b"3"]
    assert chosen(bucket="missing") == []


def test_an_entry_as_json_says_all_of_it(store: ObjectStore) -> None:
    insert(store, PLAYLIST, b"#EXTM3U")
    entry = entry_json(store.journal.entries()[0])
    assert (entry["operation"], entry["content"]) == ("insert", "I0VYVE0zVQ==")
    assert entry["object"]["name"] == PLAYLIST.name


def test_the_journal_is_bounded_and_live_objects_stay(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_ENTRIES", 10)
    monkeypatch.setattr(journal_module, "_PRUNE_EVERY", 5)
    insert(store, replace(PLAYLIST, name="oldest"), b"still live")
    for revision in range(30):
        insert(store, PLAYLIST, str(revision).encode())
    entries = store.journal.entries()
    assert len(entries) <= 15
    assert entries[-1].content == b"29"
    assert store.read("media", "oldest") == b"still live"
