"""Firestore behind the ports StreamDocuments and RecordingDocuments."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

import msgspec
from google.api_core import exceptions, retry
from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore

from bucketcast.errors import InvalidRecord, PreconditionFailed, Unavailable
from bucketcast.ports import StoredDocument, StoredRecording, Version
from bucketcast.recording.document import RecordingDocument
from bucketcast.records import decode_record, encode_record
from bucketcast.stream.claim import Lease
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import BroadcastNumber, StreamId

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Record = TypeVar("Record", bound=msgspec.Struct)

STREAMS: Final = "streams"
RECORDINGS: Final = "recordings"
# The lease changes every second, the stream's document every segment: two documents, so that neither makes
# the other's writers read again.
LEASES: Final = "leases"
# The field with the record itself.
RECORD: Final = "record"
# A document is read and written in milliseconds; a call that takes this long will not be answered.
TIMEOUT: Final = 10.0
# The library's own retries go on for a minute and more, longer than anybody waits for an answer.
RETRY: Final = retry.Retry(
    predicate=retry.if_exception_type(exceptions.ServiceUnavailable), initial=0.05, maximum=1.0, timeout=5.0
)
# What has no precondition may be contended too, and then has nothing to read again before it is tried again.
UNCONDITIONAL_RETRY: Final = RETRY.with_predicate(
    retry.if_exception_type(exceptions.ServiceUnavailable, exceptions.Aborted)
)


class _Records(Generic[Record]):
    """The records of one collection, each in a document of its own."""

    def __init__(
        self,
        client: firestore.Client,
        collection: str,
        record_type: type[Record],
        shown: Callable[[Record], dict[str, Any]],
    ) -> None:
        """Keep them in *collection*, with what *shown* says of each beside it."""
        self._client = client
        self._collection = client.collection(collection)
        self._type = record_type
        self._shown = shown

    def read(self, key: str) -> tuple[Record, Version] | None:
        """What is stored under *key*, and its version."""
        snapshot = _translated(
            lambda: self._collection.document(key).get(retry=UNCONDITIONAL_RETRY, timeout=TIMEOUT)
        )
        if not snapshot.exists:
            return None
        return _decode(self._type, snapshot.to_dict()), Version(snapshot.update_time)

    def create(self, key: str, record: Record) -> None:
        """Store *record* under *key*, or raise PreconditionFailed."""
        _conditional(
            lambda: self._collection.document(key).create(self._encode(record), retry=RETRY, timeout=TIMEOUT)
        )

    def replace(self, key: str, record: Record, *, version: Version) -> None:
        """Store *record* over *version*, or raise PreconditionFailed.

        One commit with the precondition that the document was not updated since: all that a transaction of
        a read and a write would give, with one call less and no lock held.
        """
        batch = self._client.batch()
        option = self._client.write_option(last_update_time=version)
        batch.update(self._collection.document(key), self._encode(record), option=option)
        _conditional(lambda: batch.commit(retry=RETRY, timeout=TIMEOUT))

    def set(self, key: str, record: Record) -> None:
        """Store *record* under *key*, whatever is there."""
        reference = self._collection.document(key)
        _translated(lambda: reference.set(self._encode(record), retry=UNCONDITIONAL_RETRY, timeout=TIMEOUT))

    def delete(self, key: str) -> None:
        """Delete what is stored under *key*."""
        _translated(lambda: self._collection.document(key).delete(retry=UNCONDITIONAL_RETRY, timeout=TIMEOUT))

    def all(self, **equal: str | bool) -> Iterator[Record]:
        """Every record, or those that show fields *equal* to these, as far as they can be read."""
        query: Any = self._collection
        for field, value in equal.items():
            query = query.where(filter=firestore.FieldFilter(field, "==", value))
        for snapshot in _translated(lambda: list(query.stream(retry=UNCONDITIONAL_RETRY, timeout=TIMEOUT))):
            try:
                record = _decode(self._type, snapshot.to_dict())
            except InvalidRecord:
                # One document that cannot be read must not hide the others from the reaper and the owner.
                _log.exception("a document cannot be read", extra={"document": snapshot.reference.path})
                continue
            yield record

    def _encode(self, record: Record) -> dict[str, Any]:
        """*record* as one JSON text, with what people look for in the console, and queries ask for, beside it.

        As nested values it took several times as long to carry, on the path that viewers' latency rests on.
        """
        return {**self._shown(record), RECORD: encode_record(record).decode()}


class FirestoreStreamDocuments:
    """Stream documents and leases, through the official client. Safe to use from several threads."""

    def __init__(self, client: firestore.Client) -> None:
        """Use *client*'s database."""
        self._streams = _Records(client, STREAMS, StreamDocument, _shown_of_stream)
        self._leases = _Records(client, LEASES, Lease, lambda lease: {"media_at": lease.media_at})

    def read(self, stream: StreamId) -> StoredDocument | None:
        """See StreamDocuments.read."""
        stored = self._streams.read(stream)
        return StoredDocument(document=stored[0], version=stored[1]) if stored else None

    def create(self, document: StreamDocument) -> None:
        """See StreamDocuments.create."""
        self._streams.create(document.stream, document)

    def replace(self, document: StreamDocument, *, version: Version) -> None:
        """See StreamDocuments.replace."""
        self._streams.replace(document.stream, document, version=version)

    def delete(self, stream: StreamId) -> None:
        """See DeletableStreamDocuments.delete."""
        self._leases.delete(stream)
        self._streams.delete(stream)

    def all(self) -> Iterator[StreamDocument]:
        """See StreamDocuments.all."""
        return self._streams.all()

    def lease(self, stream: StreamId) -> Lease | None:
        """See StreamDocuments.lease."""
        stored = self._leases.read(stream)
        return stored[0] if stored else None

    def renew_lease(self, stream: StreamId, lease: Lease) -> None:
        """See StreamDocuments.renew_lease."""
        self._leases.set(stream, lease)


class FirestoreRecordingDocuments:
    """Recording documents, through the official client. Safe to use from several threads."""

    def __init__(self, client: firestore.Client) -> None:
        """Use *client*'s database."""
        self._recordings = _Records(client, RECORDINGS, RecordingDocument, _shown_of_recording)

    def read(self, stream: StreamId, broadcast: BroadcastNumber) -> StoredRecording | None:
        """See RecordingDocuments.read."""
        stored = self._recordings.read(_recording_key(stream, broadcast))
        return StoredRecording(document=stored[0], version=stored[1]) if stored else None

    def create(self, document: RecordingDocument) -> None:
        """See RecordingDocuments.create."""
        self._recordings.create(_recording_key(document.stream, document.broadcast), document)

    def replace(self, document: RecordingDocument, *, version: Version) -> None:
        """See RecordingDocuments.replace."""
        key = _recording_key(document.stream, document.broadcast)
        self._recordings.replace(key, document, version=version)

    def delete(self, stream: StreamId, broadcast: BroadcastNumber) -> None:
        """See RecordingDocuments.delete."""
        self._recordings.delete(_recording_key(stream, broadcast))

    def of_stream(self, stream: StreamId) -> Iterator[RecordingDocument]:
        """See RecordingDocuments.of_stream."""
        return self._recordings.all(stream=stream)

    def unsettled(self) -> Iterator[RecordingDocument]:
        """See RecordingDocuments.unsettled."""
        return self._recordings.all(settled=False)


def _recording_key(stream: StreamId, broadcast: BroadcastNumber) -> str:
    return f"{stream}_{broadcast}"  # no stream id has an underscore


def _shown_of_recording(document: RecordingDocument) -> dict[str, Any]:
    return {
        "stream": document.stream,
        "broadcast": document.broadcast,
        "state": str(document.state),
        "since": document.since,
        "settled": document.is_settled,
    }


def _shown_of_stream(document: StreamDocument) -> dict[str, Any]:
    return {"state": str(document.state), "since": document.since, "revision": document.revision}


def _decode(record_type: type[Record], fields: dict[str, Any] | None) -> Record:
    text = (fields or {}).get(RECORD)
    if not isinstance(text, str):
        raise InvalidRecord(f"not a {record_type.__name__}: it holds no {RECORD}")
    return decode_record(record_type, text.encode())


def _conditional(call: Callable[[], Answer]) -> Answer:
    """Call what has a precondition; whoever is refused reads again."""
    try:
        return call()
    except (exceptions.AlreadyExists, exceptions.FailedPrecondition, exceptions.NotFound) as error:
        raise PreconditionFailed("the document was written since it was read") from error
    except exceptions.Aborted as error:
        raise PreconditionFailed("the document is being written by another") from error
    except (exceptions.GoogleAPIError, GoogleAuthError) as error:
        raise _unavailable(error) from error


def _translated(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except (exceptions.GoogleAPIError, GoogleAuthError) as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"Firestore: {type(error).__name__}")
