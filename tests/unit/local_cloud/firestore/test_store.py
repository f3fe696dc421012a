"""Commits are atomic, transactions serializable, times strictly increasing; operations are counted."""

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from local_cloud.firestore.documents import CollectionName, Document, DocumentName, ParentName
from local_cloud.firestore.errors import Aborted, InvalidArgument, NotFound, ResourceExhausted
from local_cloud.firestore.query import FieldFilter, Operator, Query
from local_cloud.firestore.store import Store
from local_cloud.firestore.transactions import MAX_AGE, MAX_IDLE, MAX_TRANSACTIONS
from local_cloud.firestore.values import Fields, Value
from local_cloud.firestore.writes import DeleteDocument, Precondition, SetDocument, Write
from local_cloud.operations import CountedOperation, PriceClass

ROOT = ParentName("projects/p/databases/d/documents")
START = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


def name(text: str) -> DocumentName:
    return DocumentName(f"{ROOT}/{text}")


def put(text: str, value: Value) -> SetDocument:
    return SetDocument(name=name(text), fields={"v": value})


def delete(text: str) -> DeleteDocument:
    return DeleteDocument(name=name(text))


def new_ids() -> Callable[[], bytes]:
    numbers = itertools.count()
    return lambda: next(numbers).to_bytes(8)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Iterator[Store]:
    store = Store(now=clock, new_id=new_ids())
    yield store
    store.close()


def read(store: Store, text: str, transaction: bytes | None = None) -> Fields | None:
    (document,) = store.get([name(text)], transaction).documents
    return None if document is None else document.fields


EVERYTHING = Query(parent=ROOT, collection="c")
ABOVE_ONE = Query(
    parent=ROOT,
    collection="c",
    where=FieldFilter(path=("v",), operator=Operator.GREATER_THAN, value=1),
)


def found(store: Store, query: Query, transaction: bytes | None = None) -> list[str]:
    documents = store.run(query, transaction).documents
    return [one.name.removeprefix(f"{ROOT}/") for one in documents if one is not None]


class TestCommits:
    def test_a_refused_write_leaves_no_trace_of_the_others(self, store: Store) -> None:
        missing = SetDocument(name=name("c/b"), fields={}, precondition=Precondition(exists=True))
        with pytest.raises(NotFound):
            store.commit([put("c/a", 1), missing])
        assert read(store, "c/a") is None
        assert store.operations.total(PriceClass.DOCUMENT_WRITE) == 0

    def test_writes_of_one_commit_see_each_other_in_order(self, store: Store) -> None:
        second = SetDocument(
            name=name("c/a"), fields={"w": 2}, mask=(("w",),), precondition=Precondition(exists=True)
        )
        store.commit([put("c/a", 1), second, put("c/b", 1), delete("c/b")])
        assert read(store, "c/a") == {"v": 1, "w": 2}
        assert read(store, "c/b") is None

    def test_times_strictly_increase_whatever_the_clock_does(self, store: Store, clock: Clock) -> None:
        times = []
        for step in (0, 0, 1, -60, -60, 5):
            clock.time += timedelta(seconds=step)
            times.append(store.commit([put("c/a", step)]).time)
            times.append(store.get([name("c/a")]).time)
        assert times == sorted(times)
        assert len(set(times[::2])) == 6

    def test_a_commit_is_later_than_any_read_before_it(self, store: Store) -> None:
        store.commit([put("c/a", 1)])
        before = store.get([name("c/a")])
        assert store.commit([put("c/a", 2)]).time > before.time

    def test_each_write_of_a_batch_write_stands_alone(self, store: Store) -> None:
        missing = SetDocument(name=name("c/b"), fields={}, precondition=Precondition(exists=True))
        done, refused = store.write_each([put("c/a", 1), missing])
        assert isinstance(refused, NotFound)
        assert not isinstance(done, NotFound)
        assert read(store, "c/a") == {"v": 1}

    def test_a_batch_write_names_a_document_once(self, store: Store) -> None:
        with pytest.raises(InvalidArgument):
            store.write_each([put("c/a", 1), delete("c/a")])


class TestTransactions:
    def test_a_document_changed_since_it_was_read_aborts(self, store: Store) -> None:
        store.commit([put("c/a", 1)])
        transaction = store.begin(read_only=False)
        read(store, "c/a", transaction)
        store.commit([put("c/a", 2)])
        with pytest.raises(Aborted):
            store.commit([put("c/b", 1)], transaction)
        assert read(store, "c/b") is None

    @pytest.mark.parametrize(
        "change", [put("c/missing", 1), delete("c/a"), put("c/a", 2)], ids=["made", "deleted", "changed"]
    )
    def test_what_was_made_deleted_or_changed_aborts(self, store: Store, change: Write) -> None:
        store.commit([put("c/a", 1)])
        transaction = store.begin(read_only=False)
        store.get([name("c/a"), name("c/missing")], transaction)
        store.commit([change])
        with pytest.raises(Aborted):
            store.commit([], transaction)

    def test_what_was_not_read_may_change(self, store: Store) -> None:
        transaction = store.begin(read_only=False)
        read(store, "c/a", transaction)
        store.commit([put("c/b", 1)])
        store.commit([put("c/a", 1), put("c/b", 2)], transaction)
        assert read(store, "c/b") == {"v": 2}

    def test_a_write_that_changed_nothing_aborts_nobody(self, store: Store) -> None:
        store.commit([put("c/a", 1)])
        transaction = store.begin(read_only=False)
        read(store, "c/a", transaction)
        store.commit([put("c/a", 1)])
        store.commit([put("c/a", 2)], transaction)

    @pytest.mark.parametrize(("change", "aborts"), [(put("c/b", 2), True), (put("c/b", 1), False)])
    def test_a_query_that_would_now_find_something_else_aborts(
        self, store: Store, change: Write, *, aborts: bool
    ) -> None:
        transaction = store.begin(read_only=False)
        assert found(store, ABOVE_ONE, transaction) == []
        store.commit([change])
        if aborts:
            with pytest.raises(Aborted):
                store.commit([put("c/c", 1)], transaction)
        else:
            store.commit([put("c/c", 1)], transaction)

    @pytest.mark.parametrize("read_only", [True, False])
    def test_all_reads_see_the_state_of_the_first(self, store: Store, *, read_only: bool) -> None:
        store.commit([put("c/a", 1), put("c/gone", 1)])
        transaction = store.begin(read_only=read_only)
        store.commit([put("c/b", 1)])
        assert read(store, "c/a", transaction) == {"v": 1}
        store.commit([put("c/a", 2), put("c/new", 1), delete("c/gone"), put("c/b", 5)])
        store.commit([put("c/a", 3)])
        assert read(store, "c/a", transaction) == {"v": 1}
        assert found(store, EVERYTHING, transaction) == ["c/a", "c/b", "c/gone"]
        assert store.count(ABOVE_ONE, transaction)[0] == 0
        assert found(store, EVERYTHING) == ["c/a", "c/b", "c/new"]

    def test_a_read_only_transaction_never_aborts_and_never_writes(self, store: Store) -> None:
        transaction = store.begin(read_only=True)
        read(store, "c/a", transaction)
        store.commit([put("c/a", 1)])
        store.commit([], transaction)
        with pytest.raises(InvalidArgument):
            store.commit([put("c/a", 2)], store.begin(read_only=True))

    def test_an_ended_transaction_is_unknown(self, store: Store) -> None:
        committed, rolled_back = store.begin(read_only=False), store.begin(read_only=False)
        store.commit([], committed)
        store.rollback(rolled_back)
        store.rollback(rolled_back)
        for transaction in (committed, rolled_back, b"never begun"):
            with pytest.raises(InvalidArgument):
                read(store, "c/a", transaction)
            with pytest.raises(InvalidArgument):
                store.commit([put("c/a", 1)], transaction)
        assert read(store, "c/a") is None

    def test_a_transaction_expires_when_idle(self, store: Store, clock: Clock) -> None:
        transaction = store.begin(read_only=False)
        clock.time += MAX_IDLE
        read(store, "c/a", transaction)
        clock.time += MAX_IDLE + TICK
        with pytest.raises(InvalidArgument):
            read(store, "c/a", transaction)

    def test_a_transaction_expires_with_age_however_busy(self, store: Store, clock: Clock) -> None:
        transaction = store.begin(read_only=False)
        while clock.time - START <= MAX_AGE - MAX_IDLE:
            clock.time += MAX_IDLE
            read(store, "c/a", transaction)
        clock.time = START + MAX_AGE + TICK
        with pytest.raises(InvalidArgument):
            store.commit([], transaction)

    def test_open_transactions_are_bounded_until_they_expire(self, store: Store, clock: Clock) -> None:
        for _ in range(MAX_TRANSACTIONS):
            store.begin(read_only=False)
        with pytest.raises(ResourceExhausted):
            store.begin(read_only=False)
        clock.time += MAX_IDLE + TICK
        store.begin(read_only=False)

    def test_old_versions_are_forgotten_with_the_last_that_reads_them(self, store: Store) -> None:
        store.commit([put("c/a", 0), put("d/b", 0)])
        transaction = store.begin(read_only=True)
        read(store, "c/a", transaction)
        for number in range(5):
            store.commit([put("c/a", number), delete("d/b")])
        held = store._versions._versions
        assert len(held[name("c/a")]) > 1
        store.rollback(transaction)
        store.commit([put("c/c", 1)])
        assert {one: len(versions) for one, versions in held.items()} == {name("c/a"): 1, name("c/c"): 1}
        assert [collection for collection, _ in store._versions.collections()] == [f"{ROOT}/c"]


class TestLists:
    def test_a_page_goes_on_after_a_name(self, store: Store) -> None:
        store.commit([put(f"c/{letter}", 1) for letter in "dbac"])
        collection = CollectionName(f"{ROOT}/c")
        first = store.page(collection, missing=False, after=None, size=3)
        assert [one.rpartition("/")[2] for one, _ in first.documents] == ["a", "b", "c"]
        rest = store.page(collection, missing=False, after=first.documents[-1][0], size=3)
        assert (first.more, rest.more) == (True, False)
        assert [one.rpartition("/")[2] for one, _ in rest.documents] == ["d"]

    def test_missing_documents_are_listed_while_something_is_below(self, store: Store) -> None:
        store.commit([put("c/a/d/e/f/g", 1)])
        collection = CollectionName(f"{ROOT}/c")
        page = store.page(collection, missing=True, after=None, size=9)
        assert page.documents == ((name("c/a"), None),)
        assert store.page(collection, missing=False, after=None, size=9).documents == ()
        assert store.collection_ids(ROOT) == ["c"]
        assert store.collection_ids(ParentName(name("c/a"))) == ["d"]
        store.commit([delete("c/a/d/e/f/g")])
        assert store.page(collection, missing=True, after=None, size=9).documents == ()
        assert store.collection_ids(ROOT) == []


class TestObserving:
    def test_it_comes_back_at_once_when_there_was_a_commit(self, store: Store) -> None:
        store.commit([put("c/a", 1)])
        observed = store.observe(lambda snapshot: snapshot.get(name("c/a")), since=0, interrupted=lambda: False)
        assert observed is not None
        commits, document = observed
        assert commits == 1
        assert isinstance(document, Document)

    @pytest.mark.parametrize("end", [Store.close, Store.wake, lambda store: store.commit([put("c/a", 1)])])
    def test_it_waits_for_a_commit_an_interruption_or_the_end(
        self, store: Store, end: Callable[[Store], object]
    ) -> None:
        woken = threading.Event()
        asked = threading.Event()

        def interrupted() -> bool:
            asked.set()
            return woken.is_set()

        thread = threading.Thread(
            target=store.observe, args=(lambda _: None,), kwargs={"since": 0, "interrupted": interrupted}
        )
        thread.start()
        assert asked.wait(10)
        woken.set()
        end(store)
        thread.join(10)
        assert not thread.is_alive()


def test_operations_are_counted_as_firestore_bills_them(store: Store) -> None:
    store.commit([put("c/a", 1), put("c/b", 1), delete("c/z")])
    assert store.operations.so_far() == {
        CountedOperation(PriceClass.DOCUMENT_WRITE, "document write", "c"): 2,
        CountedOperation(PriceClass.DOCUMENT_DELETE, "document delete", "c"): 1,
    }
    store.get([name("c/a"), name("c/missing")])
    assert store.operations.total(PriceClass.DOCUMENT_READ) == 2
    store.run(EVERYTHING)
    assert store.operations.total(PriceClass.DOCUMENT_READ) == 4
    store.run(ABOVE_ONE)
    assert store.operations.total(PriceClass.DOCUMENT_READ) == 5
    store.count(EVERYTHING)
    assert store.operations.total(PriceClass.DOCUMENT_READ) == 6
    store.page(CollectionName(f"{ROOT}/c"), missing=False, after=None, size=9)
    assert store.operations.total(PriceClass.DOCUMENT_READ) == 8


class SerializableTransactions(RuleBasedStateMachine):
    """Whatever interleaves, a transaction commits only when all it read still stands as it read it."""

    names = st.sampled_from(["c/a", "c/b", "c/c"])
    slots = st.integers(0, 2)

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = Store(now=self.clock, new_id=new_ids())
        self.model: dict[str, int] = {}
        self.counter = 0
        self.open: dict[int, tuple[bytes, dict[str, int | None]]] = {}
        self.first: dict[int, dict[str, int]] = {}

    def write(self, text: str) -> SetDocument:
        self.counter += 1
        return put(text, self.counter)

    @rule(text=names)
    def set_alone(self, text: str) -> None:
        self.store.commit([self.write(text)])
        self.model[text] = self.counter

    @rule(text=names)
    def delete_alone(self, text: str) -> None:
        self.store.commit([delete(text)])
        self.model.pop(text, None)

    @rule(slot=slots, text=names)
    def read_in_transaction(self, slot: int, text: str) -> None:
        if slot not in self.open:
            self.open[slot] = (self.store.begin(read_only=False), {})
        key, reads = self.open[slot]
        state = self.first.setdefault(slot, dict(self.model))
        fields = read(self.store, text, key)
        assert (None if fields is None else fields["v"]) == state.get(text)
        reads[text] = state.get(text)

    @rule(slot=slots, text=names)
    def commit_transaction(self, slot: int, text: str) -> None:
        if slot not in self.open:
            return
        key, reads = self.open.pop(slot)
        del self.first[slot]
        stands = all(self.model.get(text) == value for text, value in reads.items())
        try:
            self.store.commit([self.write(text)], key)
        except Aborted:
            assert not stands
        else:
            assert stands
            self.model[text] = self.counter


TestSerializableTransactions = SerializableTransactions.TestCase
