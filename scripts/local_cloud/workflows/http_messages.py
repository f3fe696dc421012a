"""HTTP requests as workflows describe them, and responses as workflows see them: no network.

cloud.google.com/workflows/docs/http-requests; redirects are not followed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode, urlsplit

from local_cloud.workflows.errors import Tag, raised, shown, type_error, value_error
from local_cloud.workflows.host import Auth, AuthType, HttpRequest, HttpResponse
from local_cloud.workflows.limits import MAX_HTTP_TIMEOUT
from local_cloud.workflows.values import Value, decode_json, encode_json, is_number, type_name

USER_AGENT: Final = "GoogleCloudWorkflows; (+https://cloud.google.com/workflows/docs)"
METHODS: Final = ("DELETE", "GET", "PATCH", "POST", "PUT")
_JSON: Final = "application/json; charset=utf-8"
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]*")
_URL: Final = re.compile(r"https?://[\x21-\x7e]+")
_FRAMING: Final = ("connection", "content-length", "host", "transfer-encoding")
_AUTH_KEYS: Final = frozenset({"type", "audience", "scope", "scopes"})


def http_request(arguments: Mapping[str, Value], method: str | None) -> tuple[HttpRequest, Auth | None]:
    """The request that *arguments* describe, and how to authorize it; raises WorkflowError.

    The *method* is an argument when it is None.
    """
    url = _url(arguments)
    headers = _headers(arguments.get("headers"))
    body, content_type = _body(arguments.get("body"), headers)
    headers["user-agent"] = " ".join(filter(None, (headers.get("user-agent"), USER_AGENT)))
    if content_type is not None:
        headers["content-type"] = content_type
    request = HttpRequest(
        method=method or _method(arguments["method"]),
        url=url,
        headers=tuple(headers.items()),
        body=body,
        timeout=_timeout(arguments.get("timeout")),
    )
    return request, _auth(arguments.get("auth"), url)


def response_value(response: HttpResponse) -> Value:
    """What the call returns: a map of code, headers and body; raises an HttpError from status 400 on."""
    headers = dict(response.headers)
    value: dict[str, Value] = {
        "code": response.status,
        "headers": dict(headers.items()),
        "body": _content(response.body, headers.get("content-type", "")),
    }
    if response.status >= 400:
        message = f"HTTP server responded with error code {response.status}"
        raise raised(Tag.HTTP_ERROR, message, details=value)
    return value


def _url(arguments: Mapping[str, Value]) -> str:
    url = arguments["url"]
    if not isinstance(url, str):
        raise type_error(f"url must be a string, not {type_name(url)}")
    if not _URL.fullmatch(url) or not _has_host(url):
        raise value_error(f"{shown(url)} is not an address of http or https")
    query = arguments.get("query")
    if query is None:
        return url
    if not isinstance(query, dict):
        raise type_error(f"query must be a map, not {type_name(query)}")
    encoded = urlencode({key: _parameter(value) for key, value in query.items()})
    return f"{url}{'&' if urlsplit(url).query else '?'}{encoded}" if encoded else url


def _has_host(url: str) -> bool:
    try:
        address = urlsplit(url)
        return bool(address.hostname) and (address.port is None or address.port > 0)
    except ValueError:
        return False


def _parameter(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if is_number(value):
        return str(value)
    raise type_error(f"a query parameter cannot be {type_name(value)}")


def _headers(value: Value) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise type_error(f"headers must be a map, not {type_name(value)}")
    headers = {}
    for name, content in value.items():
        text = _parameter(content)
        sendable = _HEADER_NAME.fullmatch(name) and _PRINTABLE.fullmatch(text)
        if not sendable or name.lower() in _FRAMING:
            raise value_error(f"{shown(name)} is not a header that can be sent")
        headers[name.lower()] = text
    return headers


def _body(value: Value, headers: Mapping[str, str]) -> tuple[bytes, str | None]:
    """The bytes of a body, and the type that they are sent as when the headers name none."""
    if value is None:
        return b"", None
    named = headers.get("content-type")
    if isinstance(value, bytes):
        return value, None if named else "application/octet-stream"
    if named is None or _media_type(named) == "application/json":
        try:
            return encode_json(value).encode(), None if named else _JSON
        except (TypeError, ValueError) as error:
            raise type_error(f"the body has no JSON: {error}") from None
    if not isinstance(value, str):
        raise type_error(f"a body of {named} must be a string or bytes, not {type_name(value)}")
    return value.encode(), None


def _method(value: Value) -> str:
    if not isinstance(value, str):
        raise type_error(f"method must be a string, not {type_name(value)}")
    if value not in METHODS:
        raise value_error(f"{shown(value)} is not one of {', '.join(METHODS)}")
    return value


def _timeout(value: Value) -> timedelta:
    if value is None:
        return MAX_HTTP_TIMEOUT
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise type_error(f"timeout must be a number, not {type_name(value)}")
    if not 0 < value <= MAX_HTTP_TIMEOUT.total_seconds():
        raise value_error(f"timeout must be above 0 and at most {MAX_HTTP_TIMEOUT.total_seconds():g} seconds")
    return timedelta(seconds=value)


def _auth(value: Value, url: str) -> Auth | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise type_error(f"auth must be a map, not {type_name(value)}")
    kind, audience = value.get("type"), value.get("audience", url)
    if value.keys() - _AUTH_KEYS or kind not in tuple(AuthType) or not isinstance(audience, str):
        raise raised(Tag.AUTH_ERROR, "auth has a type, OIDC or OAuth2, and may have an audience or scopes")
    return Auth(type=AuthType(kind), audience=audience)


def _content(body: bytes, content_type: str) -> Value:
    """JSON as the value that it is, text as a string, and everything else as bytes."""
    media_type = _media_type(content_type)
    if media_type == "application/json" or media_type.endswith("+json"):
        try:
            return decode_json(body)
        except ValueError:
            return body.decode(errors="replace")
    if media_type.startswith("text/") or not body:
        return body.decode(errors="replace")
    return body


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
