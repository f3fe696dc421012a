"""A listener is told what leads from what it knew to what is."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.cloud.firestore_v1 import types
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.firestore.documents import Document, DocumentName, ParentName
from local_cloud.firestore.listen import Listener, difference
from local_cloud.firestore.store import Store
from local_cloud.firestore.writes import SetDocument
from local_cloud.operations import PriceClass

ROOT = ParentName("projects/p/databases/d/documents")
START = datetime(2026, 1, 1, tzinfo=UTC)
Kind = types.TargetChange.TargetChangeType

names = st.sampled_from("abcd").map(lambda letter: DocumentName(f"{ROOT}/c/{letter}"))
times = st.integers(0, 2).map(lambda seconds: START + timedelta(seconds=seconds))
versions = st.dictionaries(names, times)


@given(versions, versions)
def test_the_difference_leads_from_what_was_told_to_what_is(
    told: dict[DocumentName, datetime], present: dict[DocumentName, datetime]
) -> None:
    documents = {
        name: Document(name=name, fields={}, create_time=START, update_time=time)
        for name, time in present.items()
    }
    change = difference(told, documents)
    result = {name: time for name, time in told.items() if name not in change.removed}
    result |= {document.name: document.update_time for document in change.changed}
    assert result == present
    assert all(told.get(document.name) != document.update_time for document in change.changed)


def add(**target: Any) -> Any:
    documents = {"documents": [f"{ROOT}/c/a"]}
    return types.ListenRequest.pb()(add_target={"target_id": 7, "documents": documents, **target})


def told(responses: Any, count: int) -> list[Any]:
    return [next(responses) for _ in range(count)]


def summary(response: Any) -> Any:
    kind = response.WhichOneof("response_type")
    return Kind(response.target_change.target_change_type).name if kind == "target_change" else kind


def listener() -> tuple[Store, Listener]:
    store = Store(now=lambda: START, new_id=lambda: b"")
    return store, Listener(store)


def test_a_target_is_told_its_documents_then_that_it_is_current_then_a_consistent_time() -> None:
    store, one = listener()
    store.commit([SetDocument(name=DocumentName(f"{ROOT}/c/a"), fields={})])
    one.receive(add())
    responses = one.responses()
    expected = ["ADD", "document_change", "CURRENT", "NO_CHANGE"]
    assert [summary(response) for response in told(responses, 4)] == expected
    assert store.operations.total(PriceClass.DOCUMENT_READ) == 1
    store.commit([SetDocument(name=DocumentName(f"{ROOT}/c/a"), fields={"n": 1})])
    assert [summary(response) for response in told(responses, 2)] == ["document_change", "NO_CHANGE"]
    store.close()
    assert list(responses) == []


def test_who_comes_back_with_a_token_starts_anew() -> None:
    _, one = listener()
    one.receive(add(resume_token=b"reset"))
    responses = one.responses()
    assert [summary(response) for response in told(responses, 4)] == ["ADD", "RESET", "CURRENT", "NO_CHANGE"]


def test_a_removed_target_is_told_nothing_more() -> None:
    store, one = listener()
    one.receive(add())
    responses = one.responses()
    told(responses, 3)
    one.receive(types.ListenRequest.pb()(remove_target=7))
    assert summary(next(responses)) == "REMOVE"
    store.commit([SetDocument(name=DocumentName(f"{ROOT}/c/a"), fields={})])
    one.end()
    assert list(responses) == []
