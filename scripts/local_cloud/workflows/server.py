"""The gRPC shell: the official clients find Workflows here over an insecure channel."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import methodcaller
from pathlib import Path
from typing import Any, Final

import grpc

from local_cloud.grpc_server import start_grpc_server
from local_cloud.workflows.errors import InvalidWorkflow
from local_cloud.workflows.exchange import exchange
from local_cloud.workflows.executions import Deployed, Executions
from local_cloud.workflows.host import Auth, FastForwardClock, Host, unsigned_token
from local_cloud.workflows.limits import MAX_ENVIRONMENT_VALUE_BYTES, MAX_ENVIRONMENT_VARIABLES
from local_cloud.workflows.loading import SUFFIXES, load_file
from local_cloud.workflows.service import CallRefused, WorkflowsService

CALL_THREADS: Final = 8  # a call only looks something up, or starts a task
CALL_SECONDS: Final = 10  # how long the event loop may be busy before a call is given up
STOP_SECONDS: Final = 2.0
MAX_MESSAGE_BYTES: Final = 1 << 20  # far above the 32 KiB of an argument, so that our own error tells its limit
_PROJECT_NUMBER: Final = "0"  # nothing here has a number
_ENVIRONMENT_NAME: Final = re.compile(r"(?!GOOGLE|WORKFLOWS)[A-Z_][A-Z0-9_]*", re.ASCII)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowsOptions:
    """What can be chosen.

    Every workflow file in *folder* is deployed; *port* 0 is any free one. *run_address* is where the Cloud Run
    API answers. *environment* is what sys.get_env finds besides the built-in variables. Sleeps are
    *fast_forward* times shorter.
    """

    folder: Path
    port: int = 0
    project: str = "demo"
    run_address: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    fast_forward: float = 1.0


class WorkflowsServer:
    """Workflows on one port; the executions run in the event loop that starts the server.

    Raises InvalidWorkflow for a folder, a file or an environment that is refused.
    """

    def __init__(self, options: WorkflowsOptions) -> None:
        self._options = options
        clock = FastForwardClock(options.fast_forward)
        _check_environment(options.environment)
        issuer = f"workflows@{options.project}.iam.gserviceaccount.com"

        def sign(auth: Auth) -> str:
            return unsigned_token(auth, issuer=issuer, now=clock.now())

        self.executions = Executions(
            {
                workflow.name: Deployed(workflow=workflow, time=clock.now())
                for workflow in map(load_file, workflow_files(options.folder))
            },
            host=Host(clock=clock, send=exchange, sign=sign, run_address=options.run_address),
            new_uuid=lambda: str(uuid.uuid4()),
            environment={
                **options.environment,
                "GOOGLE_CLOUD_PROJECT_ID": options.project,
                "GOOGLE_CLOUD_PROJECT_NUMBER": _PROJECT_NUMBER,
                "GOOGLE_CLOUD_SERVICE_ACCOUNT_NAME": issuer,
            },
        )
        self._service = WorkflowsService(self.executions, options.project)
        self._server: Any = None

    async def start(self, host: str) -> int:
        """Serve on *host* and return the port bound; raises OSError when the address cannot be had."""
        port = self._options.port
        self._server, bound = start_grpc_server(
            "Workflows",
            host,
            port,
            (_Handlers(self._service, asyncio.get_running_loop()),),
            threads=CALL_THREADS,
            max_message_bytes=MAX_MESSAGE_BYTES,
        )
        _log.info("Workflows listens", extra={"host": host, "port": bound})
        return bound

    async def close(self) -> None:
        """End every execution and let go of the port, for good."""
        server, self._server = self._server, None
        if server is not None:
            stopped = server.stop(grace=STOP_SECONDS)
            await asyncio.to_thread(stopped.wait)
        await self.executions.close()


def workflow_files(folder: Path) -> list[Path]:
    """The workflow files in *folder*, by name; raises InvalidWorkflow, also when two are one workflow."""
    try:
        found = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES))
    except OSError as error:
        raise InvalidWorkflow(f"{folder}: {error.strerror}") from None
    names = [path.name.partition(".workflows.")[0] for path in found]
    for name in names:
        if names.count(name) > 1:
            raise InvalidWorkflow(f"{folder}: there are two files for the workflow {name!r}")
    return found


def _check_environment(variables: Mapping[str, str]) -> None:
    if len(variables) > MAX_ENVIRONMENT_VARIABLES:
        raise InvalidWorkflow(f"more than {MAX_ENVIRONMENT_VARIABLES} environment variables")
    for name, value in variables.items():
        if not _ENVIRONMENT_NAME.fullmatch(name):
            raise InvalidWorkflow(f"{name!r} cannot be the name of an environment variable")
        if len(value.encode()) > MAX_ENVIRONMENT_VALUE_BYTES:
            raise InvalidWorkflow(f"{name} has more than {MAX_ENVIRONMENT_VALUE_BYTES} bytes")


class _Handlers:
    """What gRPC asks for the handler of each method (grpc.GenericRpcHandler)."""

    def __init__(self, service: WorkflowsService, loop: asyncio.AbstractEventLoop) -> None:
        self._methods = {
            name: grpc.unary_unary_rpc_method_handler(
                _in_loop(call, loop), request.FromString, methodcaller("SerializeToString")
            )
            for name, (request, call) in service.calls.items()
        }

    def service(self, details: Any) -> Any:
        """Return the handler for a call; any that is not offered is refused by its name."""
        return self._methods.get(details.method) or _refusal(details.method)


def _in_loop(call: Callable[[Any], Any], loop: asyncio.AbstractEventLoop) -> Callable[[Any, Any], Any]:
    """*call* in the event loop, for a thread of gRPC."""

    async def run(request: Any) -> Any:
        return call(request)

    def handle(request: Any, context: Any) -> Any:
        try:
            return asyncio.run_coroutine_threadsafe(run(request), loop).result(CALL_SECONDS)
        except CallRefused as refused:
            context.abort(refused.code, refused.message)

    return handle


def _refusal(method: str) -> Any:
    def handle(_: bytes, context: Any) -> None:
        _log.error("A call is not offered", extra={"method": method})
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the local cloud does not offer {method}")

    return grpc.unary_unary_rpc_method_handler(handle)
