"""A check is answered if it is signed, and only then."""

import struct

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.whip.ice_lite import Address, Check, Credentials, answer_check, parse_check
from tools.webrtc_publisher import connectivity_check

OURS = Credentials(fragment="ours", password="our password, 22 characters")
SOURCE: Address = ("192.0.2.1", 40_000)


def parsed(message: stun.Message) -> Check:
    check = parse_check(bytes(message))
    assert check is not None
    return check


@pytest.mark.parametrize("source", [SOURCE, ("2001:db8::1", 1)])
def test_a_signed_check_is_answered_with_where_it_came_from(source: Address) -> None:
    check = connectivity_check(OURS.fragment, OURS.password)
    answer = answer_check(parsed(check), OURS, source=source)
    assert answer is not None
    assert (answer.valid, answer.nominates) == (True, False)
    response = stun.parse_message(answer.response)
    assert response.message_class is stun.Class.RESPONSE
    assert response.transaction_id == check.transaction_id
    assert response.attributes["XOR-MAPPED-ADDRESS"] == source
    assert response.check_message_integrity(OURS.password.encode())


def test_use_candidate_nominates() -> None:
    check = parsed(connectivity_check(OURS.fragment, OURS.password, USE_CANDIDATE=None))
    answer = answer_check(check, OURS, source=SOURCE)
    assert answer is not None
    assert answer.nominates


def test_who_does_not_know_the_password_gets_no_answer() -> None:
    check = parsed(connectivity_check(OURS.fragment, "another password of 22 chars"))
    assert answer_check(check, OURS, source=SOURCE) is None


def test_a_check_of_another_session_gets_no_answer() -> None:
    check = parsed(connectivity_check("theirs", OURS.password))
    assert answer_check(check, OURS, source=SOURCE) is None


def test_a_peer_that_wants_to_be_controlled_is_told_of_the_conflict() -> None:
    """RFC 8445, 7.3.1.1: both would wait for the other."""
    check = parsed(connectivity_check(OURS.fragment, OURS.password, ICE_CONTROLLED=1, USE_CANDIDATE=None))
    answer = answer_check(check, OURS, source=SOURCE)
    assert answer is not None
    assert (answer.valid, answer.nominates) == (False, False)
    assert stun.parse_message(answer.response).error_code == 487


@pytest.mark.parametrize(
    "message",
    [
        stun.Message(stun.Method.BINDING, stun.Class.REQUEST),
        stun.Message(stun.Method.BINDING, stun.Class.REQUEST, attributes={"USERNAME": "ours"}),
        stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, attributes={"USERNAME": "ours:theirs"}),
        stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST, attributes={"USERNAME": "ours:theirs"}),
    ],
    ids=["without a name", "without the peer's name", "a response", "another method"],
)
def test_what_is_no_check_is_nobody_s(message: stun.Message) -> None:
    assert parse_check(bytes(message)) is None


def test_an_unsigned_check_gets_no_answer() -> None:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, attributes={"USERNAME": "ours:theirs"})
    assert answer_check(parsed(message), OURS, source=SOURCE) is None


def test_an_attribute_of_the_wrong_length_is_no_check() -> None:
    priority = struct.pack("!HHHH", 0x0024, 2, 1, 0)
    header = struct.pack("!HHI12s", 1, len(priority), stun.COOKIE, bytes(12))
    assert parse_check(header + priority) is None


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_no_check(data: bytes, looks_like_stun: bool) -> None:  # noqa: FBT001
    if looks_like_stun:
        data = struct.pack("!HHI12s", 1, len(data), stun.COOKIE, bytes(12)) + data
    check = parse_check(data)
    assert check is None or answer_check(check, OURS, source=SOURCE) is None
