"""Workflows behind the port Executions."""

import json
from collections.abc import Mapping
from typing import Final

import grpc
from google.api_core import exceptions, retry
from google.auth.exceptions import GoogleAuthError
from google.cloud.workflows.executions_v1 import Execution, ExecutionsClient
from google.cloud.workflows.executions_v1.services.executions.transports import ExecutionsGrpcTransport

from bucketcast.errors import Unavailable
from bucketcast.recording.document import ExecutionState

# An execution is begun, or looked up, in a fraction of a second.
TIMEOUT: Final = 10.0
# What was perhaps begun is begun again: executions are safe twice.
RETRY: Final = retry.Retry(
    predicate=retry.if_exception_type(exceptions.ServiceUnavailable, exceptions.ResourceExhausted),
    initial=0.1,
    maximum=1.0,
    timeout=5.0,
)
_ALIVE: Final = (Execution.State.ACTIVE, Execution.State.QUEUED)


class CloudWorkflows:
    """The executions of the workflows in one place. Safe to use from several threads."""

    def __init__(self, client: ExecutionsClient, parent: str) -> None:
        """Use *client* for the workflows under *parent*, `projects/PROJECT/locations/LOCATION`."""
        self._client = client
        self._parent = parent

    def start(self, workflow: str, argument: Mapping[str, str | int | bool]) -> str:
        """See Executions.start."""
        try:
            execution = self._client.create_execution(
                parent=f"{self._parent}/workflows/{workflow}",
                execution=Execution(argument=json.dumps(dict(argument))),
                retry=RETRY,
                timeout=TIMEOUT,
            )
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise Unavailable(f"Workflows: {type(error).__name__}") from error
        return str(execution.name)

    def state(self, name: str) -> ExecutionState:
        """See Executions.state."""
        try:
            execution = self._client.get_execution(name=name, retry=RETRY, timeout=TIMEOUT)
        except exceptions.NotFound:
            return ExecutionState.OVER
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise Unavailable(f"Workflows: {type(error).__name__}") from error
        return ExecutionState.ACTIVE if execution.state in _ALIVE else ExecutionState.OVER


def executions_client(emulator: str) -> ExecutionsClient:
    """A client of Workflows, or of the local cloud's on *emulator* (host:port) if that is given."""
    if not emulator:
        return ExecutionsClient()
    return ExecutionsClient(transport=ExecutionsGrpcTransport(channel=grpc.insecure_channel(emulator)))
