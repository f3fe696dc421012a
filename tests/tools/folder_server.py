"""A small HTTP server of folders and made-up answers, as a public bucket serves them: ranges, CORS, faults."""

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".json": "application/json",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".svg": "image/svg+xml",
    ".ts": "video/mp2t",
}
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(slots=True)
class FolderServer:
    """What is served under an address: *folders* by first path segment, *answers* made when asked for."""

    folders: Mapping[str, Path]
    answers: dict[str, Callable[[], str | None]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    address: str = ""
    _faults: dict[str, list[int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, path: str, *statuses: int) -> None:
        """Answer the next requests for *path* with *statuses*, one each."""
        with self._lock:
            self._faults[path] = list(statuses)

    def faults_left(self, path: str) -> int:
        """How many of the faults set for *path* nobody has met yet."""
        with self._lock:
            return len(self._faults.get(path, []))

    def answer(self, path: str) -> tuple[int, bytes]:
        """The status and body for *path*, which is counted."""
        with self._lock:
            self.requests[path] += 1
            if faults := self._faults.get(path):
                return faults.pop(0), b""
        if path in self.answers:
            made = self.answers[path]()
            return (HTTPStatus.NOT_FOUND, b"") if made is None else (HTTPStatus.OK, made.encode())
        first, _, rest = path.lstrip("/").partition("/")
        file = self.folders[first] / rest if first in self.folders and ".." not in rest else None
        if file is None or not file.is_file():
            return HTTPStatus.NOT_FOUND, b""
        return HTTPStatus.OK, file.read_bytes()


def _handler(site: FolderServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            status, body = site.answer(path)
            total = len(body)
            wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
            if status == HTTPStatus.OK and wanted:
                first, last = int(wanted[1]), int(wanted[2] or total - 1)
                status, body = HTTPStatus.PARTIAL_CONTENT, body[first : last + 1]
            # A player that seeks or leaves hangs up in the middle of a segment.
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                if status == HTTPStatus.PARTIAL_CONTENT and wanted:
                    self.send_header(
                        "Content-Range", f"bytes {wanted[1]}-{int(wanted[1]) + len(body) - 1}/{total}"
                    )
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", _CONTENT_TYPES.get(Path(path).suffix, "text/plain"))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Access-Control-Allow-Origin", "*")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the base class finds methods by HTTP's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Stay quiet: what was asked for is in the site's count."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Kept-alive connections of a player that is gone must not hold up the end of a test.
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up between two requests is no error."""


@contextlib.contextmanager
def serve(site: FolderServer) -> Iterator[FolderServer]:
    """Serve *site* on a free port of the loopback interface; its address has no slash at its end."""
    server = _Server(("127.0.0.1", 0), _handler(site))
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
