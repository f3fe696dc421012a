"""Buckets, objects and the conditions under which an object may be read or replaced: values only."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from local_cloud.storage.errors import InvalidRequest, NotModified, PreconditionFailed

MAX_NAME_BYTES: Final = 1024  # Cloud Storage's limit for object names in a flat namespace, in UTF-8
# Where a bucket lies that nobody said it of: https://cloud.google.com/storage/docs/locations
DEFAULT_LOCATION: Final = "US"
BUCKET_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
# Names that Cloud Storage refuses: https://cloud.google.com/storage/docs/objects#naming
_FORBIDDEN_IN_NAMES: Final = re.compile(r"[\r\n]|\A\.\.?\Z|\A\.well-known/acme-challenge/")
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsRule:
    """One entry of a bucket's `cors` configuration."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    response_headers: tuple[str, ...] = ()
    max_age: timedelta = timedelta(hours=1)


# What a player in a page needs: any origin may read, ask for ranges, and see what came back.
CORS_FOR_VIEWERS: Final = CorsRule(
    origins=("*",),
    methods=("GET", "HEAD"),
    response_headers=("Content-Type", "Content-Length", "Content-Range", "Date", "ETag", "Range"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket; *public* means that everyone may read its objects (`allUsers`: objectViewer)."""

    name: str
    public: bool = False
    location: str = DEFAULT_LOCATION
    cors: tuple[CorsRule, ...] = ()
    time_created: datetime

    def __post_init__(self) -> None:
        if not BUCKET_NAME.fullmatch(self.name):
            raise InvalidRequest(f"Invalid bucket name: '{self.name}'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What the writer of an object says about it; a patch may change it."""

    content_type: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_language: str | None = None
    custom_time: str | None = None  # RFC 3339, as it was written: lifecycle rules count from it
    metadata: Mapping[str, str] = field(default_factory=dict)


NO_ATTRIBUTES: Final = Attributes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksums:
    """crc32c and MD5 as Cloud Storage writes them (base64); a composite object has no MD5."""

    crc32c: str
    md5: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One generation of an object, without its content."""

    bucket: str
    name: str
    generation: int
    metageneration: int = 1
    size: int
    checksums: Checksums
    attributes: Attributes
    component_count: int | None = None
    time_created: datetime
    updated: datetime

    @property
    def etag(self) -> str:
        """The entity tag of the JSON API: generation and metageneration as a protocol buffer."""
        message = b"\x08" + _varint(self.generation) + b"\x10" + _varint(self.metageneration)
        return base64.b64encode(message).decode()

    @property
    def content_etag(self) -> str:
        """The quoted entity tag of public reads: the MD5 in hexadecimal where there is one."""
        if self.checksums.md5 is None:
            return f'"{self.etag}"'
        return f'"{base64.b64decode(self.checksums.md5).hex()}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Preconditions:
    """Conditions on the live object; a generation of 0 stands for an object that does not exist."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None

    def require(self, current: StoredObject | None) -> None:
        """Let a write on top of *current* go on, or raise PreconditionFailed."""
        if not (self._matches(current) and self._differs(current)):
            raise PreconditionFailed

    def require_for_reading(self, current: StoredObject) -> None:
        """Let a read of *current* go on, or raise PreconditionFailed or, as caches need it, NotModified."""
        if not self._matches(current):
            raise PreconditionFailed
        if not self._differs(current):
            raise NotModified

    def _matches(self, current: StoredObject | None) -> bool:
        generation, metageneration = _versions(current)
        return self.generation_match in (None, generation) and self.metageneration_match in (
            None,
            metageneration,
        )

    def _differs(self, current: StoredObject | None) -> bool:
        generation, metageneration = _versions(current)
        return self.generation_not_match != generation and self.metageneration_not_match != metageneration


UNCONDITIONAL: Final = Preconditions()


def require_object_name(name: str) -> str:
    """Return *name*, or raise InvalidRequest when Cloud Storage would not take it."""
    if not 0 < len(name.encode(errors="surrogateescape")) <= MAX_NAME_BYTES or _FORBIDDEN_IN_NAMES.search(name):
        raise InvalidRequest(f"Invalid object name: {name[:MAX_NAME_BYTES]!r}")
    return name


def next_generation(*, last: int, now: datetime) -> int:
    """The generation of an object written at *now*: its microsecond, yet always above *last*."""
    return max(last + 1, (now - _EPOCH) // _MICROSECOND)


def _versions(current: StoredObject | None) -> tuple[int, int]:
    return (current.generation, current.metageneration) if current else (0, 0)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
