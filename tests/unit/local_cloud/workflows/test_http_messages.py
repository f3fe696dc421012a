"""Requests as workflows describe them, responses as workflows see them."""

from datetime import timedelta
from typing import Any

import pytest

from local_cloud.workflows.errors import WorkflowError
from local_cloud.workflows.host import Auth, AuthType, HttpResponse
from local_cloud.workflows.http_messages import USER_AGENT, http_request, response_value
from local_cloud.workflows.values import Value

URL = "http://127.0.0.1:8080/functions/end"


def request_of(**arguments: Value) -> Any:
    return http_request({"url": URL, **arguments}, "POST")[0]


def tags_of(error: WorkflowError) -> Any:
    assert isinstance(error.value, dict)
    return error.value["tags"]


@pytest.mark.parametrize(
    ("body", "headers", "sent", "content_type"),
    [
        (None, {}, b"", None),
        ({"b": 1, "a": [None]}, {}, b'{"a":[null],"b":1}', "application/json; charset=utf-8"),
        ("text", {}, b'"text"', "application/json; charset=utf-8"),
        (b"raw", {}, b"raw", "application/octet-stream"),
        (b"raw", {"Content-Type": "video/mp4"}, b"raw", "video/mp4"),
        ("é", {"Content-Type": "text/plain"}, "é".encode(), "text/plain"),
        ([1], {"content-type": "application/json"}, b"[1]", "application/json"),
        (
            "a=1",
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"a=1",
            "application/x-www-form-urlencoded",
        ),
    ],
)
def test_body_is_sent_as_what_it_is(
    body: Value, headers: dict[str, Value], sent: bytes, content_type: str | None
) -> None:
    request = request_of(body=body, headers=headers)
    assert request.body == sent
    assert dict(request.headers).get("content-type") == content_type


@pytest.mark.parametrize(
    ("url", "query", "sent"),
    [
        ("http://x", None, "http://x"),
        ("http://x/a", {}, "http://x/a"),
        ("http://x/a", {"q": "a b&c", "n": 1, "on": True}, "http://x/a?q=a+b%26c&n=1&on=true"),
        ("https://x/a?b=1", {"c": "2"}, "https://x/a?b=1&c=2"),
    ],
)
def test_query_becomes_part_of_the_address(url: str, query: Value, sent: str) -> None:
    assert request_of(url=url, query=query).url == sent


def test_user_agent_ends_with_that_of_the_platform() -> None:
    assert dict(request_of().headers)["user-agent"] == USER_AGENT
    assert dict(request_of(headers={"User-Agent": "mine"}).headers)["user-agent"] == f"mine {USER_AGENT}"


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 1800), (5, 5), (0.5, 0.5), (1800, 1800)])
def test_timeout_is_half_an_hour_at_most(timeout: Value, seconds: float) -> None:
    assert request_of(timeout=timeout).timeout == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("given", "auth"),
    [
        (None, None),
        ({"type": "OIDC"}, Auth(type=AuthType.OIDC, audience=URL)),
        ({"type": "OIDC", "audience": "https://x"}, Auth(type=AuthType.OIDC, audience="https://x")),
        ({"type": "OAuth2", "scopes": ["a"]}, Auth(type=AuthType.OAUTH2, audience=URL)),
    ],
)
def test_auth_says_which_token(given: Value, auth: Auth | None) -> None:
    assert http_request({"url": URL, "auth": given}, "GET")[1] == auth


@pytest.mark.parametrize(
    ("arguments", "tag"),
    [
        ({"url": 1}, "TypeError"),
        ({"url": "ftp://x/"}, "ValueError"),
        ({"url": "http:///path"}, "ValueError"),
        ({"url": "http://x:99999/"}, "ValueError"),
        ({"url": "http://x/a b"}, "ValueError"),
        ({"url": "http://x/\r\nHost: y"}, "ValueError"),
        ({"url": "http://[::1/"}, "ValueError"),
        ({"query": "a=1"}, "TypeError"),
        ({"query": {"a": [1]}}, "TypeError"),
        ({"headers": "a: 1"}, "TypeError"),
        ({"headers": {"a": None}}, "TypeError"),
        ({"headers": {"a b": "1"}}, "ValueError"),
        ({"headers": {"a": "1\r\nb: 2"}}, "ValueError"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "ValueError"),
        ({"headers": {"Content-Type": "text/plain"}, "body": {"a": 1}}, "TypeError"),
        ({"body": {"a": b"raw"}}, "TypeError"),
        ({"timeout": "5"}, "TypeError"),
        ({"timeout": 0}, "ValueError"),
        ({"timeout": 1801}, "ValueError"),
        ({"auth": "OIDC"}, "TypeError"),
        ({"auth": {"type": "Basic"}}, "AuthError"),
        ({"auth": {"type": "OIDC", "key": "k"}}, "AuthError"),
        ({"auth": {"type": "OIDC", "audience": 1}}, "AuthError"),
        ({"method": "HEAD"}, "ValueError"),
        ({"method": 1}, "TypeError"),
    ],
)
def test_request_that_cannot_be_sent_is_an_error(arguments: dict[str, Value], tag: str) -> None:
    with pytest.raises(WorkflowError) as raised:
        http_request({"url": URL, "method": "GET", **arguments}, None)
    assert tags_of(raised.value) == [tag]


def response(body: bytes, content_type: str | None, *, status: int = 200) -> HttpResponse:
    headers = () if content_type is None else (("content-type", content_type),)
    return HttpResponse(status=status, headers=headers, body=body)


@pytest.mark.parametrize(
    ("body", "content_type", "value"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b"[1]", "Application/JSON; charset=utf-8", [1]),
        (b'{"a": 1}', "application/problem+json", {"a": 1}),
        (b"no json", "application/json", "no json"),
        (b"text", "text/html; charset=utf-8", "text"),
        (b"\xff\xfe", "application/octet-stream", b"\xff\xfe"),
        (b"raw", None, b"raw"),
        (b"", None, ""),
    ],
)
def test_body_is_read_as_what_its_type_says(body: bytes, content_type: str | None, value: Value) -> None:
    read = response_value(response(body, content_type))
    assert isinstance(read, dict)
    assert read["body"] == value


@pytest.mark.parametrize("status", [200, 204, 304, 399])
def test_status_below_400_is_a_response(status: int) -> None:
    read = response_value(response(b"", None, status=status))
    assert read == {"code": status, "headers": {}, "body": ""}


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_status_from_400_on_is_an_http_error_with_the_response_in_it(status: int) -> None:
    with pytest.raises(WorkflowError) as raised:
        response_value(response(b'{"why": "x"}', "application/json", status=status))
    assert raised.value.value == {
        "body": {"why": "x"},
        "code": status,
        "headers": {"content-type": "application/json"},
        "message": f"HTTP server responded with error code {status}",
        "tags": ["HttpError"],
    }
