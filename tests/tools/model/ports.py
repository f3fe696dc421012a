"""The ports over a world of cells: each method builds an operation and asks for its answer.

What they keep is what the adapters and the fakes keep: preconditions, one write a second to a name, last writer
of a lease. Every call is a point at which others may come between, or at which the caller may die.
"""

from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

import msgspec

from bucketcast.errors import PreconditionFailed, TooManyWrites
from bucketcast.gcp.storage import crc32c
from bucketcast.objects import ABSENT, Generation, NewObject, ObjectFacts
from bucketcast.ports import StoredDocument, Version
from bucketcast.stream.claim import Lease
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import StreamId
from fakes import InlineExecutor
from tools.model.world import Cells, Effect, Listing, Operation, Raised, Returned, Stored

CLOCK: Final = "clock"
MEDIA: Final = "media/"
INGEST: Final = "ingest/"
DOCUMENTS: Final = "documents/"
LEASES: Final = "leases/"

_ONE_WRITE: Final = timedelta(seconds=1)

Ask = Callable[[Operation], Any]
"""Returns the answer of an operation, or raises it, or does not come back."""


@dataclass(frozen=True, slots=True)
class Held:
    """An object as it lies in a cell."""

    new: NewObject
    facts: ObjectFacts


class Operations:
    """Every operation once, so that what is known of its effect is shared by all who do it."""

    def __init__(self, cells: Cells) -> None:
        self.cells: Final = cells
        self._known: dict[Hashable, Operation] = {}

    def once(self, key: Hashable, build: Callable[[], Operation]) -> Operation:
        """The operation of that *key*, built if it is new."""
        if key not in self._known:
            self._known[key] = build()
        return self._known[key]


@dataclass(frozen=True)
class Ports:
    """All that a handler is given of the world."""

    operations: Operations
    ask: Ask

    @cached_property
    def media(self) -> "ModelBucket":
        """The media bucket."""
        return ModelBucket(self, MEDIA)

    @cached_property
    def ingest(self) -> "ModelBucket":
        """The ingest bucket."""
        return ModelBucket(self, INGEST)

    @cached_property
    def documents(self) -> "ModelDocuments":
        """The stream documents and leases."""
        return ModelDocuments(self)

    @cached_property
    def clock(self) -> "ModelClock":
        """The clock."""
        return ModelClock(self)

    @property
    def executor(self) -> Executor:
        """Runs at once what it is given: calls that go at the same time are in one order of several."""
        return InlineExecutor()

    def read(self, key: str, cell: str, effect: Callable[[Any], Effect]) -> Any:
        """Ask for what *effect* says of *cell*."""

        def build() -> Operation:
            return Operation(self.operations.cells, key, (cell,), effect, can_fail=cell != CLOCK)

        return self.ask(self.operations.once(key, build))


class ModelBucket:
    """A bucket whose objects are the cells under *prefix*."""

    def __init__(self, ports: Ports, prefix: str) -> None:
        self._ports = ports
        self._prefix = prefix

    def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
        cell = self._prefix + new.name
        identity = (new.content, tuple(sorted(new.metadata.items())))
        operations = self._ports.operations

        def effect(there: Held | None, now: datetime) -> Effect:
            return _write(new, identity, if_generation, there, now)

        def build() -> Operation:
            text = f"write {cell} if {if_generation}"
            return Operation(operations.cells, text, (cell, CLOCK), effect, writes=cell)

        written: ObjectFacts = self._ports.ask(operations.once(("write", cell, identity, if_generation), build))
        return written

    def facts(self, name: str) -> ObjectFacts | None:
        def effect(there: Held | None) -> Effect:
            facts = there.facts if there else None
            return Effect(Returned(facts), _facts_key(facts))

        facts: ObjectFacts | None = self._ports.read(f"facts {self._prefix}{name}", self._prefix + name, effect)
        return facts

    def read(self, name: str) -> bytes | None:
        def effect(there: Held | None) -> Effect:
            content = there.new.content if there else None
            return Effect(Returned(content), ("content", content))

        content: bytes | None = self._ports.read(f"read {self._prefix}{name}", self._prefix + name, effect)
        return content

    def names(self, prefix: str) -> list[str]:
        text = f"names {self._prefix}{prefix}"

        def build() -> Operation:
            cells = self._ports.operations.cells
            return Listing(cells, text, self._prefix + prefix, lambda name: name[len(self._prefix) :])

        names: list[str] = self._ports.ask(self._ports.operations.once(text, build))
        return names


def _write(
    new: NewObject, identity: Hashable, if_generation: Generation, there: Held | None, now: datetime
) -> Effect:
    generation = there.facts.generation if there else ABSENT
    if generation != if_generation:
        return _refusal(PreconditionFailed(new.name))
    if there and now - there.facts.updated < _ONE_WRITE:
        return _refusal(TooManyWrites(new.name))
    facts = ObjectFacts(
        name=new.name,
        generation=Generation(generation + 1),
        size=len(new.content),
        crc32c=crc32c(new.content),
        updated=now,
        metadata=dict(new.metadata),
    )
    stored = held(new, facts)
    return Effect(Returned(facts), _facts_key(facts), stored)


def held(new: NewObject, facts: ObjectFacts) -> Stored:
    """*new* as the content of a cell."""
    key = (new.name, new.content, tuple(sorted(new.metadata.items())), facts.generation, facts.updated)
    return Stored(key, Held(new, facts))


def _facts_key(facts: ObjectFacts | None) -> Hashable:
    if facts is None:
        return "no facts"
    return (
        facts.name,
        facts.generation,
        facts.size,
        facts.crc32c,
        facts.updated,
        tuple(sorted(facts.metadata.items())),
    )


def _refusal(error: Exception) -> Effect:
    return Effect(Raised(error), (type(error), str(error)))


class ModelDocuments:
    """Stream documents with a version each, and leases."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def read(self, stream: StreamId) -> StoredDocument | None:
        def effect(there: StoredDocument | None) -> Effect:
            return Effect(Returned(there), ("document", _document_key(there)))

        stored: StoredDocument | None = self._ports.read(
            f"read {DOCUMENTS}{stream}", DOCUMENTS + stream, effect
        )
        return stored

    def create(self, document: StreamDocument) -> None:
        self._store(document, None)

    def replace(self, document: StreamDocument, *, version: Version) -> None:
        self._store(document, version)

    def _store(self, document: StreamDocument, version: Version | None) -> None:
        cell = DOCUMENTS + document.stream
        encoded = _encoded(document)
        operations = self._ports.operations

        def effect(there: StoredDocument | None) -> Effect:
            if (there.version if there else None) != version:
                return _refusal(PreconditionFailed(document.stream))
            stored = stored_document(document, 1 if there is None else _count(there.version) + 1)
            return Effect(Returned(None), "stored", stored)

        def build() -> Operation:
            text = f"write {cell} if {version or 'absent'}: revision {document.revision}"
            return Operation(operations.cells, text, (cell,), effect, writes=cell)

        self._ports.ask(operations.once(("write", cell, encoded, version), build))

    def all(self) -> Iterator[StreamDocument]:
        """One stream after the other: a query of Firestore reads them all at one time."""
        prefix = DOCUMENTS

        def build() -> Operation:
            cells = self._ports.operations.cells
            return Listing(cells, "query documents", prefix, lambda name: name[len(prefix) :])

        for stream in self._ports.ask(self._ports.operations.once("query documents", build)):
            stored = self.read(StreamId(stream))
            if stored is not None:
                yield stored.document

    def lease(self, stream: StreamId) -> Lease | None:
        def effect(lease: Lease | None) -> Effect:
            return Effect(Returned(lease), ("lease", lease and _encoded(lease)))

        lease: Lease | None = self._ports.read(f"read {LEASES}{stream}", LEASES + stream, effect)
        return lease

    def renew_lease(self, stream: StreamId, lease: Lease) -> None:
        cell = LEASES + stream
        encoded = _encoded(lease)
        operations = self._ports.operations
        stored = Stored(("lease", encoded), lease)

        def build() -> Operation:
            text = f"write {cell}: session {lease.session}"
            return Operation(
                operations.cells,
                text,
                (),
                lambda: Effect(Returned(None), "stored", stored),
                writes=cell,
            )

        self._ports.ask(operations.once(("write", cell, encoded), build))


def stored_document(document: StreamDocument, version: int) -> Stored:
    """*document* as the content of a cell, at its *version*-th write."""
    stored = StoredDocument(document=document, version=Version(version))
    return Stored(("document", _document_key(stored)), stored)


def _document_key(stored: StoredDocument | None) -> Hashable:
    return stored and (_encoded(stored.document), stored.version)


def _count(version: Version) -> int:
    assert isinstance(version, int)
    return version


def _encoded(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


class ModelClock:
    """The clock that all share; whoever sleeps is woken at its time or later."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def now(self) -> datetime:
        time: datetime = self._ports.read("now", CLOCK, lambda now: Effect(Returned(now), ("time", now)))
        return time

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self._wake(self._deadline(seconds))

    def _deadline(self, seconds: float) -> datetime:
        """Read off the clock when the sleeper is to be woken; sleep begins with the call itself."""
        operations = self._ports.operations

        def effect(now: datetime) -> Effect:
            deadline = now + timedelta(seconds=seconds)
            return Effect(Returned(deadline), ("time", deadline))

        def build() -> Operation:
            text = f"sleep {seconds:g} s"
            return Operation(operations.cells, text, (CLOCK,), effect, at_once=True, can_fail=False)

        deadline: datetime = self._ports.ask(operations.once(("sleep", seconds), build))
        return deadline

    def _wake(self, deadline: datetime) -> None:
        operations = self._ports.operations

        def effect(now: datetime) -> Effect:
            return Effect(Returned(None), "awake", set_clock(max(now, deadline)))

        def build() -> Operation:
            text = f"wake at {deadline:%H:%M:%S.%f}"
            return Operation(operations.cells, text, (CLOCK,), effect, writes=CLOCK, can_fail=False)

        self._ports.ask(operations.once(("wake", deadline), build))


def set_clock(now: datetime) -> Stored:
    """The time as the content of its cell."""
    return Stored(("time", now), now)
