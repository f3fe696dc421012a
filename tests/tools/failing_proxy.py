"""A proxy before a function, which lets single requests fail in every way that a network has."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from local_system.system import HOST

# Far above what any answer, or whoever lets a held one go, takes.
_SECONDS: Final = 60


class Failure(Enum):
    """How a request fails."""

    NOT_FOUND = 404
    TOO_MANY_REQUESTS = 429
    INTERNAL_ERROR = 500
    UNAVAILABLE = 503
    CLOSED = "the connection is closed, and nothing was done"
    ANSWER_LOST = "it is done, and the connection is closed"
    ANSWER_HELD = "it is done, and no answer comes until whoever asked has gone, or is let go"
    HELD = "it is held until it is let go, and then never done"
    LATE = "it is done only when it is let go, with nobody left to hear of it"


Body = Mapping[str, Any]
Failing = Callable[[str, Body], Failure | None]
"""How the request with this path and body fails, if it does; called once for each."""


class FailingProxy:
    """Passes requests on to a function, unless they are to fail."""

    def __init__(self, target: str, failing: Failing) -> None:
        """Pass on to the address *target*; ask *failing* about each request. Use `running`."""
        self._held: list[Body] = []
        self._answered: list[Body] = []
        self._change = threading.Condition()
        self._let_go = threading.Event()
        self._target = urlsplit(target)
        self._failing = failing
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                # Whoever asked may have gone.
                with suppress(ConnectionError):
                    proxy._answer(self)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer while the context lasts."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            self._let_go.set()
            self._server.shutdown()
            self._server.server_close()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold what is to be held for as long as the context lasts."""
        self._let_go.clear()
        try:
            yield
        finally:
            self._let_go.set()

    def wait_for_held(self, stream: str) -> None:
        """Return when a request about *stream* is held, or was."""
        self._wait_for(self._held, stream)

    def wait_for_answered(self, stream: str) -> None:
        """Return when a request about *stream* was passed on, and answered."""
        self._wait_for(self._answered, stream)

    def _wait_for(self, those: list[Body], stream: str) -> None:
        with self._change:
            assert self._change.wait_for(lambda: any(body.get("stream") == stream for body in those), _SECONDS)

    def _note(self, those: list[Body], body: Body) -> None:
        with self._change:
            those.append(body)
            self._change.notify_all()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        content = request.rfile.read(int(request.headers.get("content-length", 0)))
        body: Body = json.loads(content)
        with self._lock:
            failure = self._failing(request.path, body)
        request.close_connection = True
        match failure:
            case None:
                self._respond(request, *self._pass_on(request.path, content))
                self._note(self._answered, body)
            case Failure.CLOSED:
                pass
            case Failure.ANSWER_LOST:
                self._pass_on(request.path, content)
            case Failure.ANSWER_HELD:
                self._pass_on(request.path, content)
                self._hold(body)
            case Failure.HELD:
                self._hold(body)
            case Failure.LATE:
                self._hold(body)
                self._pass_on(request.path, content)
            case refused:
                self._respond(request, int(refused.value), b"As some proxy would say it.", "text/plain")

    def _hold(self, body: Body) -> None:
        self._note(self._held, body)
        self._let_go.wait(_SECONDS)

    def _pass_on(self, path: str, content: bytes) -> tuple[int, bytes, str]:
        connection = http.client.HTTPConnection(str(self._target.hostname), self._target.port, timeout=_SECONDS)
        try:
            connection.request("POST", f"{self._target.path}{path}", content)
            response = connection.getresponse()
            return response.status, response.read(), response.getheader("content-type", "")
        finally:
            connection.close()

    def _respond(self, request: BaseHTTPRequestHandler, status: int, content: bytes, content_type: str) -> None:
        request.send_response(status)
        request.send_header("content-type", content_type)
        request.send_header("content-length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
