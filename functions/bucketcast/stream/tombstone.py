"""The tombstone: the record that a stream was deleted, which stays while anything of it may still appear."""

from datetime import datetime, timedelta
from typing import Final, Literal

from msgspec import Struct

from bucketcast.stream.identifiers import StreamId

# Shared caches may hold a segment for as long (its max-age), and a new stream's segments would have its name.
# An encoder that went on unawares is over long before.
BURIED: Final = timedelta(days=1)


class Tombstone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """*stream* was deleted, at *deleted*; its recordings may have been kept.

    *at_rest* says that all else was erased when nothing could appear any more.
    """

    version: Literal[1] = 1
    stream: StreamId
    deleted: datetime
    keep_recordings: bool
    at_rest: bool = False
