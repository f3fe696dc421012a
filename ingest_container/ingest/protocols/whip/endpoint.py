"""The WHIP endpoint and its sessions as HTTP resources (RFC 9725, 4): requests in, responses or effects out.

    /whip                POST opens a session
    /whip/{id}           PATCH brings ICE candidates, DELETE ends the session
    /whip/{id}/status    GET tells how the session stands, also why it ended (not of the RFC)

What is refused says why in one sentence, as a problem (RFC 9457): OBS shows its user the status only, but
browsers, our page and our log have the rest. ICE restarts are not done (4.3.3): a publisher opens a new
session, which takes over. Pure.
"""

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from bucketcast.stream.identifiers import BitsPerSecond
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.publishing import PublishRefused, RefusalReason, StreamKey
from ingest.protocols.whip.declared_source import parse_declared_source
from ingest.protocols.whip.negotiation import Negotiated, negotiate
from ingest.protocols.whip.sdp import (
    MAX_SDP_CHARACTERS,
    InvalidOffer,
    Offer,
    OfferRefused,
    parse_offer,
    parse_trickle_fragment,
)
from ingest.protocols.whip.session_status import SessionStatus

ENDPOINT: Final = "/whip"
SDP: Final = "application/sdp"
TRICKLE_FRAGMENT: Final = "application/trickle-ice-sdpfrag"
PROBLEM: Final = "application/problem+json"
JSON: Final = "application/json"

MAX_BODY_BYTES: Final = MAX_SDP_CHARACTERS
"""Of an offer or a fragment: SDP is ASCII but for a session's name."""

MAX_KEY_CHARACTERS: Final = 256
"""Keys are made here and are far shorter."""

DEFAULT_AUDIO_BITRATE: Final = BitsPerSecond(128_000)
"""Of Opus: as much as the rungs' AAC has, which is simpler."""

DEFAULT_MAX_BITRATE: Final = BitsPerSecond(8_000_000)
"""Of 1080p60; more does not show in a ladder of 1080p at most."""

RETRY_SECONDS: Final = 2
"""After a fault of ours: as long as OBS waits before it tries again."""

ICE_SESSION: Final = '"1"'
"""The entity-tag of a session's first ICE session, which stays the only one (RFC 9725, 4.3.1)."""

_SESSION_PATH: Final = re.compile(rf"{ENDPOINT}/([A-Za-z0-9_-]{{1,64}})(/status)?")
# RFC 6750, 2.1; schemes are case-insensitive (RFC 9110, 11.1).
_BEARER: Final = re.compile(rf"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]{{1,{MAX_KEY_CHARACTERS}}}=*) *")
_CHALLENGE: Final = 'Bearer realm="bucketcast"'
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_ON_ENDPOINT: Final = "GET, HEAD, OPTIONS, POST"
_ON_SESSION: Final = "DELETE, GET, HEAD, OPTIONS, PATCH"
_ON_STATUS: Final = "GET, HEAD, OPTIONS"
# The WHATWG Fetch standard: pages of any origin may publish, for the key alone lets them.
_CROSS_ORIGIN: Final = (
    ("access-control-allow-origin", "*"),
    (
        "access-control-expose-headers",
        "Accept-Patch, Accept-Post, ETag, Link, Location, Retry-After, WWW-Authenticate",
    ),
)
_PREFLIGHT: Final = (
    ("access-control-allow-methods", "DELETE, GET, OPTIONS, PATCH, POST"),
    ("access-control-allow-headers", "Authorization, Content-Type, If-Match"),
    ("access-control-max-age", "7200"),  # Chromium keeps it no longer
)
# RFC 9110, 15.1: some of these statuses may be cached otherwise.
_NOT_STORED: Final = ("cache-control", "no-store")
_REFUSED: Final[dict[RefusalReason, tuple[int, tuple[tuple[str, str], ...]]]] = {
    # RFC 6750, 3.1.
    RefusalReason.KEY: (401, (("www-authenticate", f'{_CHALLENGE}, error="invalid_token"'),)),
    RefusalReason.ON_AIR: (409, ()),
    RefusalReason.SOURCE: (422, ()),
    RefusalReason.UNAVAILABLE: (503, (("retry-after", f"{RETRY_SECONDS}"),)),
}
_TITLES: Final = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Conflict",
    412: "Precondition failed",
    413: "Content too large",
    415: "Unsupported media type",
    422: "Unprocessable content",
    428: "Precondition required",
    429: "Too many requests",
    500: "Internal server error",
    501: "Not implemented",
    503: "Service unavailable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A STUN or TURN server that publishers are told (RFC 9725, 4.6); raises ValueError for what is none."""

    url: str
    username: str = ""
    credential: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(stun|stuns|turn|turns):[A-Za-z0-9.:?=\[\]_-]{1,255}", self.url):
            raise ValueError("an ICE server's address reads stun:HOST or turn:HOST, with a port if need be")
        if not all(each.isascii() and each.isprintable() for each in (self.username, self.credential)):
            raise ValueError("an ICE server's username and credential are printable ASCII")

    @property
    def link(self) -> str:
        """The value of its Link header field (RFC 8288, 3)."""
        link = f'<{self.url}>; rel="ice-server"'
        if not self.username:
            return link
        quoted = (re.sub(r'(["\\])', r"\\\1", each) for each in (self.username, self.credential))
        return link + '; username="{}"; credential="{}"; credential-type="password"'.format(*quoted)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """What is configured of the endpoint.

    *session_origin*, such as https://gateway-1.example.com, goes before a session's path where requests for it
    have to come to this very server; *studio_origins* are what the broadcaster page may speak to beside its own
    origin, as sources of a Content Security Policy (https://*.example.com). *trusted_proxies* is how many stand
    before the server, each of which adds to X-Forwarded-For. *audio_bitrate* is what Opus is asked for;
    *max_bitrate* bounds what a publisher that follows REMB sends.
    """

    ice_servers: tuple[IceServer, ...] = ()
    session_origin: str = ""
    studio_origins: tuple[str, ...] = ()
    trusted_proxies: int = 0
    audio_bitrate: BitsPerSecond = DEFAULT_AUDIO_BITRATE
    max_bitrate: BitsPerSecond = DEFAULT_MAX_BITRATE


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request: header fields by their lower-case names, and the beginning of a body that is too large."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A response; *detail* is what its body says to a person."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What of a session is needed to judge requests: its key, and its publisher's ICE fragment."""

    stream_key: StreamKey
    fragment: str
    has_ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A session is wanted; `created` tells the publisher when it was opened."""

    offer: Offer
    negotiated: Negotiated
    stream_key: StreamKey
    metadata: SourceMetadata
    max_bitrate: BitsPerSecond


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session that was opened: its id, of letters, digits, - and _, that nobody can guess, and our SDP."""

    session_id: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSession:
    """A session is to be ended; `ended` tells the publisher."""

    session_id: str


Effect = OpenSession | EndSession


class KnownSessions(Protocol):
    """The sessions that requests may be for."""

    def facts(self, session_id: str) -> SessionFacts | None:
        """What is known of an open session, or one that ended not long ago; None of others."""

    def status(self, session_id: str) -> SessionStatus | None:
        """How an open session stands, or one that ended not long ago; None of others."""


def decide(request: HttpRequest, settings: EndpointSettings, sessions: KnownSessions) -> HttpResponse | Effect:
    """Return what *request*, maybe for one of *sessions*, is answered with, or what is to be done first."""
    path = request.path.rstrip("/")
    session = _SESSION_PATH.fullmatch(path)
    if path != ENDPOINT and session is None:
        return problem(404, f"There is nothing here. The address to publish to ends with {ENDPOINT}.")
    if request.method not in _METHODS:
        return problem(501, f"The method is unknown. To publish, POST an offer to {ENDPOINT}.")
    try:
        if session is None:
            return _on_endpoint(request, settings)
        return (_on_status if session[2] else _on_session)(request, session[1], sessions)
    except InvalidOffer as refused:
        return problem(400, refused.description)
    except OfferRefused as refused:
        # RFC 9725, 4.4.2 and 4.4.3.
        return problem(422, refused.description)


def created(opened: Opened, settings: EndpointSettings) -> HttpResponse:
    """The response to an offer whose session was *opened* (RFC 9725, 4.2)."""
    return _response(
        201,
        ("content-type", SDP),
        # RFC 9110, 10.2.2: an address without a host is relative to the request's; all clients understand it.
        ("location", f"{settings.session_origin}{ENDPOINT}/{opened.session_id}"),
        ("etag", ICE_SESSION),
        *(("link", each.link) for each in settings.ice_servers),
        body=opened.answer.encode(),
    )


def ended(*, found: bool) -> HttpResponse:
    """The response to a DELETE: OBS takes nothing but 200 for success."""
    return _response(200) if found else _no_session()


def refused_publisher(refused: PublishRefused) -> HttpResponse:
    """The response to a publisher that is not let in."""
    status, headers = _REFUSED[refused.reason]
    return problem(status, refused.description, *headers)


def too_many_offers(wait_seconds: int) -> HttpResponse:
    """The response to one offer too many (RFC 6585, 4)."""
    text = f"Too many offers came from this network. Try again in {wait_seconds} s."
    return problem(429, text, ("retry-after", f"{wait_seconds}"))


def problem(status: int, detail: str, *headers: tuple[str, str]) -> HttpResponse:
    """A response of *status* whose body says *detail* (RFC 9457)."""
    body = json.dumps({"title": _TITLES[status], "status": status, "detail": detail}).encode()
    return _response(status, ("content-type", PROBLEM), *headers, body=body, detail=detail)


def _response(status: int, *headers: tuple[str, str], body: bytes = b"", detail: str = "") -> HttpResponse:
    return HttpResponse(
        status=status, headers=(*headers, *_CROSS_ORIGIN, _NOT_STORED), body=body, detail=detail
    )


def _no_session() -> HttpResponse:
    return problem(404, "There is no such session: it has ended.")


def _on_endpoint(request: HttpRequest, settings: EndpointSettings) -> HttpResponse | Effect:
    match request.method:
        case "POST":
            return _open(request, settings)
        case "GET" | "HEAD":
            # RFC 9725, 4.1: there is nothing to be read here, and that is no error.
            return _response(204)
        case "OPTIONS":
            return _response(200, ("accept-post", SDP), *_public_links(request, settings), *_PREFLIGHT)
        case _:
            text = f"{request.method} is not for this address. To publish, POST an offer."
            return problem(405, text, ("allow", _ON_ENDPOINT))


def _public_links(request: HttpRequest, settings: EndpointSettings) -> list[tuple[str, str]]:
    """RFC 9725, 4.6: not for a preflight; and never a credential, since nobody has shown a key yet."""
    if "access-control-request-method" in request.headers:
        return []
    return [("link", each.link) for each in settings.ice_servers if not each.username]


def _open(request: HttpRequest, settings: EndpointSettings) -> HttpResponse | OpenSession:
    key = _key(request)
    if key is None:
        text = "The stream key is missing: it goes into the field Bearer Token of OBS."
        return problem(401, text, ("www-authenticate", _CHALLENGE))
    if (wrong := _wrong_body(request, SDP, "accept-post")) is not None:
        return wrong
    offer = parse_offer(_text(request.body))
    negotiated = negotiate(offer, audio_bitrate=settings.audio_bitrate)
    metadata, max_bitrate = parse_declared_source(request.query, max_bitrate=settings.max_bitrate)
    return OpenSession(
        offer=offer,
        negotiated=negotiated,
        stream_key=key,
        metadata=metadata,
        max_bitrate=max_bitrate,
    )


def _on_session(request: HttpRequest, session_id: str, sessions: KnownSessions) -> HttpResponse | Effect:
    if request.method == "OPTIONS":
        # A preflight: without an answer of 200 a page could not read the 404 to what it asks next.
        return _response(200, ("accept-patch", TRICKLE_FRAGMENT), *_PREFLIGHT)
    if (facts := sessions.facts(session_id)) is None:
        return _no_session()
    if not _may(request, facts):
        return _another_key()
    if facts.has_ended:
        # Clients close their connection, which ends the session, before they say so. DELETE is idempotent
        # (RFC 9110, 9.2.2), and what it asks for is the case.
        return ended(found=True) if request.method == "DELETE" else _no_session()
    return _on_open_session(request, session_id, facts)


def _on_status(request: HttpRequest, session_id: str, sessions: KnownSessions) -> HttpResponse:
    """What a page asks for that publishes."""
    if request.method == "OPTIONS":
        return _response(200, *_PREFLIGHT)
    if (status := sessions.status(session_id)) is None:
        return _no_session()
    facts = sessions.facts(session_id)
    if facts is not None and not _may(request, facts):
        return _another_key()
    if request.method not in {"GET", "HEAD"}:
        text = f"{request.method} is not for a session's status, which can only be read."
        return problem(405, text, ("allow", _ON_STATUS))
    told = {
        "state": status.state,
        "faults": status.faults,
        "reason": status.reason,
        "detail": status.detail,
    }
    return _response(200, ("content-type", JSON), body=json.dumps(told).encode())


def _another_key() -> HttpResponse:
    return problem(403, "This session was opened with another stream key.")


def _on_open_session(request: HttpRequest, session_id: str, facts: SessionFacts) -> HttpResponse | Effect:
    match request.method:
        case "DELETE":
            # RFC 9725, 4.3.1: whatever If-Match says.
            return EndSession(session_id=session_id)
        case "PATCH":
            return _patch(request, facts)
        case "GET" | "HEAD":
            return _response(204)
        case _:
            text = f"{request.method} is not for a session. To end it, DELETE it."
            return problem(405, text, ("allow", _ON_SESSION))


def _may(request: HttpRequest, facts: SessionFacts) -> bool:
    """Whether *request* may touch the session.

    Its address is enough, for nobody guesses it (RFC 9725, 4.7.1); a key that is sent has to be the right one.
    """
    if "authorization" not in request.headers:
        return True
    key = _key(request)
    return key is not None and hmac.compare_digest(key.secret.encode(), facts.stream_key.secret.encode())


def _patch(request: HttpRequest, facts: SessionFacts) -> HttpResponse:
    """RFC 9725, 4.3.1 and 4.3.2. Candidates are taken and not needed: see `ice_lite`."""
    if (wrong := _wrong_body(request, TRICKLE_FRAGMENT, "accept-patch")) is not None:
        return wrong
    if (tags := request.headers.get("if-match")) is None:
        return problem(428, "The header If-Match is missing: it names the ETag of the session's answer.")
    if not {each.strip() for each in tags.split(",")} & {"*", ICE_SESSION}:
        return problem(412, "The session's ICE session is another one than If-Match names.")
    if parse_trickle_fragment(_text(request.body)) not in ("", facts.fragment):
        # 4.3.1: 422 is for whom supports trickle ICE, but no restarts.
        return problem(422, "ICE restarts are not supported: open a new session, which takes over.")
    return _response(204)


def _wrong_body(request: HttpRequest, media_type: str, accepts: str) -> HttpResponse | None:
    """What a body that is not of *media_type*, or too large, is answered with."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        return problem(415, f"The header Content-Type has to be {media_type}.", (accepts, media_type))
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        # RFC 9110, 12.5.3.
        return problem(415, "The body must not be compressed.", ("accept-encoding", "identity"))
    if len(request.body) > MAX_BODY_BYTES:
        return problem(413, f"The body is larger than {MAX_BODY_BYTES} bytes.")
    return None


def _key(request: HttpRequest) -> StreamKey | None:
    """The stream key; only from the header, for addresses are logged by everyone on the way (RFC 6750, 5.3)."""
    match = _BEARER.fullmatch(request.headers.get("authorization", ""))
    return StreamKey(match[1]) if match else None


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise InvalidOffer("This is not SDP: it is not UTF-8.") from None
