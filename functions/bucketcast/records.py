"""Records as JSON: the one place that turns stored bytes into values and back.

Records are msgspec structs: decoding validates every field and refuses unknown ones, so a record that was
parsed cannot be wrong in its form.
"""

from typing import TypeVar

import msgspec

from bucketcast.errors import InvalidInput, InvalidRecord
from bucketcast.objects import NewObject

Record = TypeVar("Record", bound=msgspec.Struct)

# The largest record is a timeline; at eight rungs and its bound of segments it stays under 200 KB.
MAX_RECORD_BYTES = 1_000_000
JSON = "application/json"
# Records lie in the private bucket and are read by our own clients only.
PRIVATE_RECORD = "private, no-store"


def encode_record(record: msgspec.Struct) -> bytes:
    """Return *record* as JSON, the same bytes for equal records."""
    return msgspec.json.encode(record, order="deterministic")


def record_object(name: str, record: msgspec.Struct) -> NewObject:
    """The object in which *record* lies under *name*."""
    return NewObject(name=name, content=encode_record(record), content_type=JSON, cache_control=PRIVATE_RECORD)


def decode_record(record_type: type[Record], content: bytes) -> Record:
    """Return *content* as a *record_type*, or raise InvalidRecord naming the field that is wrong."""
    if len(content) > MAX_RECORD_BYTES:
        raise InvalidRecord(f"a record of {len(content)} bytes is over the {MAX_RECORD_BYTES} allowed")
    try:
        return msgspec.json.decode(content, type=record_type)
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidInput) as error:
        raise InvalidRecord(f"not a {record_type.__name__}: {error}") from error
