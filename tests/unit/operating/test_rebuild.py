"""What `scripts/rebuild` says where it cannot do what it is asked: one line, an exit code, no traceback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from operating.rebuild import main, summary

TOKEN = "0123456789abcdef"
RUNGS = [{"name": "720p", "last_media_sequence": 7}, {"name": "360p", "last_media_sequence": None}]
VIEW = {"id": "demo", "state": "live", "broadcast": 1, "session": 2, "rungs": RUNGS}


@contextmanager
def api(answers: dict[tuple[str, str], tuple[int, object]]) -> Iterator[str]:
    """An API that gives *answers* to its owner, by method and path."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            authorized = self.headers["Authorization"] == f"Bearer {TOKEN}"
            status, content = answers[self.command, self.path] if authorized else (401, {"detail": "whose?"})
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/streams"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKETCAST_ADMIN_TOKEN", TOKEN)


def test_a_stream_s_line_says_its_state_and_how_far_its_renditions_go() -> None:
    assert summary(VIEW) == "demo: live, broadcast 1, session 2, 720p to 7"
    assert summary(VIEW | {"rungs": RUNGS[1:]}) == "demo: live, broadcast 1, session 2, nothing listed"


def test_the_streams_that_are_named_are_rebuilt(capsys: pytest.CaptureFixture[str]) -> None:
    with api({("POST", "/v1/streams/demo/rebuild"): (200, VIEW)}) as url:
        assert main(["demo", "--api", f"{url}/"]) == 0
    assert capsys.readouterr().out == "demo: live, broadcast 1, session 2, 720p to 7\n"


def test_without_a_name_all_are_rebuilt_and_one_s_trouble_does_not_keep_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers: dict[tuple[str, str], tuple[int, object]] = {
        ("GET", "/v1/streams"): (200, {"streams": [{"id": "broken"}, {"id": "demo"}]}),
        ("POST", "/v1/streams/broken/rebuild"): (500, {"detail": "not a Seal"}),
        ("POST", "/v1/streams/demo/rebuild"): (200, VIEW),
    }
    with api(answers) as url:
        assert main(["--api", url]) == 1
    said = capsys.readouterr()
    assert said.out == "demo: live, broadcast 1, session 2, 720p to 7\n"
    assert said.err == "rebuild: broken: 500: not a Seal\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, {"detail": "there is no stream 'demo'"}), "404: there is no stream 'demo'"),
        ((502, b"<html>"), "{url} is not the API: it answered 502"),
        ((200, b"[]"), "{url} is not the API: it answered 200"),
    ],
)
def test_what_the_api_refuses_is_one_line(
    answer: tuple[int, object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with api({("POST", "/v1/streams/demo/rebuild"): answer}) as url:
        assert main(["demo", "--api", url]) == 1
    assert capsys.readouterr().err == f"rebuild: demo: {words.format(url=url)}\n"


def test_an_api_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with api({}) as url:
        pass
    assert main(["--api", url]) == 1
    assert capsys.readouterr().err == f"rebuild: {url} does not answer (ConnectionError)\n"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "BUCKETCAST_ADMIN_TOKEN is not set: scripts/run prints the token"),
        ("short", "BUCKETCAST_ADMIN_TOKEN is shorter than 16 characters"),
    ],
)
def test_a_token_that_will_not_do_is_one_line(
    given: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BUCKETCAST_ADMIN_TOKEN", given)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == f"rebuild: {words}\n"


def test_a_token_that_is_not_the_owner_s_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BUCKETCAST_ADMIN_TOKEN", TOKEN[::-1])
    with api({}) as url:
        assert main(["demo", "--api", url]) == 1
    assert capsys.readouterr().err == "rebuild: demo: 401: whose?\n"
