"""The web server: uvicorn on the event loop of its process, whose connections cost strangers more than us."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

REQUEST_SECONDS: Final = 20.0
"""From a connection, or the answer before, until a request is there with all of its body, however many bytes
come of it: a mobile network's worst seconds, and longer than an endpoint waits for a body before it says so to
its sender. uvicorn itself waits for ever."""

MAX_CONNECTIONS: Final = 256
"""At once, of a thousand files that a process may open by default. A request takes milliseconds, so this serves
thousands of broadcasters; beyond it, whoever has kept us waiting for a request for longest is let go."""


def web_server(application: ASGIApp, host: str = "", port: int = 0) -> uvicorn.Server:
    """Return a server of *application* on *host* and *port*, or on the sockets that its `serve` is given.

    Setting its `should_exit` ends it, and nothing else does: signals are left to the process.
    """
    return _Server(
        uvicorn.Config(
            application,
            host=host,
            port=port,
            http=_Connection,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # who stands behind a proxy is decided in one place: offer_rate.peer_address
            lifespan="off",
        )
    )


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process, which ends its sessions first."""
        yield


class _Connection(H11Protocol):
    """One connection; what waits for a request has its time, and is the first to go when there are too many."""

    _request_due: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a request, or the rest of one, has yet to come."""
        return self._request_due is not None

    def due_at(self) -> float:
        """When the request that is waited for has to be there."""
        assert self._request_due is not None
        return self._request_due.when()

    def let_go(self) -> None:
        """Close the connection at once."""
        self._stop_waiting()
        self.connections.discard(self)
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's is
        super().connection_made(transport)
        self._await_request()
        if len(self.connections) > MAX_CONNECTIONS:
            waiting = [each for each in self.connections if isinstance(each, _Connection) and each.is_waiting]
            min(waiting, key=_Connection.due_at).let_go()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._has_request():
            self._stop_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()  # which begins with the next request, if it is there
        if not self._has_request():
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _has_request(self) -> bool:
        """Whether there is a whole request, which is being answered."""
        cycle: RequestResponseCycle | None = self.cycle  # whose type does not say that it is None at first
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def _await_request(self) -> None:
        self._stop_waiting()
        self._request_due = self.loop.call_later(REQUEST_SECONDS, self.let_go)

    def _stop_waiting(self) -> None:
        if self._request_due is not None:
            self._request_due.cancel()
            self._request_due = None
