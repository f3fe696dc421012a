"""The Listen stream: what each target holds now, and what has changed in it since it was last told."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from google.cloud.firestore_v1 import types

from local_cloud.firestore.codec import encode_document, encode_time
from local_cloud.firestore.documents import Document, DocumentName, parse_document
from local_cloud.firestore.errors import InvalidArgument
from local_cloud.firestore.query import Query
from local_cloud.firestore.requests import parse_query, refuse_fields
from local_cloud.firestore.store import Store
from local_cloud.firestore.versions import Snapshot

_ListenResponse: Final = types.ListenResponse.pb()
_TargetChange: Final = types.TargetChange.pb()
_Kind: Final = types.TargetChange.TargetChangeType

# Ours hold nothing: whoever comes back with one is told everything anew.
_RESUME_TOKEN: Final = b"reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a target's holder must be told."""

    changed: tuple[Document, ...]
    removed: tuple[DocumentName, ...]


def difference(told: Mapping[DocumentName, datetime], present: Mapping[DocumentName, Document]) -> Difference:
    """Return what leads from the versions *told* to the documents *present*."""
    return Difference(
        changed=tuple(document for name, document in present.items() if told.get(name) != document.update_time),
        removed=tuple(name for name in told if name not in present),
    )


@dataclass(slots=True, kw_only=True)
class Target:
    """A query, or documents by *names*, that one listener watches."""

    number: int
    query: Query | None
    names: tuple[DocumentName, ...]
    current: bool = False
    told: dict[DocumentName, datetime] = field(default_factory=dict)

    def present(self, snapshot: Snapshot) -> dict[DocumentName, Document]:
        """Return the documents that this holds in *snapshot*."""
        if self.query is not None:
            return {document.name: document for document in snapshot.run(self.query)}
        found = ((name, snapshot.get(name)) for name in self.names)
        return {name: document for name, document in found if document is not None}


def parse_target(message: Any) -> Target:
    """Return the target that a Target *message* adds, or raise a FirestoreError."""
    refuse_fields(message, "read_time", "once")
    match message.WhichOneof("target_type"):
        case "query":
            query = parse_query(message.query.parent, message.query.structured_query)
            return Target(number=message.target_id, query=query, names=())
        case "documents":
            names = tuple(map(parse_document, message.documents.documents))
            return Target(number=message.target_id, query=None, names=names)
        case _:
            raise InvalidArgument("a target is neither a query nor documents")


class Listener:
    """One Listen stream: requests come in through :meth:`receive`, responses out of :meth:`responses`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._inbox: deque[Any] = deque()
        self._ended = False
        self._targets: dict[int, Target] = {}

    def receive(self, request: Any) -> None:
        """Take a ListenRequest, from any thread."""
        self._inbox.append(request)
        self._store.wake()

    def end(self) -> None:
        """Let :meth:`responses` come to its end, from any thread."""
        self._ended = True
        self._store.wake()

    def responses(self) -> Iterator[Any]:
        """Yield every response until the stream or the store ends; a FirestoreError refuses a request."""
        commits = -1
        while not self._ended:
            while self._inbox:
                yield from self._change_targets(self._inbox.popleft())
                commits = -1
            observed = self._store.observe(
                self._look, since=commits, interrupted=lambda: self._ended or bool(self._inbox)
            )
            if observed is None:
                return
            commits, (time, present) = observed
            yield from self._tell(time, present)

    def _look(self, snapshot: Snapshot) -> tuple[datetime, list[tuple[Target, dict[DocumentName, Document]]]]:
        return snapshot.time, [(target, target.present(snapshot)) for target in self._targets.values()]

    def _change_targets(self, request: Any) -> Iterator[Any]:
        if request.WhichOneof("target_change") == "remove_target":
            self._targets.pop(request.remove_target, None)
            yield _target_change(_Kind.REMOVE, request.remove_target)
            return
        target = parse_target(request.add_target)
        self._targets[target.number] = target
        yield _target_change(_Kind.ADD, target.number)
        if request.add_target.WhichOneof("resume_type") is not None:
            yield _target_change(_Kind.RESET, target.number)

    def _tell(
        self, time: datetime, present: list[tuple[Target, dict[DocumentName, Document]]]
    ) -> Iterator[Any]:
        news = False
        for target, documents in present:
            change = difference(target.told, documents)
            news = news or bool(change.changed or change.removed or not target.current)
            self._store.bill_listener(change.changed)
            yield from _document_changes(target.number, change, time)
            target.told = {name: document.update_time for name, document in documents.items()}
            if not target.current:
                target.current = True
                yield _target_change(_Kind.CURRENT, target.number, time=time)
        if news:
            # "read_time is guaranteed to be sent when the entire stream reaches a new consistent snapshot".
            yield _target_change(_Kind.NO_CHANGE, time=time)


def _document_changes(target: int, change: Difference, time: datetime) -> Iterator[Any]:
    for document in change.changed:
        yield _ListenResponse(document_change={"document": encode_document(document), "target_ids": [target]})
    for name in change.removed:
        yield _ListenResponse(
            document_remove={"document": name, "removed_target_ids": [target], "read_time": encode_time(time)}
        )


def _target_change(kind: int, *targets: int, time: datetime | None = None) -> Any:
    change = _TargetChange(target_change_type=kind, target_ids=targets)
    if time is not None:
        change.resume_token = _RESUME_TOKEN
        change.read_time.FromDatetime(time)
    return _ListenResponse(target_change=change)
