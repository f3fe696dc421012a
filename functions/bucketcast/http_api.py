"""The HTTP functions: requests in, responses out, errors as problem+json (RFC 9457)."""

import hmac
import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from flask import Request, Response

from bucketcast.errors import (
    BucketcastError,
    IllegalTransition,
    InvalidInput,
    InvalidRecord,
    InvalidRequest,
    NotFound,
    Refused,
)
from bucketcast.handlers.claim import Claims
from bucketcast.handlers.publish import Publisher
from bucketcast.handlers.streams import Streams
from bucketcast.records import JSON, decode_record
from bucketcast.stream.claim import ClaimRequest, Renewal
from bucketcast.stream.identifiers import StreamId, parse_stream_id
from bucketcast.stream.stream_request import MAX_REQUEST_BYTES, parse_stream_request

_log = logging.getLogger(__name__)

PROBLEM: Final = "application/problem+json"
# The body of a claim or renewal names at most MAX_RUNGS rungs.
MAX_SESSION_REQUEST_BYTES: Final = 16_384

Requested = TypeVar("Requested", bound=msgspec.Struct)


class Unauthorized(BucketcastError):
    """The request lacks the admin token, or has a wrong one."""


class MethodNotAllowed(BucketcastError):
    """There is such an address, but not for this method."""


_STATUS: Final[tuple[tuple[type[BucketcastError], int, str], ...]] = (
    (InvalidInput, 400, "Invalid request"),
    (Unauthorized, 401, "Unauthorized"),
    (NotFound, 404, "Not found"),
    (MethodNotAllowed, 405, "Method not allowed"),
    (Refused, 409, "Conflict"),
    (IllegalTransition, 409, "Conflict"),
)
_TROUBLE: Final = (500, "Internal error")
_UNAVAILABLE: Final = (503, "Unavailable")


def streams(request: Request, owner: Streams, publisher: Publisher, admin_token: str) -> Response:
    """Answer `/v1/streams`, `/v1/streams/{id}` and `/v1/streams/{id}/end`."""

    def answer() -> Response:
        _authorize(request, admin_token)
        path = [part for part in request.path.split("/") if part]
        match (request.method, path[1:] if path[:1] == ["v1"] else path):
            case ("POST", ["streams"]):
                return _json(owner.create(parse_stream_request(_body(request, MAX_REQUEST_BYTES))), 201)
            case ("GET", ["streams"]):
                return _json({"streams": owner.all()}, 200)
            case ("GET", ["streams", name]):
                return _json(owner.view(parse_stream_id(name)), 200)
            case ("POST", ["streams", name, "end"]):
                stream = parse_stream_id(name)
                owner.end(stream)
                _publish_now(publisher, stream)
                return _json(owner.view(stream), 200)
            case (_, ["streams"] | ["streams", _] | ["streams", _, "end"]):
                raise MethodNotAllowed(f"{request.method} is not for this address")
            case _:
                raise NotFound("there is nothing at this address")

    return _answered(answer)


def _publish_now(publisher: Publisher, stream: StreamId) -> None:
    """Publish *stream*, or leave that to the reaper: the end is decided, and cannot be asked for again."""
    try:
        publisher.publish(stream)
    except BucketcastError:
        _log.exception("an end is not published yet", extra={"stream": stream})


def sessions(request: Request, claims: Claims) -> Response:
    """Answer `POST /claim` and `POST /renew`."""

    def answer() -> Response:
        match (request.method, request.path.rstrip("/").rpartition("/")[2]):
            case ("POST", "claim"):
                return _json(claims.claim(_parse(request, ClaimRequest)), 200)
            case ("POST", "renew"):
                return _json(claims.renew(_parse(request, Renewal)), 200)
            case _:
                raise NotFound("there is nothing at this address")

    return _answered(answer)


def _authorize(request: Request, admin_token: str) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), admin_token.encode()):
        raise Unauthorized("send the admin token as 'Authorization: Bearer TOKEN'")


def _body(request: Request, bound: int) -> bytes:
    """The request's body, read no further than *bound*."""
    body = request.stream.read(bound + 1)
    if len(body) > bound:
        raise InvalidRequest(f"a request has at most {bound} bytes")
    return bytes(body)


def _parse(request: Request, requested: type[Requested]) -> Requested:
    try:
        return decode_record(requested, _body(request, MAX_SESSION_REQUEST_BYTES))
    except InvalidRecord as error:
        raise InvalidRequest(str(error)) from error


def _json(value: Any, status: int) -> Response:
    return Response(msgspec.json.encode(value), status=status, content_type=JSON)


def _answered(answer: Callable[[], Response]) -> Response:
    """The response of *answer*, or the problem that it raised."""
    try:
        return answer()
    except BucketcastError as error:
        status, title = next(
            ((status, title) for kind, status, title in _STATUS if isinstance(error, kind)),
            _UNAVAILABLE if error.retryable else _TROUBLE,
        )
        if status >= _TROUBLE[0]:
            _log.exception("a request could not be answered")
        problem = {"type": "about:blank", "title": title, "status": status, "detail": str(error)}
        response = Response(msgspec.json.encode(problem), status=status, content_type=PROBLEM)
        if status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response
