"""Fakes of the ports, for pure logic; tests/contract holds them to what the local cloud does."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any

from bucketcast.errors import NotFound, PreconditionFailed, TooManyWrites, Unavailable
from bucketcast.gcp.functions import Answer, CloudFunction
from bucketcast.gcp.storage import crc32c
from bucketcast.objects import (
    ABSENT,
    MAX_COMPOSE_SOURCES,
    Generation,
    MadeObject,
    NewObject,
    ObjectFacts,
)
from bucketcast.ports import StoredDocument, StoredRecording, Version
from bucketcast.recording.document import ExecutionState, RecordingDocument
from bucketcast.stream.claim import Lease
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import BroadcastNumber, StreamId

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """A clock that stands still until it is told to go on, or somebody sleeps."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self.time = start

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class LoopClock(FakeClock):
    """The time of the event loop that runs, from EPOCH on."""

    def now(self) -> datetime:
        return self.time + timedelta(seconds=asyncio.get_running_loop().time())


class FakeBucket:
    """A bucket in memory, with generations, preconditions and one write a second to a name."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._generation = 0
        self.objects: dict[str, tuple[NewObject, ObjectFacts]] = {}
        self.log: list[tuple[datetime, NewObject]] = []

    def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
        there = self.facts(new.name)
        if (there.generation if there else ABSENT) != if_generation:
            raise PreconditionFailed(new.name)
        if there and self._clock.now() - there.updated < timedelta(seconds=1):
            raise TooManyWrites(new.name)
        self._generation += 1
        facts = ObjectFacts(
            name=new.name,
            generation=Generation(self._generation),
            size=len(new.content),
            crc32c=crc32c(new.content),
            updated=self._clock.now(),
            metadata=dict(new.metadata),
            custom_time=new.custom_time,
        )
        self.objects[new.name] = new, facts
        self.log.append((self._clock.now(), new))
        return facts

    def facts(self, name: str) -> ObjectFacts | None:
        return self.objects[name][1] if name in self.objects else None

    def read(self, name: str) -> bytes | None:
        return self.objects[name][0].content if name in self.objects else None

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.objects if name.startswith(prefix))

    def folders(self, prefix: str) -> list[str]:
        found = (name[len(prefix) :].partition("/") for name in self.names(prefix))
        return sorted({prefix + folder + slash for folder, slash, _ in found if slash})

    def listed(self, prefix: str) -> Iterator[ObjectFacts]:
        yield from [self.objects[name][1] for name in self.names(prefix)]

    def read_start(self, name: str, length: int) -> bytes | None:
        content = self.read(name)
        return None if content is None else content[:length]

    def compose(self, made: MadeObject, sources: Sequence[str], *, if_generation: Generation) -> ObjectFacts:
        assert 1 <= len(sources) <= MAX_COMPOSE_SOURCES
        return self._make(made, [self.read(source) for source in sources], if_generation)

    def copy_from(
        self, source: "FakeBucket", name: str, made: MadeObject, *, if_generation: Generation
    ) -> ObjectFacts:
        return self._make(made, [source.read(name)], if_generation)

    def keep(self, name: str, custom_time: datetime) -> None:
        if name in self.objects:
            new, facts = self.objects[name]
            self.objects[name] = new, replace(facts, custom_time=custom_time)

    def delete(self, name: str, *, generation: Generation | None = None) -> None:
        there = self.facts(name)
        if there is not None and generation not in (None, there.generation):
            raise PreconditionFailed(name)
        self.objects.pop(name, None)

    def _make(
        self, made: MadeObject, contents: Sequence[bytes | None], if_generation: Generation
    ) -> ObjectFacts:
        there = [content for content in contents if content is not None]
        if len(there) < len(contents):
            raise NotFound(made.name)
        return self.write(
            NewObject(
                name=made.name,
                content=b"".join(there),
                content_type=made.content_type,
                cache_control=made.cache_control,
                metadata=made.metadata,
            ),
            if_generation=if_generation,
        )

    def contents(self, prefix: str = "") -> Mapping[str, bytes]:
        return {name: new.content for name, (new, _) in self.objects.items() if name.startswith(prefix)}


class Fate(Enum):
    """What becomes of one write."""

    DONE = auto()
    UNAVAILABLE = auto()
    """Nothing is written."""
    ANSWER_LOST = auto()
    """It is written, and looks as if it were not."""
    TOO_MANY = auto()
    BROKEN = auto()
    """A library raises what nobody has heard of."""


class FaultyBucket(FakeBucket):
    """A bucket that asks *fate* what becomes of each write, and notes the *tries*."""

    def __init__(self, clock: FakeClock, fate: Callable[[NewObject], Fate] = lambda _: Fate.DONE) -> None:
        super().__init__(clock)
        self.fate = fate
        self.tries: list[tuple[datetime, NewObject]] = []

    def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
        self.tries.append((self._clock.now(), new))
        fate = self.fate(new)
        if fate is Fate.UNAVAILABLE:
            raise Unavailable(new.name)
        if fate is Fate.TOO_MANY:
            raise TooManyWrites(new.name)
        if fate is Fate.BROKEN:
            raise RuntimeError(new.name)
        facts = super().write(new, if_generation=if_generation)
        if fate is Fate.ANSWER_LOST:
            raise Unavailable(new.name)
        return facts


class FakeStreamDocuments:
    """Stream documents in memory."""

    def __init__(self) -> None:
        self._documents: dict[StreamId, tuple[StreamDocument, int]] = {}
        self._leases: dict[StreamId, Lease] = {}

    def read(self, stream: StreamId) -> StoredDocument | None:
        if stream not in self._documents:
            return None
        document, version = self._documents[stream]
        return StoredDocument(document=document, version=Version(version))

    def create(self, document: StreamDocument) -> None:
        if document.stream in self._documents:
            raise PreconditionFailed(document.stream)
        self._documents[document.stream] = document, 1

    def replace(self, document: StreamDocument, *, version: Version) -> None:
        known = self._documents.get(document.stream)
        if known is None or Version(known[1]) != version:
            raise PreconditionFailed(document.stream)
        self._documents[document.stream] = document, known[1] + 1

    def delete(self, stream: StreamId) -> None:
        self._documents.pop(stream, None)
        self._leases.pop(stream, None)

    def all(self) -> Iterator[StreamDocument]:
        yield from [document for document, _ in self._documents.values()]

    def lease(self, stream: StreamId) -> Lease | None:
        return self._leases.get(stream)

    def renew_lease(self, stream: StreamId, lease: Lease) -> None:
        self._leases[stream] = lease


class FakeRecordingDocuments:
    """Recording documents in memory."""

    def __init__(self) -> None:
        self._documents: dict[tuple[StreamId, BroadcastNumber], tuple[RecordingDocument, int]] = {}

    def read(self, stream: StreamId, broadcast: BroadcastNumber) -> StoredRecording | None:
        if (stream, broadcast) not in self._documents:
            return None
        document, version = self._documents[stream, broadcast]
        return StoredRecording(document=document, version=Version(version))

    def create(self, document: RecordingDocument) -> None:
        if (document.stream, document.broadcast) in self._documents:
            raise PreconditionFailed(document.stream)
        self._documents[document.stream, document.broadcast] = document, 1

    def replace(self, document: RecordingDocument, *, version: Version) -> None:
        known = self._documents.get((document.stream, document.broadcast))
        if known is None or Version(known[1]) != version:
            raise PreconditionFailed(document.stream)
        self._documents[document.stream, document.broadcast] = document, known[1] + 1

    def delete(self, stream: StreamId, broadcast: BroadcastNumber) -> None:
        self._documents.pop((stream, broadcast), None)

    def of_stream(self, stream: StreamId) -> Iterator[RecordingDocument]:
        yield from [d for d, _ in list(self._documents.values()) if d.stream == stream]

    def unsettled(self) -> Iterator[RecordingDocument]:
        yield from [d for d, _ in list(self._documents.values()) if not d.is_settled]


class FakeExecutions:
    """Workflows that are started and never do anything; a test says how they are."""

    def __init__(self) -> None:
        self.started: list[tuple[str, Mapping[str, str | int | bool]]] = []
        self.states: dict[str, ExecutionState] = {}

    def start(self, workflow: str, argument: Mapping[str, str | int | bool]) -> str:
        self.started.append((workflow, argument))
        name = f"executions/{len(self.started)}"
        self.states[name] = ExecutionState.ACTIVE
        return name

    def state(self, name: str) -> ExecutionState:
        return self.states.get(name, ExecutionState.OVER)


class FakeFunction(CloudFunction):
    """A function that answers a path and a body with *answer*, and notes its calls."""

    def __init__(self, answer: Callable[[str, bytes], Answer]) -> None:
        self.answer = answer
        self.calls: list[tuple[str, bytes]] = []
        self.headers: list[Mapping[str, str]] = []

    def post(self, path: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        self.calls.append((path, body))
        self.headers.append(headers)
        return self.answer(path, body)


class InlineExecutor(Executor):
    """Runs what it is given at once, in the caller's thread."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - a future carries whatever was raised
            future.set_exception(error)
        return future


class SlowExecutor(Executor):
    """Runs what it is given in the event loop that runs, *seconds* later."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # as in a thread: what has begun cannot be called back

        def run() -> None:
            done = InlineExecutor().submit(fn, *args, **kwargs)
            if (error := done.exception()) is not None:
                future.set_exception(error)
            else:
                future.set_result(done.result())

        asyncio.get_running_loop().call_later(self.seconds, run)
        return future
