"""Mortality: a function's process that is killed in the middle of a call of a port."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from threading import Lock
from typing import Final, TypeVar

from bucketcast.objects import Generation, NewObject, ObjectFacts
from bucketcast.ports import Bucket, Clock, StoredDocument, StreamDocuments, Version
from bucketcast.stream.claim import Lease
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import StreamId

Answer = TypeVar("Answer")

# A publication makes some twenty calls; a death behind the last one is no death.
LAST_CALL: Final = 25


class Killed(BaseException):
    """The process is gone. No `except Exception` and no `finally` that writes may notice."""


@dataclass(slots=True)
class Life:
    """One run's life: it ends at its call number *dies_at*, *after* that call was made or before; None never.

    Whoever calls afterwards, in whichever thread, is dead too.
    """

    dies_at: int | None = None
    after: bool = False
    is_over: bool = field(default=False, init=False)
    _calls: int = field(default=0, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def call(self, do: Callable[[], Answer]) -> Answer:
        """Return what *do* returns, or raise Killed."""
        with self._lock:
            self._calls += 1
            is_last = self._calls == self.dies_at
            self.is_over = self.is_over or (is_last and not self.after)
            if self.is_over:
                raise Killed
        try:
            return do()
        finally:
            if is_last:
                self.is_over = True
            if self.is_over:
                raise Killed


def draw_life(random: Random, *, killed: float) -> Life:
    """A life that ends too early with a probability of *killed*."""
    if random.random() >= killed:
        return Life()
    return Life(dies_at=random.randint(1, LAST_CALL), after=random.random() < 0.5)


@dataclass(frozen=True, slots=True)
class MortalBucket:
    """*bucket* as a run of a limited *life* sees it."""

    bucket: Bucket
    life: Life

    def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
        """See Bucket.write."""
        return self.life.call(lambda: self.bucket.write(new, if_generation=if_generation))

    def facts(self, name: str) -> ObjectFacts | None:
        """See Bucket.facts."""
        return self.life.call(lambda: self.bucket.facts(name))

    def read(self, name: str) -> bytes | None:
        """See Bucket.read."""
        return self.life.call(lambda: self.bucket.read(name))

    def names(self, prefix: str) -> list[str]:
        """See Bucket.names."""
        return self.life.call(lambda: self.bucket.names(prefix))


@dataclass(frozen=True, slots=True)
class MortalDocuments:
    """*documents* as a run of a limited *life* sees them."""

    documents: StreamDocuments
    life: Life

    def read(self, stream: StreamId) -> StoredDocument | None:
        """See StreamDocuments.read."""
        return self.life.call(lambda: self.documents.read(stream))

    def create(self, document: StreamDocument) -> None:
        """See StreamDocuments.create."""
        self.life.call(lambda: self.documents.create(document))

    def replace(self, document: StreamDocument, *, version: Version) -> None:
        """See StreamDocuments.replace."""
        self.life.call(lambda: self.documents.replace(document, version=version))

    def all(self) -> Iterator[StreamDocument]:
        """See StreamDocuments.all."""
        yield from self.life.call(lambda: list(self.documents.all()))

    def lease(self, stream: StreamId) -> Lease | None:
        """See StreamDocuments.lease."""
        return self.life.call(lambda: self.documents.lease(stream))

    def renew_lease(self, stream: StreamId, lease: Lease) -> None:
        """See StreamDocuments.renew_lease."""
        self.life.call(lambda: self.documents.renew_lease(stream, lease))


@dataclass(frozen=True, slots=True)
class MortalClock:
    """*clock* as a run of a limited *life* sees it: it may die in its sleep."""

    clock: Clock
    life: Life

    def now(self) -> datetime:
        """See Clock.now."""
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        """See Clock.sleep."""
        self.life.call(lambda: self.clock.sleep(seconds))
