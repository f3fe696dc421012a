"""The operations of the JSON API that are offered: their addresses, parameters and price classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from local_cloud.operations import PriceClass

PRECONDITIONS: Final = frozenset(
    {"ifGenerationMatch", "ifGenerationNotMatch", "ifMetagenerationMatch", "ifMetagenerationNotMatch"}
)
SOURCE_PRECONDITIONS: Final = frozenset(name.replace("if", "ifSource", 1) for name in PRECONDITIONS)
# Without meaning for what is answered: no access lists are kept, and JSON is JSON.
HARMLESS: Final = frozenset({"alt", "prettyPrint", "projection", "fields"})
_ANY: Final = "*"
_COPY: Final = PRECONDITIONS | SOURCE_PRECONDITIONS | {"sourceGeneration"}
_READ: Final = PRECONDITIONS | {"generation"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `*` in *path* stands for a bucket's or an object's name.

    A request with a query parameter that is neither in *parameters* nor harmless is refused.
    """

    name: str
    price_class: PriceClass
    method: str
    path: str
    parameters: frozenset[str] = frozenset()

    def match(self, method: str, path: Sequence[str]) -> tuple[str, ...] | None:
        """The names in *path* when the request is one for this operation, else None."""
        template = self.path.split("/")
        if method != self.method or len(path) != len(template):
            return None
        names = []
        for part, given in zip(template, path, strict=True):
            if part == _ANY:
                names.append(given)
            elif part != given:
                return None
        return tuple(names)


_A, _B, _FREE = PriceClass.STORAGE_A, PriceClass.STORAGE_B, PriceClass.FREE

OPERATIONS: Final = (
    Operation("storage.buckets.list", _A, "GET", "storage/v1/b", frozenset({"project"})),
    Operation("storage.buckets.insert", _A, "POST", "storage/v1/b", frozenset({"project"})),
    Operation("storage.buckets.get", _B, "GET", "storage/v1/b/*"),
    Operation(
        "storage.objects.list",
        _A,
        "GET",
        "storage/v1/b/*/o",
        frozenset({"prefix", "delimiter", "startOffset", "endOffset", "pageToken", "maxResults"}),
    ),
    Operation("storage.objects.get", _B, "GET", "storage/v1/b/*/o/*", _READ),
    Operation("storage.objects.get", _B, "GET", "download/storage/v1/b/*/o/*", _READ),
    Operation("storage.objects.patch", _A, "PATCH", "storage/v1/b/*/o/*", _READ),
    Operation("storage.objects.delete", _FREE, "DELETE", "storage/v1/b/*/o/*", _READ),
    Operation(
        "storage.objects.insert",
        _A,
        "POST",
        "upload/storage/v1/b/*/o",
        PRECONDITIONS | {"uploadType", "name"},
    ),
    # The chunks of a resumable upload are one operation, counted when it is started.
    Operation(
        "storage.objects.insert (chunk)",
        _FREE,
        "PUT",
        "upload/storage/v1/b/*/o",
        frozenset({"uploadType", "upload_id"}),
    ),
    Operation(
        "storage.objects.compose",
        _A,
        "POST",
        "storage/v1/b/*/o/*/compose",
        frozenset({"ifGenerationMatch", "ifMetagenerationMatch"}),
    ),
    Operation(
        "storage.objects.rewrite", _A, "POST", "storage/v1/b/*/o/*/rewriteTo/b/*/o/*", _COPY | {"rewriteToken"}
    ),
    Operation("storage.objects.copy", _A, "POST", "storage/v1/b/*/o/*/copyTo/b/*/o/*", _COPY),
)


def find_operation(method: str, path: Sequence[str]) -> tuple[Operation, tuple[str, ...]] | None:
    """The operation that a request asks for, with the names in its path; None when it is not offered."""
    for operation in OPERATIONS:
        if (names := operation.match(method, path)) is not None:
            return operation, names
    return None
