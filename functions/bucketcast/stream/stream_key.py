"""Stream keys: the secret in a broadcaster's address, and how it is stored and compared.

A key is `{stream id}_{secret}`. Only a hash of the secret is stored. The secret is 192 random bits, so a plain
SHA-256 suffices: there is nothing to guess that a slow hash would protect.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field

from bucketcast.errors import InvalidName
from bucketcast.stream.identifiers import StreamId, parse_stream_id

SECRET_BYTES = 24
_SECRET = re.compile(rf"[0-9a-f]{{{2 * SECRET_BYTES}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamKey:
    """A stream key, parsed; its secret never shows in a representation."""

    stream: StreamId
    secret: str = field(repr=False)

    def reveal(self) -> str:
        """The key as its owner types it into OBS: for the one answer that shows it."""
        return f"{self.stream}_{self.secret}"


def new_stream_key(stream: StreamId, *, random_bytes: bytes) -> StreamKey:
    """Make a key for *stream* of SECRET_BYTES *random_bytes*."""
    if len(random_bytes) != SECRET_BYTES:
        raise ValueError(f"a secret takes {SECRET_BYTES} random bytes")
    return StreamKey(stream=stream, secret=random_bytes.hex())


def parse_stream_key(text: str) -> StreamKey:
    """Return *text* as a key, or raise InvalidName, whose words never repeat the text."""
    stream, _, secret = text.partition("_")
    if not _SECRET.fullmatch(secret):
        raise InvalidName("this is not a stream key: it reads STREAM_SECRET, as shown when the stream was made")
    return StreamKey(stream=parse_stream_id(stream), secret=secret)


def key_hash(key: StreamKey) -> str:
    """The hash under which *key* is stored, in hexadecimal."""
    return hashlib.sha256(key.secret.encode()).hexdigest()


def key_matches(key: StreamKey, stored_hash: str) -> bool:
    """Whether *key* is the one behind *stored_hash*, decided in constant time."""
    return hmac.compare_digest(key_hash(key), stored_hash)
