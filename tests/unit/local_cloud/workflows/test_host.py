"""The clock that can be sped up, and the tokens that no one has signed."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from local_cloud.workflows.host import SHORTEST_SLEEP, Auth, AuthType, FastForwardClock, unsigned_token
from tools.workflow_runs import NOON


@pytest.mark.parametrize(
    ("factor", "duration", "slept"),
    [
        (1, timedelta(minutes=5), timedelta(minutes=5)),
        (60, timedelta(minutes=5), timedelta(seconds=5)),
        # Polling does not become a busy loop.
        (1_000, timedelta(seconds=1), SHORTEST_SLEEP),
        (1_000, timedelta(milliseconds=1), timedelta(milliseconds=1)),
        (1_000, timedelta(0), timedelta(0)),
    ],
)
async def test_sleep_is_so_many_times_shorter(
    monkeypatch: pytest.MonkeyPatch, factor: float, duration: timedelta, slept: timedelta
) -> None:
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await FastForwardClock(factor).sleep(duration)
    assert asked == [slept.total_seconds()]


def test_time_of_day_is_everyones() -> None:
    before = datetime.now(UTC)
    assert before <= FastForwardClock(1_000).now() <= datetime.now(UTC)


@pytest.mark.parametrize(("kind", "audience"), [(AuthType.OIDC, "https://x"), (AuthType.OAUTH2, None)])
def test_token_claims_what_googles_would_and_is_not_signed(kind: AuthType, audience: str | None) -> None:
    token = unsigned_token(Auth(type=kind, audience="https://x"), issuer="me", now=NOON)
    header, claims, signature = token.split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "none"
    assert decoded.get("aud") == audience
    assert (decoded["iss"], decoded["exp"] - decoded["iat"]) == ("me", 3600)
    assert signature == ""
