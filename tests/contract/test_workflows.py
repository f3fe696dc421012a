"""What our code may rely on of Workflows, through the official clients: gRPC over an insecure channel.

There is no referee: the platform has no emulator of its own.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import workflows_v1
from google.cloud.workflows import executions_v1
from google.cloud.workflows.executions_v1.services.executions.transports import (
    ExecutionsGrpcAsyncIOTransport,
    ExecutionsGrpcTransport,
)
from google.cloud.workflows_v1.services.workflows.transports import WorkflowsGrpcTransport

from local_cloud.cloud import CloudOptions, RunningLocalCloud, running_local_cloud
from local_cloud.workflows import InvalidWorkflow, WorkflowsOptions
from local_cloud.workflows.limits import MAX_ARGUMENT_BYTES

PLACE: Final = "projects/demo/locations/europe-west1"
DONE: Final = (
    executions_v1.Execution.State.SUCCEEDED,
    executions_v1.Execution.State.FAILED,
    executions_v1.Execution.State.CANCELLED,
)
END_SECONDS: Final = 20

T = TypeVar("T")

FILES: Final = {
    "echo.workflows.yaml": """
        main:
          params: [args]
          steps:
            - s: {return: '${args}'}
        """,
    "facts.workflows.json": json.dumps(
        [
            {
                "s": {
                    "return": {
                        name.lower(): f'${{sys.get_env("{name}")}}'
                        for name in (
                            "GOOGLE_CLOUD_PROJECT_ID",
                            "GOOGLE_CLOUD_LOCATION",
                            "GOOGLE_CLOUD_WORKFLOW_ID",
                            "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID",
                            "API",
                        )
                    }
                }
            }
        ]
    ),
    "fail.workflows.yaml": """
        main:
          params: [args]
          steps:
            - outer: {call: inner, args: {error: '${args}'}}
        inner:
          params: [error]
          steps:
            - throw: {raise: '${error}'}
        """,
    "nap.workflows.yaml": """
        main:
          steps:
            - long: {call: sys.sleep, args: {seconds: 1800}}
            - done: {return: awake}
        """,
    "stay.workflows.yaml": """
        main:
          steps:
            - for_ever: {call: sys.sleep, args: {seconds: 31536000}}
        """,
    "ask.workflows.yaml": """
        main:
          params: [args]
          steps:
            - ask:
                try:
                  call: http.post
                  args:
                    url: ${args.url}
                    query: {session: 7}
                    headers: {X-Own: a}
                    auth: {type: OIDC, audience: 'https://api.example'}
                    body: {stream: '${args.stream}'}
                  result: answer
                retry: ${http.default_retry}
            - done: {return: '${answer.body}'}
        """,
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLocalCloud]:
    folder = tmp_path_factory.mktemp("workflows")
    for name, source in FILES.items():
        (folder / name).write_text(source)
    (folder / "notes.txt").write_text("not a workflow")
    workflows = WorkflowsOptions(folder=folder, environment={"API": "http://api"}, fast_forward=20_000)
    with running_local_cloud(CloudOptions(workflows=workflows)) as running:
        yield running


@pytest.fixture(scope="module")
def channel(cloud: RunningLocalCloud) -> Iterator[Any]:
    with grpc.insecure_channel(cloud.cloud.environment["WORKFLOWS_EMULATOR_HOST"]) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(channel: Any) -> executions_v1.ExecutionsClient:
    return executions_v1.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=channel))


@pytest.fixture(scope="module")
def workflows(channel: Any) -> workflows_v1.WorkflowsClient:
    return workflows_v1.WorkflowsClient(transport=WorkflowsGrpcTransport(channel=channel))


def typed(value: object, kind: type[T]) -> T:
    """*value* as what proto-plus gives, not as what its types say."""
    assert isinstance(value, kind)
    return value


def start(
    client: executions_v1.ExecutionsClient, workflow: str, argument: Any = None
) -> executions_v1.Execution:
    execution = executions_v1.Execution(argument="" if argument is None else json.dumps(argument))
    return client.create_execution(
        parent=client.workflow_path("demo", "europe-west1", workflow), execution=execution
    )


def ended(client: executions_v1.ExecutionsClient, name: str) -> executions_v1.Execution:
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        execution = client.get_execution(name=name)
        if execution.state in DONE:
            return execution
        time.sleep(0.01)
    raise TimeoutError(name)


def result(client: executions_v1.ExecutionsClient, workflow: str, argument: Any = None) -> Any:
    execution = ended(client, start(client, workflow, argument).name)
    assert execution.state == executions_v1.Execution.State.SUCCEEDED, execution.error.context
    return json.loads(execution.result)


@pytest.mark.parametrize("argument", [None, {"stream": "s", "n": [1, 2.5, True, None]}, "text", 5])
def test_argument_goes_in_and_the_result_comes_out(
    client: executions_v1.ExecutionsClient, argument: Any
) -> None:
    assert result(client, "echo", argument) == argument


def test_new_execution_is_active_and_has_its_argument(client: executions_v1.ExecutionsClient) -> None:
    before = datetime.now(UTC)
    execution = start(client, "stay", {"a": 1})
    assert execution.name.startswith(f"{PLACE}/workflows/stay/executions/")
    assert execution.state == executions_v1.Execution.State.ACTIVE
    assert json.loads(execution.argument) == {"a": 1}
    assert before - timedelta(seconds=1) < typed(execution.start_time, datetime) <= datetime.now(UTC)
    assert execution.workflow_revision_id.startswith("000001-")
    assert "end_time" not in execution
    client.cancel_execution(name=execution.name)


def test_ended_execution_says_when_and_how_long(client: executions_v1.ExecutionsClient) -> None:
    execution = ended(client, start(client, "nap").name)
    assert json.loads(execution.result) == "awake"
    assert execution.end_time - execution.start_time == execution.duration
    # Half an hour, 20,000 times faster.
    assert timedelta(seconds=0.09) <= typed(execution.duration, timedelta) < timedelta(seconds=END_SECONDS)
    assert [(at.routine, at.step) for at in execution.status.current_steps] == [("main", "done")]


@pytest.mark.parametrize(
    ("error", "headline"),
    [
        ("broken", 'RuntimeError: "broken"'),
        ({"code": 55, "message": "m"}, 'RuntimeError: {"code":55,"message":"m"}'),
        ({"message": "m", "tags": ["Own"]}, "m"),
        (5, "an error must be a string or a map, not integer"),
    ],
)
def test_failed_execution_has_payload_context_and_trace(
    client: executions_v1.ExecutionsClient, error: Any, headline: str
) -> None:
    execution = ended(client, start(client, "fail", error).name)
    assert execution.state == executions_v1.Execution.State.FAILED
    assert not execution.result
    payload = json.loads(execution.error.payload)
    assert payload == error or payload["tags"] == ["TypeError"]
    assert execution.error.context.splitlines() == [
        headline,
        'in step "throw", routine "inner", line: 9',
        'in step "outer", routine "main", line: 5',
    ]
    trace = execution.error.stack_trace.elements
    assert [(at.step, at.routine, at.position.line) for at in trace] == [
        ("throw", "inner", 9),
        ("outer", "main", 5),
    ]


def test_execution_knows_where_it_is(client: executions_v1.ExecutionsClient) -> None:
    execution = ended(client, start(client, "facts").name)
    assert json.loads(execution.result) == {
        "google_cloud_project_id": "demo",
        "google_cloud_location": "europe-west1",
        "google_cloud_workflow_id": "facts",
        "google_cloud_workflow_execution_id": execution.name.rpartition("/")[2],
        "api": "http://api",
    }


def test_cancelled_execution_stays_cancelled(client: executions_v1.ExecutionsClient) -> None:
    name = start(client, "stay").name
    cancelled = client.cancel_execution(name=name)
    assert cancelled.state == executions_v1.Execution.State.CANCELLED
    assert typed(cancelled.end_time, datetime) >= typed(cancelled.start_time, datetime)
    assert client.get_execution(name=name).state == executions_v1.Execution.State.CANCELLED
    with pytest.raises(exceptions.FailedPrecondition):
        client.cancel_execution(name=name)


def test_executions_are_listed_newest_first_in_pages(client: executions_v1.ExecutionsClient) -> None:
    location = "asia-east1"
    parent = client.workflow_path("demo", location, "echo")
    names = [
        client.create_execution(parent=parent, execution=executions_v1.Execution(argument="1")).name
        for _ in range(5)
    ]
    for name in names:
        ended(client, name)
    pages = client.list_executions(request={"parent": parent, "page_size": 2}).pages
    listed = [[execution.name for execution in page.executions] for page in pages]
    assert listed == [names[:2:-1], names[2:0:-1], names[:1]]


def test_list_is_basic_and_may_be_full(client: executions_v1.ExecutionsClient) -> None:
    execution = ended(client, start(client, "echo", 1).name)
    parent = client.workflow_path("demo", "europe-west1", "echo")
    basic = next(iter(client.list_executions(parent=parent)))
    assert (basic.name, basic.state, basic.argument) == (execution.name, execution.state, "")
    assert basic.duration == execution.duration
    request = {"parent": parent, "view": executions_v1.ExecutionView.FULL}
    assert next(iter(client.list_executions(request=request))) == execution
    request = {"name": execution.name, "view": executions_v1.ExecutionView.BASIC}
    assert client.get_execution(request=request) == basic


def test_labels_are_kept(client: executions_v1.ExecutionsClient) -> None:
    execution = executions_v1.Execution(labels={"stream": "s-1"})
    created = client.create_execution(parent=f"{PLACE}/workflows/echo", execution=execution)
    assert client.get_execution(name=created.name).labels == {"stream": "s-1"}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c: c.create_execution(parent=f"{PLACE}/workflows/none"), exceptions.NotFound),
        (lambda c: c.create_execution(parent="projects/other/locations/l/workflows/echo"), exceptions.NotFound),
        (lambda c: c.create_execution(parent="workflows/echo"), exceptions.InvalidArgument),
        (lambda c: c.create_execution(parent=f"{PLACE}/workflows/"), exceptions.InvalidArgument),
        (lambda c: c.get_execution(name=f"{PLACE}/workflows/echo/executions/none"), exceptions.NotFound),
        (lambda c: c.get_execution(name=f"{PLACE}/workflows/echo"), exceptions.InvalidArgument),
        (lambda c: c.cancel_execution(name=f"{PLACE}/workflows/echo/executions/none"), exceptions.NotFound),
        (lambda c: list(c.list_executions(parent=f"{PLACE}/workflows/none")), exceptions.NotFound),
        (
            lambda c: list(c.list_executions(request={"parent": f"{PLACE}/workflows/echo", "page_size": -1})),
            exceptions.InvalidArgument,
        ),
        (
            lambda c: list(c.list_executions(request={"parent": f"{PLACE}/workflows/echo", "page_token": "x"})),
            exceptions.InvalidArgument,
        ),
        (
            lambda c: list(c.list_executions(request={"parent": f"{PLACE}/workflows/echo", "filter": "x"})),
            exceptions.MethodNotImplemented,
        ),
    ],
)
def test_what_is_not_there_or_not_right_is_refused(
    client: executions_v1.ExecutionsClient,
    call: Callable[[executions_v1.ExecutionsClient], object],
    error: type[Exception],
) -> None:
    with pytest.raises(error):
        call(client)


@pytest.mark.parametrize(
    ("execution", "reason"),
    [
        ({"argument": "not json"}, "not JSON"),
        ({"argument": "NaN"}, "not JSON"),
        ({"argument": json.dumps("x" * MAX_ARGUMENT_BYTES)}, "32768"),
        ({"labels": {"Upper": "x"}}, "label"),
        ({"labels": {f"l{n}": "x" for n in range(65)}}, "64"),
    ],
)
def test_execution_that_is_not_right_is_refused(
    client: executions_v1.ExecutionsClient, execution: dict[str, Any], reason: str
) -> None:
    parent = f"{PLACE}/workflows/echo"
    before = len(list(client.list_executions(parent=parent)))
    with pytest.raises(exceptions.InvalidArgument, match=reason):
        client.create_execution(parent=parent, execution=executions_v1.Execution(execution))
    assert len(list(client.list_executions(parent=parent))) == before


def test_execution_belongs_to_its_workflow_and_location(client: executions_v1.ExecutionsClient) -> None:
    name = ended(client, start(client, "echo").name).name
    for other in (name.replace("/echo/", "/facts/"), name.replace("europe-west1", "us-east1")):
        with pytest.raises(exceptions.NotFound):
            client.get_execution(name=other)


async def test_asynchronous_client_works_too(cloud: RunningLocalCloud) -> None:
    address = cloud.cloud.environment["WORKFLOWS_EMULATOR_HOST"]
    async with grpc.aio.insecure_channel(address) as opened:
        client = executions_v1.ExecutionsAsyncClient(transport=ExecutionsGrpcAsyncIOTransport(channel=opened))
        created = await client.create_execution(
            parent=f"{PLACE}/workflows/echo", execution=executions_v1.Execution(argument="1")
        )
        assert (await client.get_execution(name=created.name)).name == created.name


def test_executions_started_at_once_are_all_there(client: executions_v1.ExecutionsClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda n: start(client, "echo", n).name, range(40)))
    assert len(set(names)) == 40
    assert [json.loads(ended(client, name).result) for name in names] == list(range(40))


def test_workflows_can_be_looked_up(workflows: workflows_v1.WorkflowsClient) -> None:
    names = [workflow.name.rpartition("/")[2] for workflow in workflows.list_workflows(parent=PLACE)]
    assert names == ["ask", "echo", "facts", "fail", "nap", "stay"]
    found = workflows.get_workflow(name=f"{PLACE}/workflows/echo")
    assert found.state == workflows_v1.Workflow.State.ACTIVE
    assert found.source_contents == FILES["echo.workflows.yaml"]
    pages = workflows.list_workflows(request={"parent": PLACE, "page_size": 4}).pages
    assert [len(page.workflows) for page in pages] == [4, 2]


def test_what_is_not_offered_is_refused_by_its_name(workflows: workflows_v1.WorkflowsClient) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match="DeleteWorkflow"):
        workflows.delete_workflow(name=f"{PLACE}/workflows/echo")
    with pytest.raises(exceptions.NotFound):
        workflows.get_workflow(name=f"{PLACE}/workflows/none")


class Asked(BaseHTTPRequestHandler):
    """Answers 503 first, and then what it was asked."""

    protocol_version = "HTTP/1.1"
    refusals = 2
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.lock:
            refuse = Asked.refusals > 0
            Asked.refusals -= 1
        answer = {
            "path": self.path,
            "own": self.headers["x-own"],
            "token": self.headers["authorization"],
            "body": json.loads(body),
        }
        content = json.dumps(answer).encode()
        self.send_response(503 if refuse else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def test_workflow_calls_a_service_again_until_it_answers(client: executions_v1.ExecutionsClient) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answer = result(client, "ask", {"url": f"http://127.0.0.1:{server.server_port}/end", "stream": "s"})
        server.shutdown()
    kind, token = answer.pop("token").split(" ")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert kind == "Bearer"
    assert claims["aud"] == "https://api.example"
    assert answer == {"path": "/end?session=7", "own": "a", "body": {"stream": "s"}}
    assert Asked.refusals == -1


def test_unfinished_executions_end_with_the_cloud(tmp_path: Path) -> None:
    (tmp_path / "stay.workflows.yaml").write_text(FILES["stay.workflows.yaml"])
    options = CloudOptions(workflows=WorkflowsOptions(folder=tmp_path))
    with running_local_cloud(options) as running:
        with grpc.insecure_channel(running.cloud.environment["WORKFLOWS_EMULATOR_HOST"]) as opened:
            start(executions_v1.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=opened)), "stay")
        began = time.monotonic()
    assert time.monotonic() - began < END_SECONDS


@pytest.mark.parametrize(
    ("files", "environment", "reason"),
    [
        ({"a.workflows.yaml": "- s: {cal: x}"}, {}, r"a.workflows.yaml:1: step 's': a step needs 'next'"),
        (
            {"a.workflows.yaml": "- s: {return: 1}", "a.workflows.json": "[]"},
            {},
            "two files for the workflow 'a'",
        ),
        ({}, {"GOOGLE_X": "x"}, "'GOOGLE_X' cannot be the name"),
        ({}, {"lower": "x"}, "'lower' cannot be the name"),
        ({}, {"A": "x" * 4097}, "4096 bytes"),
        ({}, {f"A{n}": "x" for n in range(21)}, "more than 20"),
    ],
)
def test_cloud_with_a_workflow_that_is_refused_does_not_start(
    tmp_path: Path, files: dict[str, str], environment: dict[str, str], reason: str
) -> None:
    for name, source in files.items():
        (tmp_path / name).write_text(source)
    options = CloudOptions(workflows=WorkflowsOptions(folder=tmp_path, environment=environment))
    with pytest.raises(InvalidWorkflow, match=reason), running_local_cloud(options):
        pass
