"""Operations as Google charges for them: the line of its price lists, and how many there were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock


class PriceClass(StrEnum):
    """The lines of Google's price lists that a broadcast meets."""

    STORAGE_A = "Cloud Storage, class A"
    STORAGE_B = "Cloud Storage, class B"
    DOCUMENT_READ = "Firestore, document read"
    DOCUMENT_WRITE = "Firestore, document write"
    DOCUMENT_DELETE = "Firestore, document delete"
    FUNCTION_CALL = "Cloud Run function, call"
    FUNCTION_TIME = "Cloud Run function, 100 ms"
    PUBSUB_BYTE = "Pub/Sub, byte"
    FREE = "free"


@dataclass(frozen=True, slots=True, order=True)
class CountedOperation:
    """One kind of operation, in Google's words; *place* is its bucket, collection or function."""

    price_class: PriceClass
    name: str
    place: str


class OperationCounts:
    """How often each operation was done since the process started. Safe to use from any thread.

    What is refused is not charged for, and so not counted.
    """

    def __init__(self) -> None:
        self._counts: Counter[CountedOperation] = Counter()
        self._lock = Lock()

    def count(self, price_class: PriceClass, name: str, place: str, *, times: int = 1) -> None:
        """Note that the operation *name* was done in *place*."""
        with self._lock:
            self._counts[CountedOperation(price_class, name, place)] += times

    def so_far(self) -> Mapping[CountedOperation, int]:
        """What was counted until now."""
        with self._lock:
            return dict(self._counts)

    def total(self, price_class: PriceClass) -> int:
        """How many operations of *price_class* there were until now."""
        return sum(times for operation, times in self.so_far().items() if operation.price_class is price_class)
