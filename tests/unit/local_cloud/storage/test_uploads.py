"""Uploads that faults harm, as their sender sees it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import requests

from local_cloud.cloud import RunningLocalCloud
from local_cloud.faults import FaultPlan, UploadFaults
from local_cloud.storage.resources import Json

TIMEOUT = 10
CHUNK = 256 * 1024
CONTENT = bytes(range(256)) * 4096

Upload = Callable[[RunningLocalCloud, str], requests.Response]


def media(cloud: RunningLocalCloud, name: str) -> requests.Response:
    url = f"{cloud.url}/upload/storage/v1/b/media/o"
    return requests.post(url, params={"uploadType": "media", "name": name}, data=CONTENT, timeout=TIMEOUT)


def multipart(cloud: RunningLocalCloud, name: str) -> requests.Response:
    body = b'--b\r\n\r\n{"name": "%s"}\r\n--b\r\n\r\n%s\r\n--b--' % (name.encode(), CONTENT)
    headers = {"content-type": "multipart/related; boundary=b"}
    url = f"{cloud.url}/upload/storage/v1/b/media/o?uploadType=multipart"
    return requests.post(url, data=body, headers=headers, timeout=TIMEOUT)


def start(cloud: RunningLocalCloud, name: str) -> requests.Response:
    url = f"{cloud.url}/upload/storage/v1/b/media/o"
    return requests.post(url, params={"uploadType": "resumable", "name": name}, timeout=TIMEOUT)


def resumable(cloud: RunningLocalCloud, name: str) -> requests.Response:
    started = start(cloud, name)
    return requests.put(started.headers["location"], data=CONTENT, timeout=TIMEOUT) if started.ok else started


def turn_on(cloud: RunningLocalCloud, rule: UploadFaults) -> None:
    cloud.faults.set(FaultPlan(uploads=(rule,)), now=datetime.now(UTC))


def error(response: requests.Response) -> Json:
    parsed: Json = response.json()["error"]
    return parsed


@pytest.fixture(params=[media, multipart, resumable])
def upload(request: pytest.FixtureRequest) -> Upload:
    chosen: Upload = request.param
    return chosen


@pytest.fixture
def name() -> str:
    return f"{uuid4()}.ts"


@pytest.mark.parametrize(
    ("rule", "refusal"),
    [
        (UploadFaults(too_many_requests=1), (429, "rateLimitExceeded")),
        (UploadFaults(unavailable=1), (503, "backendError")),
    ],
)
def test_a_refused_upload_creates_nothing(
    cloud: RunningLocalCloud, upload: Upload, name: str, rule: UploadFaults, refusal: tuple[int, str]
) -> None:
    turn_on(cloud, rule)
    answer = upload(cloud, name)
    assert (answer.status_code, error(answer)["errors"][0]["reason"]) == refusal
    assert cloud.store.find("media", name) is None


@pytest.mark.parametrize("after", [0, 300_000, len(CONTENT) * 2])
def test_a_cut_upload_creates_nothing(cloud: RunningLocalCloud, upload: Upload, name: str, after: int) -> None:
    turn_on(cloud, UploadFaults(cut=1, cut_after_bytes=after))
    with pytest.raises(requests.ConnectionError):
        upload(cloud, name)
    assert cloud.store.find("media", name) is None


def test_an_upload_whose_answer_is_lost_is_there(cloud: RunningLocalCloud, upload: Upload, name: str) -> None:
    turn_on(cloud, UploadFaults(lose_answer=1))
    with pytest.raises(requests.ConnectionError):
        upload(cloud, name)
    assert cloud.store.read("media", name) == CONTENT


def test_a_slow_upload_takes_its_time(cloud: RunningLocalCloud, upload: Upload, name: str) -> None:
    turn_on(cloud, UploadFaults(bytes_per_second=len(CONTENT) * 5))
    before = time.monotonic()
    assert upload(cloud, name).status_code == 200
    assert time.monotonic() - before > 0.15


def test_other_names_are_not_harmed(cloud: RunningLocalCloud, upload: Upload, name: str) -> None:
    turn_on(cloud, UploadFaults(name="other/*", unavailable=1, cut=1))
    assert upload(cloud, name).status_code == 200


def test_a_cut_chunk_is_kept_up_to_a_multiple_of_256_kib(cloud: RunningLocalCloud, name: str) -> None:
    location = start(cloud, name).headers["location"]
    turn_on(cloud, UploadFaults(cut=1, cut_after_bytes=600_000))
    span = f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"
    with pytest.raises(requests.ConnectionError):
        requests.put(location, data=CONTENT, headers={"content-range": span}, timeout=TIMEOUT)
    turn_on(cloud, UploadFaults())
    asked = requests.put(location, headers={"content-range": f"bytes */{len(CONTENT)}"}, timeout=TIMEOUT)
    assert asked.status_code == 308
    kept = int(asked.headers["range"].rpartition("-")[2]) + 1
    assert kept in (CHUNK, 2 * CHUNK)
    span = f"bytes {kept}-{len(CONTENT) - 1}/{len(CONTENT)}"
    rest = requests.put(location, data=CONTENT[kept:], headers={"content-range": span}, timeout=TIMEOUT)
    assert rest.status_code == 200
    assert cloud.store.read("media", name) == CONTENT


def test_a_chunk_that_is_sent_again_is_taken_once(cloud: RunningLocalCloud, name: str) -> None:
    location = start(cloud, name).headers["location"]
    for end in (2 * CHUNK, 3 * CHUNK):
        headers = {"content-range": f"bytes 0-{end - 1}/*"}
        requests.put(location, data=CONTENT[:end], headers=headers, timeout=TIMEOUT)
    headers = {"content-range": f"bytes {CHUNK}-{len(CONTENT) - 1}/{len(CONTENT)}"}
    last = requests.put(location, data=CONTENT[CHUNK:], headers=headers, timeout=TIMEOUT)
    assert last.status_code == 200
    assert cloud.store.read("media", name) == CONTENT
    asked = requests.put(location, headers={"content-range": "bytes */*"}, timeout=TIMEOUT)
    assert asked.json()["generation"] == last.json()["generation"]


@pytest.mark.parametrize(
    ("span", "body"),
    [("bytes 262144-262144/262145", b"x"), ("bytes 0-1/2", b"xyz"), ("bytes 0/2", b"x"), ("lines 0-1/2", b"x")],
)
def test_chunks_that_do_not_fit_are_refused(
    cloud: RunningLocalCloud, name: str, span: str, body: bytes
) -> None:
    location = start(cloud, name).headers["location"]
    answer = requests.put(location, data=body, headers={"content-range": span}, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert cloud.store.find("media", name) is None
