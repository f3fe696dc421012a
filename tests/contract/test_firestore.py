"""What our code may rely on of Firestore, through the official client: the local cloud against the referee.

The referee is Google's own emulator. Where either is known to differ, DEVIATIONS says so by name.
"""

import asyncio
import math
import os
import queue
import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import And, FieldFilter, Or

from local_cloud.firestore import FirestoreServer

LOCAL_CLOUD: Final = "local cloud"
EMULATOR: Final = "Google's emulator"

DEVIATIONS: Final = {
    (EMULATOR, "test_a_request_of_more_than_10_mib_is_invalid"): (
        "takes 4 MiB, and answers RESOURCE_EXHAUSTED, which the client runs again for a minute"
    ),
}
# Threads and increments of each: on the emulator every collision costs a lock's time-out of 2 s.
CONTENTION: Final = {LOCAL_CLOUD: (4, 10), EMULATOR: (2, 1)}

# The emulator is a JVM, which two busy cores start slowly.
EMULATOR_START_SECONDS: Final = 40.0
EVENT_SECONDS: Final = 10.0
MIB: Final = 1 << 20


@contextmanager
def local_cloud() -> Iterator[str]:
    server = FirestoreServer(None)
    port = server.start("127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop()


def emulator_jar() -> Path | None:
    """Return where FIRESTORE_EMULATOR_JAR says, or beside the gcloud on the PATH."""
    gcloud = shutil.which("gcloud")
    beside = (
        Path(gcloud).resolve().parents[1] / "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
        if gcloud
        else None
    )
    found = Path(os.environ["FIRESTORE_EMULATOR_JAR"]) if "FIRESTORE_EMULATOR_JAR" in os.environ else beside
    return found if found is not None and found.is_file() else None


@contextmanager
def emulator() -> Iterator[str]:
    jar, java = emulator_jar(), shutil.which("java")
    if jar is None or java is None:
        pytest.skip("Google's Firestore emulator is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    host, _, port = address.partition(":")
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    # Its messages are matched nowhere, but a translated JVM must not change its formats.
    command = [java, "-Duser.language=en", "-cp", str(jar), main, "start", f"--host={host}", f"--port={port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with grpc.insecure_channel(address) as channel:
                grpc.channel_ready_future(channel).result(timeout=EMULATOR_START_SECONDS)
            yield address
        finally:
            process.kill()


BACKENDS: Final[dict[str, Callable[[], Any]]] = {LOCAL_CLOUD: local_cloud, EMULATOR: emulator}


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with BACKENDS[request.param]() as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", address)
        yield request.param


@pytest.fixture(autouse=True)
def known_deviation(request: pytest.FixtureRequest, backend: str) -> None:
    reason = DEVIATIONS.get((backend, request.node.originalname))
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(scope="module")
def client(backend: str) -> Iterator[firestore.Client]:
    client = firestore.Client(project="contract")
    yield client
    client.close()


@pytest.fixture
def collection(client: firestore.Client) -> firestore.CollectionReference:
    return client.collection(f"c-{uuid.uuid4().hex}")


@pytest.fixture
def document(collection: firestore.CollectionReference) -> firestore.DocumentReference:
    return collection.document("one")


@pytest.fixture
async def async_client(backend: str) -> AsyncIterator[firestore.AsyncClient]:
    client = firestore.AsyncClient(project="contract")
    yield client
    await client._firestore_api.transport.close()


def stored(document: firestore.DocumentReference) -> Any:
    return document.get().to_dict()


def ids(query: Any) -> list[str]:
    return [snapshot.id for snapshot in query.stream()]


class TestDocuments:
    def test_a_document_that_was_never_written_does_not_exist(self, document: Any) -> None:
        snapshot = document.get()
        assert not snapshot.exists
        assert snapshot.read_time is not None

    def test_every_type_of_value_comes_back_as_it_was(self, document: Any) -> None:
        fields = {
            "null": None,
            "true": True,
            "integer": -(1 << 63),
            "double": 0.1,
            "infinity": -math.inf,
            "time": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            "text": "été 🎬",
            "bytes": b"\0\xff",
            "reference": document,
            "place": firestore.GeoPoint(1.5, -2.5),
            "origin": firestore.GeoPoint(0, 0),
            "array": [1, "a", {"b": [2]}, {}],
            "map": {"a": {"b": {}}, "with space": 2, "a.b": 3},
        }
        document.set(fields)
        assert stored(document) == fields

    def test_an_integer_does_not_become_a_double(self, document: Any) -> None:
        document.set({"integer": 1, "double": 1.0})
        assert [type(value) for _, value in sorted(stored(document).items())] == [float, int]

    def test_set_replaces_all_and_keeps_the_create_time(self, document: Any) -> None:
        document.set({"old": 1})
        before = document.get()
        result = document.set({"new": 1})
        after = document.get()
        assert after.to_dict() == {"new": 1}
        assert after.create_time == before.create_time == before.update_time
        assert after.update_time == result.update_time > before.update_time

    def test_create_refuses_a_document_that_exists(self, document: Any) -> None:
        document.create({"a": 1})
        with pytest.raises(exceptions.AlreadyExists):
            document.create({"a": 2})
        assert stored(document) == {"a": 1}

    def test_merge_changes_only_what_it_names_at_every_depth(self, document: Any) -> None:
        document.set({"map": {"kept": 1, "changed": 1}, "kept": [1]})
        document.set({"map": {"changed": 2}, "new": 3}, merge=True)
        assert stored(document) == {"map": {"kept": 1, "changed": 2}, "kept": [1], "new": 3}

    def test_merge_of_named_fields_takes_only_these(self, document: Any) -> None:
        document.set({"a": {"b": 1, "c": 1}, "d": 1})
        document.set({"a": {"b": 2, "c": 2}}, merge=["a.b"])
        assert stored(document) == {"a": {"b": 2, "c": 1}, "d": 1}

    def test_merge_makes_a_document_that_does_not_exist(self, document: Any) -> None:
        document.set({"a": {"b": 1}}, merge=True)
        assert stored(document) == {"a": {"b": 1}}

    def test_update_reaches_into_maps(self, document: Any) -> None:
        document.set({"a": {"b": 1, "c": 1}, "scalar": 1})
        document.update({"a.b": 2, "scalar.x": 3, "`q.r`.s": 4})
        assert stored(document) == {"a": {"b": 2, "c": 1}, "scalar": {"x": 3}, "q.r": {"s": 4}}

    def test_update_deletes_fields(self, document: Any) -> None:
        document.set({"a": {"b": 1}, "c": 1})
        document.update({"a.b": firestore.DELETE_FIELD, "c": firestore.DELETE_FIELD, "d": 1})
        assert stored(document) == {"a": {}, "d": 1}

    def test_update_refuses_a_document_that_does_not_exist(self, document: Any) -> None:
        with pytest.raises(exceptions.NotFound):
            document.update({"a": 1})
        assert not document.get().exists

    def test_delete_is_right_for_a_document_that_exists_and_one_that_does_not(self, document: Any) -> None:
        document.set({"a": 1})
        document.delete()
        document.delete()
        assert not document.get().exists

    def test_a_document_made_again_is_a_new_one(self, document: Any) -> None:
        document.set({"a": 1})
        first = document.get().create_time
        document.delete()
        document.set({"a": 1})
        assert document.get().create_time > first

    def test_get_all_tells_found_from_missing_and_keeps_to_the_mask(self, client: Any, collection: Any) -> None:
        collection.document("a").set({"x": {"y": 1, "z": 2}, "w": 3})
        wanted = [collection.document("a"), collection.document("b")]
        found = {snapshot.id: snapshot for snapshot in client.get_all(wanted, field_paths=["x.y"])}
        assert found["a"].to_dict() == {"x": {"y": 1}}
        assert not found["b"].exists

    def test_a_write_that_changes_nothing_keeps_the_update_time(self, document: Any) -> None:
        first = document.set({"a": [1, {"b": 2}]}).update_time
        assert document.set({"a": [1, {"b": 2}]}).update_time == first
        assert document.set({"a": [1, {"b": 2}]}, merge=True).update_time == first
        assert document.set({"a": [1, {"b": 2.0}]}).update_time > first

    def test_update_times_of_writes_one_after_another_strictly_increase(self, document: Any) -> None:
        times = [document.set({"n": number}).update_time for number in range(20)]
        assert times == sorted(set(times))


class TestPreconditions:
    def test_update_and_delete_with_the_present_update_time_succeed(self, client: Any, document: Any) -> None:
        first = document.set({"a": 1}).update_time
        second = document.update({"a": 2}, client.write_option(last_update_time=first)).update_time
        document.delete(client.write_option(last_update_time=second))
        assert not document.get().exists

    def test_update_and_delete_with_a_past_update_time_fail(self, client: Any, document: Any) -> None:
        past = client.write_option(last_update_time=document.set({"a": 1}).update_time)
        document.set({"a": 2})
        with pytest.raises(exceptions.FailedPrecondition):
            document.update({"a": 3}, past)
        with pytest.raises(exceptions.FailedPrecondition):
            document.delete(past)
        assert stored(document) == {"a": 2}

    def test_an_update_time_is_not_that_of_a_deleted_document(self, client: Any, document: Any) -> None:
        past = client.write_option(last_update_time=document.set({"a": 1}).update_time)
        document.delete()
        with pytest.raises(exceptions.FailedPrecondition):
            document.update({"a": 3}, past)

    def test_delete_of_what_must_exist_fails_where_it_does_not(self, client: Any, document: Any) -> None:
        with pytest.raises(exceptions.NotFound):
            document.delete(client.write_option(exists=True))

    def test_threads_that_swap_by_update_time_lose_nothing(self, client: Any, document: Any) -> None:
        document.set({"n": 0})

        def increment() -> None:
            done = 0
            while done < 5:
                snapshot = document.get()
                option = client.write_option(last_update_time=snapshot.update_time)
                with suppress(exceptions.FailedPrecondition):
                    document.update({"n": snapshot.get("n") + 1}, option)
                    done += 1

        run_in_threads(4, increment)
        assert stored(document) == {"n": 20}


class TestBatches:
    def test_a_batch_is_applied_whole_at_one_time(self, client: Any, collection: Any) -> None:
        batch = client.batch()
        for number in range(3):
            batch.set(collection.document(str(number)), {"n": number})
        results = batch.commit()
        assert len({result.update_time for result in results}) == 1
        assert len(ids(collection)) == 3

    def test_a_batch_with_one_refused_write_leaves_no_trace(self, client: Any, collection: Any) -> None:
        batch = client.batch()
        batch.set(collection.document("a"), {"n": 1})
        batch.update(collection.document("missing"), {"n": 1})
        with pytest.raises(exceptions.NotFound):
            batch.commit()
        assert ids(collection) == []

    def test_writes_of_one_document_follow_each_other(self, client: Any, document: Any) -> None:
        batch = client.batch()
        batch.create(document, {"a": 1})
        batch.update(document, {"b": 2})
        batch.commit()
        assert stored(document) == {"a": 1, "b": 2}

    def test_a_batch_may_hold_more_than_500_writes(self, client: Any, collection: Any) -> None:
        batch = client.batch()
        for number in range(501):
            batch.set(collection.document(str(number)), {})
        assert len(batch.commit()) == 501

    def test_a_batch_write_applies_each_write_on_its_own(self, client: Any, collection: Any) -> None:
        batch = client.bulk_writer()
        collection.document("exists").set({"a": 1})
        failed: list[int] = []

        def give_up(failure: Any, _writer: Any) -> bool:
            failed.append(failure.code)
            return False

        batch.on_write_error(give_up)
        batch.create(collection.document("exists"), {"a": 2})
        batch.set(collection.document("new"), {"a": 3})
        batch.close()
        assert failed == [6]
        assert stored(collection.document("exists")) == {"a": 1}
        assert stored(collection.document("new")) == {"a": 3}


class TestTransforms:
    def test_the_server_timestamp_is_one_time_in_milliseconds_for_the_whole_commit(
        self, client: Any, collection: Any
    ) -> None:
        batch = client.batch()
        for name in ("a", "b"):
            batch.set(collection.document(name), {"t": firestore.SERVER_TIMESTAMP, "m": {"t": 1}})
        batch.update(collection.document("b"), {"m.t": firestore.SERVER_TIMESTAMP})
        batch.commit()
        first, second = stored(collection.document("a")), stored(collection.document("b"))
        assert first["t"] == second["t"] == second["m"]["t"]
        assert first["t"].microsecond % 1000 == 0

    @pytest.mark.parametrize(
        ("before", "transform", "after"),
        [
            (None, firestore.Increment(2), 2),
            (40, firestore.Increment(2), 42),
            (40, firestore.Increment(0.5), 40.5),
            ("text", firestore.Increment(2), 2),
            ((1 << 63) - 2, firestore.Increment(5), (1 << 63) - 1),
            (-(1 << 63) + 2, firestore.Increment(-5), -(1 << 63)),
            (3, firestore.Maximum(5), 5),
            (3, firestore.Maximum(3.0), 3),
            (3, firestore.Maximum(2), 3),
            ("text", firestore.Maximum(2), 2),
            (3, firestore.Minimum(5), 3),
            (3, firestore.Minimum(2.5), 2.5),
            (None, firestore.ArrayUnion([1, 1.0, 2]), [1, 2]),
            ([1, 2], firestore.ArrayUnion([3, 2.0]), [1, 2, 3]),
            ("text", firestore.ArrayUnion([1]), [1]),
            ([1, 2, 1, 3], firestore.ArrayRemove([1.0, 4]), [2, 3]),
            ("text", firestore.ArrayRemove([1]), []),
        ],
    )
    def test_a_transform_makes_of_a_field(self, document: Any, before: Any, transform: Any, after: Any) -> None:
        document.set({"m": {} if before is None else {"f": before}})
        document.update({"m.f": transform})
        value = stored(document)["m"]["f"]
        assert value == after
        assert type(value) is type(after)

    @pytest.mark.parametrize("transform", [firestore.Maximum, firestore.Minimum])
    @pytest.mark.parametrize(("before", "operand"), [(1, math.nan), (math.nan, 1)])
    def test_nan_is_what_becomes_of_any_number_and_nan(
        self, document: Any, transform: Any, before: float, operand: float
    ) -> None:
        document.set({"f": before})
        document.update({"f": transform(operand)})
        assert math.isnan(stored(document)["f"])

    def test_a_write_result_tells_what_the_transforms_made(self, document: Any) -> None:
        document.set({"n": 1, "a": [1]})
        result = document.update({"n": firestore.Increment(2), "a": firestore.ArrayUnion([2])})
        kinds = {value._pb.WhichOneof("value_type") for value in result.transform_results}
        assert kinds == {"integer_value", "null_value"}

    def test_a_transform_alone_makes_a_document(self, document: Any) -> None:
        document.set({"n": firestore.Increment(2)}, merge=True)
        assert stored(document) == {"n": 2}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


class TestLimits:
    @pytest.mark.parametrize(
        "fields",
        [
            pytest.param({"a": "x" * MIB}, id="a document of more than 1 MiB"),
            pytest.param({"a": [[1]]}, id="an array in an array"),
            pytest.param({"__a__": 1}, id="a reserved field name"),
            pytest.param({"a": nested(21)}, id="maps more than 20 deep"),
        ],
    )
    def test_firestore_does_not_store(self, document: Any, fields: Any) -> None:
        with pytest.raises(exceptions.InvalidArgument):
            document.set(fields)
        assert not document.get().exists

    @pytest.mark.parametrize(
        "fields",
        [
            pytest.param({"a": "x" * (MIB - 200)}, id="a document of almost 1 MiB"),
            pytest.param({"a": [{"b": [1]}]}, id="an array in a map in an array"),
            pytest.param({"a": nested(20)}, id="maps 20 deep"),
        ],
    )
    def test_firestore_stores(self, document: Any, fields: Any) -> None:
        document.set(fields)
        assert stored(document) == fields

    @pytest.mark.parametrize("name", ["__a__", ".", ".."])
    def test_no_document_is_called(self, collection: Any, name: str) -> None:
        with pytest.raises(exceptions.InvalidArgument):
            collection.document(name).set({})

    def test_a_request_of_more_than_10_mib_is_invalid(self, client: Any, collection: Any) -> None:
        batch = client.batch()
        for number in range(11):
            batch.set(collection.document(str(number)), {"a": "x" * 1_000_000})
        with pytest.raises(exceptions.InvalidArgument):
            batch.commit(retry=None, timeout=EVENT_SECONDS)


# One document for each, in Firestore's order of the field "v"; those called "=..." equal the one before.
ORDERED: Final[dict[str, Any]] = {
    "null": None,
    "false": False,
    "true": True,
    "nan": math.nan,
    "minus": -1,
    "zero": 0,
    "zero-negative": -0.0,
    "one": 1,
    "one-half": 1.5,
    "big": float(1 << 53),
    "bigger": (1 << 53) + 1,
    "time": datetime(2026, 1, 1, tzinfo=UTC),
    "text": "a",
    "text-b": "b",
    "text-e": "é",
    "text-wide": "\uffff",
    "text-wider": "😀",
    "bytes": b"x",
    "place": firestore.GeoPoint(1, 2),
    "array-empty": [],
    "array": [1],
    "array-longer": [1, 2],
    "map-empty": {},
    "map": {"a": 1},
    "map-more": {"a": 1, "b": 2},
    "map-other": {"b": 0},
}
NUMBERS: Final = ["nan", "minus", "zero", "zero-negative", "one", "one-half", "big", "bigger"]


@pytest.fixture(scope="module")
def values(client: firestore.Client) -> firestore.CollectionReference:
    collection = client.collection(f"values-{uuid.uuid4().hex}")
    batch = client.batch()
    for name, value in reversed(ORDERED.items()):
        batch.set(collection.document(name), {"v": value})
    batch.set(collection.document("without"), {"w": 1})
    batch.commit()
    return collection


def without(*names: str) -> list[str]:
    return [name for name in ORDERED if name not in names]


FILTERED: Final[list[tuple[str, Any, list[str]]]] = [
    ("==", 0, ["zero", "zero-negative"]),
    ("==", 1.0, ["one"]),
    ("==", None, ["null"]),
    ("==", math.nan, ["nan"]),
    ("==", [1], ["array"]),
    ("==", {"a": 1}, ["map"]),
    ("!=", 1, without("null", "one")),
    ("!=", None, without("null")),
    ("!=", math.nan, without("null", "nan")),
    ("<", 1, ["minus", "zero", "zero-negative"]),
    ("<=", 0, ["minus", "zero", "zero-negative"]),
    (">", 0, ["one", "one-half", "big", "bigger"]),
    (">=", 1.5, ["one-half", "big", "bigger"]),
    (">", float(1 << 53), ["bigger"]),
    (">", "a", ["text-b", "text-e", "text-wide", "text-wider"]),
    (">", False, ["true"]),
    (">", [1], ["array-longer"]),
    (">=", {"a": 1}, ["map", "map-more", "map-other"]),
    ("in", [1, "a", None, math.nan], ["one", "text"]),
    ("not-in", [1, "a"], without("null", "one", "text")),
    ("not-in", [1, None], []),
    ("not-in", [math.nan], without("null")),
    ("array_contains", 1, ["array", "array-longer"]),
    ("array_contains_any", [2, 7], ["array-longer"]),
]


class TestQueries:
    def test_values_of_all_types_have_one_order(self, values: Any) -> None:
        assert ids(values.order_by("v")) == list(ORDERED)

    def test_descending_turns_it_round_with_the_names(self, values: Any) -> None:
        assert ids(values.order_by("v", direction=firestore.Query.DESCENDING)) == [*reversed(ORDERED)]

    def test_without_an_order_names_decide(self, values: Any) -> None:
        assert ids(values) == sorted([*ORDERED, "without"])

    @pytest.mark.parametrize(("operator", "value", "expected"), FILTERED)
    def test_a_filter_finds(self, values: Any, operator: str, value: Any, expected: list[str]) -> None:
        query = values.where(filter=FieldFilter("v", operator, value))
        assert sorted(ids(query)) == sorted(expected)

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            (Or([FieldFilter("v", "==", 1), FieldFilter("w", "==", 1)]), ["one", "without"]),
            (And([FieldFilter("v", ">", 0), FieldFilter("v", "<", 2)]), ["one", "one-half"]),
            (
                And([FieldFilter("v", ">", 0), Or([FieldFilter("v", "==", 1), FieldFilter("v", "==", 1.5)])]),
                ["one", "one-half"],
            ),
            (Or([FieldFilter("v", ">", 1.5), FieldFilter("v", "==", -1)]), ["minus", "big", "bigger"]),
            (And([FieldFilter("v", ">", 0), FieldFilter("w", ">", 0)]), []),
        ],
    )
    def test_filters_combine(self, values: Any, condition: Any, expected: list[str]) -> None:
        assert ids(values.where(filter=condition)) == expected

    def test_an_inequality_orders_by_its_field(self, values: Any) -> None:
        query = values.where(filter=FieldFilter("v", ">=", -1))
        assert ids(query) == [name for name in NUMBERS if name != "nan"]

    def test_a_filter_reaches_into_maps(self, values: Any) -> None:
        assert ids(values.where(filter=FieldFilter("v.a", "==", 1))) == ["map", "map-more"]

    def test_names_are_filtered_as_references(self, values: Any) -> None:
        query = values.where(filter=FieldFilter("__name__", ">", values.document("true")))
        assert ids(query) == ["without", "zero", "zero-negative"]

    @pytest.mark.parametrize(
        ("narrow", "expected"),
        [
            (lambda query: query.start_at({"v": 0}).limit(3), ["zero", "zero-negative", "one"]),
            (lambda query: query.start_after({"v": 0}).limit(2), ["one", "one-half"]),
            (
                lambda query: query.start_at({"v": 1}).end_at({"v": 1 << 53}),
                ["one", "one-half", "big"],
            ),
            (lambda query: query.start_at({"v": 1}).end_before({"v": 1.5}), ["one"]),
            (lambda query: query.offset(2).limit(2), ["true", "nan"]),
            (lambda query: query.start_at({"v": "\uffff"}).limit(2), ["text-wide", "text-wider"]),
            (lambda query: query.limit(0), []),
        ],
    )
    def test_cursors_offset_and_limit_cut_the_order(
        self, values: Any, narrow: Callable[[Any], Any], expected: list[str]
    ) -> None:
        assert ids(narrow(values.order_by("v"))) == expected

    def test_a_snapshot_is_a_cursor_to_its_very_document(self, values: Any) -> None:
        place = values.document("zero").get()
        assert ids(values.order_by("v").start_after(place).limit(2)) == ["zero-negative", "one"]

    def test_limit_to_last_gives_the_end_in_order(self, values: Any) -> None:
        found = values.order_by("v").limit_to_last(2).get()
        assert [snapshot.id for snapshot in found] == ["map-more", "map-other"]

    def test_a_document_without_the_ordered_field_is_not_found(self, collection: Any) -> None:
        collection.document("a").set({"x": 1})
        collection.document("b").set({"x": 1, "y": 1})
        assert ids(collection.order_by("x").order_by("y")) == ["b"]

    def test_several_orders_follow_each_other(self, collection: Any) -> None:
        for name, (x, y) in {"a": (1, 1), "b": (1, 2), "c": (2, 1), "d": (2, 2)}.items():
            collection.document(name).set({"x": x, "y": y})
        query = collection.order_by("x", direction="DESCENDING").order_by("y")
        assert ids(query) == ["c", "d", "a", "b"]
        assert ids(query.start_at({"x": 2, "y": 2})) == ["d", "a", "b"]

    def test_select_gives_the_named_fields_only(self, collection: Any) -> None:
        collection.document("a").set({"x": {"y": 1, "z": 2}, "w": 3})
        (one,) = collection.select(["x.y", "missing"]).stream()
        (none,) = collection.select([]).stream()
        assert one.to_dict() == {"x": {"y": 1}}
        assert none.to_dict() == {}

    def test_a_query_stays_in_its_collection_and_a_group_does_not(self, client: Any, document: Any) -> None:
        group = f"g-{uuid.uuid4().hex}"
        document.collection(group).document("deep").set({})
        client.collection(group).document("flat").set({})
        assert ids(client.collection(group)) == ["flat"]
        assert sorted(ids(client.collection_group(group))) == ["deep", "flat"]

    def test_count_counts_what_the_query_finds(self, values: Any) -> None:
        ((count,),) = values.where(filter=FieldFilter("v", ">", 0)).count(alias="n").get()
        assert (count.alias, count.value) == ("n", 4)
        ((bounded,),) = values.limit(3).count().get()
        assert bounded.value == 3

    @pytest.mark.parametrize(
        "filters",
        [
            [("v", "in", [])],
            [("v", "in", list(range(31)))],
            [("v", "not-in", list(range(11)))],
            [("v", "!=", 1), ("v", "!=", 2)],
            [("v", "!=", 1), ("w", "not-in", [2])],
            [("v", "in", [1]), ("w", "not-in", [2])],
            [("v", "in", list(range(6))), ("w", "in", list(range(6)))],
            [("v", "array_contains", 1), ("w", "array_contains", 1)],
        ],
    )
    def test_firestore_does_not_run(self, values: Any, filters: list[tuple[str, str, Any]]) -> None:
        with pytest.raises(exceptions.InvalidArgument):
            ids(values.where(filter=And([FieldFilter(*one) for one in filters])))

    def test_names_are_not_scanned_backwards(self, values: Any) -> None:
        with pytest.raises(exceptions.FailedPrecondition):
            ids(values.order_by("__name__", direction="DESCENDING"))


class TestLists:
    def test_list_documents_gives_pages_and_what_only_has_documents_below(self, collection: Any) -> None:
        for name in ("a", "c", "d"):
            collection.document(name).set({})
        collection.document("b").collection("below").document("x").set({})
        assert [one.id for one in collection.list_documents(page_size=2)] == ["a", "b", "c", "d"]
        assert ids(collection) == ["a", "c", "d"]

    def test_collections_are_listed_under_the_root_and_under_a_document(
        self, client: Any, document: Any
    ) -> None:
        document.collection("x").document("1").set({})
        document.collection("w").document("1").collection("deeper").document("2").set({})
        assert [one.id for one in document.collections()] == ["w", "x"]
        assert document.parent.id in [one.id for one in client.collections()]

    def test_recursive_delete_deletes_what_is_below(self, client: Any, collection: Any) -> None:
        documents = [collection.document("A"), collection.document("a").collection("below").document("0")]
        for document in documents:
            document.set({})
        assert client.recursive_delete(collection) == 2
        assert not any(document.get().exists for document in documents)


def run_in_threads(count: int, work: Callable[[], Any]) -> None:
    """Run *work* in *count* threads, and raise what any of them raises."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - raised again in the test's own thread
            failures.append(failure)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@firestore.transactional
def increment(transaction: Any, document: Any) -> int:
    number: int = document.get(transaction=transaction).get("n") + 1
    transaction.update(document, {"n": number})
    return number


class TestTransactions:
    def test_a_transaction_reads_then_writes(self, client: Any, document: Any) -> None:
        document.set({"n": 1})
        assert increment(client.transaction(), document) == 2
        assert stored(document) == {"n": 2}

    def test_contended_transactions_lose_nothing(self, client: Any, document: Any, backend: str) -> None:
        threads, times = CONTENTION[backend]
        document.set({"n": 0})
        run_in_threads(
            threads,
            lambda: [increment(client.transaction(max_attempts=100), document) for _ in range(times)],
        )
        assert stored(document) == {"n": threads * times}

    def test_of_two_transactions_on_one_document_one_is_aborted(self, client: Any, document: Any) -> None:
        document.set({"n": 0})
        first, second = client.transaction(), client.transaction()
        for transaction in (first, second):
            transaction._begin()
            document.get(transaction=transaction)
            transaction.set(document, {"n": 1})
        outcomes = []
        for transaction in (second, first):
            try:
                transaction._commit()
                outcomes.append("committed")
            except exceptions.Aborted:
                outcomes.append("aborted")
        assert sorted(outcomes) == ["aborted", "committed"]

    def test_a_transaction_that_raises_leaves_no_trace(self, client: Any, document: Any) -> None:
        @firestore.transactional
        def fail(transaction: Any) -> None:
            transaction.set(document, {"n": 1})
            raise LookupError

        with pytest.raises(LookupError):
            fail(client.transaction())
        assert not document.get().exists

    def test_a_transaction_does_not_see_its_own_writes_before_the_commit(
        self, client: Any, document: Any
    ) -> None:
        @firestore.transactional
        def write_only(transaction: Any) -> bool:
            missing: bool = not document.get(transaction=transaction).exists
            transaction.create(document, {"n": 1})
            return missing

        assert write_only(client.transaction())
        assert stored(document) == {"n": 1}

    def test_a_refused_write_refuses_the_whole_transaction(self, client: Any, collection: Any) -> None:
        @firestore.transactional
        def write(transaction: Any) -> None:
            transaction.set(collection.document("a"), {})
            transaction.update(collection.document("missing"), {"n": 1})

        with pytest.raises(exceptions.NotFound):
            write(client.transaction())
        assert ids(collection) == []

    def test_queries_and_batch_gets_run_in_a_transaction(self, client: Any, collection: Any) -> None:
        collection.document("a").set({"n": 1})
        collection.document("b").set({"n": 2})

        @firestore.transactional
        def sum_up(transaction: Any) -> None:
            query = collection.where(filter=FieldFilter("n", ">", 0))
            total = sum(one.get("n") for one in transaction.get(query))
            wanted = [collection.document("a"), collection.document("c")]
            existing = sum(one.exists for one in transaction.get_all(wanted))
            transaction.set(collection.document("sum"), {"n": total, "existing": existing})

        sum_up(client.transaction())
        assert stored(collection.document("sum")) == {"n": 3, "existing": 1}

    def test_a_read_only_transaction_keeps_to_one_state(self, client: Any, document: Any) -> None:
        document.set({"n": 1})
        transaction = client.transaction(read_only=True)
        transaction._begin()
        before = document.get(transaction=transaction).get("n")
        document.set({"n": 2})
        assert document.get(transaction=transaction).get("n") == before == 1
        transaction._commit()

    def test_a_read_only_transaction_cannot_write(self, client: Any, document: Any) -> None:
        transaction = client.transaction(read_only=True)
        transaction._begin()
        with pytest.raises(exceptions.InvalidArgument):
            client._firestore_api.commit(
                request={
                    "database": client._database_string,
                    "writes": [{"delete": document._document_path}],
                    "transaction": transaction.id,
                }
            )
        transaction._rollback()

    def test_the_id_of_an_ended_transaction_is_invalid(self, client: Any, document: Any) -> None:
        transaction = client.transaction()
        transaction._begin()
        request = {"database": client._database_string, "transaction": transaction.id}
        transaction._rollback()
        with pytest.raises(exceptions.InvalidArgument):
            client._firestore_api.commit(request=request)


class TestListen:
    def test_a_document_tells_each_change(self, document: Any) -> None:
        events: queue.Queue[Any] = queue.Queue()
        watch = document.on_snapshot(
            lambda snapshots, _changes, _time: events.put([one.to_dict() for one in snapshots])
        )
        try:
            assert events.get(timeout=EVENT_SECONDS) == []
            document.set({"n": 1})
            assert events.get(timeout=EVENT_SECONDS) == [{"n": 1}]
            document.update({"n": 2})
            assert events.get(timeout=EVENT_SECONDS) == [{"n": 2}]
            document.delete()
            assert events.get(timeout=EVENT_SECONDS) == []
        finally:
            watch.unsubscribe()

    def test_a_query_tells_what_came_changed_and_left(self, collection: Any) -> None:
        collection.document("a").set({"n": 1})
        events: queue.Queue[Any] = queue.Queue()
        watch = collection.where(filter=FieldFilter("n", ">", 0)).on_snapshot(
            lambda _snapshots, changes, _time: events.put([(one.type.name, one.document.id) for one in changes])
        )
        try:
            assert events.get(timeout=EVENT_SECONDS) == [("ADDED", "a")]
            collection.document("b").set({"n": 2})
            assert events.get(timeout=EVENT_SECONDS) == [("ADDED", "b")]
            collection.document("a").set({"n": 3})
            assert events.get(timeout=EVENT_SECONDS) == [("MODIFIED", "a")]
            collection.document("b").set({"n": 0})
            assert events.get(timeout=EVENT_SECONDS) == [("REMOVED", "b")]
            collection.document("a").delete()
            assert events.get(timeout=EVENT_SECONDS) == [("REMOVED", "a")]
        finally:
            watch.unsubscribe()


class TestAsyncClient:
    async def test_documents_and_queries(self, async_client: firestore.AsyncClient) -> None:
        collection = async_client.collection(f"c-{uuid.uuid4().hex}")
        await asyncio.gather(*(collection.document(str(n)).set({"n": n}) for n in range(5)))
        query = collection.where(filter=FieldFilter("n", ">", 2)).order_by("n")
        assert [one.id async for one in query.stream()] == ["3", "4"]
        with pytest.raises(exceptions.AlreadyExists):
            await collection.document("1").create({})

    async def test_transactions(self, async_client: firestore.AsyncClient) -> None:
        document = async_client.collection(f"c-{uuid.uuid4().hex}").document("one")
        await document.set({"n": 1})

        @firestore.async_transactional
        async def double(transaction: Any) -> None:
            snapshot = await document.get(transaction=transaction)
            transaction.update(document, {"n": snapshot.get("n") * 2})

        await double(async_client.transaction())
        assert (await document.get()).to_dict() == {"n": 2}
