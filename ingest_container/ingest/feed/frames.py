"""What a feed consists of: codec configurations and encoded frames, as frozen values."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Track(StrEnum):
    """The tracks of a feed: at most one of each."""

    VIDEO = "video"
    AUDIO = "audio"


class VideoCodec(StrEnum):
    """The video codecs that a feed carries."""

    H264 = "h264"
    VP8 = "vp8"


class AudioCodec(StrEnum):
    """The audio codecs that a feed carries."""

    AAC = "aac"
    OPUS = "opus"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecConfiguration:
    """What a decoder needs before the first frame of a track, and again whenever it changes.

    For H.264 *data* is an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1), for VP8 the first ten
    bytes of a key frame (RFC 6386, 9.1), for AAC an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), for Opus an
    OpusHead (RFC 7845, 5.1).
    """

    codec: VideoCodec | AudioCodec
    data: bytes

    @property
    def track(self) -> Track:
        """The track that this configures."""
        return Track.VIDEO if isinstance(self.codec, VideoCodec) else Track.AUDIO


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedFrame:
    """One encoded frame (video) or access unit (audio), on the sender's clock.

    Times count from the sender's own zero and never wrap: whoever reads a protocol unwraps its counters.
    For H.264 *data* holds length-prefixed NAL units as configured, for VP8 one frame, for AAC one
    raw_data_block, for Opus one packet. An adaptive source's pictures change their size at a keyframe, which
    brings what a decoder needs with it: H.264 parameter sets in band, as in 'avc3'. That is no new
    configuration; another shape is.
    """

    track: Track
    decode_time: timedelta
    presentation_time: timedelta
    keyframe: bool
    data: bytes


FeedItem = CodecConfiguration | EncodedFrame
