"""The web server: uvicorn on sockets of ours, whose connections an application can cut."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

BACKLOG: Final = 1_024  # connections that wait for us to accept them, in a burst of viewers
# Google's front ends keep idle connections for minutes; a client's pool must not find them closed.
KEEP_ALIVE_SECONDS: Final = 240
SHUTDOWN_SECONDS: Final = 1  # requests that still run then are cancelled
_TRANSPORT: Final = "local_cloud.transport"


class PortInUse(OSError):
    """Another process listens where we were told to; the text is one line for whoever started us."""


class WebServer:
    """Serves *app* on *listener* until it is closed."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                app,
                http=_CuttableProtocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]), name="web server")

    async def close(self) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._listener.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on *host* and *port*, 0 for any that is free; raises PortInUse."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it each answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortInUse(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


async def cut_connection(scope: Scope, receive: Receive) -> None:
    """Close the connection of *scope* at once, without an answer, and wait until it is closed."""
    scope[_TRANSPORT].abort()
    while (await receive())["type"] != "http.disconnect":
        pass


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process decides what its signals mean."""
        yield


class _CuttableProtocol(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[_TRANSPORT] = self.transport  # type: ignore[typeddict-unknown-key]
