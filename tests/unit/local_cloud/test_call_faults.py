"""Reads, Firestore calls and functions that faults harm, as their caller sees it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local_cloud.cloud import CloudOptions, RunningLocalCloud, running_local_cloud
from local_cloud.faults import FaultPlan, FirestoreFaults, FunctionFaults, ReadFaults
from local_cloud.functions import FunctionTarget, SignatureType

TIMEOUT = 30
SOURCE = """
import functions_framework

calls = 0

@functions_framework.http
def count(request):
    global calls
    calls += 1
    return str(calls)
"""


@pytest.fixture
def documents(cloud: RunningLocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[firestore.Client]:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{cloud.cloud.firestore_port}")
    client = firestore.Client(project="demo", credentials=AnonymousCredentials())
    yield client
    client.close()


def set_faults(cloud: RunningLocalCloud, plan: FaultPlan) -> None:
    cloud.faults.set(plan, now=datetime.now(UTC))


@pytest.mark.parametrize(
    "path", ["/storage/v1/b/media/o", "/storage/v1/b/media/o/a", "/download/storage/v1/b/media/o/a"]
)
def test_reads_and_listings_are_refused_and_cut(cloud: RunningLocalCloud, path: str) -> None:
    set_faults(cloud, FaultPlan(reads=(ReadFaults(bucket="media", unavailable=1),)))
    assert requests.get(cloud.url + path, timeout=TIMEOUT).status_code == 503
    set_faults(cloud, FaultPlan(reads=(ReadFaults(bucket="media", cut=1),)))
    with pytest.raises(requests.ConnectionError):
        requests.get(cloud.url + path, timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (FirestoreFaults(aborted=1), exceptions.Aborted),
        (FirestoreFaults(unavailable=1), exceptions.ServiceUnavailable),
        (FirestoreFaults(deadline_exceeded=1), exceptions.DeadlineExceeded),
    ],
)
def test_a_firestore_call_that_fails_did_nothing(
    cloud: RunningLocalCloud, documents: firestore.Client, rule: FirestoreFaults, error: type[Exception]
) -> None:
    reference = documents.collection("failed").document()
    set_faults(cloud, FaultPlan(firestore=(rule,)))
    with pytest.raises(error):
        reference.create({"a": 1}, retry=None)
    with pytest.raises(error):
        reference.get(retry=None)
    set_faults(cloud, FaultPlan())
    assert not reference.get().exists


def test_a_firestore_call_whose_answer_is_lost_did_what_was_asked(
    cloud: RunningLocalCloud, documents: firestore.Client
) -> None:
    reference = documents.collection("lost").document()
    set_faults(cloud, FaultPlan(firestore=(FirestoreFaults(name="Commit", lose_answer=1),)))
    with pytest.raises(exceptions.ServiceUnavailable):
        reference.create({"a": 1}, retry=None)
    assert reference.get().to_dict() == {"a": 1}


def test_functions_fail_without_or_after_their_work(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text(SOURCE)
    target = FunctionTarget(name="count", signature=SignatureType.HTTP)
    with running_local_cloud(CloudOptions(buckets=(), functions_source=source, functions=(target,))) as cloud:
        url = f"{cloud.url}/functions/count"
        set_faults(cloud, FaultPlan(functions=(FunctionFaults(error=1),)))
        assert requests.get(url, timeout=TIMEOUT).status_code == 500
        set_faults(cloud, FaultPlan(functions=(FunctionFaults(lose_answer=1),)))
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=TIMEOUT)
        set_faults(cloud, FaultPlan())
        assert requests.get(url, timeout=TIMEOUT).text == "2"
        drawn = requests.get(f"{cloud.url}/_local/faults/drawn", timeout=TIMEOUT).json()
        assert drawn == {"functions.error": 1, "functions.lose_answer": 1}
