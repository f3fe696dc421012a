"""The stream record: key hash and configuration, create-only, one for each change; the highest number holds."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from bucketcast.stream.configuration import StreamConfiguration
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import StreamId


class StreamRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stream as its owner made or changed it."""

    version: Literal[1] = 1
    stream: StreamId
    number: int
    created: datetime
    key_hash: str
    configuration: StreamConfiguration


def document_of(record: StreamRecord) -> StreamDocument:
    """The document of a stream that has only its *record*."""
    return StreamDocument(
        stream=record.stream,
        configuration=record.configuration,
        key_hash=record.key_hash,
        record_number=record.number,
        created=record.created,
        since=record.created,
    )
