"""The calls of google.firestore.v1.Firestore that are offered: message in, message out, no network."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from google.cloud.firestore_v1 import types
from google.protobuf.empty_pb2 import Empty

from local_cloud.firestore.codec import (
    DocumentMessage,
    decode_mask,
    encode_document,
    encode_time,
    encode_value,
)
from local_cloud.firestore.documents import (
    CollectionName,
    DatabaseName,
    check_id,
    parse_database,
    parse_document,
    parse_parent,
)
from local_cloud.firestore.errors import FirestoreError, InvalidArgument, NotFound, Unimplemented
from local_cloud.firestore.fields import FieldPath
from local_cloud.firestore.query import Query
from local_cloud.firestore.requests import parse_query, parse_write, refuse_fields
from local_cloud.firestore.store import Store
from local_cloud.firestore.writes import Outcome, SetDocument, Write

# cloud.google.com/firestore/quotas: "Maximum API request size: 10 MiB".
MAX_REQUEST_BYTES: Final = 10 << 20
# A page when the client leaves it to the server: enough for a local broadcast's records at once.
DEFAULT_PAGE_SIZE: Final = 300

_BatchGetDocumentsResponse: Final = types.BatchGetDocumentsResponse.pb()
_BatchWriteResponse: Final = types.BatchWriteResponse.pb()
_BeginTransactionResponse: Final = types.BeginTransactionResponse.pb()
_CommitResponse: Final = types.CommitResponse.pb()
_ListCollectionIdsResponse: Final = types.ListCollectionIdsResponse.pb()
_ListDocumentsResponse: Final = types.ListDocumentsResponse.pb()
_RunAggregationQueryResponse: Final = types.RunAggregationQueryResponse.pb()
_RunQueryResponse: Final = types.RunQueryResponse.pb()
_WriteResult: Final = types.WriteResult.pb()

_PESSIMISTIC: Final = 2


class FirestoreService:
    """The calls over one store; each raises a FirestoreError for what it refuses."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.unary: Mapping[str, tuple[Any, Callable[[Any], Any]]] = {
            "GetDocument": (types.GetDocumentRequest.pb(), self.get_document),
            "ListDocuments": (types.ListDocumentsRequest.pb(), self.list_documents),
            "ListCollectionIds": (types.ListCollectionIdsRequest.pb(), self.list_collection_ids),
            "BeginTransaction": (types.BeginTransactionRequest.pb(), self.begin_transaction),
            "Commit": (types.CommitRequest.pb(), self.commit),
            "Rollback": (types.RollbackRequest.pb(), self.rollback),
            "BatchWrite": (types.BatchWriteRequest.pb(), self.batch_write),
        }
        self.streaming: Mapping[str, tuple[Any, Callable[[Any], Iterator[Any]]]] = {
            "BatchGetDocuments": (types.BatchGetDocumentsRequest.pb(), self.batch_get_documents),
            "RunQuery": (types.RunQueryRequest.pb(), self.run_query),
            "RunAggregationQuery": (types.RunAggregationQueryRequest.pb(), self.run_aggregation_query),
        }

    def get_document(self, request: Any) -> Any:
        """Return one document, or raise NotFound."""
        refuse_fields(request, "read_time")
        name = parse_document(request.name)
        (document,) = self._store.get((name,), request.transaction or None).documents
        if document is None:
            raise NotFound(f"document not found: {name}")
        return encode_document(document, _mask(request))

    def batch_get_documents(self, request: Any) -> Iterator[Any]:
        """Yield every document that is asked for once, or that it is missing."""
        refuse_fields(request, "read_time", "new_transaction")
        database = parse_database(request.database)
        names = tuple(dict.fromkeys(map(parse_document, request.documents)))
        for name in names:
            _check_database(database, name)
        paths = _mask(request)
        read = self._store.get(names, request.transaction or None)
        time = encode_time(read.time)
        for name, document in zip(names, read.documents, strict=True):
            if document is None:
                yield _BatchGetDocumentsResponse(missing=name, read_time=time)
            else:
                yield _BatchGetDocumentsResponse(found=encode_document(document, paths), read_time=time)

    def list_documents(self, request: Any) -> Any:
        """Return one page of a collection in the order of names."""
        refuse_fields(request, "read_time", "transaction", "order_by")
        check_id(request.collection_id)
        collection = CollectionName(f"{parse_parent(request.parent)}/{request.collection_id}")
        paths = _mask(request)
        page = self._store.page(
            collection,
            missing=request.show_missing,
            after=parse_document(f"{collection}/{request.page_token}") if request.page_token else None,
            size=_page_size(request),
        )
        response = _ListDocumentsResponse(
            documents=[
                DocumentMessage(name=name) if document is None else encode_document(document, paths)
                for name, document in page.documents
            ]
        )
        if page.more:
            response.next_page_token = page.documents[-1][0].rpartition("/")[2]
        return response

    def list_collection_ids(self, request: Any) -> Any:
        """Return one page of the collections under a document or the root."""
        refuse_fields(request, "read_time")
        ids = self._store.collection_ids(parse_parent(request.parent))
        rest = [one for one in ids if one > request.page_token]
        size = _page_size(request)
        more = rest[size - 1] if len(rest) > size else ""
        return _ListCollectionIdsResponse(collection_ids=rest[:size], next_page_token=more)

    def begin_transaction(self, request: Any) -> Any:
        """Return the id of a new transaction; one that is retried keeps no "spot in line" here."""
        parse_database(request.database)
        refuse_fields(request.options.read_only, "read_time")
        if request.options.read_write.concurrency_mode == _PESSIMISTIC:
            raise Unimplemented("the local cloud's transactions are optimistic")
        read_only = request.options.WhichOneof("mode") == "read_only"
        return _BeginTransactionResponse(transaction=self._store.begin(read_only=read_only))

    def rollback(self, request: Any) -> Any:
        """End a transaction without writing."""
        self._store.rollback(request.transaction)
        return Empty()

    def commit(self, request: Any) -> Any:
        """Apply all writes or none."""
        writes = _parse_writes(request)
        committed = self._store.commit(writes, request.transaction or None)
        return _CommitResponse(
            write_results=map(_write_result, writes, committed.outcomes),
            commit_time=encode_time(committed.time),
        )

    def batch_write(self, request: Any) -> Any:
        """Apply each write on its own, with a status for each."""
        writes = _parse_writes(request)
        response = _BatchWriteResponse()
        for write, outcome in zip(writes, self._store.write_each(writes), strict=True):
            result, status = response.write_results.add(), response.status.add()
            if isinstance(outcome, FirestoreError):
                status.code, status.message = outcome.code, outcome.message
            else:
                result.CopyFrom(_write_result(write, outcome))
        return response

    def run_query(self, request: Any) -> Iterator[Any]:
        """Yield the documents that a query finds, or the time alone if there are none."""
        query = _parse_query_request(request, request.structured_query)
        read = self._store.run(query, request.transaction or None)
        time = encode_time(read.time)
        for document in read.documents:
            if document is not None:
                yield _RunQueryResponse(document=encode_document(document, query.select), read_time=time)
        if not read.documents:
            yield _RunQueryResponse(read_time=time)

    def run_aggregation_query(self, request: Any) -> Iterator[Any]:
        """Yield the count of what a query finds, under each alias that asks for it."""
        aggregation = request.structured_aggregation_query
        query = _parse_query_request(request, aggregation.structured_query)
        for wanted in aggregation.aggregations:
            refuse_fields(wanted, "sum", "avg")
        found, time = self._store.count(query, request.transaction or None)
        response = _RunAggregationQueryResponse(read_time=encode_time(time))
        for position, wanted in enumerate(aggregation.aggregations, start=1):
            bound = wanted.count.up_to.value if wanted.count.HasField("up_to") else found
            # "If not provided, Firestore will pick a default name following the format field_<n>".
            alias = wanted.alias or f"field_{position}"
            response.result.aggregate_fields[alias].CopyFrom(encode_value(min(found, bound)))
        yield response


def _mask(request: Any) -> tuple[FieldPath, ...] | None:
    return decode_mask(request.mask) if request.HasField("mask") else None


def _page_size(request: Any) -> int:
    if request.page_size < 0:
        raise InvalidArgument("a page size cannot be negative")
    return min(request.page_size or DEFAULT_PAGE_SIZE, DEFAULT_PAGE_SIZE)


def _parse_query_request(request: Any, message: Any) -> Query:
    refuse_fields(request, "read_time", "new_transaction", "explain_options")
    return parse_query(request.parent, message)


def _parse_writes(request: Any) -> tuple[Write, ...]:
    size = request.ByteSize()
    if size > MAX_REQUEST_BYTES:
        raise InvalidArgument(f"the request has {size} bytes, more than {MAX_REQUEST_BYTES}")
    database = parse_database(request.database)
    writes = tuple(map(parse_write, request.writes))
    for write in writes:
        _check_database(database, write.name)
    return writes


def _check_database(database: DatabaseName, name: str) -> None:
    if not name.startswith(f"{database}/documents/"):
        raise InvalidArgument(f"{name} is not in {database}")


def _write_result(write: Write, outcome: Outcome) -> Any:
    result = _WriteResult()
    # "Not set after a delete".
    if isinstance(write, SetDocument) and outcome.after is not None:
        result.update_time.FromDatetime(outcome.after.update_time)
    result.transform_results.extend(map(encode_value, outcome.transform_results))
    return result
