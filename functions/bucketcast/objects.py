"""Objects of a bucket, as values: one to be written, and what a bucket says of one that is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NewType

Generation = NewType("Generation", int)
ABSENT = Generation(0)
"""As a precondition: the object must not exist."""

# Cloud Storage takes one write a second to one object name; a little more than a second, for its clock.
WRITE_INTERVAL: Final = timedelta(milliseconds=1050)

# Cloud Storage joins as many in one call.
MAX_COMPOSE_SOURCES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """An object as it is to be written."""

    name: str
    content: bytes = field(repr=False)
    content_type: str
    cache_control: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    custom_time: datetime | None = None  # what the bucket's lifecycle rules count from


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeObject:
    """An object as a bucket is to make it, of others that are in one already."""

    name: str
    content_type: str
    cache_control: str
    content_disposition: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFacts:
    """What a bucket says of one of its objects."""

    name: str
    generation: Generation
    size: int
    crc32c: str
    updated: datetime
    metadata: Mapping[str, str]
    custom_time: datetime | None = None
