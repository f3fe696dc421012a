"""What a port promises, of the fake that unit tests rely on and of the adapter that production runs."""

import dataclasses
import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from time import monotonic
from uuid import uuid4

import pytest
from msgspec.structs import replace

from bucketcast.errors import (
    InvalidRecord,
    NotFound,
    PreconditionFailed,
    Refused,
    TooManyWrites,
    Unavailable,
)
from bucketcast.gcp.clients import firestore_client, storage_client
from bucketcast.gcp.firestore import STREAMS, TIMEOUT, FirestoreStreamDocuments
from bucketcast.gcp.storage import CloudStorageBucket, crc32c
from bucketcast.objects import ABSENT, Generation, MadeObject, NewObject
from bucketcast.ports import Archive, Bucket, StreamDocuments
from bucketcast.stream.claim import Lease
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import EncoderId, Revision, SessionNumber, StreamId
from fakes import EPOCH, FakeBucket, FakeClock, FakeStreamDocuments
from local_cloud.cloud import CloudOptions, RunningLocalCloud, running_local_cloud
from local_cloud.faults import NO_FAULTS, FaultPlan, UploadFaults
from stream_world import A, World, uploaded

FAKE, ADAPTER = "fake", "adapter"
BUCKET = "media"
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def cloud() -> Iterator[RunningLocalCloud]:
    with ExitStack() as stack:
        running = stack.enter_context(running_local_cloud(CloudOptions()))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in running.cloud.environment.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture
def adapted_bucket(cloud: RunningLocalCloud) -> Iterator[CloudStorageBucket]:
    with closing(storage_client("demo", emulated=True)) as client:
        yield CloudStorageBucket(client, BUCKET, patience=0)
    cloud.faults.set(NO_FAULTS, now=datetime.now(UTC))


@pytest.fixture(params=[FAKE, ADAPTER])
def bucket(request: pytest.FixtureRequest) -> FakeBucket | CloudStorageBucket:
    if request.param == FAKE:
        return FakeBucket(FakeClock())
    adapter: CloudStorageBucket = request.getfixturevalue("adapted_bucket")
    return adapter


@pytest.fixture(params=[FAKE, ADAPTER])
def documents(request: pytest.FixtureRequest) -> Iterator[StreamDocuments]:
    if request.param == FAKE:
        yield FakeStreamDocuments()
        return
    request.getfixturevalue("cloud")
    client = firestore_client("demo", emulated=True)
    yield FirestoreStreamDocuments(client)
    for snapshot in client.collection(STREAMS).stream():
        snapshot.reference.delete()
    client.close()


def new_object(content: bytes = b"content", **metadata: str) -> NewObject:
    return NewObject(
        name=f"folder/{uuid4().hex}.json",
        content=content,
        content_type="application/json",
        cache_control="private, no-store",
        metadata=metadata,
    )


def replace_name(new: NewObject, name: str) -> NewObject:
    return dataclasses.replace(new, name=name)


def changed(new: NewObject, content: bytes) -> NewObject:
    return NewObject(
        name=new.name, content=content, content_type=new.content_type, cache_control=new.cache_control
    )


@pytest.mark.parametrize("content", [b"", b"content", bytes(300_000)])
def test_what_is_written_is_there_as_it_was_written(bucket: Bucket, content: bytes) -> None:
    new = new_object(content, revision="7")
    facts = bucket.write(new, if_generation=ABSENT)
    assert (facts.name, facts.size, facts.crc32c) == (new.name, len(content), crc32c(content))
    assert facts.metadata == {"revision": "7"}
    assert facts.updated.utcoffset() == timedelta(0)
    assert facts.generation > ABSENT
    assert bucket.facts(new.name) == facts
    assert bucket.read(new.name) == content


def test_of_what_is_not_there_nothing_is_said(bucket: Bucket) -> None:
    assert bucket.facts("nothing") is None
    assert bucket.read("nothing") is None
    assert bucket.names("nothing") == []


def test_an_object_is_created_once(bucket: Bucket) -> None:
    new = new_object(b"first")
    bucket.write(new, if_generation=ABSENT)
    with pytest.raises(PreconditionFailed):
        bucket.write(changed(new, b"second"), if_generation=ABSENT)
    assert bucket.read(new.name) == b"first"


def test_an_object_is_replaced_only_as_it_was_seen(bucket: Bucket) -> None:
    new = new_object(b"first")
    facts = bucket.write(new, if_generation=ABSENT)
    for wrong in (Generation(facts.generation + 1), Generation(facts.generation - 1)):
        with pytest.raises(PreconditionFailed):
            bucket.write(changed(new, b"second"), if_generation=wrong)
    with pytest.raises(PreconditionFailed):
        bucket.write(new_object(), if_generation=facts.generation)  # nothing is there to be replaced


def test_a_name_takes_one_write_a_second(bucket: Bucket) -> None:
    new = new_object(b"first")
    facts = bucket.write(new, if_generation=ABSENT)
    with pytest.raises(TooManyWrites):
        bucket.write(changed(new, b"second"), if_generation=facts.generation)
    assert bucket.read(new.name) == b"first"


def test_names_are_listed_in_order(bucket: Bucket) -> None:
    folder = uuid4().hex
    for name in ("b", "a/2", "a/10", "a"):
        new = new_object()
        named = NewObject(name=f"{folder}/{name}", content=b"", content_type=new.content_type, cache_control="")
        bucket.write(named, if_generation=ABSENT)
    assert bucket.names(f"{folder}/") == [f"{folder}/{name}" for name in ("a", "a/10", "a/2", "b")]
    assert bucket.names(f"{folder}/a/") == [f"{folder}/a/10", f"{folder}/a/2"]


def made_object(**metadata: str) -> MadeObject:
    return MadeObject(
        name=f"folder/{uuid4().hex}.mp4",
        content_type="video/mp4",
        cache_control="public, max-age=60",
        content_disposition='attachment; filename="all.mp4"',
        metadata=metadata,
    )


def written(bucket: Bucket, *contents: bytes) -> list[str]:
    return [bucket.write(new_object(content), if_generation=ABSENT).name for content in contents]


def test_facts_are_listed_in_the_order_of_names(bucket: Archive) -> None:
    folder = uuid4().hex
    new = [replace_name(new_object(revision=str(number)), f"{folder}/{number}") for number in (2, 1, 3)]
    facts = [bucket.write(one, if_generation=ABSENT) for one in new]
    assert list(bucket.listed(f"{folder}/")) == [facts[1], facts[0], facts[2]]
    assert list(bucket.listed("nothing/")) == []


@pytest.mark.parametrize("length", [1, 6, 7, 100])
def test_the_start_of_an_object_is_read(bucket: Archive, length: int) -> None:
    [name] = written(bucket, b"content")
    assert bucket.read_start(name, length) == b"content"[:length]


def test_an_empty_object_and_none_have_their_starts(bucket: Archive) -> None:
    [name] = written(bucket, b"")
    assert bucket.read_start(name, 5) == b""
    assert bucket.read_start("nothing", 5) is None


def test_an_object_is_composed_of_others(bucket: Archive) -> None:
    made, sources = made_object(files="3"), written(bucket, b"a", b"", b"bc")
    facts = bucket.compose(made, [*sources, sources[0]], if_generation=ABSENT)
    assert (facts.size, facts.crc32c, facts.metadata) == (4, crc32c(b"abca"), {"files": "3"})
    assert bucket.read(made.name) == b"abca"
    assert bucket.facts(made.name) == facts
    with pytest.raises(PreconditionFailed):
        bucket.compose(made, sources, if_generation=ABSENT)
    with pytest.raises(NotFound):
        bucket.compose(made_object(), [*sources, "nothing"], if_generation=ABSENT)


def test_an_object_is_copied_with_what_it_is_to_be_called(bucket: Archive) -> None:
    made, [source] = made_object(broadcast="7"), written(bucket, b"content")
    facts = bucket.copy_from(bucket, source, made, if_generation=ABSENT)
    assert (facts.size, facts.crc32c, facts.metadata) == (7, crc32c(b"content"), {"broadcast": "7"})
    assert bucket.read(made.name) == b"content"
    assert bucket.facts(made.name) == facts
    with pytest.raises(PreconditionFailed):
        bucket.copy_from(bucket, source, made, if_generation=ABSENT)
    with pytest.raises(NotFound):
        bucket.copy_from(bucket, "nothing", made_object(), if_generation=ABSENT)


def test_what_lifecycle_rules_count_from_is_kept_and_moved_on(bucket: Archive) -> None:
    first, later = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2))
    new = dataclasses.replace(new_object(), custom_time=first)
    facts = bucket.write(new, if_generation=ABSENT)
    assert facts.custom_time == first
    for _ in range(1000):  # a name takes one change a second, of a bucket with a clock of its own
        with suppress(TooManyWrites):
            bucket.keep(new.name, later)
            break
    [listed] = bucket.listed(new.name)
    assert (listed.custom_time, listed.generation) == (later, facts.generation)
    bucket.keep("nothing", later)


def test_what_is_deleted_is_gone_however_often(bucket: Archive) -> None:
    facts = bucket.write(new_object(), if_generation=ABSENT)
    with pytest.raises(PreconditionFailed):
        bucket.delete(facts.name, generation=Generation(facts.generation + 1))
    bucket.delete(facts.name, generation=facts.generation)
    bucket.delete(facts.name)
    assert bucket.facts(facts.name) is None


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (UploadFaults(too_many_requests=1.0), TooManyWrites),
        (UploadFaults(unavailable=1.0), Unavailable),
        (UploadFaults(cut=1.0), Unavailable),
        (UploadFaults(lose_answer=1.0), Unavailable),
    ],
)
def test_an_upload_that_fails_is_an_error_of_ours(
    cloud: RunningLocalCloud, adapted_bucket: CloudStorageBucket, faults: UploadFaults, error: type[Exception]
) -> None:
    cloud.faults.set(FaultPlan(uploads=(faults,)), now=datetime.now(UTC))
    with pytest.raises(error) as raised:
        adapted_bucket.write(new_object(), if_generation=ABSENT)
    assert raised.value.__cause__ is not None


def test_a_patient_adapter_outlasts_what_passes(
    cloud: RunningLocalCloud, adapted_bucket: CloudStorageBucket
) -> None:
    """Half of the uploads get 503; each is tried again until it is through."""
    with closing(storage_client("demo", emulated=True)) as client:
        patient = CloudStorageBucket(client, BUCKET, patience=10)
        cloud.faults.set(FaultPlan(uploads=(UploadFaults(unavailable=0.5),)), now=datetime.now(UTC))
        for _ in range(6):
            new = new_object()
            assert patient.write(new, if_generation=ABSENT).name == new.name


@pytest.fixture
def far_away(cloud: RunningLocalCloud) -> Iterator[CloudStorageBucket]:
    """A bucket in another location; whoever looks at its clock looks ten minutes later."""
    minutes = count(step=10)
    with closing(storage_client("demo", emulated=True)) as client:
        name = f"far-{uuid4().hex}"
        client.create_bucket(name, location="EU")
        yield CloudStorageBucket(client, name, patience=0, monotonic=lambda: 60.0 * next(minutes))


def test_a_copy_to_another_location_goes_on_until_it_is_there_and_says_why_that_takes_time(
    adapted_bucket: CloudStorageBucket, far_away: CloudStorageBucket, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytes(3 * MEBIBYTE)
    made, [source] = made_object(broadcast="7"), written(adapted_bucket, content)
    with caplog.at_level(logging.WARNING):
        facts = far_away.copy_from(adapted_bucket, source, made, if_generation=ABSENT)
    assert (facts.size, facts.crc32c, facts.metadata) == (len(content), crc32c(content), {"broadcast": "7"})
    [said] = [record for record in caplog.records if "location or storage class" in record.message]
    assert said.__dict__["object"] == made.name
    caplog.clear()
    adapted_bucket.copy_from(adapted_bucket, source, made_object(), if_generation=ABSENT)
    assert "location" not in caplog.text


def test_a_copy_to_another_location_that_takes_too_long_names_the_cause_and_leaves_nothing(
    adapted_bucket: CloudStorageBucket, far_away: CloudStorageBucket
) -> None:
    """Its bound is time, since a copy that is begun anew never comes further."""
    made, [source] = made_object(), written(adapted_bucket, bytes(4 * MEBIBYTE))
    for _ in range(2):
        with pytest.raises(Refused, match="location or storage class") as refused:
            far_away.copy_from(adapted_bucket, source, made, if_generation=ABSENT)
        assert f"{3 * MEBIBYTE} of {4 * MEBIBYTE} bytes" in str(refused.value)
    assert far_away.facts(made.name) is None


def test_a_storage_that_refuses_connections_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{_closed_port()}")
    with closing(storage_client("demo", emulated=True)) as client:
        nowhere = CloudStorageBucket(client, BUCKET, patience=0)
        for call in (
            lambda: nowhere.write(new_object(), if_generation=ABSENT),
            lambda: nowhere.facts("a"),
            lambda: nowhere.read("a"),
            lambda: nowhere.names("a"),
        ):
            with pytest.raises(Unavailable, match="Cloud Storage"):
                call()


def _closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def rich_document() -> StreamDocument:
    """A document with something in every field."""
    world = World()
    session = world.claim(A)
    world.report(session, A, [uploaded(index) for index in range(4)])
    world.wake()
    world.clock.advance(3)
    world.streams.end("demo")  # type: ignore[arg-type]
    document = world.wake()
    assert document.window
    assert document.objects
    assert document.sessions[0].seal
    return replace(document, stream=StreamId(f"s-{uuid4().hex}"))


def test_a_document_is_read_as_it_was_stored(documents: StreamDocuments) -> None:
    """Times, durations and numbers lose nothing."""
    document = rich_document()
    assert documents.read(document.stream) is None
    documents.create(document)
    stored = documents.read(document.stream)
    assert stored is not None
    assert stored.document == document
    assert document in list(documents.all())


def test_a_document_is_created_once(documents: StreamDocuments) -> None:
    document = rich_document()
    documents.create(document)
    with pytest.raises(PreconditionFailed):
        documents.create(document)


def test_a_document_is_replaced_only_as_it_was_read(documents: StreamDocuments) -> None:
    document = rich_document()
    documents.create(document)
    read = documents.read(document.stream)
    assert read is not None
    newer = replace(document, revision=Revision(document.revision + 1), objects={}, window=())
    documents.replace(newer, version=read.version)
    with pytest.raises(PreconditionFailed):
        documents.replace(document, version=read.version)
    stored = documents.read(document.stream)
    assert stored is not None
    assert stored.document == newer


def test_a_document_that_was_never_created_is_not_replaced(documents: StreamDocuments) -> None:
    document = rich_document()
    documents.create(document)
    read = documents.read(document.stream)
    assert read is not None
    with pytest.raises(PreconditionFailed):
        documents.replace(replace(document, stream=StreamId("never")), version=read.version)


def test_the_last_lease_holds(documents: StreamDocuments) -> None:
    stream = StreamId(f"s-{uuid4().hex}")
    assert documents.lease(stream) is None
    for session in (1, 2):
        lease = Lease(session=SessionNumber(session), encoder=EncoderId("e"), media_at=EPOCH)
        documents.renew_lease(stream, lease)
        assert documents.lease(stream) == lease


def test_a_firestore_that_refuses_connections_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is so within seconds, not when the library's own patience ends."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{_closed_port()}")
    documents = FirestoreStreamDocuments(firestore_client("demo", emulated=True))
    began = monotonic()
    with pytest.raises(Unavailable):
        documents.read(StreamId("demo"))
    assert monotonic() - began < 2 * TIMEOUT


def test_a_document_that_cannot_be_read_is_an_error_of_ours(cloud: RunningLocalCloud) -> None:
    client = firestore_client("demo", emulated=True)
    client.collection(STREAMS).document("broken").set({"version": 99})
    documents = FirestoreStreamDocuments(client)
    with pytest.raises(InvalidRecord, match="not a StreamDocument"):
        documents.read(StreamId("broken"))
    client.collection(STREAMS).document("broken").delete()
    client.close()


def test_folders_are_told_once_and_in_order_whatever_lies_in_them(bucket: Archive) -> None:
    base = f"{uuid4().hex}/"
    for name in ("b/1", "b/2/3", "a/1", "beside", "bb/1"):
        bucket.write(replace_name(new_object(), base + name), if_generation=ABSENT)
    assert bucket.folders(base) == [base + folder for folder in ("a/", "b/", "bb/")]
    assert bucket.folders(f"{base}b/") == [f"{base}b/2/"]
    assert bucket.folders("nothing/") == []
