"""What our code does not use is refused by name, not ignored."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import requests

from local_cloud.cloud import RunningLocalCloud
from local_cloud.faults import FaultPlan, UploadFaults
from local_cloud.operations import CountedOperation, PriceClass

TIMEOUT = 10


def call(
    cloud: RunningLocalCloud,
    method: str,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    json: object = None,
) -> requests.Response:
    return requests.request(method, cloud.url + path, headers=headers, json=json, timeout=TIMEOUT)


def insert(cloud: RunningLocalCloud, content: bytes = b"x") -> str:
    name = str(uuid4())
    url = f"{cloud.url}/upload/storage/v1/b/media/o?uploadType=media&name={name}"
    assert requests.post(url, data=content, timeout=TIMEOUT).status_code == 200
    return name


@pytest.mark.parametrize(
    ("method", "path", "named"),
    [
        ("GET", "/storage/v1/b/media/o?versions=true", "versions"),
        ("GET", "/storage/v1/b/media/o?matchGlob=*", "matchGlob"),
        ("GET", "/storage/v1/b/media/o?softDeleted=true", "softDeleted"),
        ("PUT", "/storage/v1/b/media/o/a", "PUT"),
        ("GET", "/storage/v1/b/media/iam", "iam"),
        ("GET", "/storage/v1/b/media/notificationConfigs", "notificationConfigs"),
        ("DELETE", "/storage/v1/b/media", "DELETE"),
        ("PATCH", "/storage/v1/b/media", "PATCH"),
        ("POST", "/batch/storage/v1", "batch"),
        ("POST", "/storage/v1/b/media/o/a/compose?kmsKeyName=k", "kmsKeyName"),
        ("POST", "/upload/storage/v1/b/media/o?uploadType=media&name=a&predefinedAcl=p", "predefinedAcl"),
        ("PUT", "/media/a", "PUT"),
        ("GET", "/", "GET"),
    ],
)
def test_a_call_that_is_not_offered(cloud: RunningLocalCloud, method: str, path: str, named: str) -> None:
    answer = call(cloud, method, path)
    assert answer.status_code == 501
    assert named in answer.json()["error"]["message"]


@pytest.mark.parametrize("header", ["if-match", "if-none-match", "x-goog-encryption-key"])
def test_a_header_that_would_have_no_effect(cloud: RunningLocalCloud, header: str) -> None:
    answer = call(cloud, "GET", f"/storage/v1/b/media/o/{insert(cloud)}", headers={header: "x"})
    assert answer.status_code == 501
    assert header in answer.json()["error"]["message"]


@pytest.mark.parametrize("field", ["deleteSourceObjects", "objectContexts"])
def test_a_field_of_a_composition_that_would_have_no_effect(cloud: RunningLocalCloud, field: str) -> None:
    request = {"sourceObjects": [{"name": insert(cloud)}], field: True}
    answer = call(cloud, "POST", "/storage/v1/b/media/o/whole/compose", json=request)
    assert answer.status_code == 501
    assert field in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/storage/v1/b/media/o/{name}?ifGenerationMatch=x",
        "/storage/v1/b/media/o/{name}?ifGenerationMatch=-1",
        "/storage/v1/b/media/o?pageToken=%21",
        "/storage/v1/b/media/o/%ff",
    ],
)
def test_parameters_that_make_no_sense_are_bad_requests(cloud: RunningLocalCloud, path: str) -> None:
    answer = call(cloud, "GET", path.format(name=insert(cloud)))
    assert answer.status_code == 400


@pytest.mark.parametrize("sources", [[{}], [1], {"a": 1}, [{"name": "a", "generation": "x"}]])
def test_sources_that_make_no_sense_are_bad_requests(cloud: RunningLocalCloud, sources: object) -> None:
    answer = call(cloud, "POST", "/storage/v1/b/media/o/whole/compose", json={"sourceObjects": sources})
    assert answer.status_code == 400


def test_a_page_token_is_opaque_text(cloud: RunningLocalCloud) -> None:
    token = base64.urlsafe_b64encode(b"after").decode()
    assert call(cloud, "GET", f"/storage/v1/b/media/o?pageToken={token}").status_code == 200


def test_the_public_address_of_a_private_bucket_is_closed(cloud: RunningLocalCloud) -> None:
    assert call(cloud, "GET", "/ingest/streams/key").status_code == 403
    assert call(cloud, "HEAD", "/recording/part").status_code == 403


def test_a_large_object_is_streamed_whole_and_in_part(cloud: RunningLocalCloud) -> None:
    content = bytes(range(256)) * 20_000
    name = insert(cloud, content)
    assert call(cloud, "GET", f"/media/{name}").content == content
    part = call(cloud, "GET", f"/media/{name}", headers={"range": "bytes=1000000-3999999"})
    assert part.content == content[1_000_000:4_000_000]


def test_a_part_is_only_given_of_the_generation_that_the_reader_began_with(cloud: RunningLocalCloud) -> None:
    name = insert(cloud, b"content")
    headers = {"range": "bytes=0-1", "if-range": '"another"'}
    assert call(cloud, "GET", f"/media/{name}", headers=headers).content == b"content"


@contextmanager
def counting(cloud: RunningLocalCloud) -> Iterator[dict[CountedOperation, int]]:
    """What is counted while the context lasts, once it is over."""
    grown: dict[CountedOperation, int] = {}
    before = cloud.cloud.operations.so_far()
    yield grown
    after = cloud.cloud.operations.so_far()
    grown |= {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key)}


def test_every_operation_is_counted_by_its_class(cloud: RunningLocalCloud) -> None:
    with counting(cloud) as grown:
        name = insert(cloud)
        call(cloud, "GET", f"/storage/v1/b/media/o/{name}")
        call(cloud, "GET", f"/media/{name}")
        call(cloud, "GET", "/storage/v1/b/media/o")
        call(cloud, "DELETE", f"/storage/v1/b/media/o/{name}")
    assert grown == {
        CountedOperation(PriceClass.STORAGE_A, "storage.objects.insert", "media"): 1,
        CountedOperation(PriceClass.STORAGE_B, "storage.objects.get", "media"): 1,
        CountedOperation(PriceClass.STORAGE_B, "GET Object", "media"): 1,
        CountedOperation(PriceClass.STORAGE_A, "storage.objects.list", "media"): 1,
        CountedOperation(PriceClass.FREE, "storage.objects.delete", "media"): 1,
    }


def test_what_is_refused_costs_nothing(cloud: RunningLocalCloud) -> None:
    """Google: "you are not charged for operations that return 307, 4xx, or 5xx responses"."""
    name = insert(cloud)
    taken = f"/upload/storage/v1/b/media/o?uploadType=media&name={name}&ifGenerationMatch=0"
    with counting(cloud) as grown:
        assert call(cloud, "GET", "/storage/v1/b/media/o/missing").status_code == 404
        assert call(cloud, "GET", "/media/missing").status_code == 404
        assert call(cloud, "GET", "/ingest/private").status_code == 403
        assert call(cloud, "POST", taken).status_code == 412
        assert call(cloud, "OPTIONS", f"/media/{name}").status_code == 200
    assert grown == {}


def test_what_was_done_is_charged_for_though_its_answer_was_lost(cloud: RunningLocalCloud) -> None:
    cloud.faults.set(FaultPlan(uploads=(UploadFaults(lose_answer=1),)), now=datetime.now(UTC))
    with counting(cloud) as grown, pytest.raises(requests.ConnectionError):
        insert(cloud)
    assert grown == {CountedOperation(PriceClass.STORAGE_A, "storage.objects.insert", "media"): 1}
