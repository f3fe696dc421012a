"""The HTTP functions: requests in, responses out, errors as problem+json (RFC 9457)."""

import hmac
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar

import msgspec
from flask import Request, Response
from msgspec import Struct

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
from bucketcast.handlers.clean_up import CleanUp
from bucketcast.handlers.deletion import Deletions
from bucketcast.handlers.finalize import Finalizer
from bucketcast.handlers.publish import Publisher
from bucketcast.handlers.recordings import Recordings
from bucketcast.handlers.restore import restore
from bucketcast.handlers.streams import Streams
from bucketcast.records import JSON, decode_record
from bucketcast.stream.claim import ClaimRequest, Renewal
from bucketcast.stream.identifiers import BroadcastNumber, StreamId, parse_stream_id
from bucketcast.stream.stream_metrics import CONTENT_TYPE as METRICS
from bucketcast.stream.stream_request import parse_stream_request

_log = logging.getLogger(__name__)

PROBLEM: Final = "application/problem+json"
# The largest requests, a claim and a new stream, have MAX_RUNGS rungs and stay under 2 KB.
MAX_REQUEST_BYTES: Final = 16_384
# RFC 6750, 3: the scheme "MUST be followed by one or more auth-param values".
CHALLENGE: Final = 'Bearer realm="bucketcast"'

# A workflow's call is answered within 30 minutes; each stream's share of a clean-up takes a few.
# Nobody waits for much longer than a minute.
DELETION_TIME: Final = timedelta(seconds=45)
CLEAN_UP_TIME: Final = timedelta(minutes=10)

Requested = TypeVar("Requested", bound=msgspec.Struct)


class RecordingSubject(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which recording a request is about."""

    stream: StreamId
    broadcast: BroadcastNumber


class RecordingFailure(RecordingSubject, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of it failed, and why, in the words of the *execution* that tried, by its id."""

    execution: str
    step: str
    reason: str


class CleanUpRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether to delete, or only to say what would go."""

    dry_run: bool = False


class Unauthorized(BucketcastError):
    """The request lacks the admin token, or has a wrong one."""


class MethodNotAllowed(BucketcastError):
    """There is such an address, but not for this method."""

    def __init__(self, method: str, *, allowed: tuple[str, ...]) -> None:
        """Say that *method* is none of those *allowed*."""
        super().__init__(f"{method} is not for this address")
        self.allowed = allowed


class ContentTooLarge(BucketcastError):
    """The request's body is longer than any that could be meant."""


_STATUS: Final[tuple[tuple[type[BucketcastError], int, str], ...]] = (
    (InvalidInput, 400, "Invalid request"),
    (Unauthorized, 401, "Unauthorized"),
    (NotFound, 404, "Not found"),
    (MethodNotAllowed, 405, "Method not allowed"),
    (Refused, 409, "Conflict"),
    (IllegalTransition, 409, "Conflict"),
    (ContentTooLarge, 413, "Content too large"),
)
_TROUBLE: Final = (500, "Internal error")
_UNAVAILABLE: Final = (503, "Unavailable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What the owner of the streams may do."""

    streams: Streams
    publisher: Publisher
    recordings: Recordings
    deletions: Deletions
    admin_token: str = field(repr=False)


def streams(request: Request, owner: Owner) -> Response:
    """Answer `/v1/streams`, `/v1/streams/{id}` and what is below it, and `/metrics`."""

    def answer() -> Response:
        _authorize(request, owner.admin_token)
        match _path(request):
            case ["v1", "streams"]:
                if _method(request, "GET", "POST") == "POST":
                    return _create(request, owner.streams)
                return _json({"streams": owner.streams.all()})
            case ["v1", "streams", name]:
                if _method(request, "GET", "DELETE") == "DELETE":
                    return _delete(request, owner.deletions, parse_stream_id(name))
                return _json(owner.streams.view(parse_stream_id(name)))
            case ["v1", "streams", name, *rest]:
                return _of_stream(request, owner, parse_stream_id(name), rest)
            case ["metrics"]:
                _method(request, "GET")
                return Response(owner.streams.metrics(), content_type=METRICS)
            case _:
                raise NotFound("there is nothing at this address")

    return _answered(answer)


def _of_stream(request: Request, owner: Owner, stream: StreamId, path: list[str]) -> Response:
    """Answer what is below `/v1/streams/{id}`."""
    match path:
        case ["end"]:
            _method(request, "POST")
            owner.streams.end(stream)
            _publish_now(owner, stream)
            return _json(owner.streams.view(stream))
        case ["rebuild"]:
            _method(request, "POST")
            restore(stream, owner.publisher)
            owner.recordings.restore(stream)
            return _json(owner.streams.view(stream))
        case ["recordings"]:
            _method(request, "GET")
            return _json({"recordings": owner.recordings.views(stream)})
        case ["recordings", number, "finalize"] if number.isascii() and number.isdecimal():
            _method(request, "POST")
            owner.recordings.finalize_again(stream, BroadcastNumber(int(number)))
            return _json({"recordings": owner.recordings.views(stream)}, 202)
        case _:
            raise NotFound("there is nothing at this address")


def _delete(request: Request, deletions: Deletions, stream: StreamId) -> Response:
    kept = request.args.get("keep_recordings", "false")
    if kept not in ("true", "false"):
        raise InvalidRequest("keep_recordings is true or false")
    # 202 (RFC 9110, 15.3.3): the rest goes with the next clean-up.
    done = deletions.delete(stream, keep_recordings=kept == "true", within=DELETION_TIME)
    return Response(status=204 if done else 202)


def sessions(request: Request, claims: Claims) -> Response:
    """Answer `POST /claim` and `POST /renew`."""

    def answer() -> Response:
        match _path(request):
            case ["claim"]:
                _method(request, "POST")
                return _json(claims.claim(_parse(request, ClaimRequest)))
            case ["renew"]:
                _method(request, "POST")
                return _json(claims.renew(_parse(request, Renewal)))
            case _:
                raise NotFound("there is nothing at this address")

    return _answered(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSteps:
    """What the workflows do through us."""

    recordings: Recordings
    finalizer: Finalizer
    clean_up: CleanUp


def workflow_step(request: Request, steps: WorkflowSteps) -> Response:
    """Answer what the workflows ask for: `POST /rest`, `/finalize`, `/fail`, `/announce` and so on."""

    def answer() -> Response:
        [*folders, name] = _path(request)
        if folders or (step := _WORKFLOW_STEPS.get(name)) is None:
            raise NotFound("there is nothing at this address")
        _method(request, "POST")
        return step(request, steps)

    return _answered(answer)


def _rest(request: Request, steps: WorkflowSteps) -> Response:
    subject = _parse(request, RecordingSubject)
    return _json(steps.recordings.rest(subject.stream, subject.broadcast))


def _finalize(request: Request, steps: WorkflowSteps) -> Response:
    subject = _parse(request, RecordingSubject)
    document = steps.finalizer.finalize(subject.stream, subject.broadcast)
    steps.recordings.show(subject.stream)
    steps.recordings.encode(subject.stream, subject.broadcast)
    return _json({"files": len(document.files)})


def _announce(request: Request, steps: WorkflowSteps) -> Response:
    subject = _parse(request, RecordingSubject)
    steps.recordings.announce(subject.stream, subject.broadcast)
    return Response(status=204)


def _fail(request: Request, steps: WorkflowSteps) -> Response:
    failure = _parse(request, RecordingFailure)
    steps.recordings.fail(
        failure.stream,
        failure.broadcast,
        execution=failure.execution,
        step=failure.step,
        reason=failure.reason,
    )
    return Response(status=204)


def _fail_vod(request: Request, steps: WorkflowSteps) -> Response:
    failure = _parse(request, RecordingFailure)
    steps.recordings.fail_vod(
        failure.stream, failure.broadcast, execution=failure.execution, reason=failure.reason
    )
    return Response(status=204)


def _clean_up(request: Request, steps: WorkflowSteps) -> Response:
    asked = _parse(request, CleanUpRequest)
    return _json(steps.clean_up.clean_up(dry_run=asked.dry_run, within=CLEAN_UP_TIME))


_WORKFLOW_STEPS: Final[Mapping[str, Callable[[Request, WorkflowSteps], Response]]] = {
    "rest": _rest,
    "finalize": _finalize,
    "announce": _announce,
    "fail": _fail,
    "fail-vod": _fail_vod,
    "clean-up": _clean_up,
}


def _create(request: Request, owner: Streams) -> Response:
    created = owner.create(parse_stream_request(_body(request)))
    response = _json(created, 201)
    response.headers["Location"] = f"/v1/streams/{created.id}"
    return response


def _publish_now(owner: Owner, stream: StreamId) -> None:
    """Publish *stream*, or leave that to the reaper: the end is decided, and cannot be asked for again."""
    try:
        owner.recordings.see(owner.publisher.publish(stream))
    except BucketcastError:
        _log.exception("an end is not published yet", extra={"stream": stream})


def _authorize(request: Request, admin_token: str) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), admin_token.encode()):
        raise Unauthorized("send the admin token as 'Authorization: Bearer TOKEN'")


def _path(request: Request) -> list[str]:
    """The parts of the request's path, which may end in a slash."""
    return request.path.removeprefix("/").removesuffix("/").split("/")


def _method(request: Request, *allowed: str) -> str:
    """The request's method, HEAD being GET without the body (RFC 9110, 9.3.2); raises MethodNotAllowed."""
    method = "GET" if request.method == "HEAD" else request.method
    if method not in allowed:
        heads = ("HEAD",) if "GET" in allowed else ()
        raise MethodNotAllowed(request.method, allowed=(*allowed, *heads))
    return method


def _body(request: Request) -> bytes:
    """The request's body, read no further than its bound; raises ContentTooLarge."""
    body = request.stream.read(MAX_REQUEST_BYTES + 1)
    if len(body) > MAX_REQUEST_BYTES:
        raise ContentTooLarge(f"a request has at most {MAX_REQUEST_BYTES} bytes")
    return bytes(body)


def _parse(request: Request, requested: type[Requested]) -> Requested:
    try:
        return decode_record(requested, _body(request))
    except InvalidRecord as error:
        raise InvalidRequest(str(error)) from error


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status=status, content_type=JSON)


def _answered(answer: Callable[[], Response]) -> Response:
    """The response of *answer*, or the problem that it raised."""
    try:
        return answer()
    except BucketcastError as error:
        response = _problem(error)
        if response.status_code >= _TROUBLE[0]:
            _log.exception("a request could not be answered")
        return response


def _problem(error: BucketcastError) -> Response:
    status, title = next(
        ((status, title) for kind, status, title in _STATUS if isinstance(error, kind)),
        _UNAVAILABLE if error.retryable else _TROUBLE,
    )
    problem = {"type": "about:blank", "title": title, "status": status, "detail": str(error)}
    response = Response(msgspec.json.encode(problem), status=status, content_type=PROBLEM)
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = CHALLENGE
    elif isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.allowed)
    return response
