"""The shell: a port or a clear refusal, and every call that is not offered is named."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1 import types

from local_cloud.firestore import FirestoreServer
from local_cloud.firestore.errors import InvalidArgument, Unimplemented
from local_cloud.firestore.requests import parse_query, parse_write, refuse_fields
from local_cloud.firestore.server import MAX_LISTENERS
from local_cloud.operations import CountedOperation, OperationCounts, PriceClass

# A cancellation reaches the server a moment later.
STREAM_END_TRIES = 1000
DATABASE = "projects/p/databases/(default)"
ROOT = f"{DATABASE}/documents"


@pytest.fixture
def operations() -> OperationCounts:
    return OperationCounts()


@pytest.fixture
def server(operations: OperationCounts) -> Iterator[FirestoreServer]:
    server = FirestoreServer(None, operations=operations)
    yield server
    server.stop()


@pytest.fixture
def client(server: FirestoreServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[firestore.Client]:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{server.start('127.0.0.1', 0)}")
    client = firestore.Client(project="p")
    yield client
    client.close()


def test_a_port_in_use_is_one_clear_error(server: FirestoreServer) -> None:
    port = server.start("127.0.0.1", 0)
    second = FirestoreServer(None)
    with pytest.raises(OSError, match=f"Firestore cannot listen on 127.0.0.1:{port}"):
        second.start("127.0.0.1", port)
    second.stop()


def test_a_stopped_server_gives_its_port_back(server: FirestoreServer) -> None:
    port = server.start("127.0.0.1", 0)
    server.stop()
    second = FirestoreServer(None)
    assert second.start("127.0.0.1", port) == port
    second.stop()


@pytest.fixture
def listen(server: FirestoreServer) -> Iterator[Callable[[], Any]]:
    """What opens a Listen stream on one document, that stays open until the test is over."""
    over = Event()
    message = types.ListenRequest.pb()
    target = {"target_id": 1, "documents": {"documents": [f"{ROOT}/c/a"]}}

    def requests() -> Iterator[Any]:
        yield message(database=DATABASE, add_target=target)
        over.wait()

    with grpc.insecure_channel(f"127.0.0.1:{server.start('127.0.0.1', 0)}") as channel:
        call = channel.stream_stream(
            "/google.firestore.v1.Firestore/Listen",
            request_serializer=message.SerializeToString,
            response_deserializer=types.ListenResponse.pb().FromString,
        )
        yield lambda: call(requests())
        over.set()


def test_a_server_stops_while_somebody_listens(server: FirestoreServer, listen: Callable[[], Any]) -> None:
    stream = listen()
    assert [next(stream).target_change.target_ids for _ in ("added", "current", "consistent")] == [[1], [1], []]
    server.stop()
    assert list(stream) == []


def test_streams_are_bounded_and_leave_threads_for_calls(
    server: FirestoreServer, listen: Callable[[], Any]
) -> None:
    streams = [listen() for _ in range(MAX_LISTENERS)]
    for stream in streams:
        next(stream)
    with pytest.raises(grpc.RpcError) as refusal:
        next(listen())
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    streams[0].cancel()
    for _ in range(STREAM_END_TRIES):
        with suppress(grpc.RpcError):
            next(listen())
            break
    else:
        pytest.fail("a cancelled stream keeps its place")


def test_operations_are_noted_where_the_server_was_told_to(
    operations: OperationCounts, client: firestore.Client
) -> None:
    client.document("c/a").set({"n": 1})
    client.document("c/a").get()
    client.document("c/a").delete()
    assert operations.so_far() == {
        CountedOperation(PriceClass.DOCUMENT_READ, "document read", "c"): 1,
        CountedOperation(PriceClass.DOCUMENT_WRITE, "document write", "c"): 1,
        CountedOperation(PriceClass.DOCUMENT_DELETE, "document delete", "c"): 1,
    }


@pytest.mark.parametrize(
    ("method", "request_message"),
    [
        ("create_document", {"parent": ROOT, "collection_id": "c"}),
        ("update_document", {"document": {"name": f"{ROOT}/c/a"}}),
        ("delete_document", {"name": f"{ROOT}/c/a"}),
        ("partition_query", {"parent": ROOT}),
    ],
)
def test_a_call_that_is_not_offered_is_refused_by_its_name(
    client: Any, method: str, request_message: dict[str, Any]
) -> None:
    name = method.title().replace("_", "")
    with pytest.raises(exceptions.MethodNotImplemented, match=f"does not offer .*{name}"):
        getattr(client._firestore_api, method)(request=request_message)


def test_a_call_that_nobody_knows_is_refused_by_its_name(server: FirestoreServer) -> None:
    address = f"127.0.0.1:{server.start('127.0.0.1', 0)}"
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as refusal:
        channel.stream_stream("/google.firestore.admin.v1.FirestoreAdmin/X")(iter([b""])).next()
    assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "/google.firestore.admin.v1.FirestoreAdmin/X" in refusal.value.details()


def test_sums_and_averages_are_refused_loudly(client: Any) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match="sum"):
        client.collection("c").sum("n").get()


def test_a_document_of_another_database_is_refused(client: Any) -> None:
    write = {"delete": "projects/other/databases/(default)/documents/c/a"}
    with pytest.raises(exceptions.InvalidArgument, match="is not in"):
        client._firestore_api.commit(request={"database": DATABASE, "writes": [write]})


@pytest.mark.parametrize(
    "options",
    [
        {"read_only": {"read_time": {"seconds": 1}}},
        {"read_write": {"concurrency_mode": "PESSIMISTIC"}},
    ],
)
def test_a_transaction_that_is_not_offered_is_refused(client: Any, options: dict[str, Any]) -> None:
    with pytest.raises(exceptions.MethodNotImplemented):
        client._firestore_api.begin_transaction(request={"database": DATABASE, "options": options})


def test_get_document_tells_what_is_missing(client: Any) -> None:
    with pytest.raises(exceptions.NotFound):
        client._firestore_api.get_document(request={"name": f"{ROOT}/c/a"})
    client.document("c/a").set({"x": 1, "y": 2})
    request = {"name": f"{ROOT}/c/a", "mask": {"field_paths": ["x"]}}
    assert list(client._firestore_api.get_document(request=request).fields) == ["x"]


def test_collection_ids_come_in_pages(client: Any) -> None:
    for letter in "bca":
        client.document(f"{letter}/1").set({})
    request = {"parent": ROOT, "page_size": 2}
    pages = [
        list(page.collection_ids) for page in client._firestore_api.list_collection_ids(request=request).pages
    ]
    assert pages == [["a", "b"], ["c"]]
    with pytest.raises(exceptions.InvalidArgument):
        list(client._firestore_api.list_collection_ids(request={"parent": ROOT, "page_size": -1}))


def test_a_field_that_is_not_offered_is_named() -> None:
    request = types.RunQueryRequest.pb()(parent=ROOT, read_time={"seconds": 1})
    with pytest.raises(Unimplemented, match=r"RunQueryRequest\.read_time"):
        refuse_fields(request, "transaction", "read_time")


@pytest.mark.parametrize(
    "write",
    [
        {},
        {"update": {"name": f"{ROOT}/c/a", "fields": {"x": {}}}},
        {"update": {"name": f"{ROOT}/c/a"}, "update_mask": {"field_paths": ["a-b"]}},
        {"update": {"name": f"{ROOT}/c/a"}, "update_transforms": [{"field_path": "a"}]},
        {
            "update": {"name": f"{ROOT}/c/a"},
            "update_transforms": [{"field_path": "a", "set_to_server_value": 0}],
        },
        {
            "update": {
                "name": f"{ROOT}/c/a",
                "fields": {"x": {"timestamp_value": {"seconds": 10**18}}},
            }
        },
        {"transform": {"document": f"{ROOT}/c/a"}},
        {"update": {"name": f"{ROOT}/c/a", "fields": {"x": {"field_reference_value": "y"}}}},
    ],
)
def test_a_write_that_says_nothing_clear_is_refused(write: dict[str, Any]) -> None:
    with pytest.raises((InvalidArgument, Unimplemented)):
        parse_write(types.Write.pb()(**write))


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"from_": [{"collection_id": "c"}, {"collection_id": "d"}]},
        {"from_": [{"collection_id": "a/b"}]},
        {"from_": [{"collection_id": "c"}], "where": {}},
        {"from_": [{"collection_id": "c"}], "where": {"composite_filter": {}}},
        {"from_": [{"collection_id": "c"}], "where": {"unary_filter": {"field": {"field_path": "a"}}}},
        {"from_": [{"collection_id": "c"}], "find_nearest": {}},
    ],
)
def test_a_query_that_says_nothing_clear_is_refused(query: dict[str, Any]) -> None:
    with pytest.raises((InvalidArgument, Unimplemented)):
        parse_query(ROOT, types.StructuredQuery.pb()(**query))
