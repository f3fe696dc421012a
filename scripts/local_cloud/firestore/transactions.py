"""Optimistic transactions: what one has read, and whether that still holds at its commit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from local_cloud.firestore.documents import Document, DocumentName
from local_cloud.firestore.errors import Aborted, InvalidArgument, ResourceExhausted
from local_cloud.firestore.query import Query
from local_cloud.firestore.versions import Snapshot

# cloud.google.com/firestore/quotas: "Time limit for a transaction: 270 seconds, with a 60-second idle
# expiration time".
MAX_AGE: Final = timedelta(seconds=270)
MAX_IDLE: Final = timedelta(seconds=60)
# Each holds past versions in memory; a local broadcast has a handful.
MAX_TRANSACTIONS: Final = 1_000


def _stamp(document: Document | None) -> datetime | None:
    return None if document is None else document.update_time


def _stamps(documents: list[Document]) -> tuple[tuple[DocumentName, datetime], ...]:
    return tuple((document.name, document.update_time) for document in documents)


@dataclass(slots=True, kw_only=True)
class Transaction:
    """One open transaction; all its reads see one snapshot, that of its first read."""

    read_only: bool
    began: datetime
    used: datetime
    snapshot_time: datetime | None = None
    _documents: dict[DocumentName, datetime | None] = field(default_factory=dict)
    _queries: list[tuple[Query, tuple[tuple[DocumentName, datetime], ...]]] = field(default_factory=list)

    def expired(self, now: datetime) -> bool:
        """Tell whether Firestore would have ended this by *now*."""
        return now - self.began > MAX_AGE or now - self.used > MAX_IDLE

    def get(self, snapshot: Snapshot, name: DocumentName) -> Document | None:
        """Read the document *name*, and remember which version."""
        document = snapshot.get(name)
        self._documents[name] = _stamp(document)
        return document

    def run(self, snapshot: Snapshot, query: Query) -> list[Document]:
        """Read what *query* answers, and remember which versions."""
        documents = snapshot.run(query)
        self._queries.append((query, _stamps(documents)))
        return documents

    def check(self, now: Snapshot) -> None:
        """Raise Aborted if anything that was read reads otherwise *now*."""
        for name, stamp in self._documents.items():
            if _stamp(now.get(name)) != stamp:
                raise Aborted(f"{name} has changed since this transaction read it; please try again")
        for query, stamps in self._queries:
            if _stamps(now.run(query)) != stamps:
                raise Aborted("what a query of this transaction found has changed; please try again")


class Transactions:
    """The open transactions by id; not safe for threads on its own."""

    def __init__(self, new_id: Callable[[], bytes]) -> None:
        self._new_id = new_id
        self._open: dict[bytes, Transaction] = {}

    def begin(self, now: datetime, *, read_only: bool) -> bytes:
        """Return the id of a new transaction, or raise ResourceExhausted."""
        self._open = {key: one for key, one in self._open.items() if not one.expired(now)}
        if len(self._open) >= MAX_TRANSACTIONS:
            raise ResourceExhausted(f"{MAX_TRANSACTIONS} transactions are open")
        key = self._new_id()
        self._open[key] = Transaction(read_only=read_only, began=now, used=now)
        return key

    def use(self, key: bytes, now: datetime) -> Transaction:
        """Return the open transaction *key*, or raise InvalidArgument."""
        transaction = self._open.get(key)
        if transaction is None or transaction.expired(now):
            raise InvalidArgument("the transaction is unknown, was ended or has expired")
        transaction.used = now
        return transaction

    def end(self, key: bytes) -> None:
        """Forget the transaction *key*, if it is open."""
        self._open.pop(key, None)

    def horizon(self, now: datetime) -> datetime:
        """Return the time of the oldest snapshot that an open transaction may still read; *now* if none."""
        times = (
            transaction.snapshot_time
            for transaction in self._open.values()
            if transaction.snapshot_time is not None and not transaction.expired(now)
        )
        return min(times, default=now)
