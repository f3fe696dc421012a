"""The names and numbers by which a stream and its parts are known."""

import re
from typing import NewType

from bucketcast.errors import InvalidName

StreamId = NewType("StreamId", str)
RungName = NewType("RungName", str)
EncoderId = NewType("EncoderId", str)
BroadcastNumber = NewType("BroadcastNumber", int)
SessionNumber = NewType("SessionNumber", int)
SegmentIndex = NewType("SegmentIndex", int)
MediaSequenceNumber = NewType("MediaSequenceNumber", int)
DiscontinuitySequenceNumber = NewType("DiscontinuitySequenceNumber", int)
Revision = NewType("Revision", int)
BitsPerSecond = NewType("BitsPerSecond", int)

# A stream id is a folder in a bucket, a word in an address and part of a stream key, so it keeps to what
# DNS labels allow; the underscore stays free to part id and secret in a key.
_STREAM_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_RUNG_NAME = re.compile(r"[1-9][0-9]{1,3}p")
_ENCODER_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62})")

# The folders beside the streams' in the media bucket.
RESERVED_STREAM_IDS = frozenset({"player"})


def parse_stream_id(text: str) -> StreamId:
    """Return *text* as a stream id, or raise InvalidName saying what an id looks like."""
    if not _STREAM_ID.fullmatch(text):
        raise InvalidName("a stream id has 1 to 63 of a-z, 0-9 and -, and neither starts nor ends with -")
    if text in RESERVED_STREAM_IDS:
        raise InvalidName(f"the stream id '{text}' is reserved")
    return StreamId(text)


def parse_rung_name(text: str) -> RungName:
    """Return *text* as a rung's name, such as 720p, or raise InvalidName."""
    if not _RUNG_NAME.fullmatch(text):
        raise InvalidName("a rung is named by its short side, such as 720p")
    return RungName(text)


def parse_encoder_id(text: str) -> EncoderId:
    """Return *text* as an encoder's id, or raise InvalidName."""
    if not _ENCODER_ID.fullmatch(text):
        raise InvalidName("an encoder id has 1 to 63 of a-z, 0-9 and -")
    return EncoderId(text)
