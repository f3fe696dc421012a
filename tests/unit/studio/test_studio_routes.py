"""The broadcaster page as it is served: what may be asked for, its headers, when it is sent again."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from starlette.applications import Starlette
from starlette.types import Message

from ingest.studio import studio_routes

VIEWER = "https://media.example.com/player/index.html?stream={stream}"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(path: str, headers: Mapping[str, str] | None = None, *, application: Starlette | None = None) -> Answer:
    """GET *path* of the page's routes over ASGI."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        "server": ("studio.example.com", 80),
    }
    asyncio.run((application or Starlette(routes=studio_routes(VIEWER)))(scope, receive, send))
    fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], fields, b"".join(part.get("body", b"") for part in sent[1:]))


def policy(answer: Answer) -> dict[str, list[str]]:
    rules = (rule.split() for rule in answer.headers["content-security-policy"].split(";"))
    return {name: sources for name, *sources in rules}


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/studio", "text/html; charset=utf-8"),
        ("/studio/studio.css", "text/css; charset=utf-8"),
        ("/studio/page.css", "text/css; charset=utf-8"),
        ("/studio/studio.js", "text/javascript; charset=utf-8"),
        ("/studio/icon.svg", "image/svg+xml"),
        ("/studio/configuration.json", "application/json"),
    ],
)
def test_each_file_has_its_type_and_is_asked_for_again(path: str, media_type: str) -> None:
    answer = ask(path)
    assert (answer.status, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_whatever_the_page_names_is_there() -> None:
    """Its addresses are relative to that of the page, which has no slash at its end."""
    named = re.findall(r'(?:href|src)="([^"]+)"', ask("/studio").body.decode())
    assert {"studio/page.css", "studio/studio.css", "studio/studio.js"} < set(named)
    assert {ask(f"/{address}").status for address in named} == {200}


def test_what_the_browser_has_is_not_sent_again() -> None:
    first = ask("/studio/studio.js")
    again = ask("/studio/studio.js", {"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert ask("/studio/studio.js", {"if-none-match": '"other"'}).body == first.body


@pytest.mark.parametrize(
    "path",
    [
        "/studio/__init__.py",
        "/studio/index.html",
        "/studio/../web.py",
        "/studio/a/studio.js",
        "/studio/none.js",
    ],
)
def test_there_is_nothing_else(path: str) -> None:
    assert ask(path).status == 404


@pytest.mark.parametrize("path", ["/studio", "/studio/none.js", "/studio/configuration.json"])
def test_nothing_comes_in_from_elsewhere_and_nothing_inline_runs(path: str) -> None:
    rules = policy(ask(path))
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == ["'self'"]
    for closed in ("base-uri", "form-action", "frame-ancestors"):
        assert rules[closed] == ["'none'"]
    assert not any("unsafe" in source for sources in rules.values() for source in sources)


def test_sessions_elsewhere_may_be_spoken_to() -> None:
    routes = studio_routes(None, session_origins=("https://*.example.com",))
    answer = ask("/studio", application=Starlette(routes=routes))
    assert policy(answer)["connect-src"] == ["'self'", "https://*.example.com"]


def test_the_page_alone_has_what_it_needs_of_the_device() -> None:
    allowed = ask("/studio").headers["permissions-policy"].split(", ")
    for feature in ("camera", "microphone", "display-capture", "screen-wake-lock", "clipboard-write"):
        assert f"{feature}=(self)" in allowed
    assert "geolocation=()" in allowed


@pytest.mark.parametrize("viewer_url", [VIEWER, None])
def test_the_configuration_tells_where_viewers_watch(viewer_url: str | None) -> None:
    application = Starlette(routes=studio_routes(viewer_url))
    answer = ask("/studio/configuration.json", application=application)
    assert json.loads(answer.body) == {"viewer": viewer_url}
