"""Feed items as the byte stream of an FLV file, which is how FFmpeg reads a feed from a pipe.

Video File Format Specification, version 10 (Adobe), annex E.
"""

from datetime import timedelta
from struct import Struct

from ingest.feed.file_clock import UnwritableFrame, file_time
from ingest.feed.frames import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track

# A tag says its size in 24 bits.
MAX_TAG_BYTES = 2**24 - 1

_AUDIO_TAG, _VIDEO_TAG = 8, 9
_MILLISECOND = timedelta(milliseconds=1)
_FILE_HEADER = b"FLV\x01\x05" + (9).to_bytes(4) + (0).to_bytes(4)  # sound and picture; no tag before
# E.4.2.1: AAC (10), and three fields that are fixed for AAC whatever the sound is: 44 kHz, 16 bits, stereo.
_AAC = 0xAF
_KEYFRAME_AVC, _INTER_FRAME_AVC = 0x17, 0x27  # E.4.3.1: frame type and codec 7
_HEADER, _FRAME = 0, 1  # AVCPacketType and AACPacketType
# E.4.1, read as two big-endian numbers: TagType over DataSize, Timestamp over TimestampExtended (its upper
# eight bits, which come last); StreamID is always 0. Behind the body comes the size of all before it.
_TAG_HEADER = Struct(">II3x")
_TAG_HEADER_BYTES = _TAG_HEADER.size
_PREVIOUS_TAG_SIZE = Struct(">I")
_AAC_FRAME = bytes((_AAC, _FRAME))


class FlvWriter:
    """Writes feed items as FLV; times count from *origin*, with file_clock.LEAD added.

    *origin* is the session's: the presentation time of its first keyframe. Every writer of a session has the
    same, so whatever reads what it wrote sees the session's one clock.
    """

    def __init__(self, origin: timedelta) -> None:
        self._origin = origin
        self._last_milliseconds = {Track.VIDEO: 0, Track.AUDIO: 0}

    def header(self) -> bytes:
        """The file's header; the codec configurations come next."""
        return _FILE_HEADER

    def write(self, item: FeedItem) -> bytes:
        """Return *item* as a tag; raises UnwritableFrame."""
        if isinstance(item, CodecConfiguration):
            return self._configuration(item)
        return self._frame(item)

    def _configuration(self, item: CodecConfiguration) -> bytes:
        # A configuration has no time of its own; it applies to what follows it.
        time = self._last_milliseconds[item.track]
        if item.codec is AudioCodec.AAC:
            return _tag(_AUDIO_TAG, time, bytes((_AAC, _HEADER)), item.data)
        return _tag(_VIDEO_TAG, time, bytes((_KEYFRAME_AVC, _HEADER, 0, 0, 0)), item.data)

    def _frame(self, item: EncodedFrame) -> bytes:
        decode = self._milliseconds(item.decode_time)
        self._last_milliseconds[item.track] = decode
        if item.track is Track.AUDIO:
            return _tag(_AUDIO_TAG, decode, _AAC_FRAME, item.data)
        kind = _KEYFRAME_AVC if item.keyframe else _INTER_FRAME_AVC
        composition = self._milliseconds(item.presentation_time) - decode
        if not -(2**23) <= composition < 2**23:
            raise UnwritableFrame("a picture is shown more than two hours from where it is decoded")
        fields = bytes((kind, _FRAME)) + composition.to_bytes(3, signed=True)
        return _tag(_VIDEO_TAG, decode, fields, item.data)

    def _milliseconds(self, time: timedelta) -> int:
        return round(file_time(time, origin=self._origin) / _MILLISECOND)


def _tag(kind: int, milliseconds: int, fields: bytes, data: bytes) -> bytes:
    """Return a tag whose body is *fields*, those of the codec's header, and *data*."""
    size = len(fields) + len(data)
    if size > MAX_TAG_BYTES:
        raise UnwritableFrame("a frame is larger than 16 MiB")
    time = milliseconds & 0xFFFFFF
    header = _TAG_HEADER.pack(kind << 24 | size, time << 8 | milliseconds >> 24)
    return b"".join((header, fields, data, _PREVIOUS_TAG_SIZE.pack(_TAG_HEADER_BYTES + size)))
