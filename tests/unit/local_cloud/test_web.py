import json
from contextlib import closing
from datetime import timedelta
from uuid import uuid4

import pytest
import requests

from local_cloud.cloud import CloudOptions, RunningLocalCloud, running_local_cloud
from local_cloud.connections import listen
from local_cloud.storage.store import ExpectedChecksums, Target
from local_cloud.web import Health

TIMEOUT = 10


def insert(cloud: RunningLocalCloud, bucket: str, name: str, content: bytes) -> None:
    url = f"{cloud.url}/upload/storage/v1/b/{bucket}/o"
    query = {"uploadType": "media", "name": name}
    assert requests.post(url, params=query, data=content, timeout=TIMEOUT).status_code == 200


def test_the_cloud_is_healthy_when_everything_answers(cloud: RunningLocalCloud) -> None:
    answer = requests.get(f"{cloud.url}/healthz", timeout=TIMEOUT)
    assert (answer.status_code, answer.json()) == (200, {"missing": []})


def test_what_does_not_answer_yet_is_named(cloud: RunningLocalCloud) -> None:
    listener = listen("127.0.0.1", 0)
    gone = "http://{}:{}/healthz".format(*listener.getsockname())
    listener.close()
    checks = (f"{cloud.url}/healthz", gone, f"{cloud.url}/media/missing")
    with running_local_cloud(CloudOptions(health_checks=checks)) as checking:
        answer = requests.get(f"{checking.url}/healthz", timeout=TIMEOUT)
    assert (answer.status_code, answer.json()) == (503, {"missing": [gone, f"{cloud.url}/media/missing"]})


async def test_parts_that_are_starting_are_named() -> None:
    health = Health(())
    health.starting("functions")
    assert await health.missing() == ["functions"]
    health.started("functions")
    assert await health.missing() == []


def test_the_journal_is_read_as_json_lines(cloud: RunningLocalCloud) -> None:
    prefix = f"{uuid4()}/"
    target = Target(bucket="media", name=f"{prefix}playlist.m3u8")
    for _ in range(1_005):
        with closing(cloud.store.draft()) as draft:
            cloud.store.insert(target, draft, ExpectedChecksums())
    query = {"bucket": "media", "prefix": prefix}
    lines = requests.get(f"{cloud.url}/_local/journal", params=query, timeout=TIMEOUT).text.splitlines()
    entries = [json.loads(line) for line in lines]
    assert len(entries) == 1_005
    assert [entry["object"]["name"] for entry in entries[:1]] == [f"{prefix}playlist.m3u8"]
    since = query | {"since": str(entries[-2]["sequence"])}
    rest = requests.get(f"{cloud.url}/_local/journal", params=since, timeout=TIMEOUT).text.splitlines()
    assert [json.loads(line) for line in rest] == entries[-1:]


def test_a_journal_position_must_be_a_number(cloud: RunningLocalCloud) -> None:
    answer = requests.get(f"{cloud.url}/_local/journal?since=x", timeout=TIMEOUT)
    assert (answer.status_code, "since" in answer.json()["error"]) == (400, True)


def test_operations_and_pending_events_can_be_read(cloud: RunningLocalCloud) -> None:
    insert(cloud, "recording", "a", b"x")
    operations = requests.get(f"{cloud.url}/_local/operations", timeout=TIMEOUT).json()
    assert {
        "class": "Cloud Storage, class A",
        "operation": "storage.objects.insert",
        "place": "recording",
        "count": 1,
    } in operations
    assert requests.get(f"{cloud.url}/_local/events", timeout=TIMEOUT).json() == {"pending": 0}


def test_faults_are_set_and_read_at_run_time(cloud: RunningLocalCloud) -> None:
    plan = {"uploads": [{"bucket": "media", "unavailable": 1}]}
    assert requests.put(f"{cloud.url}/_local/faults", json=plan, timeout=TIMEOUT).status_code == 200
    read = requests.get(f"{cloud.url}/_local/faults", timeout=TIMEOUT).json()
    assert read["uploads"][0]["unavailable"] == 1.0
    url = f"{cloud.url}/upload/storage/v1/b/media/o?uploadType=media&name=a"
    assert requests.post(url, data=b"x", timeout=TIMEOUT).status_code == 503
    assert requests.put(f"{cloud.url}/_local/faults", json={}, timeout=TIMEOUT).status_code == 200
    assert requests.post(url, data=b"x", timeout=TIMEOUT).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b'{"uploads": [{"unavailable": 7}]}', b" " * (1024 * 1024 + 1)])
def test_faults_that_cannot_be_followed_are_refused_and_change_nothing(
    cloud: RunningLocalCloud, body: bytes
) -> None:
    before = requests.get(f"{cloud.url}/_local/faults", timeout=TIMEOUT).json()
    answer = requests.put(f"{cloud.url}/_local/faults", data=body, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert "uploads" in answer.json()["error"] or "faults" in answer.json()["error"]
    assert requests.get(f"{cloud.url}/_local/faults", timeout=TIMEOUT).json() == before


@pytest.mark.parametrize("path", ["_local/nothing", "functions/missing", "v1/streams"])
def test_addresses_that_do_not_exist(cloud: RunningLocalCloud, path: str) -> None:
    assert requests.get(f"{cloud.url}/{path}", timeout=TIMEOUT).status_code == 404


def test_small_answers_are_quick(cloud: RunningLocalCloud) -> None:
    """No answer waits for a delayed acknowledgement: that would be 40 ms each."""
    insert(cloud, "media", "quick", b"x")
    with requests.Session() as session:
        times = sorted(
            session.get(f"{cloud.url}/storage/v1/b/media/o/quick", timeout=TIMEOUT).elapsed for _ in range(20)
        )
    assert times[10] < timedelta(milliseconds=30)
