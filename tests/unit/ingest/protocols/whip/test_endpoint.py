"""Each request has the status that RFC 9725 or RFC 9110 gives it, and words that help."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import BitsPerSecond, parse_stream_id
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.publishing import CloseReason, PublishRefused, RefusalReason, StreamKey
from ingest.protocols.whip.endpoint import (
    MAX_BODY_BYTES,
    Effect,
    EndpointSettings,
    EndSession,
    HttpRequest,
    HttpResponse,
    IceServer,
    Opened,
    OpenSession,
    SessionFacts,
    created,
    decide,
    ended,
    refused_publisher,
    too_many_offers,
)
from ingest.protocols.whip.session_status import SessionState, SessionStatus
from tools.whip_offers import FRAGMENT, PASSWORD, REAL, chromium, obs_30, simple

KEY = "demo_0123456789abcdef"
STUN = IceServer(url="stun:stun.example.com:3478")
TURN = IceServer(url="turn:turn.example.com?transport=udp", username='us"er', credential="pass\\word")
SETTINGS = EndpointSettings(ice_servers=(STUN, TURN))
SESSION = SessionFacts(stream_key=StreamKey(KEY), fragment=FRAGMENT)
LIVE = SessionStatus(stream=parse_stream_id("demo"), state=SessionState.LIVE, faults=(InputFault.NO_AUDIO,))
ENDED = replace(LIVE, state=SessionState.ENDED, faults=(), reason=CloseReason.ENDED, detail="It was ended.")
OFFER = HttpRequest(
    method="POST",
    path="/whip",
    headers={"authorization": f"Bearer {KEY}", "content-type": "application/sdp"},
    body=chromium().encode(),
)
TRICKLED = f"a=ice-ufrag:{FRAGMENT}\r\na=ice-pwd:{PASSWORD}\r\nm=audio 9 RTP/SAVPF 0\r\na=end-of-candidates\r\n"
PATCH = HttpRequest(
    method="PATCH",
    path="/whip/abc_-9",
    headers={"content-type": "application/trickle-ice-sdpfrag", "if-match": '"1"'},
    body=TRICKLED.encode(),
)


class Sessions:
    """One that is open, and one that has ended."""

    def facts(self, session_id: str) -> SessionFacts | None:
        return {"abc_-9": SESSION, "ended": replace(SESSION, has_ended=True)}.get(session_id)

    def status(self, session_id: str) -> SessionStatus | None:
        return {"abc_-9": LIVE, "ended": ENDED}.get(session_id)


def decided(request: HttpRequest, settings: EndpointSettings = SETTINGS) -> HttpResponse | Effect:
    return decide(request, settings, Sessions())


def response(request: HttpRequest, settings: EndpointSettings = SETTINGS) -> HttpResponse:
    answer = decided(request, settings)
    assert isinstance(answer, HttpResponse)
    return answer


def effect(request: HttpRequest) -> OpenSession:
    answer = decided(request)
    assert isinstance(answer, OpenSession)
    return answer


def header(answer: HttpResponse, name: str) -> str | None:
    return next((value for each, value in answer.headers if each == name), None)


def links(answer: HttpResponse) -> list[str]:
    return [value for name, value in answer.headers if name == "link"]


def with_headers(request: HttpRequest, **headers: str | None) -> HttpRequest:
    """*request* with *headers*, or without those that are None."""
    changed = {**request.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return replace(request, headers={name: value for name, value in changed.items() if value is not None})


@pytest.mark.parametrize("text", REAL.values(), ids=REAL)
def test_every_publisher_s_offer_opens_a_session(text: str) -> None:
    opening = effect(replace(OFFER, body=text.encode()))
    assert opening.stream_key == StreamKey(KEY)
    assert opening.metadata.adaptive
    assert opening.max_bitrate == SETTINGS.max_bitrate


def test_an_opened_session_is_created_with_all_that_a_publisher_needs() -> None:
    """RFC 9725, 4.2 and 4.6."""
    answer = created(Opened(session_id="abc", answer="v=0\r\n"), SETTINGS)
    assert answer.status == 201
    assert answer.body == b"v=0\r\n"
    assert header(answer, "content-type") == "application/sdp"
    assert header(answer, "location") == "/whip/abc"
    assert header(answer, "etag") == '"1"'
    credentials = r'username="us\"er"; credential="pass\\word"; credential-type="password"'
    assert links(answer) == [
        '<stun:stun.example.com:3478>; rel="ice-server"',
        f'<turn:turn.example.com?transport=udp>; rel="ice-server"; {credentials}',
    ]


def test_a_session_s_address_may_name_the_server_that_holds_it() -> None:
    settings = EndpointSettings(session_origin="https://gateway-1.example.com")
    assert (
        header(created(Opened(session_id="abc", answer=""), settings), "location")
        == "https://gateway-1.example.com/whip/abc"
    )


def test_the_declared_source_goes_with_the_offer() -> None:
    opening = effect(replace(OFFER, query="width=1280&height=720&frame_rate=30&bitrate=2000000"))
    assert opening.metadata == SourceMetadata(frame_rate=Fraction(30), width=1280, height=720, adaptive=True)
    assert opening.max_bitrate == BitsPerSecond(2_500_000)


@pytest.mark.parametrize("path", ["/whip", "/whip/"])
def test_a_slash_too_many_does_not_matter(path: str) -> None:
    effect(replace(OFFER, path=path))


@pytest.mark.parametrize(
    "authorization", [None, "", "Basic ZGVtbzpkZW1v", "Bearer", "Bearer ", "Bearer a b", f"Bearer {'a' * 300}"]
)
def test_without_a_bearer_token_the_key_is_asked_for(authorization: str | None) -> None:
    """RFC 9110, 15.5.2; RFC 6750, 3."""
    answer = response(with_headers(OFFER, authorization=authorization))
    assert answer.status == 401
    assert header(answer, "www-authenticate") == 'Bearer realm="bucketcast"'
    assert "Bearer Token" in answer.detail


def test_the_scheme_may_be_written_in_any_case() -> None:
    assert effect(with_headers(OFFER, authorization=f"bearer {KEY}")).stream_key == StreamKey(KEY)


def test_a_key_in_the_address_is_not_taken() -> None:
    """RFC 6750, 5.3: addresses are logged by everyone on the way."""
    request = replace(with_headers(OFFER, authorization=None), query=f"key={KEY}&access_token={KEY}")
    assert response(request).status == 401


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain", "application/sdpx"])
def test_an_offer_of_another_type_is_told_which_one(content_type: str | None) -> None:
    answer = response(with_headers(OFFER, content_type=content_type))
    assert answer.status == 415
    assert header(answer, "accept-post") == "application/sdp"


@pytest.mark.parametrize("content_type", ["application/sdp; charset=utf-8", "Application/SDP"])
def test_a_type_may_have_parameters_and_any_case(content_type: str) -> None:
    effect(with_headers(OFFER, content_type=content_type))


def test_a_compressed_offer_is_refused() -> None:
    answer = response(with_headers(OFFER, content_encoding="gzip"))
    assert (answer.status, header(answer, "accept-encoding")) == (415, "identity")


def test_an_offer_too_large_is_refused_before_it_is_read() -> None:
    assert response(replace(OFFER, body=bytes(MAX_BODY_BYTES + 1))).status == 413


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b"v=0\r\n", b"\x00" * 100])
def test_what_is_not_sdp_is_a_bad_request(body: bytes) -> None:
    answer = response(replace(OFFER, body=body))
    assert answer.status == 400
    assert answer.detail


def test_an_offer_without_a_usable_codec_is_unprocessable_and_says_what_to_choose() -> None:
    """RFC 9725, 4.4.3."""
    answer = response(replace(OFFER, body=obs_30("AV1/90000").encode()))
    assert answer.status == 422
    assert header(answer, "content-type") == "application/problem+json"
    said = json.loads(answer.body)
    assert said["status"] == 422
    assert "AV1" in said["detail"]
    assert "H.264" in said["detail"]


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (RefusalReason.KEY, 401),
        (RefusalReason.ON_AIR, 409),
        (RefusalReason.SOURCE, 422),
        (RefusalReason.UNAVAILABLE, 503),
    ],
)
def test_a_publisher_that_is_not_let_in_is_told_why(reason: RefusalReason, status: int) -> None:
    answer = refused_publisher(PublishRefused(reason, "Because."))
    assert answer.status == status
    assert json.loads(answer.body)["detail"] == "Because."


def test_a_wrong_key_is_an_invalid_token_and_a_fault_of_ours_may_pass() -> None:
    wrong = refused_publisher(PublishRefused(RefusalReason.KEY, "no"))
    assert header(wrong, "www-authenticate") == 'Bearer realm="bucketcast", error="invalid_token"'
    assert header(refused_publisher(PublishRefused(RefusalReason.UNAVAILABLE, "no")), "retry-after") == "2"


def test_one_offer_too_many_is_told_to_wait() -> None:
    assert (too_many_offers(7).status, header(too_many_offers(7), "retry-after")) == (429, "7")


@pytest.mark.parametrize("path", ["/whip", "/whip/abc_-9"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_finds_nothing_and_is_no_error(method: str, path: str) -> None:
    """RFC 9725, 4.1."""
    answer = response(HttpRequest(method=method, path=path))
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize("path", ["/", "/whi", "/whip/a/b", "/whip/" + "a" * 65, "/whip/ä", "/whip/%2e"])
def test_another_address_has_nothing(path: str) -> None:
    assert response(HttpRequest(method="GET", path=path)).status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PATCH", "POST"])
def test_a_session_that_is_not_there_is_not_found(method: str) -> None:
    assert response(HttpRequest(method=method, path="/whip/gone")).status == 404


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/whip", "DELETE", "GET, HEAD, OPTIONS, POST"),
        ("/whip", "PATCH", "GET, HEAD, OPTIONS, POST"),
        ("/whip", "PUT", "GET, HEAD, OPTIONS, POST"),
        ("/whip/abc_-9", "POST", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("/whip/abc_-9", "PUT", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("/whip/abc_-9/status", "DELETE", "GET, HEAD, OPTIONS"),
        ("/whip/ended/status", "PATCH", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_method_that_is_not_for_an_address_is_told_which_are(path: str, method: str, allowed: str) -> None:
    answer = response(HttpRequest(method=method, path=path))
    assert (answer.status, header(answer, "allow")) == (405, allowed)


def test_an_unknown_method_is_not_implemented() -> None:
    """RFC 9110, 15.6.2."""
    assert response(HttpRequest(method="PUBLISH", path="/whip")).status == 501


def test_delete_ends_the_session_whatever_its_etag() -> None:
    """RFC 9725, 4.3.1."""
    request = HttpRequest(method="DELETE", path="/whip/abc_-9", headers={"if-match": '"other"'})
    assert decided(request) == EndSession(session_id="abc_-9")


def test_an_ended_session_is_answered_with_200_for_obs_takes_no_other() -> None:
    assert (ended(found=True).status, ended(found=False).status) == (200, 404)


def test_a_session_s_address_is_enough_but_a_key_has_to_fit() -> None:
    """RFC 9725, 4.7.1."""
    ending = HttpRequest(method="DELETE", path="/whip/abc_-9")
    assert isinstance(decided(with_headers(ending, authorization=f"Bearer {KEY}")), EndSession)
    assert response(with_headers(ending, authorization="Bearer other")).status == 403
    assert response(with_headers(ending, authorization="Basic x")).status == 403
    assert response(with_headers(PATCH, authorization="Bearer other")).status == 403


@pytest.mark.parametrize(
    ("method", "authorization", "status"),
    [
        ("DELETE", f"Bearer {KEY}", 200),
        ("DELETE", None, 200),
        ("DELETE", "Bearer other", 403),
        ("GET", f"Bearer {KEY}", 404),
        ("PATCH", f"Bearer {KEY}", 404),
        ("PATCH", "Bearer other", 403),
    ],
)
def test_a_session_that_ended_may_still_be_deleted_by_its_own_publisher_and_nothing_else(
    method: str, authorization: str | None, status: int
) -> None:
    """A bug: whoever closed the connection first was told that there is no such session."""
    request = with_headers(HttpRequest(method=method, path="/whip/ended"), authorization=authorization)
    assert response(request).status == status


def test_a_session_tells_how_it_stands() -> None:
    answer = response(HttpRequest(method="GET", path="/whip/abc_-9/status"))
    assert (answer.status, header(answer, "content-type")) == (200, "application/json")
    assert json.loads(answer.body) == {"state": "live", "faults": ["no-audio"], "reason": None, "detail": ""}


def test_a_session_that_ended_tells_why() -> None:
    for key in (None, f"Bearer {KEY}"):
        request = with_headers(HttpRequest(method="GET", path="/whip/ended/status"), authorization=key)
        assert json.loads(response(request).body) == {
            "state": "ended",
            "faults": [],
            "reason": "ended",
            "detail": "It was ended.",
        }


@pytest.mark.parametrize(
    ("path", "authorization", "status"),
    [
        ("/whip/abc_-9/status", None, 200),
        ("/whip/abc_-9/status/", f"Bearer {KEY}", 200),
        ("/whip/abc_-9/status", "Bearer other", 403),
        ("/whip/abc_-9/status", "Basic x", 403),
        ("/whip/ended/status", "Bearer other", 403),
        ("/whip/gone/status", f"Bearer {KEY}", 404),
        ("/whip/status/status", None, 404),
        ("/whip//status", None, 404),
        ("/whip/abc_-9/status/status", None, 404),
    ],
)
def test_a_status_is_for_who_knows_the_session_s_address_and_no_other_key(
    path: str, authorization: str | None, status: int
) -> None:
    request = with_headers(HttpRequest(method="GET", path=path), authorization=authorization)
    assert response(request).status == status


def test_candidates_are_taken() -> None:
    """RFC 9725, 4.3.2: no body, no ETag."""
    answer = response(PATCH)
    assert (answer.status, answer.body, header(answer, "etag")) == (204, b"", None)
    assert response(replace(PATCH, body=b"a=candidate:?\r\n")).status == 204


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        (None, 428),
        ('"2"', 412),
        ('W/"1"', 412),
        ("", 412),
        ('"1"', 204),
        ('"2", "1"', 204),
        ("*", 204),
    ],
)
def test_candidates_are_for_the_ice_session_that_is_named(tags: str | None, status: int) -> None:
    """RFC 9725, 4.3.1; RFC 9110, 13.1.1; RFC 6585, 3."""
    assert response(with_headers(PATCH, if_match=tags)).status == status


def test_an_ice_restart_is_unprocessable() -> None:
    """RFC 9725, 4.3.1: 422 is for whom supports trickle ICE only."""
    restart = TRICKLED.replace(FRAGMENT, "New1").encode()
    answer = response(replace(with_headers(PATCH, if_match="*"), body=restart))
    assert answer.status == 422
    assert "open a new session" in answer.detail


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (with_headers(PATCH, content_type="application/sdp"), 415),
        (replace(PATCH, body=b"hello"), 400),
        (replace(PATCH, body=b"\xff"), 400),
        (replace(PATCH, body=bytes(MAX_BODY_BYTES + 1)), 413),
    ],
)
def test_a_patch_that_is_no_fragment_is_refused(request_: HttpRequest, status: int) -> None:
    answer = response(request_)
    assert answer.status == status
    assert (header(answer, "accept-patch") == "application/trickle-ice-sdpfrag") is (status == 415)


def test_options_tells_what_is_taken() -> None:
    """RFC 9725, 4.2; RFC 5789, 3.1."""
    endpoint = response(HttpRequest(method="OPTIONS", path="/whip"))
    session = response(HttpRequest(method="OPTIONS", path="/whip/gone"))
    assert (endpoint.status, header(endpoint, "accept-post")) == (200, "application/sdp")
    assert (session.status, header(session, "accept-patch")) == (200, "application/trickle-ice-sdpfrag")
    status = response(HttpRequest(method="OPTIONS", path="/whip/gone/status"))
    assert status.status == 200
    for answer in (endpoint, session, status):
        assert header(answer, "access-control-allow-headers") == "Authorization, Content-Type, If-Match"
        assert header(answer, "access-control-allow-methods") == "DELETE, GET, OPTIONS, PATCH, POST"


def test_options_tells_ice_servers_but_neither_in_a_preflight_nor_a_credential() -> None:
    """RFC 9725, 4.6."""
    request = HttpRequest(method="OPTIONS", path="/whip")
    assert links(response(request)) == [STUN.link]
    assert links(response(with_headers(request, access_control_request_method="POST"))) == []


@pytest.mark.parametrize(
    "answer",
    [
        created(Opened(session_id="abc", answer=""), SETTINGS),
        ended(found=True),
        too_many_offers(1),
        response(HttpRequest(method="GET", path="/elsewhere")),
        response(HttpRequest(method="GET", path="/whip/abc_-9/status")),
        response(HttpRequest(method="GET", path="/whip/gone/status")),
        response(PATCH),
    ],
)
def test_every_response_may_be_read_by_pages_of_any_origin_and_stored_by_nobody(answer: HttpResponse) -> None:
    assert header(answer, "access-control-allow-origin") == "*"
    assert {"ETag", "Link", "Location", "Retry-After"} <= set(
        (header(answer, "access-control-expose-headers") or "").split(", ")
    )
    assert header(answer, "cache-control") == "no-store"


@pytest.mark.parametrize(
    ("url", "username"),
    [("https://example.com", ""), ("stun:", ""), ("stun:a>b", ""), ("stun:a\r\nx: y", ""), ("turn:a", "ä\n")],
)
def test_what_is_no_ice_server_cannot_be_configured(url: str, username: str) -> None:
    with pytest.raises(ValueError, match="an ICE server's"):
        IceServer(url=url, username=username)


def test_no_secret_is_shown() -> None:
    shown = repr(
        (
            OFFER,
            effect(OFFER),
            SESSION,
            SETTINGS,
            created(Opened(session_id="abc", answer=PASSWORD), SETTINGS).body and "",
        )
    )
    assert KEY not in shown
    assert PASSWORD not in shown
    assert "word" not in shown.replace("password", "")


@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE", "OPTIONS", "X"]),
    path=st.sampled_from(["/whip", "/whip/abc_-9", "/whip/abc_-9/status", "/whip/gone", "/"]) | st.text(),
    body=st.binary() | st.sampled_from([OFFER.body, PATCH.body, simple().encode()]),
    headers=st.dictionaries(
        st.sampled_from(["authorization", "content-type", "if-match", "content-encoding"]),
        st.text() | st.sampled_from([*OFFER.headers.values(), *PATCH.headers.values(), "*"]),
    ),
    query=st.text(),
)
def test_any_request_has_an_effect_or_a_response_that_is_no_fault_of_ours(
    method: str, path: str, body: bytes, headers: dict[str, str], query: str
) -> None:
    request = HttpRequest(method=method, path=path, query=query, headers=headers, body=body)
    answer = decided(request)
    if isinstance(answer, HttpResponse):
        assert answer.status < 500 or (answer.status == 501 and method == "X")
        assert (answer.status >= 400) == bool(answer.detail)
