"""What the platform does for an execution: it waits, sends HTTP requests and signs tokens."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

# A workflow that polls must not become a busy loop when its pauses are shortened.
SHORTEST_SLEEP: Final = timedelta(milliseconds=50)
TOKEN_LIFETIME: Final = timedelta(hours=1)  # as long as Google's


class Clock(Protocol):
    """Time as an execution has it."""

    def now(self) -> datetime: ...

    async def sleep(self, duration: timedelta) -> None:
        """Return after *duration*."""


@dataclass(frozen=True, slots=True)
class FastForwardClock:
    """The real clock, with every sleep *factor* times shorter, but not below SHORTEST_SLEEP.

    The time of day stays that of everyone else: only waiting is shortened.
    """

    factor: float = 1.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, duration: timedelta) -> None:
        shortened = max(duration / self.factor, min(duration, SHORTEST_SLEEP))
        await asyncio.sleep(shortened.total_seconds())


class AuthType(StrEnum):
    """How a request is authorized."""

    OIDC = "OIDC"
    OAUTH2 = "OAuth2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """The token that a request carries; *audience* is that of an OIDC token."""

    type: AuthType
    audience: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request; *headers* have lower-case names and no line breaks."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout: timedelta

    def with_header(self, name: str, value: str) -> HttpRequest:
        """The same request with one header more."""
        return replace(self, headers=(*self.headers, (name, value)))


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """One response; its headers have lower-case names."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


Send: TypeAlias = Callable[[HttpRequest], Awaitable[HttpResponse]]
"""Exchanges a request for its response; raises a WorkflowError when there is none."""

Sign: TypeAlias = Callable[[Auth], str]
"""The bearer token for a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Everything that waits; *run_address* is where the Cloud Run API answers."""

    clock: Clock
    send: Send
    sign: Sign
    run_address: str


def unsigned_token(auth: Auth, *, issuer: str, now: datetime) -> str:
    """A token that claims what Google's would, and that no one has signed (RFC 7519, section 6)."""
    claims = {
        "iss": issuer,
        "iat": int(now.timestamp()),
        "exp": int((now + TOKEN_LIFETIME).timestamp()),
        **({"aud": auth.audience} if auth.type is AuthType.OIDC else {}),
    }
    return ".".join((*(_encoded(part) for part in ({"alg": "none", "typ": "JWT"}, claims)), ""))


def _encoded(part: object) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
