from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from local_cloud.storage.contents import SMALL_BYTES, SPOOL_BYTES
from local_cloud.storage.errors import (
    BucketExists,
    ChecksumMismatch,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    RateLimitExceeded,
    StorageError,
)
from local_cloud.storage.listing import ListingQuery
from local_cloud.storage.objects import Attributes, Bucket, Preconditions, StoredObject
from local_cloud.storage.store import ComposeSource, ExpectedChecksums, ObjectStore, Target
from tools.manual_clock import ManualClock

A = Target(bucket="media", name="a")
LARGE = bytes(range(256)) * (SMALL_BYTES // 256 + 1)
CREATE = Preconditions(generation_match=0)


def insert(
    store: ObjectStore, target: Target, content: bytes, expected: ExpectedChecksums | None = None
) -> StoredObject:
    with closing(store.draft()) as draft:
        draft.append(content)
        return store.insert(target, draft, expected or ExpectedChecksums())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "folder"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path if request.param == "folder" else None


@pytest.fixture
def store(folder: Path | None, clock: ManualClock) -> Iterator[ObjectStore]:
    with closing(ObjectStore(folder, clock=clock)) as opened:
        opened.create_bucket(Bucket(name="media", time_created=clock()))
        yield opened


@pytest.mark.parametrize("content", [b"", b"small", LARGE])
def test_what_was_inserted_is_read_back(store: ObjectStore, content: bytes) -> None:
    stored = insert(store, A, content)
    assert store.get("media", "a") == stored
    assert store.read("media", "a") == content


def test_a_bucket_is_created_once(store: ObjectStore, clock: ManualClock) -> None:
    with pytest.raises(BucketExists):
        store.create_bucket(Bucket(name="media", time_created=clock()))
    store.ensure_bucket(Bucket(name="media", public=True, time_created=clock()))
    assert store.bucket("media").public
    assert [bucket.name for bucket in store.buckets()] == ["media"]


def test_content_that_is_not_what_was_said_leaves_no_trace(store: ObjectStore) -> None:
    with pytest.raises(ChecksumMismatch):
        insert(store, A, b"content", ExpectedChecksums(crc32c="AAAAAA=="))
    assert store.find("media", "a") is None
    assert store.journal.entries() == []


def test_a_bad_name_or_a_missing_bucket_leaves_no_trace(store: ObjectStore) -> None:
    with pytest.raises(InvalidRequest):
        insert(store, replace(A, name="\n"), b"")
    with pytest.raises(NotFound):
        insert(store, replace(A, bucket="missing"), LARGE)
    assert store.journal.entries() == []


def test_a_second_write_to_a_name_within_a_second_is_refused(store: ObjectStore, clock: ManualClock) -> None:
    insert(store, A, b"1")
    clock.advance(seconds=0.999)
    with pytest.raises(RateLimitExceeded):
        insert(store, A, b"2")
    with pytest.raises(RateLimitExceeded):
        store.patch("media", "a", lambda attributes: attributes)
    insert(store, replace(A, name="b"), b"other names are free")
    clock.advance(seconds=0.001)
    insert(store, A, b"3")
    assert store.read("media", "a") == b"3"


def test_a_lost_race_is_said_before_the_limit(store: ObjectStore) -> None:
    """Who creates and comes second within the second must learn that the object exists."""
    insert(store, replace(A, preconditions=CREATE), b"1")
    with pytest.raises(PreconditionFailed):
        insert(store, replace(A, preconditions=CREATE), b"2")


def test_a_name_that_was_deleted_can_be_written_at_once(store: ObjectStore) -> None:
    first = insert(store, A, b"1")
    store.delete("media", "a")
    assert insert(store, A, b"2").generation > first.generation


def test_the_limit_can_be_turned_off(store: ObjectStore) -> None:
    store.limit_writes = False
    generations = [insert(store, A, b"x").generation for _ in range(3)]
    assert generations == sorted(set(generations))


def test_a_failed_write_leaves_the_object_as_it_was(store: ObjectStore, clock: ManualClock) -> None:
    stored = insert(store, A, LARGE)
    clock.advance(seconds=5)
    with pytest.raises(PreconditionFailed):
        insert(store, replace(A, preconditions=CREATE), b"other")
    with pytest.raises(PreconditionFailed):
        store.delete("media", "a", preconditions=CREATE)
    assert store.get("media", "a") == stored
    assert store.read("media", "a") == LARGE


def test_a_reader_keeps_its_content_when_the_object_goes(store: ObjectStore) -> None:
    insert(store, A, LARGE)
    stored, content = store.open("media", "a")
    store.delete("media", "a")
    assert b"".join(content.pieces(0, stored.size)) == LARGE


def test_composing_joins_and_counts(store: ObjectStore) -> None:
    insert(store, A, b"1" * 10)
    insert(store, replace(A, name="b"), LARGE)
    whole = store.compose(replace(A, name="c"), [ComposeSource(name="a"), ComposeSource(name="b")])
    assert (whole.component_count, whole.checksums.md5, whole.size) == (2, None, 10 + len(LARGE))
    more = store.compose(replace(A, name="d"), [ComposeSource(name="c"), ComposeSource(name="a")])
    assert more.component_count == 3
    assert store.read("media", "d") == b"1" * 10 + LARGE + b"1" * 10


def test_composing_takes_the_generations_asked_for(store: ObjectStore) -> None:
    stored = insert(store, A, b"1")
    source = ComposeSource(name="a", generation=stored.generation, generation_match=stored.generation)
    store.compose(replace(A, name="b"), [source])
    with pytest.raises(NotFound):
        store.compose(replace(A, name="c"), [replace(source, generation=1)])
    with pytest.raises(PreconditionFailed):
        store.compose(replace(A, name="c"), [replace(source, generation_match=1)])


@pytest.mark.parametrize("count", [0, 33])
def test_composing_takes_1_to_32_sources(store: ObjectStore, count: int) -> None:
    insert(store, A, b"1")
    with pytest.raises(InvalidRequest):
        store.compose(replace(A, name="b"), [ComposeSource(name="a")] * count)


def test_every_finalized_object_is_told(store: ObjectStore, clock: ManualClock) -> None:
    told: list[StoredObject] = []
    store.on_finalized = told.append
    insert(store, A, b"1")
    store.compose(replace(A, name="b"), [ComposeSource(name="a")])
    store.rewrite(replace(A, name="c"), source_bucket="media", source_name="a", changes=lambda same: same)
    clock.advance(seconds=2)
    store.patch("media", "a", lambda attributes: replace(attributes, cache_control="no-store"))
    store.delete("media", "a")
    assert [stored.name for stored in told] == ["a", "b", "c"]


def test_large_content_goes_with_its_object(
    store: ObjectStore, folder: Path | None, clock: ManualClock
) -> None:
    video = replace(A, attributes=Attributes(content_type="video/mp2t"))
    for _ in range(3):
        insert(store, video, LARGE)
        clock.advance(seconds=1)
    if folder is not None:
        assert len(list((folder / "contents").iterdir())) == 1
    store.delete("media", "a")
    if folder is not None:
        assert list((folder / "contents").iterdir()) == []


def test_a_draft_that_is_not_kept_leaves_no_file(tmp_path: Path, clock: ManualClock) -> None:
    with closing(ObjectStore(tmp_path, clock=clock)) as store, closing(store.draft()) as draft:
        draft.append(bytes(SPOOL_BYTES + 1))
        assert len(list((tmp_path / "contents").iterdir())) == 1
    assert list((tmp_path / "contents").iterdir()) == []


class StoreMachine(RuleBasedStateMachine):
    """Whatever is done, the store agrees with a dictionary of names to contents and generations."""

    names = st.sampled_from(["a", "a/b", "b"])

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.store = ObjectStore(None, clock=self.clock, limit_writes=False)
        self.store.create_bucket(Bucket(name="media", time_created=self.clock()))
        self.model: dict[str, tuple[int, bytes]] = {}
        self.last = 0

    def teardown(self) -> None:
        self.store.close()

    @rule(name=names, content=st.binary(max_size=5), expected=st.none() | names, seconds=st.integers(-2, 2))
    def insert(self, name: str, content: bytes, expected: str | None, seconds: int) -> None:
        """*expected* names an object whose generation the writer believes to be current."""
        self.clock.advance(seconds=seconds)
        generation = None if expected is None else self.model.get(expected, (0, b""))[0]
        conditions = Preconditions(generation_match=generation)
        try:
            stored = insert(self.store, Target(bucket="media", name=name, preconditions=conditions), content)
        except PreconditionFailed:
            assert generation != self.model.get(name, (0, b""))[0]
            return
        assert generation in (None, self.model.get(name, (0, b""))[0])
        assert stored.generation > self.last
        self.last = stored.generation
        self.model[name] = (stored.generation, content)

    @rule(name=names)
    def delete(self, name: str) -> None:
        try:
            self.store.delete("media", name)
        except NotFound:
            assert name not in self.model
        else:
            del self.model[name]

    @rule(name=names, sources=st.lists(names, min_size=1, max_size=3))
    def compose(self, name: str, sources: list[str]) -> None:
        try:
            stored = self.store.compose(
                Target(bucket="media", name=name), [ComposeSource(name=source) for source in sources]
            )
        except StorageError:
            assert not all(source in self.model for source in sources)
        else:
            self.last = stored.generation
            self.model[name] = (stored.generation, b"".join(self.model[source][1] for source in sources))

    @invariant()
    def agrees(self) -> None:
        items = self.store.list("media", ListingQuery()).items
        found = {item.name: (item.generation, self.store.read("media", item.name)) for item in items}
        assert found == self.model
        assert list(found) == sorted(found)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
