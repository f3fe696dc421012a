"""The store: every call of the service as one atomic step over the documents, safe for threads."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Condition
from typing import Final, Protocol, TypeAlias, TypeVar

from local_cloud.firestore.documents import (
    CollectionName,
    Document,
    DocumentName,
    ParentName,
    collection_id,
    collection_of,
)
from local_cloud.firestore.errors import FirestoreError, InvalidArgument
from local_cloud.firestore.query import Query
from local_cloud.firestore.transactions import Transaction, Transactions
from local_cloud.firestore.values import name_key
from local_cloud.firestore.versions import Snapshot, Versions
from local_cloud.firestore.writes import DeleteDocument, Outcome, Write, apply
from local_cloud.operations import OperationCounts, PriceClass

# Firestore's clock ticks in microseconds.
_TICK: Final = timedelta(microseconds=1)

Changes: TypeAlias = Mapping[DocumentName, Document | None]
Seen = TypeVar("Seen")


class Persistence(Protocol):
    """Where documents outlive the process."""

    def load(self) -> tuple[Sequence[Document], datetime | None]:
        """Return all documents, and the time of the last commit."""

    def save(self, changes: Changes, commit_time: datetime) -> None:
        """Make *changes* of one commit durable, all or none, before returning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The outcome of each write of a commit, in their order, and the commit's time."""

    outcomes: tuple[Outcome, ...]
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Documents (None where there is none), and the time at which all of them were so."""

    documents: tuple[Document | None, ...]
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a collection, and whether *more* follows; None where only documents below are."""

    documents: tuple[tuple[DocumentName, Document | None], ...]
    more: bool


class Store:
    """All documents of all databases.

    *now* is the clock, *new_id* makes transaction ids; *persistence* None keeps all in memory. What Firestore
    would bill is noted in *operations*.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[], bytes],
        persistence: Persistence | None = None,
        operations: OperationCounts | None = None,
    ) -> None:
        self._now = now
        self._persistence = persistence
        documents, last = ((), None) if persistence is None else persistence.load()
        self._versions = Versions(documents)
        # No time is handed out twice for different states: later ones are greater, whatever the clock does.
        self._time = max(now(), last + _TICK) if last is not None else now()
        self._commits = 0
        self._transactions = Transactions(new_id)
        self.operations = operations or OperationCounts()
        self._changed = Condition()
        self._closed = False

    def close(self) -> None:
        """End every :meth:`observe`, now and later."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def begin(self, *, read_only: bool) -> bytes:
        """Return the id of a new transaction."""
        with self._changed:
            return self._transactions.begin(self._now(), read_only=read_only)

    def rollback(self, transaction: bytes) -> None:
        """End *transaction* without writing; one that has ended already stays so."""
        with self._changed:
            self._transactions.end(transaction)

    def get(self, names: Sequence[DocumentName], transaction: bytes | None = None) -> Read:
        """Return the documents *names* as of one time."""
        with self._changed:
            snapshot, reader = self._reader(transaction)
            if reader is None:
                found = tuple(snapshot.get(name) for name in names)
            else:
                found = tuple(reader.get(snapshot, name) for name in names)
            for name in names:
                self._bill_reads(collection_id(collection_of(name)))
            return Read(documents=found, time=snapshot.time)

    def run(self, query: Query, transaction: bytes | None = None) -> Read:
        """Return the documents that *query* finds."""
        with self._changed:
            read = self._run(query, transaction)
            # "There is a minimum charge of one document read for each query"; skipped documents are read too.
            self._bill_reads(query.collection, max(1, len(read.documents) + query.offset))
            return read

    def count(self, query: Query, transaction: bytes | None = None) -> tuple[int, datetime]:
        """Return how many documents *query* finds, and when."""
        with self._changed:
            read = self._run(query, transaction)
            # "One document read for each batch of up to 1000 index entries matched by the query".
            self._bill_reads(query.collection, max(1, -(-len(read.documents) // 1000)))
            return len(read.documents), read.time

    def _run(self, query: Query, transaction: bytes | None) -> Read:
        snapshot, reader = self._reader(transaction)
        found = snapshot.run(query) if reader is None else reader.run(snapshot, query)
        return Read(documents=tuple(found), time=snapshot.time)

    def _reader(self, transaction: bytes | None) -> tuple[Snapshot, Transaction | None]:
        snapshot = self._snapshot()
        if transaction is None:
            return snapshot, None
        reader = self._transactions.use(transaction, self._now())
        if reader.snapshot_time is None:
            reader.snapshot_time = snapshot.time
        return self._versions.at(reader.snapshot_time), reader

    def _snapshot(self) -> Snapshot:
        self._time = max(self._time, self._now())
        return self._versions.at(self._time)

    def page(self, collection: CollectionName, *, missing: bool, after: DocumentName | None, size: int) -> Page:
        """Return up to *size* documents of *collection* in order of name, from right after the name *after*.

        With *missing* also names where no document is, but others are below.
        """
        with self._changed:
            snapshot = self._snapshot()
            names = snapshot.names(collection, missing=missing)
            if after is not None:
                names = [name for name in names if name_key(name) > name_key(after)]
            found = tuple((name, snapshot.get(name)) for name in names[:size])
            self._bill_reads(collection_id(collection), max(1, len(found)))
            return Page(documents=found, more=len(names) > size)

    def collection_ids(self, parent: ParentName) -> list[str]:
        """Return the ids of the collections under *parent*."""
        with self._changed:
            self._bill_reads("")
            return self._snapshot().collection_ids(parent)

    def commit(self, writes: Sequence[Write], transaction: bytes | None = None) -> Committed:
        """Apply all *writes*, or raise a FirestoreError and apply none; either way *transaction* ends.

        Raises Aborted if what *transaction* read has changed since.
        """
        with self._changed:
            if transaction is not None:
                self._finish(transaction, writes)
            return self._commit(writes)

    def _finish(self, key: bytes, writes: Sequence[Write]) -> None:
        transaction = self._transactions.use(key, self._now())
        self._transactions.end(key)
        if transaction.read_only:
            if writes:
                raise InvalidArgument("a read-only transaction cannot write")
        else:
            transaction.check(self._snapshot())

    def _commit(self, writes: Sequence[Write]) -> Committed:
        before = self._snapshot()
        time = max(self._now(), self._time + _TICK)
        changes: dict[DocumentName, Document | None] = {}
        outcomes = []
        for write in writes:
            present = changes[write.name] if write.name in changes else before.get(write.name)
            outcome = apply(write, present, time)
            changes[write.name] = outcome.after
            outcomes.append(outcome)
        changes = {name: after for name, after in changes.items() if after is not before.get(name)}
        if changes:
            self._install(changes, time)
        self._time = time
        for write in writes:
            self._bill_write(write)
        return Committed(outcomes=tuple(outcomes), time=time)

    def _install(self, changes: Changes, time: datetime) -> None:
        if self._persistence is not None:
            self._persistence.save(changes, time)
        self._versions.put(changes, time)
        self._versions.forget(self._transactions.horizon(time))
        self._commits += 1
        self._changed.notify_all()

    def write_each(self, writes: Sequence[Write]) -> list[Outcome | FirestoreError]:
        """Apply each of *writes* on its own; what one is refused for stands in its place.

        Raises InvalidArgument when a document is written twice (BatchWriteRequest.writes).
        """
        if len({write.name for write in writes}) < len(writes):
            raise InvalidArgument("a document cannot be written more than once in a BatchWrite")
        with self._changed:
            return [self._try(write) for write in writes]

    def _try(self, write: Write) -> Outcome | FirestoreError:
        try:
            return self._commit((write,)).outcomes[0]
        except FirestoreError as refusal:
            return refusal

    def observe(
        self, look: Callable[[Snapshot], Seen], *, since: int, interrupted: Callable[[], bool]
    ) -> tuple[int, Seen] | None:
        """Return what *look* makes of the documents once there were more commits than *since*, and how many.

        Comes back before that when *interrupted* becomes true, of which :meth:`wake` tells; None when closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or interrupted() or self._commits > since)
            return None if self._closed else (self._commits, look(self._snapshot()))

    def bill_listener(self, documents: Iterable[Document]) -> None:
        """Count the *documents* that a listener was sent."""
        for document in documents:
            self._bill_reads(collection_id(collection_of(document.name)))

    def _bill_reads(self, collection: str, times: int = 1) -> None:
        self.operations.count(PriceClass.DOCUMENT_READ, "document read", collection, times=times)

    def _bill_write(self, write: Write) -> None:
        collection = collection_id(collection_of(write.name))
        if isinstance(write, DeleteDocument):
            self.operations.count(PriceClass.DOCUMENT_DELETE, "document delete", collection)
        else:
            self.operations.count(PriceClass.DOCUMENT_WRITE, "document write", collection)

    def wake(self) -> None:
        """Let every :meth:`observe` ask again whether it was interrupted."""
        with self._changed:
            self._changed.notify_all()
