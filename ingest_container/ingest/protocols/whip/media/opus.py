"""Opus over RTP (RFC 7587): a payload is a packet (4.2), so there is little to take apart."""

import struct
from datetime import timedelta
from typing import Final

from bucketcast.codecs.opus import packet_duration

# RFC 7845, 5.1. Whatever rate the source has, Opus over RTP counts 48,000 a second (RFC 7587, 4.1).
_HEAD: Final = struct.Struct("<8sBBHIhB")
_VERSION: Final = 1
_SAMPLE_RATE: Final = 48_000


def opus_head(channels: int) -> bytes:
    """Return the OpusHead of a stream of one or two *channels*.

    Nothing is skipped at its beginning: the first packet that comes is hardly the first that was encoded.
    """
    return _HEAD.pack(b"OpusHead", _VERSION, channels, 0, _SAMPLE_RATE, 0, 0)


def is_packet(payload: bytes) -> bool:
    """Whether *payload* is an Opus packet, as far as its beginning says (RFC 6716, 3.1 and 3.2.5).

    Packets of two bytes and less are what a sender's discontinuous transmission leaves of silence.
    """
    return packet_duration(payload) > timedelta(0)
