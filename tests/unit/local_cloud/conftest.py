"""One local cloud, in memory, for the tests that speak to it over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from local_cloud.cloud import CloudOptions, RunningLocalCloud, running_local_cloud
from local_cloud.faults import NO_FAULTS


@pytest.fixture(scope="session")
def shared_cloud() -> Iterator[RunningLocalCloud]:
    with running_local_cloud(CloudOptions(limit_writes=False)) as running:
        yield running


@pytest.fixture
def cloud(shared_cloud: RunningLocalCloud) -> Iterator[RunningLocalCloud]:
    yield shared_cloud
    shared_cloud.faults.set(NO_FAULTS, now=datetime.now(UTC))
