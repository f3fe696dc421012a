"""Feed items as the byte stream of a Matroska file, which is how FFmpeg reads what FLV has no codecs for.

RFC 9559 (Matroska), RFC 8794 (EBML) and the codec mappings of draft-ietf-cellar-codec. Segment and Clusters
have an unknown size, as in livestreams (RFC 9559, 23.2). Blocks say when a frame is shown, and nothing of when
it is decoded: that is their order.
"""

import struct
from datetime import timedelta
from fractions import Fraction

from ingest.feed.file_clock import UnwritableFrame, file_time
from ingest.feed.frames import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec

# A tenth of a millisecond: Opus packets, multiples of 2.5 ms, are exact, and a picture at 59.94 a second is off
# by a three-hundredth of its duration at most. A Block's 16 bits still reach 3.2 s: from a keyframe to the
# next.
TICK = timedelta(microseconds=100)
# What FLV has room for, so that a frame's bound is not the container's; no real picture is near it.
MAX_BLOCK_BYTES = 2**24 - 1

# RFC 8794, 11.2 and RFC 9559, 5.1: the elements, by their names there.
_EBML, _DOC_TYPE, _DOC_TYPE_VERSION, _DOC_TYPE_READ_VERSION = 0x1A45DFA3, 0x4282, 0x4287, 0x4285
_SEGMENT, _INFO, _TIMESTAMP_SCALE, _MUXING_APP, _WRITING_APP = 0x18538067, 0x1549A966, 0x2AD7B1, 0x4D80, 0x5741
_TRACKS, _TRACK_ENTRY, _TRACK_NUMBER, _TRACK_UID, _TRACK_TYPE = 0x1654AE6B, 0xAE, 0xD7, 0x73C5, 0x83
_FLAG_LACING, _DEFAULT_DURATION, _CODEC_ID, _CODEC_PRIVATE = 0x9C, 0x23E383, 0x86, 0x63A2
_VIDEO, _PIXEL_WIDTH, _PIXEL_HEIGHT, _AUDIO, _SAMPLING_FREQUENCY, _CHANNELS = 0xE0, 0xB0, 0xBA, 0xE1, 0xB5, 0x9F
_CLUSTER, _TIMESTAMP, _SIMPLE_BLOCK = 0x1F43B675, 0xE7, 0xA3
# RFC 8794, 6.2: a size with all bits set is unknown.
_UNKNOWN_SIZE = b"\x01" + b"\xff" * 7
_TRACK_NUMBERS = {Track.VIDEO: 1, Track.AUDIO: 2}
_VIDEO_TRACK, _AUDIO_TRACK = 1, 2  # 5.1.4.1.3, TrackType
_CODEC_IDS = {
    VideoCodec.H264: "V_MPEG4/ISO/AVC",
    VideoCodec.VP8: "V_VP8",
    AudioCodec.AAC: "A_AAC",
    AudioCodec.OPUS: "A_OPUS",
}
# 10.2, SimpleBlock: track number, relative timestamp, signed; the first of the flags says keyframe.
_BLOCK_HEADER = struct.Struct(">BhB")
_RELATIVE_MIN, _RELATIVE_MAX = -(2**15), 2**15 - 1
_KEYFRAME = 0x80
_NANOSECONDS = TICK // timedelta(microseconds=1) * 1000


class MatroskaWriter:
    """Writes feed items as Matroska; times count from *origin*, with file_clock.LEAD added.

    *width* and *height*, *frame_rate*, *sample_rate* and *channels* describe the tracks; decoders go by the
    frames. All configurations come before the first frame.
    """

    def __init__(
        self,
        origin: timedelta,
        *,
        width: int,
        height: int,
        frame_rate: Fraction,
        sample_rate: int,
        channels: int,
    ) -> None:
        self._origin = origin
        size = _element(_PIXEL_WIDTH, _number(width)) + _element(_PIXEL_HEIGHT, _number(height))
        self._details = {
            # So long the last picture lasts; FFmpeg 5 would leave it out otherwise.
            Track.VIDEO: _element(_DEFAULT_DURATION, _number(round(10**9 / frame_rate)))
            + _element(_VIDEO, size),
            Track.AUDIO: _element(
                _AUDIO,
                _element(_SAMPLING_FREQUENCY, struct.pack(">d", sample_rate))
                + _element(_CHANNELS, _number(channels)),
            ),
        }
        self._configurations: dict[Track, CodecConfiguration] = {}
        self._cluster: int | None = None

    def header(self) -> bytes:
        """The file's header; the codec configurations come next."""
        ebml = (
            _element(_DOC_TYPE, b"matroska")
            + _element(_DOC_TYPE_VERSION, _number(4))
            + _element(_DOC_TYPE_READ_VERSION, _number(2))
        )
        info = (
            _element(_TIMESTAMP_SCALE, _number(_NANOSECONDS))
            + _element(_MUXING_APP, b"bucketcast")
            + _element(_WRITING_APP, b"bucketcast")
        )
        return _element(_EBML, ebml) + _id(_SEGMENT) + _UNKNOWN_SIZE + _element(_INFO, info)

    def write(self, item: FeedItem) -> bytes:
        """Return *item* as elements; raises UnwritableFrame.

        Configurations are held back until the first frame, for they are one element.
        """
        if isinstance(item, CodecConfiguration):
            self._configure(item)
            return b""
        return self._frame(item)

    def _configure(self, item: CodecConfiguration) -> None:
        if self._cluster is not None and self._configurations.get(item.track) != item:
            raise UnwritableFrame("a format changes behind the file's first frame")
        self._configurations[item.track] = item

    def _frame(self, item: EncodedFrame) -> bytes:
        if item.track not in self._configurations:
            raise UnwritableFrame("a frame's format is not known")
        if len(item.data) > MAX_BLOCK_BYTES:
            raise UnwritableFrame("a frame is larger than 16 MiB")
        time = round(file_time(item.presentation_time, origin=self._origin) / TICK)
        before = b"" if self._cluster is not None else self._tracks()
        if self._cluster is None or self._begins_cluster(item, time):
            self._cluster = time
            before += _id(_CLUSTER) + _UNKNOWN_SIZE + _element(_TIMESTAMP, _number(time))
        header = _BLOCK_HEADER.pack(
            0x80 | _TRACK_NUMBERS[item.track], time - self._cluster, _KEYFRAME if item.keyframe else 0
        )
        size = len(header) + len(item.data)
        return b"".join((before, _id(_SIMPLE_BLOCK), _size(size), header, item.data))

    def _begins_cluster(self, item: EncodedFrame, time: int) -> bool:
        assert self._cluster is not None
        starts = item.track is Track.VIDEO and item.keyframe
        return starts or not _RELATIVE_MIN <= time - self._cluster <= _RELATIVE_MAX

    def _tracks(self) -> bytes:
        return _element(_TRACKS, b"".join(map(self._track_entry, self._configurations.values())))

    def _track_entry(self, item: CodecConfiguration) -> bytes:
        number = _number(_TRACK_NUMBERS[item.track])
        kind = _VIDEO_TRACK if item.track is Track.VIDEO else _AUDIO_TRACK
        # V_VP8 has no CodecPrivate: its frames say all. Nor has A_OPUS a CodecDelay here: times are those at
        # which packets are heard, and what a decoder skips at a file's beginning is missing there.
        private = b"" if item.codec is VideoCodec.VP8 else _element(_CODEC_PRIVATE, item.data)
        return _element(
            _TRACK_ENTRY,
            _element(_TRACK_NUMBER, number)
            + _element(_TRACK_UID, number)
            + _element(_TRACK_TYPE, _number(kind))
            + _element(_FLAG_LACING, _number(0))
            + _element(_CODEC_ID, _CODEC_IDS[item.codec].encode())
            + private
            + self._details[item.track],
        )


def _element(identifier: int, content: bytes) -> bytes:
    return _id(identifier) + _size(len(content)) + content


def _id(identifier: int) -> bytes:
    """RFC 8794, 5: identifiers are written with the marker of their length, which they include."""
    return identifier.to_bytes((identifier.bit_length() + 7) // 8)


def _size(size: int) -> bytes:
    """RFC 8794, 4 and 6: four bytes, the first of which says so; up to 2**28 - 2."""
    return (1 << 28 | size).to_bytes(4)


def _number(value: int) -> bytes:
    """RFC 8794, 7.2: an unsigned integer in as few bytes as it takes."""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8))
