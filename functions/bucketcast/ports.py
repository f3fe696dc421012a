"""Ports: what the handlers and the ingest need of the outside world, in our words.

The adapters in gcp/ implement them for Google Cloud and translate its errors into ours: PreconditionFailed,
TooManyWrites, NotFound, Unavailable.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NewType, Protocol, Self

from bucketcast.objects import Generation, MadeObject, NewObject, ObjectFacts
from bucketcast.recording.document import ExecutionState, RecordingDocument
from bucketcast.stream.claim import Lease
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import BroadcastNumber, StreamId

# Whoever decides on a document meets others that do: the direct wake and the event, a claim, an end. Each round
# one of them gets ahead, so a dozen rounds are reached only when something is wrong; whoever asked asks again.
MAX_ROUNDS: Final = 12


class Bucket(Protocol):
    """One bucket. Every write states the generation that it replaces."""

    def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
        """Write *new*, verified by its crc32c.

        Raises PreconditionFailed unless the object is at *if_generation*, and TooManyWrites, Unavailable.
        """

    def facts(self, name: str) -> ObjectFacts | None:
        """Say what there is under *name*, or None."""

    def read(self, name: str) -> bytes | None:
        """Return the content under *name*, or None."""

    def names(self, prefix: str) -> list[str]:
        """List the names that start with *prefix*, in order."""


class Archive(Bucket, Protocol):
    """A bucket whose objects are also deleted, and made of others without their bytes passing through us."""

    def folders(self, prefix: str) -> list[str]:
        """List how names that start with *prefix* go on up to the next slash, each once, in order."""

    def listed(self, prefix: str) -> Iterator[ObjectFacts]:
        """What there is of every object whose name starts with *prefix*, in order of their names."""

    def read_start(self, name: str, length: int) -> bytes | None:
        """Return the first *length* bytes under *name*, or all if there are fewer, or None."""

    def compose(self, made: MadeObject, sources: Sequence[str], *, if_generation: Generation) -> ObjectFacts:
        """Make *made* of 1 to 32 *sources*, one behind the other.

        Raises NotFound if one of them is gone, and what `write` raises.
        """

    def copy_from(self, source: Self, name: str, made: MadeObject, *, if_generation: Generation) -> ObjectFacts:
        """Make *made* a copy of *source*'s *name*.

        Raises NotFound if that is gone, Refused if it cannot be copied in time, and what `write` raises.
        """

    def keep(self, name: str, custom_time: datetime) -> None:
        """Let lifecycle rules count from *custom_time* for *name*, if it is there; it never goes back."""

    def delete(self, name: str, *, generation: Generation | None = None) -> None:
        """Delete *name*, if it is there; if it is not at *generation*, raise PreconditionFailed."""


Version = NewType("Version", object)
"""What a document was when it was read; opaque."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """A stream document as it was read."""

    document: StreamDocument
    version: Version


class StreamDocuments(Protocol):
    """The stream documents and leases in Firestore."""

    def read(self, stream: StreamId) -> StoredDocument | None:
        """Return the document of *stream*, or None."""

    def create(self, document: StreamDocument) -> None:
        """Store a new stream's *document*, or raise PreconditionFailed if there is one."""

    def replace(self, document: StreamDocument, *, version: Version) -> None:
        """Store *document* over *version*, or raise PreconditionFailed if another was stored since."""

    def all(self) -> Iterator[StreamDocument]:
        """Every stream's document."""

    def lease(self, stream: StreamId) -> Lease | None:
        """Return who holds *stream*, if anybody did."""

    def renew_lease(self, stream: StreamId, lease: Lease) -> None:
        """Store *lease* for *stream*; the last one holds."""


class DeletableStreamDocuments(StreamDocuments, Protocol):
    """The same for whoever deletes streams."""

    def delete(self, stream: StreamId) -> None:
        """Delete the document and the lease of *stream*, if there are any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecording:
    """A recording document as it was read."""

    document: RecordingDocument
    version: Version


class RecordingDocuments(Protocol):
    """The recording documents in Firestore."""

    def read(self, stream: StreamId, broadcast: BroadcastNumber) -> StoredRecording | None:
        """Return the document of *stream*'s *broadcast*, or None."""

    def create(self, document: RecordingDocument) -> None:
        """Store a new *document*, or raise PreconditionFailed if there is one of that broadcast."""

    def replace(self, document: RecordingDocument, *, version: Version) -> None:
        """Store *document* over *version*, or raise PreconditionFailed if another was stored since."""

    def delete(self, stream: StreamId, broadcast: BroadcastNumber) -> None:
        """Delete the document of *stream*'s *broadcast*, if there is one."""

    def of_stream(self, stream: StreamId) -> Iterator[RecordingDocument]:
        """The documents of *stream*."""

    def unsettled(self) -> Iterator[RecordingDocument]:
        """The documents of all recordings that something may still come of."""


class Executions(Protocol):
    """Workflows' executions."""

    def start(self, workflow: str, argument: Mapping[str, str | int | bool]) -> str:
        """Start *workflow* with *argument* and return the execution's name; raises Unavailable."""

    def state(self, name: str) -> ExecutionState:
        """Say how the execution *name* is; raises Unavailable."""


class Clock(Protocol):
    """The time, and the way to let it pass."""

    def now(self) -> datetime:
        """The time now, aware, in UTC."""

    def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""
