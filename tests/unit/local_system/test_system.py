"""What the API's answers become for a person at a terminal."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from local_system.system import HOST, NotStarted, Ports, RequestRefused, System, free_ports


@contextmanager
def answering(status: int, content: bytes) -> Iterator[int]:
    """A port on which every request is answered so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def system(port: int, folder: Path) -> System:
    return System(
        ports=Ports(web=port, rtmp=2, whip=5, metrics=3, firestore=4, workflows=6),
        admin_token="0" * 16,
        logs=folder,
    )


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (404, b'{"detail": "there is no stream \'x\'"}', "404: there is no stream 'x'"),
        (503, b"upstream", "503: Service Unavailable"),
        (500, b"[]", "500: Internal Server Error"),
        (404, b'{"error": "no function"}', "404: Not Found"),
    ],
)
def test_what_the_api_refuses_is_told_in_its_own_words(
    tmp_path: Path, status: int, content: bytes, words: str
) -> None:
    with answering(status, content) as port, pytest.raises(RequestRefused) as refused:
        system(port, tmp_path).api("GET", "streams")
    assert str(refused.value) == f"GET /v1/streams: the API answered {words}"


def test_an_api_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(NotStarted, match=r"the API does not answer: .*refused") as refused:
        system(free_ports().web, tmp_path).api("GET", "streams")
    assert "\n" not in str(refused.value)


def test_an_answer_is_waited_for_until_it_is_the_one_that_is_meant(tmp_path: Path) -> None:
    with answering(200, b"old") as port:
        waiting = system(port, tmp_path)
        url = f"{waiting.url}/x"
        assert waiting.wait_for(url, "it", until=lambda content: content == b"old") == b"old"
        with pytest.raises(NotStarted, match="it did not answer within 0 s"):
            waiting.wait_for(url, "it", seconds=0.2, until=lambda content: content == b"new")
