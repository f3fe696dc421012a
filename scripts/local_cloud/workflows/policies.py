"""The platform's own retry policies (cloud.google.com/workflows/docs/reference/stdlib/http and .../retry)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from local_cloud.workflows.errors import Tag
from local_cloud.workflows.steps import Backoff, Constant, Retry
from local_cloud.workflows.values import Value


def _matches(error: Value, codes: tuple[int, ...], tags: tuple[Tag, ...]) -> bool:
    if not isinstance(error, dict):
        return False
    own = error.get("tags")
    if not isinstance(own, list):
        return False
    return any(tag in own for tag in tags) or (Tag.HTTP_ERROR in own and error.get("code") in codes)


def _idempotent(error: Value) -> bool:
    tags = (Tag.CONNECTION_ERROR, Tag.CONNECTION_FAILED_ERROR, Tag.TIMEOUT_ERROR)
    return _matches(error, (429, 502, 503, 504), tags)


def _non_idempotent(error: Value) -> bool:
    return _matches(error, (429, 503), (Tag.CONNECTION_FAILED_ERROR,))


PREDICATES: Final[Mapping[str, Callable[[Value], bool]]] = {
    "http.default_retry_predicate": _idempotent,
    "http.default_retry_predicate_non_idempotent": _non_idempotent,
    "retry.always": lambda _: True,
    "retry.never": lambda _: False,
}

BACKOFFS: Final[Mapping[str, Backoff]] = {
    "retry.default_backoff": Backoff(
        initial_delay=Constant(1), max_delay=Constant(60), multiplier=Constant(1.25)
    ),
}


def _default_policy(predicate: str) -> Retry:
    backoff = BACKOFFS["retry.default_backoff"]
    return Retry(predicate=predicate, max_retries=Constant(5), backoff=backoff)


POLICIES: Final[Mapping[str, Retry]] = {
    "http.default_retry": _default_policy("http.default_retry_predicate"),
    "http.default_retry_non_idempotent": _default_policy("http.default_retry_predicate_non_idempotent"),
}
