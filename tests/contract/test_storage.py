"""What our code relies on in Cloud Storage: through the official client, and raw where the client hides it."""

import base64
import hashlib
import io
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import google_crc32c
import pytest
import requests
from google.api_core import exceptions
from google.cloud.storage import Bucket

from tools.storage_backends import StorageBackend

TIMEOUT = 10
CHUNK = 256 * 1024
AWKWARD_NAMES = ["a/b/c.ts", "ünï/cødé 日本", "100%/#1?x=y&z", "a//b", "trailing/", "~'!()*;:@,+", "-"]
UPLOADS = ["media", "multipart", "resumable"]


def crc32c(content: bytes) -> str:
    return base64.b64encode(google_crc32c.Checksum(content).digest()).decode()


def object_url(backend: StorageBackend, bucket: Bucket, name: str, *, prefix: str = "") -> str:
    return f"{backend.url}{prefix}/storage/v1/b/{bucket.name}/o/{quote(name, safe='')}"


def upload(
    backend: StorageBackend,
    bucket: Bucket,
    name: str,
    content: bytes,
    *,
    how: str = "multipart",
    metadata: dict[str, Any] | None = None,
    **parameters: object,
) -> requests.Response:
    """Upload as a client does that retries nothing, and return the last answer."""
    url = f"{backend.url}/upload/storage/v1/b/{bucket.name}/o"
    query = {"uploadType": how, "name": name} | {key: str(value) for key, value in parameters.items()}
    resource = json.dumps({"name": name, "contentType": "text/plain"} | (metadata or {})).encode()
    match how:
        case "media":
            return requests.post(url, params=query, data=content, timeout=TIMEOUT)
        case "multipart":
            body = b"--frontier\r\nContent-Type: application/json\r\n\r\n" + resource
            body += b"\r\n--frontier\r\nContent-Type: text/plain\r\n\r\n" + content + b"\r\n--frontier--\r\n"
            headers = {"content-type": 'multipart/related; boundary="frontier"'}
            return requests.post(url, params=query, data=body, headers=headers, timeout=TIMEOUT)
        case _:
            started = requests.post(url, params=query, data=resource, timeout=TIMEOUT)
            if not started.ok:
                return started
            span = f"bytes 0-{len(content) - 1}/{len(content)}" if content else "bytes */0"
            return requests.put(
                started.headers["location"], data=content, headers={"content-range": span}, timeout=TIMEOUT
            )


def start_resumable(backend: StorageBackend, bucket: Bucket, name: str) -> str:
    started = requests.post(
        f"{backend.url}/upload/storage/v1/b/{bucket.name}/o",
        params={"uploadType": "resumable", "name": name},
        json={"contentType": "video/mp4"},
        timeout=TIMEOUT,
    )
    assert started.status_code == 200
    return started.headers["location"]


def put_chunk(location: str, chunk: bytes, span: str) -> requests.Response:
    return requests.put(location, data=chunk, headers={"content-range": span}, timeout=TIMEOUT)


def error_of(response: requests.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert error["code"] == response.status_code
    return error["code"], error["errors"][0]["reason"]


class TestBuckets:
    def test_a_new_bucket_is_found_and_listed(self, backend: StorageBackend) -> None:
        bucket = backend.create_bucket()
        assert backend.client.get_bucket(bucket.name).name == bucket.name
        assert bucket.name in {listed.name for listed in backend.client.list_buckets()}

    def test_creating_a_bucket_twice_is_a_conflict(self, backend: StorageBackend) -> None:
        bucket = backend.create_bucket()
        with pytest.raises(exceptions.Conflict):
            backend.client.create_bucket(bucket.name)

    def test_a_bucket_that_does_not_exist_is_not_found(self, backend: StorageBackend) -> None:
        assert backend.client.lookup_bucket("no-such-bucket") is None
        assert not backend.client.bucket("no-such-bucket").exists()

    def test_uploading_into_a_bucket_that_does_not_exist_is_not_found(self, backend: StorageBackend) -> None:
        missing = backend.client.bucket("no-such-bucket")
        with pytest.raises(exceptions.NotFound):
            missing.blob("a").upload_from_string(b"x", retry=None)


class TestContent:
    @pytest.mark.parametrize("name", AWKWARD_NAMES)
    def test_any_legal_name_can_be_written_and_read(self, bucket: Bucket, name: str) -> None:
        bucket.blob(name).upload_from_string(name.encode())
        assert bucket.blob(name).download_as_bytes() == name.encode()
        assert [listed.name for listed in bucket.list_blobs()] == [name]

    def test_a_name_may_be_the_beginning_of_another(self, bucket: Bucket) -> None:
        bucket.blob("a").upload_from_string(b"1")
        bucket.blob("a/b").upload_from_string(b"2")
        assert bucket.blob("a").download_as_bytes() == b"1"
        assert bucket.blob("a/b").download_as_bytes() == b"2"

    @pytest.mark.parametrize("how", UPLOADS)
    @pytest.mark.parametrize("size", [0, 1, CHUNK, 700_001])
    def test_what_was_uploaded_is_read_back(
        self, backend: StorageBackend, bucket: Bucket, how: str, size: int
    ) -> None:
        content = bytes(index % 251 for index in range(size))
        answer = upload(backend, bucket, "a", content, how=how)
        assert answer.status_code == 200
        resource = answer.json()
        assert resource["size"] == str(size)
        assert resource["crc32c"] == crc32c(content)
        assert resource["md5Hash"] == base64.b64encode(hashlib.md5(content).digest()).decode()
        assert bucket.blob("a").download_as_bytes() == content

    def test_what_lifecycle_rules_count_from_is_kept(self, bucket: Bucket) -> None:
        blob = bucket.blob("segment.ts")
        blob.custom_time = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
        blob.upload_from_string(b"media")
        read = bucket.get_blob("segment.ts")
        assert read is not None
        assert read.custom_time == blob.custom_time

    def test_attributes_are_kept(self, bucket: Bucket) -> None:
        blob = bucket.blob("playlist.m3u8")
        blob.cache_control = "public, max-age=1"
        blob.content_language = "de"
        blob.content_disposition = "inline"
        blob.metadata = {"revision": "7", "ключ": "значение"}
        blob.upload_from_string("#EXTM3U", content_type="application/vnd.apple.mpegurl")
        read = bucket.get_blob("playlist.m3u8")
        assert read is not None
        assert read.cache_control == "public, max-age=1"
        assert read.content_language == "de"
        assert read.content_disposition == "inline"
        assert read.content_type == "application/vnd.apple.mpegurl"
        assert read.metadata == {"revision": "7", "ключ": "значение"}
        assert read.metageneration == 1
        assert read.time_created is not None
        assert read.updated >= read.time_created
        assert read.etag

    def test_generations_of_a_name_only_grow(self, bucket: Bucket) -> None:
        generations = []
        for count in range(20):
            blob = bucket.blob("a")
            blob.upload_from_string(str(count))
            generations.append(int(blob.generation))
        assert generations == sorted(set(generations))

    def test_an_overwritten_generation_is_not_found(self, bucket: Bucket) -> None:
        first = bucket.blob("a")
        first.upload_from_string(b"1")
        bucket.blob("a").upload_from_string(b"2")
        with pytest.raises(exceptions.NotFound):
            bucket.blob("a", generation=first.generation).download_as_bytes()

    def test_an_object_that_does_not_exist_is_not_found(self, backend: StorageBackend, bucket: Bucket) -> None:
        assert bucket.get_blob("missing") is None
        with pytest.raises(exceptions.NotFound):
            bucket.blob("missing").download_as_bytes()
        with pytest.raises(exceptions.NotFound):
            bucket.blob("missing").delete()
        answer = requests.get(object_url(backend, bucket, "missing"), timeout=TIMEOUT)
        assert answer.status_code == 404


class TestChecksums:
    def test_content_with_another_crc32c_is_refused(self, backend: StorageBackend, bucket: Bucket) -> None:
        answer = upload(backend, bucket, "a", b"content", metadata={"crc32c": crc32c(b"other")})
        assert answer.status_code == 400
        assert bucket.get_blob("a") is None

    def test_content_with_another_md5_is_refused(self, backend: StorageBackend, bucket: Bucket) -> None:
        other = base64.b64encode(hashlib.md5(b"other").digest()).decode()
        answer = upload(backend, bucket, "a", b"content", metadata={"md5Hash": other})
        assert answer.status_code == 400
        assert bucket.get_blob("a") is None

    def test_a_resumable_upload_with_another_crc32c_in_its_last_chunk_is_refused(
        self, backend: StorageBackend, bucket: Bucket
    ) -> None:
        location = start_resumable(backend, bucket, "a")
        headers = {"content-range": "bytes 0-6/7", "x-goog-hash": f"crc32c={crc32c(b'other')}"}
        answer = requests.put(location, data=b"content", headers=headers, timeout=TIMEOUT)
        assert answer.status_code == 400
        assert bucket.get_blob("a") is None

    def test_a_download_carries_the_checksums(self, backend: StorageBackend, bucket: Bucket) -> None:
        upload(backend, bucket, "a", b"content")
        url = object_url(backend, bucket, "a", prefix="/download")
        answer = requests.get(url, params={"alt": "media"}, timeout=TIMEOUT)
        assert f"crc32c={crc32c(b'content')}" in answer.headers["x-goog-hash"]


class TestUploadPreconditions:
    @pytest.mark.parametrize("how", UPLOADS)
    def test_creating_only_refuses_an_object_that_exists(
        self, backend: StorageBackend, bucket: Bucket, how: str
    ) -> None:
        assert upload(backend, bucket, "a", b"first", how=how, ifGenerationMatch=0).status_code == 200
        second = upload(backend, bucket, "a", b"second", how=how, ifGenerationMatch=0)
        assert second.status_code == 412
        assert bucket.blob("a").download_as_bytes() == b"first"

    @pytest.mark.parametrize("how", UPLOADS)
    def test_replacing_needs_the_generation_that_was_read(
        self, backend: StorageBackend, bucket: Bucket, how: str
    ) -> None:
        generation = int(upload(backend, bucket, "a", b"1", how=how).json()["generation"])
        assert upload(backend, bucket, "a", b"2", how=how, ifGenerationMatch=generation).status_code == 200
        late = upload(backend, bucket, "a", b"3", how=how, ifGenerationMatch=generation)
        assert late.status_code == 412
        assert bucket.blob("a").download_as_bytes() == b"2"

    def test_replacing_what_does_not_exist_is_refused(self, backend: StorageBackend, bucket: Bucket) -> None:
        assert upload(backend, bucket, "a", b"1", ifGenerationMatch=17).status_code == 412
        assert bucket.get_blob("a") is None

    def test_a_generation_that_must_differ(self, backend: StorageBackend, bucket: Bucket) -> None:
        generation = int(upload(backend, bucket, "a", b"1").json()["generation"])
        same = upload(backend, bucket, "a", b"2", ifGenerationNotMatch=generation)
        assert same.status_code == 412
        assert upload(backend, bucket, "a", b"2", ifGenerationNotMatch=generation + 1).status_code == 200

    def test_a_metageneration_that_must_match(self, backend: StorageBackend, bucket: Bucket) -> None:
        upload(backend, bucket, "a", b"1")
        assert upload(backend, bucket, "a", b"2", ifMetagenerationMatch=2).status_code == 412
        assert upload(backend, bucket, "a", b"2", ifMetagenerationMatch=1).status_code == 200

    def test_of_many_that_create_only_one_wins(self, backend: StorageBackend, bucket: Bucket) -> None:
        def create(number: int) -> int:
            return upload(backend, bucket, "a", str(number).encode(), ifGenerationMatch=0).status_code

        with ThreadPoolExecutor(10) as threads:
            answers = sorted(threads.map(create, range(10)))
        assert answers == [200] + [412] * 9

    def test_the_client_names_a_lost_race(self, bucket: Bucket) -> None:
        bucket.blob("a").upload_from_string(b"1", if_generation_match=0)
        with pytest.raises(exceptions.PreconditionFailed):
            bucket.blob("a").upload_from_string(b"1", if_generation_match=0)


class TestOtherPreconditions:
    def test_reading_needs_the_generation_asked_for(self, backend: StorageBackend, bucket: Bucket) -> None:
        generation = int(upload(backend, bucket, "a", b"1").json()["generation"])
        url = object_url(backend, bucket, "a")
        for params in ({}, {"alt": "media"}):
            match = params | {"ifGenerationMatch": str(generation)}
            assert requests.get(url, params=match, timeout=TIMEOUT).status_code == 200
            other = params | {"ifGenerationMatch": str(generation + 1)}
            assert requests.get(url, params=other, timeout=TIMEOUT).status_code == 412

    def test_reading_a_known_generation_is_not_modified(self, backend: StorageBackend, bucket: Bucket) -> None:
        generation = int(upload(backend, bucket, "a", b"1").json()["generation"])
        url = object_url(backend, bucket, "a")
        known = {"ifGenerationNotMatch": str(generation)}
        assert requests.get(url, params=known, timeout=TIMEOUT).status_code == 304
        assert requests.get(url, params=known | {"alt": "media"}, timeout=TIMEOUT).status_code == 304
        other = {"ifMetagenerationNotMatch": "2"}
        assert requests.get(url, params=other, timeout=TIMEOUT).status_code == 200

    def test_deleting_needs_the_generation(self, bucket: Bucket) -> None:
        blob = bucket.blob("a")
        blob.upload_from_string(b"1")
        with pytest.raises(exceptions.PreconditionFailed):
            bucket.blob("a").delete(if_generation_match=blob.generation + 1)
        bucket.blob("a").delete(if_generation_match=blob.generation)
        assert bucket.get_blob("a") is None

    def test_a_patch_needs_the_metageneration_and_leaves_the_generation(self, bucket: Bucket) -> None:
        blob = bucket.blob("a")
        blob.metadata = {"keep": "1", "change": "2", "drop": "3"}
        blob.upload_from_string(b"1")
        generation = blob.generation
        blob.metadata = {"keep": "1", "change": "4", "drop": None}
        blob.patch(if_metageneration_match=1)
        assert (blob.generation, blob.metageneration) == (generation, 2)
        with pytest.raises(exceptions.PreconditionFailed):
            blob.patch(if_metageneration_match=1)
        read = bucket.get_blob("a")
        assert read is not None
        assert read.metadata == {"keep": "1", "change": "4"}
        assert read.download_as_bytes() == b"1"

    def test_composing_needs_the_target_s_generation(self, bucket: Bucket) -> None:
        bucket.blob("part").upload_from_string(b"1")
        whole = bucket.blob("whole")
        whole.compose([bucket.blob("part")], if_generation_match=0)
        with pytest.raises(exceptions.PreconditionFailed):
            bucket.blob("whole").compose([bucket.blob("part")], if_generation_match=0)
        whole.compose([bucket.blob("part")], if_generation_match=whole.generation)

    def test_composing_needs_the_sources_generations(self, bucket: Bucket) -> None:
        part = bucket.blob("part")
        part.upload_from_string(b"1")
        with pytest.raises(exceptions.PreconditionFailed):
            bucket.blob("whole").compose([part], if_source_generation_match=[part.generation + 1])
        bucket.blob("whole").compose([part], if_source_generation_match=[part.generation])

    def test_copying_needs_both_generations(self, bucket: Bucket) -> None:
        source = bucket.blob("source")
        source.upload_from_string(b"1")
        with pytest.raises(exceptions.PreconditionFailed):
            bucket.copy_blob(source, bucket, "copy", if_source_generation_match=source.generation + 1)
        bucket.copy_blob(source, bucket, "copy", if_generation_match=0)
        with pytest.raises(exceptions.PreconditionFailed):
            bucket.copy_blob(source, bucket, "copy", if_generation_match=0)

    def test_rewriting_needs_both_generations(self, bucket: Bucket) -> None:
        source = bucket.blob("source")
        source.upload_from_string(b"1")
        with pytest.raises(exceptions.PreconditionFailed):
            bucket.blob("copy").rewrite(source, if_source_generation_match=source.generation + 1)
        bucket.blob("copy").rewrite(source, if_generation_match=0)
        with pytest.raises(exceptions.PreconditionFailed):
            bucket.blob("copy").rewrite(source, if_generation_match=0)


class TestResumableUploads:
    def test_the_client_uploads_in_chunks(self, bucket: Bucket) -> None:
        content = bytes(range(256)) * 4096
        blob = bucket.blob("a", chunk_size=CHUNK)
        blob.upload_from_file(io.BytesIO(content), size=len(content))
        assert bucket.blob("a").download_as_bytes() == content

    def test_the_size_may_be_unknown_until_the_end(self, bucket: Bucket) -> None:
        with bucket.blob("a", chunk_size=CHUNK).open("wb") as file:
            for _ in range(5):
                file.write(b"x" * 100_000)
        read = bucket.get_blob("a")
        assert read is not None
        assert read.size == 500_000

    def test_an_upload_can_be_asked_how_much_has_come(self, backend: StorageBackend, bucket: Bucket) -> None:
        location = start_resumable(backend, bucket, "a")
        answer = put_chunk(location, b"", "bytes */*")
        assert answer.status_code == 308
        assert "range" not in answer.headers
        assert put_chunk(location, b"x" * CHUNK, f"bytes 0-{CHUNK - 1}/*").status_code == 308
        answer = put_chunk(location, b"", f"bytes */{CHUNK + 1}")
        assert answer.status_code == 308
        assert answer.headers["range"] == f"bytes=0-{CHUNK - 1}"
        assert put_chunk(location, b"y", f"bytes {CHUNK}-{CHUNK}/{CHUNK + 1}").status_code == 200

    def test_the_object_appears_only_when_the_last_chunk_has_come(
        self, backend: StorageBackend, bucket: Bucket
    ) -> None:
        location = start_resumable(backend, bucket, "a")
        put_chunk(location, b"x" * CHUNK, f"bytes 0-{CHUNK - 1}/{CHUNK + 3}")
        assert bucket.get_blob("a") is None
        last = put_chunk(location, b"end", f"bytes {CHUNK}-{CHUNK + 2}/{CHUNK + 3}")
        assert last.status_code == 200
        assert last.json()["contentType"] == "video/mp4"
        assert bucket.blob("a").download_as_bytes() == b"x" * CHUNK + b"end"

    def test_an_upload_that_was_never_started_is_not_found(
        self, backend: StorageBackend, bucket: Bucket
    ) -> None:
        location = start_resumable(backend, bucket, "a")
        answer = put_chunk(location.rsplit("=", 1)[0] + "=none", b"x", "bytes 0-0/1")
        assert answer.status_code == 404


class TestRanges:
    CONTENT = bytes(range(100))

    @pytest.mark.parametrize(
        ("asked", "start", "stop"), [("0-9", 0, 10), ("90-", 90, 100), ("-5", 95, 100), ("50-500", 50, 100)]
    )
    def test_a_part_of_the_content(
        self, backend: StorageBackend, bucket: Bucket, asked: str, start: int, stop: int
    ) -> None:
        bucket.blob("a").upload_from_string(self.CONTENT)
        url = object_url(backend, bucket, "a", prefix="/download")
        headers = {"range": f"bytes={asked}"}
        answer = requests.get(url, params={"alt": "media"}, headers=headers, timeout=TIMEOUT)
        assert answer.status_code == 206
        assert answer.content == self.CONTENT[start:stop]
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/100"

    def test_a_range_beyond_the_end_cannot_be_satisfied(self, backend: StorageBackend, bucket: Bucket) -> None:
        bucket.blob("a").upload_from_string(self.CONTENT)
        url = object_url(backend, bucket, "a", prefix="/download")
        headers = {"range": "bytes=100-"}
        answer = requests.get(url, params={"alt": "media"}, headers=headers, timeout=TIMEOUT)
        assert answer.status_code == 416

    def test_the_client_reads_a_part(self, bucket: Bucket) -> None:
        bucket.blob("a").upload_from_string(self.CONTENT)
        assert bucket.blob("a").download_as_bytes(start=10, end=19) == self.CONTENT[10:20]


class TestLists:
    NAMES = ("a/1", "a/2", "a/b/3", "b", "c/4", "é")

    @pytest.fixture
    def filled(self, bucket: Bucket) -> Bucket:
        for name in reversed(self.NAMES):
            bucket.blob(name).upload_from_string(name)
        return bucket

    def test_names_come_in_order(self, filled: Bucket) -> None:
        assert tuple(blob.name for blob in filled.list_blobs()) == self.NAMES

    def test_a_prefix(self, filled: Bucket) -> None:
        assert [blob.name for blob in filled.list_blobs(prefix="a/")] == ["a/1", "a/2", "a/b/3"]

    def test_a_delimiter_rolls_names_up(self, filled: Bucket) -> None:
        top = filled.list_blobs(delimiter="/")
        assert [blob.name for blob in top] == ["b", "é"]
        assert top.prefixes == {"a/", "c/"}
        below = filled.list_blobs(prefix="a/", delimiter="/")
        assert [blob.name for blob in below] == ["a/1", "a/2"]
        assert below.prefixes == {"a/b/"}

    def test_offsets_bound_the_names(self, filled: Bucket) -> None:
        between = filled.list_blobs(start_offset="a/2", end_offset="c/4")
        assert [blob.name for blob in between] == ["a/2", "a/b/3", "b"]

    def test_pages_join_to_the_whole(self, filled: Bucket) -> None:
        pages = [
            [blob.name for blob in page] for page in filled.list_blobs(page_size=2, max_results=None).pages
        ]
        assert [len(page) for page in pages] == [2, 2, 2]
        assert tuple(name for page in pages for name in page) == self.NAMES

    def test_pages_count_prefixes_too(self, backend: StorageBackend, filled: Bucket) -> None:
        url = f"{backend.url}/storage/v1/b/{filled.name}/o"
        first = requests.get(url, params={"delimiter": "/", "maxResults": "2"}, timeout=TIMEOUT).json()
        assert first["prefixes"] == ["a/"]
        assert [item["name"] for item in first["items"]] == ["b"]

    def test_only_the_fields_asked_for(self, backend: StorageBackend, filled: Bucket) -> None:
        url = f"{backend.url}/storage/v1/b/{filled.name}/o"
        answer = requests.get(url, params={"fields": "items(name,size)"}, timeout=TIMEOUT).json()
        assert answer == {"items": [{"name": name, "size": str(len(name.encode()))} for name in self.NAMES]}

    def test_what_was_deleted_is_not_listed(self, filled: Bucket) -> None:
        filled.blob("b").delete()
        assert "b" not in {blob.name for blob in filled.list_blobs()}

    def test_a_bucket_that_does_not_exist_cannot_be_listed(self, backend: StorageBackend) -> None:
        with pytest.raises(exceptions.NotFound):
            list(backend.client.list_blobs("no-such-bucket"))


class TestCompose:
    def test_sources_are_joined_in_order(self, bucket: Bucket) -> None:
        parts = [bucket.blob(f"part{number}") for number in range(3)]
        for number, part in enumerate(parts):
            part.upload_from_string(bytes([number]) * 300_000)
        whole = bucket.blob("whole")
        whole.content_type = "video/mp4"
        whole.cache_control = "no-store"
        whole.metadata = {"broadcast": "1"}
        whole.compose(parts)
        read = bucket.get_blob("whole")
        assert read is not None
        content = b"".join(bytes([number]) * 300_000 for number in range(3))
        assert read.download_as_bytes() == content
        assert (read.component_count, read.crc32c, read.md5_hash) == (3, crc32c(content), None)
        assert (read.content_type, read.cache_control) == ("video/mp4", "no-store")
        assert read.metadata == {"broadcast": "1"}

    def test_a_composition_can_be_composed_again(self, bucket: Bucket) -> None:
        bucket.blob("part").upload_from_string(b"12")
        whole = bucket.blob("whole")
        whole.compose([bucket.blob("part"), bucket.blob("part")])
        whole.compose([whole, bucket.blob("part")])
        assert whole.component_count == 3
        assert whole.download_as_bytes() == b"121212"

    def test_at_most_32_sources(self, bucket: Bucket) -> None:
        part = bucket.blob("part")
        part.upload_from_string(b"1")
        bucket.blob("whole").compose([part] * 32)
        with pytest.raises(exceptions.BadRequest):
            bucket.blob("whole").compose([part] * 33)

    def test_a_source_that_does_not_exist_is_not_found(self, bucket: Bucket) -> None:
        with pytest.raises(exceptions.NotFound):
            bucket.blob("whole").compose([bucket.blob("missing")], retry=None)
        assert bucket.get_blob("whole") is None


class TestCopies:
    def test_a_copy_has_content_and_attributes_of_its_source(self, backend: StorageBackend) -> None:
        bucket, other = backend.create_bucket(), backend.create_bucket()
        source = bucket.blob("source")
        source.metadata = {"a": "b"}
        source.cache_control = "no-store"
        source.upload_from_string(b"content", content_type="video/mp4")
        bucket.copy_blob(source, other, "copy")
        read = other.get_blob("copy")
        assert read is not None
        assert (read.content_type, read.cache_control, read.metadata) == ("video/mp4", "no-store", {"a": "b"})
        assert read.download_as_bytes() == b"content"

    def test_a_rewrite_is_done_at_once(self, bucket: Bucket) -> None:
        source = bucket.blob("source")
        source.upload_from_string(b"content")
        assert bucket.blob("copy").rewrite(source) == (None, 7, 7)
        assert bucket.blob("copy").download_as_bytes() == b"content"

    def test_a_rewrite_to_another_location_takes_several_calls(self, backend: StorageBackend) -> None:
        """Each goes on where the token of the one before says, and only there."""
        source, far = backend.create_bucket().blob("source"), backend.create_bucket_in("EU")
        content = bytes(range(256)) * (4 * 2560)
        source.upload_from_string(content)
        copy, size = far.blob("copy"), len(content)
        token, copied, total = copy.rewrite(source)
        assert (copied, total) == (size * 2 // 5, size)
        with pytest.raises(exceptions.BadRequest):
            far.blob("another").rewrite(source, token=token)
        with pytest.raises(exceptions.BadRequest):
            far.blob("copy").rewrite(source, token="no-token")
        with pytest.raises(exceptions.PreconditionFailed):
            far.blob("copy").rewrite(source, token=token, if_generation_match=7)
        token, copied, _ = copy.rewrite(source, token=token)
        assert copied == size * 4 // 5
        assert not far.blob("copy").exists()
        assert copy.rewrite(source, token=token) == (None, size, size)
        assert far.blob("copy").download_as_bytes() == content

    def test_a_missing_source_is_not_found(self, bucket: Bucket) -> None:
        with pytest.raises(exceptions.NotFound):
            bucket.copy_blob(bucket.blob("missing"), bucket, "copy")


class TestPublicReads:
    @pytest.fixture
    def public(self, backend: StorageBackend) -> Bucket:
        bucket = backend.create_public_bucket()
        blob = bucket.blob("s/1080p/playlist.m3u8")
        blob.cache_control = "public, max-age=1"
        blob.upload_from_string(b"#EXTM3U\n", content_type="application/vnd.apple.mpegurl")
        return bucket

    @pytest.fixture
    def url(self, backend: StorageBackend, public: Bucket) -> str:
        return f"{backend.url}/{public.name}/s/1080p/playlist.m3u8"

    def test_content_and_attributes_are_served(self, url: str) -> None:
        answer = requests.get(url, timeout=TIMEOUT)
        assert answer.content == b"#EXTM3U\n"
        assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
        assert answer.headers["cache-control"] == "public, max-age=1"
        assert answer.headers["content-length"] == "8"

    def test_head_says_the_same_without_the_content(self, url: str) -> None:
        answer = requests.head(url, timeout=TIMEOUT)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == "8"
        assert answer.headers["cache-control"] == "public, max-age=1"

    def test_caches_keep_an_hour_what_says_nothing(self, backend: StorageBackend, public: Bucket) -> None:
        public.blob("plain").upload_from_string(b"x")
        answer = requests.get(f"{backend.url}/{public.name}/plain", timeout=TIMEOUT)
        assert answer.headers["cache-control"] == "public, max-age=3600"

    def test_a_known_entity_tag_is_not_modified(self, url: str) -> None:
        etag = requests.get(url, timeout=TIMEOUT).headers["etag"]
        answer = requests.get(url, headers={"if-none-match": etag}, timeout=TIMEOUT)
        assert (answer.status_code, answer.content) == (304, b"")
        other = requests.get(url, headers={"if-none-match": '"other"'}, timeout=TIMEOUT)
        assert other.status_code == 200

    def test_a_new_generation_has_a_new_entity_tag(self, url: str, public: Bucket) -> None:
        before = requests.get(url, timeout=TIMEOUT).headers["etag"]
        public.blob("s/1080p/playlist.m3u8").upload_from_string(b"#EXTM3U\n#EXT-X-ENDLIST\n")
        assert requests.get(url, timeout=TIMEOUT).headers["etag"] != before

    def test_a_part_of_the_content(self, url: str) -> None:
        answer = requests.get(url, headers={"range": "bytes=1-3"}, timeout=TIMEOUT)
        assert (answer.status_code, answer.content) == (206, b"EXT")
        beyond = requests.get(url, headers={"range": "bytes=8-"}, timeout=TIMEOUT)
        assert beyond.status_code == 416

    def test_pages_of_any_origin_may_read(self, url: str) -> None:
        answer = requests.get(url, headers={"origin": "https://example.org"}, timeout=TIMEOUT)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Content-Range" in answer.headers["access-control-expose-headers"]

    def test_a_preflight_allows_ranges(self, url: str) -> None:
        headers = {
            "origin": "https://example.org",
            "access-control-request-method": "GET",
            "access-control-request-headers": "range",
        }
        answer = requests.options(url, headers=headers, timeout=TIMEOUT)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "range" in answer.headers["access-control-allow-headers"].lower()

    def test_what_does_not_exist_is_not_found_and_not_cached(
        self, backend: StorageBackend, public: Bucket
    ) -> None:
        answer = requests.get(f"{backend.url}/{public.name}/missing", timeout=TIMEOUT)
        assert answer.status_code == 404
        assert answer.headers["cache-control"] == "private, max-age=0"

    def test_private_buckets_are_closed(self, backend: StorageBackend, bucket: Bucket) -> None:
        bucket.blob("secret").upload_from_string(b"x")
        answer = requests.get(f"{backend.url}/{bucket.name}/secret", timeout=TIMEOUT)
        assert answer.status_code == 403
        assert b"AccessDenied" in answer.content


class TestLimits:
    def test_a_name_can_be_written_once_a_second(self, backend: StorageBackend, bucket: Bucket) -> None:
        if backend.store is not None:
            backend.store.limit_writes = True
        try:
            assert upload(backend, bucket, "a", b"1").status_code == 200
            answers = [upload(backend, bucket, "a", b"2") for _ in range(3)]
        finally:
            if backend.store is not None:
                backend.store.limit_writes = False
        assert answers[-1].status_code == 429
        assert upload(backend, bucket, "b", b"1").status_code == 200

    def test_a_name_has_at_most_1024_bytes(self, backend: StorageBackend, bucket: Bucket) -> None:
        assert upload(backend, bucket, "é" * 512, b"x").status_code == 200
        assert upload(backend, bucket, "é" * 513, b"x").status_code == 400


class TestErrors:
    """Errors come in Google's JSON form, with the reason that clients look at."""

    def test_not_found(self, backend: StorageBackend, bucket: Bucket) -> None:
        answer = requests.get(object_url(backend, bucket, "missing"), timeout=TIMEOUT)
        assert error_of(answer) == (404, "notFound")

    def test_a_condition_that_does_not_hold(self, backend: StorageBackend, bucket: Bucket) -> None:
        assert error_of(upload(backend, bucket, "a", b"x", ifGenerationMatch=1)) == (412, "conditionNotMet")

    def test_a_request_that_is_not_json(self, backend: StorageBackend, bucket: Bucket) -> None:
        url = f"{backend.url}/upload/storage/v1/b/{bucket.name}/o"
        answer = requests.post(url, params={"uploadType": "resumable"}, data=b"{", timeout=TIMEOUT)
        assert error_of(answer) == (400, "parseError")
