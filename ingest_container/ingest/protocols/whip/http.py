"""The WHIP endpoint over HTTP: a shell of Starlette around what `endpoint` decides."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest.protocols.publishing import PublishRefused
from ingest.protocols.whip.endpoint import (
    ENDPOINT,
    MAX_BODY_BYTES,
    Effect,
    EndpointSettings,
    EndSession,
    HttpRequest,
    HttpResponse,
    KnownSessions,
    Opened,
    OpenSession,
    created,
    decide,
    ended,
    problem,
    refused_publisher,
    too_many_offers,
)
from ingest.protocols.whip.offer_rate import OfferRate, peer_address

_log = logging.getLogger(__name__)

# For a body to come, a few packets: as long as OBS waits for an answer.
BODY_SECONDS: Final = 8.0


class WhipSessions(KnownSessions, Protocol):
    """The sessions behind the endpoint."""

    async def open(self, wanted: OpenSession, *, peer_address: str) -> Opened:
        """Open the session that is *wanted*; raises PublishRefused."""

    def end(self, session_id: str) -> bool:
        """Have the session ended because its publisher wants to; say whether there is one."""


def whip_routes(
    sessions: WhipSessions,
    settings: EndpointSettings,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> list[Route]:
    """The routes of the endpoint and its sessions; *clock* gives seconds."""
    endpoint = _Endpoint(sessions, settings, clock)
    # The second spares publishers a redirection, which not all of them follow with their offer.
    paths = (ENDPOINT, f"{ENDPOINT}/", f"{ENDPOINT}/{{session_id}}", f"{ENDPOINT}/{{session_id}}/status")
    return [Route(path, endpoint) for path in paths]


class _Endpoint:
    """An ASGI application: a class, because Starlette hands a function no methods but those it names."""

    def __init__(self, sessions: WhipSessions, settings: EndpointSettings, clock: Callable[[], float]) -> None:
        self._sessions = sessions
        self._settings = settings
        self._clock = clock
        self._offers = OfferRate()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answered = await self._answer(request)
        except ClientDisconnect:
            return
        except Exception:  # noqa: BLE001 - whatever goes wrong behind it, a request is answered without a traceback
            _log.exception("WHIP request failed", extra={"method": request.method})
            answered = problem(500, "Something went wrong here. Try again.")
        response = Response(answered.body, status_code=answered.status)
        response.raw_headers.extend((name.encode(), value.encode()) for name, value in answered.headers)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> HttpResponse:
        peer = peer_address(
            request.client.host if request.client else "",
            ",".join(request.headers.getlist("x-forwarded-for")),
            trusted_proxies=self._settings.trusted_proxies,
        )
        if request.method == "POST" and (wait := self._offers.wait_seconds(peer, now=self._clock())):
            return too_many_offers(wait)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(request)
        except TimeoutError:
            return problem(408, "The request did not come to an end.", ("connection", "close"))
        decision = decide(_http_request(request, body), self._settings, self._sessions)
        answered = await self._carry_out(decision, peer)
        if answered.detail:
            # OBS shows its user nothing but the status, so whoever is asked finds the rest here.
            extra = {"status": answered.status, "detail": answered.detail, "peer_address": peer}
            _log.info("WHIP request refused", extra=extra)
        return answered

    async def _carry_out(self, decision: HttpResponse | Effect, peer: str) -> HttpResponse:
        if isinstance(decision, OpenSession):
            return await self._open(decision, peer)
        if isinstance(decision, EndSession):
            return ended(found=self._sessions.end(decision.session_id))
        return decision

    async def _open(self, effect: OpenSession, peer: str) -> HttpResponse:
        try:
            opened = await self._sessions.open(effect, peer_address=peer)
        except PublishRefused as refused:
            return refused_publisher(refused)
        return created(opened, self._settings)


def _http_request(request: Request, body: bytes) -> HttpRequest:
    return HttpRequest(
        method=request.method,
        path=request.url.path,
        query=request.url.query,
        headers=dict(request.headers),
        body=body,
    )


async def _body(request: Request) -> bytes:
    """The body of *request*, or its beginning where it is larger than any that is taken."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            break
    return bytes(body[: MAX_BODY_BYTES + 1])
