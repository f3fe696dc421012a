"""CloudEvents: the only place that reads one, and that makes one.

An encoder wakes the publisher directly with the event that Eventarc will deliver too, in its own time: the same
type, in binary mode, at the same entry point.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bucketcast.errors import InvalidEvent, InvalidName
from bucketcast.objects import ObjectFacts
from bucketcast.stream.object_names import IngestObjectName, parse_ingest_object_name

OBJECT_FINALIZED = "google.cloud.storage.object.v1.finalized"


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestObjectFinalized:
    """An object is complete in the ingest bucket: a wake-up, and no more than that."""

    bucket: str
    name: str
    subject: IngestObjectName


def parse_object_finalized(attributes: Mapping[str, Any], data: object) -> IngestObjectFinalized:
    """Parse a CloudEvent's *attributes* and *data*, or raise InvalidEvent."""
    if attributes.get("type") != OBJECT_FINALIZED:
        raise InvalidEvent(f"the event's type is not {OBJECT_FINALIZED}")
    if not isinstance(data, Mapping):
        raise InvalidEvent("the event's data is not a JSON object")
    bucket, name = data.get("bucket"), data.get("name")
    if not isinstance(bucket, str) or not isinstance(name, str):
        raise InvalidEvent("the event's data names no bucket and object")
    try:
        subject = parse_ingest_object_name(name)
    except InvalidName as error:
        raise InvalidEvent(str(error)) from error
    return IngestObjectFinalized(bucket=bucket, name=name, subject=subject)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRequest:
    """A CloudEvent as an HTTP request in binary mode (CloudEvents HTTP binding 1.0.2, 3.1)."""

    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def object_finalized_request(bucket: str, facts: ObjectFacts) -> EventRequest:
    """The event that the object of *facts* is complete in *bucket*, as Cloud Storage would send it."""
    data = {
        "bucket": bucket,
        "name": facts.name,
        "generation": str(facts.generation),
        "size": str(facts.size),
        "crc32c": facts.crc32c,
        "updated": _timestamp(facts.updated),
    }
    return EventRequest(
        headers={
            "content-type": "application/json",
            "ce-specversion": "1.0",
            "ce-type": OBJECT_FINALIZED,
            "ce-source": f"//storage.googleapis.com/projects/_/buckets/{bucket}",
            "ce-subject": f"objects/{facts.name}",
            "ce-bucket": bucket,
            # The generation tells two events of one object apart, and one event from its repetition.
            "ce-id": f"{facts.generation}-direct",
            "ce-time": _timestamp(facts.updated),
        },
        body=json.dumps(data).encode(),
    )


def _timestamp(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
