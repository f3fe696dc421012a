"""Firestore behind the port StreamDocuments."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import msgspec
from google.api_core import exceptions, retry
from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore

from bucketcast.errors import InvalidRecord, PreconditionFailed, Unavailable
from bucketcast.ports import StoredDocument, Version
from bucketcast.records import decode_record, encode_record
from bucketcast.stream.claim import Lease
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import StreamId

Answer = TypeVar("Answer")
_log = logging.getLogger(__name__)

Decoded = TypeVar("Decoded", bound=msgspec.Struct)

STREAMS: Final = "streams"
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


class FirestoreStreamDocuments:
    """Stream documents and leases, through the official client. Safe to use from several threads."""

    def __init__(self, client: firestore.Client) -> None:
        """Use *client*'s database."""
        self._client = client

    def read(self, stream: StreamId) -> StoredDocument | None:
        """See StreamDocuments.read."""
        snapshot = _translated(lambda: self._document(stream).get(retry=UNCONDITIONAL_RETRY, timeout=TIMEOUT))
        if not snapshot.exists:
            return None
        document = _decode(StreamDocument, snapshot.to_dict())
        return StoredDocument(document=document, version=Version(snapshot.update_time))

    def create(self, document: StreamDocument) -> None:
        """See StreamDocuments.create."""
        _conditional(
            lambda: self._document(document.stream).create(_encode(document), retry=RETRY, timeout=TIMEOUT)
        )

    def replace(self, document: StreamDocument, *, version: Version) -> None:
        """See StreamDocuments.replace.

        One commit with the precondition that the document was not updated since: all that a transaction of
        a read and a write would give, with one call less and no lock held.
        """
        batch = self._client.batch()
        batch.update(
            self._document(document.stream),
            _encode(document),
            option=self._client.write_option(last_update_time=version),
        )
        _conditional(lambda: batch.commit(retry=RETRY, timeout=TIMEOUT))

    def all(self) -> Iterator[StreamDocument]:
        """See StreamDocuments.all."""
        for snapshot in _translated(
            lambda: list(self._client.collection(STREAMS).stream(retry=UNCONDITIONAL_RETRY, timeout=TIMEOUT))
        ):
            try:
                document = _decode(StreamDocument, snapshot.to_dict())
            except InvalidRecord:
                # One document that cannot be read must not hide the others from the reaper and the owner.
                _log.exception("a stream's document cannot be read", extra={"stream": snapshot.id})
                continue
            yield document

    def lease(self, stream: StreamId) -> Lease | None:
        """See StreamDocuments.lease."""
        reference = self._client.collection(LEASES).document(stream)
        snapshot = _translated(lambda: reference.get(retry=UNCONDITIONAL_RETRY, timeout=TIMEOUT))
        return _decode(Lease, snapshot.to_dict()) if snapshot.exists else None

    def renew_lease(self, stream: StreamId, lease: Lease) -> None:
        """See StreamDocuments.renew_lease."""
        reference = self._client.collection(LEASES).document(stream)
        _translated(lambda: reference.set(_encode_lease(lease), retry=UNCONDITIONAL_RETRY, timeout=TIMEOUT))

    def _document(self, stream: StreamId) -> firestore.DocumentReference:
        return self._client.collection(STREAMS).document(stream)


def _encode(document: StreamDocument) -> dict[str, Any]:
    """Return *document* as one JSON text, with what people look for in the console beside it.

    As nested values it took several times as long to carry, on the path that viewers' latency rests on; and
    nothing queries inside it.
    """
    return {
        "state": str(document.state),
        "since": document.since,
        "revision": document.revision,
        RECORD: encode_record(document).decode(),
    }


def _encode_lease(lease: Lease) -> dict[str, Any]:
    return {"media_at": lease.media_at, RECORD: encode_record(lease).decode()}


def _decode(record_type: type[Decoded], fields: dict[str, Any] | None) -> Decoded:
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
