"""The parts together: an upload wakes a function, which uses the official clients unchanged."""

import json
import os
import textwrap
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from google.cloud.firestore import Client as FirestoreClient
from google.cloud.storage import Client

from local_cloud.cloud import CloudOptions, LocalCloud, RunningLocalCloud, running_local_cloud
from local_cloud.connections import PortInUse, listen
from local_cloud.events import Backoff
from local_cloud.faults import NO_FAULTS, EventFaults, FaultPlan
from local_cloud.functions import FunctionsNotLoaded, FunctionTarget, SignatureType

TIMEOUT = 10
QUICK = Backoff(first=timedelta(milliseconds=10), most=timedelta(milliseconds=50))
TARGETS = (
    FunctionTarget(name="publish", signature=SignatureType.CLOUD_EVENT),
    FunctionTarget(name="api", signature=SignatureType.HTTP),
    FunctionTarget(name="reap", signature=SignatureType.HTTP),
)
SOURCE = textwrap.dedent("""
    from contextlib import closing
    import functions_framework
    from google.cloud.storage import Client

    attempts = {}

    @functions_framework.cloud_event
    def publish(event):
        name = event.data["name"]
        attempts[name] = attempts.get(name, 0) + 1
        if name.startswith("flaky") and attempts[name] < 3:
            raise RuntimeError("not yet")
        with closing(Client(project="demo")) as client:
            said = f"{event['id']} {event['type']} {attempts[name]}"
            client.bucket("media").blob(f"published/{name}").upload_from_string(said)

    @functions_framework.http
    def api(request):
        return {
            "method": request.method,
            "path": request.path,
            "query": request.args.to_dict(),
            "body": request.get_data(as_text=True),
        }

    @functions_framework.http
    def reap(request):
        with closing(Client(project="demo")) as client:
            client.bucket("recording").blob("reaped").upload_from_string("yes")
        return "ok"
""")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLocalCloud]:
    source = tmp_path_factory.mktemp("functions") / "main.py"
    source.write_text(SOURCE)
    options = CloudOptions(
        functions_source=source,
        functions=TARGETS,
        timers=(("reap", timedelta(milliseconds=50)),),
        event_backoff=QUICK,
        limit_writes=False,
    )
    with running_local_cloud(options) as cloud:
        yield cloud


def upload(name: str) -> str:
    """Upload into the ingest bucket and return the generation."""
    with closing(Client(project="demo")) as client:
        blob = client.bucket("ingest").blob(name)
        blob.upload_from_string(b"{}", content_type="application/json")
        return str(blob.generation)


def published(cloud: RunningLocalCloud, name: str) -> str:
    return cloud.store.read("media", f"published/{name}").decode()


def test_an_upload_wakes_the_function_of_its_bucket(running: RunningLocalCloud) -> None:
    generation = upload("s/timeline.json")
    running.drain_events()
    expected = f"{generation} google.cloud.storage.object.v1.finalized 1"
    assert published(running, "s/timeline.json") == expected


def test_a_function_that_fails_is_called_again(running: RunningLocalCloud) -> None:
    upload("flaky.json")
    running.drain_events()
    assert published(running, "flaky.json").endswith(" 3")


def test_a_lost_event_wakes_nobody(running: RunningLocalCloud) -> None:
    running.faults.set(FaultPlan(events=(EventFaults(loss=1),)), now=datetime.now(UTC))
    try:
        upload("lost.json")
        running.drain_events()
    finally:
        running.faults.set(NO_FAULTS, now=datetime.now(UTC))
    assert running.store.find("media", "published/lost.json") is None


def test_a_direct_wake_is_the_same_call_as_an_event(running: RunningLocalCloud) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "direct",
        "ce-type": "google.cloud.storage.object.v1.finalized",
        "ce-source": "//storage.googleapis.com/projects/_/buckets/ingest",
        "content-type": "application/json",
    }
    body = json.dumps({"name": "direct"})
    answer = requests.post(f"{running.url}/functions/publish", data=body, headers=headers, timeout=TIMEOUT)
    assert answer.status_code == 200
    assert published(running, "direct").startswith("direct ")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("functions/api", "/"),
        ("functions/api/", "/"),
        ("functions/api/v1/streams", "/v1/streams"),
        ("v1/streams/a%20b/end", "/v1/streams/a b/end"),
    ],
)
def test_a_function_sees_the_path_below_its_own_address(
    running: RunningLocalCloud, address: str, path: str
) -> None:
    answer = requests.post(f"{running.url}/{address}?x=1", timeout=TIMEOUT, allow_redirects=False)
    assert answer.json() == {"method": "POST", "path": path, "query": {"x": "1"}, "body": ""}


def test_a_function_reads_a_body_of_unknown_length(running: RunningLocalCloud) -> None:
    """A bug: what came in chunks reached the functions empty, unlike under Gunicorn."""
    answer = requests.post(f"{running.url}/functions/api", data=iter([b"in ", b"chunks"]), timeout=TIMEOUT)
    assert answer.json()["body"] == "in chunks"


def test_a_timer_calls_its_function(running: RunningLocalCloud) -> None:
    first = running.store.find("recording", "reaped")
    since = 0 if first is None else first.generation
    deadline = datetime.now(UTC) + timedelta(seconds=TIMEOUT)
    while datetime.now(UTC) < deadline:
        requests.get(f"{running.url}/healthz", timeout=TIMEOUT)
        reaped = running.store.find("recording", "reaped")
        if reaped is not None and reaped.generation > since:
            return
    pytest.fail("the timer called nothing")


def test_the_environment_leads_the_official_clients_here(running: RunningLocalCloud) -> None:
    environment = running.cloud.environment
    assert {name: os.environ[name] for name in environment} == dict(environment)
    with closing(FirestoreClient(project="demo")) as firestore:
        firestore.document("streams/a").set({"state": "live"})
        assert firestore.document("streams/a").get().to_dict() == {"state": "live"}


def test_three_buckets_are_there_from_the_start(cloud: RunningLocalCloud) -> None:
    buckets = {bucket.name: (bucket.public, bool(bucket.cors)) for bucket in cloud.store.buckets()}
    assert buckets == {"ingest": (False, False), "media": (True, True), "recording": (False, False)}


def test_a_cloud_goes_on_where_it_stopped(tmp_path: Path) -> None:
    options = CloudOptions(data=tmp_path)
    url = "{}/upload/storage/v1/b/media/o?uploadType=media&name=a"
    with running_local_cloud(options) as cloud:
        assert requests.post(url.format(cloud.url), data=b"kept", timeout=TIMEOUT).status_code == 200
    with running_local_cloud(options) as cloud:
        assert requests.get(f"{cloud.url}/media/a", timeout=TIMEOUT).content == b"kept"


@pytest.mark.parametrize("which", ["port", "firestore_port"])
async def test_a_port_in_use_is_named_and_nothing_stays_open(which: str) -> None:
    with closing(listen("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = CloudOptions(**{which: port})
        with pytest.raises(PortInUse, match=f"127.0.0.1:{port}: Address already in use"):
            await LocalCloud(options).start()


async def test_functions_that_do_not_import_are_said_so(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text("import no_such_module")
    before = os.environ.get("STORAGE_EMULATOR_HOST")
    with pytest.raises(FunctionsNotLoaded, match=r"main\.py: function publish: .*no_such_module"):
        await LocalCloud(CloudOptions(functions_source=source, functions=TARGETS[:1])).start()
    assert os.environ.get("STORAGE_EMULATOR_HOST") == before


@pytest.mark.parametrize(
    "options",
    [
        CloudOptions(timers=(("reap", timedelta(seconds=1)),)),
        CloudOptions(functions=TARGETS[1:2]),
    ],
)
async def test_a_trigger_or_timer_needs_its_function(options: CloudOptions) -> None:
    with pytest.raises(FunctionsNotLoaded, match="which is not mounted"):
        await LocalCloud(options).start()
