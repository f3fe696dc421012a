"""ICE as a lite agent (RFC 8445, 2.5): it answers connectivity checks, and makes none of its own.

So one UDP port serves every session, since a check names the session that it is for; nothing is gathered
before an offer is answered; and a publisher that never answers checks is as good as another. Pure.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

from aioice import stun

# IP address and UDP port.
Address = tuple[str, int]

# RFC 8445, 5.3: at least 4 characters of fragment (24 bits) and 22 of password (128 bits).
FRAGMENT_CHARACTERS: Final = 8
PASSWORD_CHARACTERS: Final = 24
_ROLE_CONFLICT: Final = (487, "Role Conflict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the checks of one session are addressed to, and signed with (RFC 8445, 5.3)."""

    fragment: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A connectivity check for the session of *fragment*, which may have been written by anybody."""

    fragment: str
    message: stun.Message = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a check is answered with; whether it is valid, and *nominates* the path that it came on."""

    response: bytes = field(repr=False)
    valid: bool
    nominates: bool


def parse_check(datagram: bytes) -> Check | None:
    """Return the check in *datagram*; None where it is anything else, also what only looks like one."""
    try:
        message = stun.parse_message(datagram)
    except (ValueError, struct.error, IndexError):
        return None
    is_check = message.message_method is stun.Method.BINDING and message.message_class is stun.Class.REQUEST
    # RFC 8445, 7.2.2: our own fragment comes first.
    ours, colon, _ = message.attributes.get("USERNAME", "").partition(":")
    return Check(fragment=ours, message=message) if is_check and colon else None


def answer_check(check: Check, credentials: Credentials, *, source: Address) -> Answer | None:
    """Answer *check*, which came from *source*; None where it is not signed with the password of *credentials*.

    RFC 8445, 7.3. Whoever does not know the password is not worth an answer, which could be sent to a victim.
    """
    message, key = check.message, credentials.password.encode()
    if check.fragment != credentials.fragment or not message.check_message_integrity(key):
        return None
    # 7.3.1.1: a lite agent is always the controlled one.
    conflict = "ICE-CONTROLLED" in message.attributes
    response = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.ERROR if conflict else stun.Class.RESPONSE,
        transaction_id=message.transaction_id,
        attributes={"ERROR-CODE": _ROLE_CONFLICT} if conflict else {"XOR-MAPPED-ADDRESS": source},
    )
    response.add_message_integrity(key)
    return Answer(
        response=bytes(response),
        valid=not conflict,
        nominates=not conflict and "USE-CANDIDATE" in message.attributes,
    )
