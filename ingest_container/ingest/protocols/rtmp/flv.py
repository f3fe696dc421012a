"""From the bodies of audio and video messages, which are FLV tags, to a feed's items.

The layouts are those of Adobe's Video File Format Specification 10.1, E.4.2 and E.4.3, and for headers that
name a codec by four characters those of Enhanced RTMP v2, "Enhanced Audio" and "Enhanced Video".
"""

from datetime import timedelta
from typing import Final

from ingest.feed.frames import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.protocols.rtmp.amf0 import Octets
from ingest.protocols.rtmp.errors import ProtocolError, UnsupportedCodec
from ingest.protocols.rtmp.timestamps import TimestampUnwrapper

_AVC: Final = 7
_AAC: Final = 10
_ENHANCED_AUDIO: Final = 9
_ENHANCED_VIDEO: Final = 0x80

_VIDEO_CODECS: Final = {
    1: "JPEG video",
    2: "Sorenson H.263 video",
    3: "Screen video",
    4: "VP6 video",
    5: "VP6 video with alpha",
    6: "Screen video version 2",
    # Not in any specification, but sent for HEVC before Enhanced RTMP was.
    12: "HEVC video",
}
_AUDIO_CODECS: Final = {
    0: "PCM audio",
    1: "ADPCM audio",
    2: "MP3 audio",
    3: "PCM audio",
    4: "Nellymoser audio",
    5: "Nellymoser audio",
    6: "Nellymoser audio",
    7: "G.711 A-law audio",
    8: "G.711 mu-law audio",
    11: "Speex audio",
    14: "MP3 audio",
}
_FOUR_CHARACTER_CODECS: Final = {
    b"hvc1": "HEVC video",
    b"vvc1": "VVC video",
    b"av01": "AV1 video",
    b"vp08": "VP8 video",
    b"vp09": "VP9 video",
    b"Opus": "Opus audio",
    b"fLaC": "FLAC audio",
    b".mp3": "MP3 audio",
    b"ac-3": "AC-3 audio",
    b"ec-3": "E-AC-3 audio",
}

_KEYFRAME: Final = 1
_COMMAND_FRAME: Final = 5
"""The frame type of a client command (seeking), which holds no picture."""

_SEQUENCE_HEADER: Final = 0
_CODED_FRAMES: Final = 1
_CODED_FRAMES_X: Final = 3
"""Enhanced video only: coded frames whose composition time is zero and left out."""
_NOTHING: Final = -1
_MULTITRACK: Final = {Track.VIDEO: 6, Track.AUDIO: 5}
_MODIFIER: Final = 7
"""Enhanced packets only: what follows modifies (ModEx) the packet whose real type comes behind it."""

_MIN_AVC_CONFIGURATION_BYTES: Final = 7
"""A record with no parameter sets (ISO/IEC 14496-15, 5.3.3.1.2)."""
_MIN_AAC_CONFIGURATION_BYTES: Final = 2
"""Object type, sampling frequency index and channels (ISO/IEC 14496-3, 1.6.2.1)."""


class FlvReader:
    """Turns message bodies into feed items, and keeps a feed's promise about their order.

    A track's frames come after its `CodecConfiguration`, which comes again only when it changed. What holds
    no frame (an empty body, the end of a sequence, a frame before its configuration) gives nothing.

    Times are unwrapped from frames only: encoders send the rest at zero, wherever their clock is.
    """

    __slots__ = ("_clock", "_configurations")

    def __init__(self) -> None:
        self._clock = TimestampUnwrapper()
        self._configurations: dict[Track, CodecConfiguration] = {}

    def video(self, body: Octets, timestamp: int) -> FeedItem | None:
        """Return the item in the *body* of a video message with that *timestamp*.

        Raises:
            UnsupportedCodec: it is not H.264.
            ProtocolError: it is cut short.
        """
        view = memoryview(body)
        if not view:
            return None
        first = view[0]
        frame_type = (first >> 4) & 0x07
        if frame_type == _COMMAND_FRAME:
            return None
        packet_type, payload = _enhanced_video(view) if first & _ENHANCED_VIDEO else _legacy_video(view)
        if packet_type == _SEQUENCE_HEADER:
            return self._configure(VideoCodec.H264, payload)
        composition_time = 0
        if packet_type == _CODED_FRAMES:
            composition_time = int.from_bytes(_octets(payload, 0, 3), "big", signed=True)
            payload = payload[3:]
        elif packet_type != _CODED_FRAMES_X:
            return None
        return self._frame(
            Track.VIDEO,
            payload,
            timestamp=timestamp,
            composition_time=composition_time,
            keyframe=frame_type == _KEYFRAME,
        )

    def audio(self, body: Octets, timestamp: int) -> FeedItem | None:
        """Return the item in the *body* of an audio message with that *timestamp*.

        Raises:
            UnsupportedCodec: it is not AAC.
            ProtocolError: it is cut short.
        """
        view = memoryview(body)
        if not view:
            return None
        if view[0] >> 4 == _ENHANCED_AUDIO:
            packet_type, payload = _enhanced(view, Track.AUDIO, supported=b"mp4a")
        else:
            packet_type, payload = _legacy_audio(view)
        if packet_type == _SEQUENCE_HEADER:
            return self._configure(AudioCodec.AAC, payload)
        if packet_type != _CODED_FRAMES:
            return None
        return self._frame(Track.AUDIO, payload, timestamp=timestamp, composition_time=0, keyframe=True)

    def _configure(self, codec: VideoCodec | AudioCodec, payload: memoryview) -> CodecConfiguration | None:
        configuration = CodecConfiguration(codec=codec, data=bytes(payload))
        is_video = configuration.track is Track.VIDEO
        if len(payload) < (_MIN_AVC_CONFIGURATION_BYTES if is_video else _MIN_AAC_CONFIGURATION_BYTES):
            raise ProtocolError(f"The {codec} sequence header is cut short.")
        if self._configurations.get(configuration.track) == configuration:
            return None
        self._configurations[configuration.track] = configuration
        return configuration

    def _frame(
        self,
        track: Track,
        payload: memoryview,
        *,
        timestamp: int,
        composition_time: int,
        keyframe: bool,
    ) -> EncodedFrame | None:
        if not payload or track not in self._configurations:
            return None
        decode_time = self._clock.unwrap(timestamp)
        return EncodedFrame(
            track=track,
            decode_time=timedelta(milliseconds=decode_time),
            presentation_time=timedelta(milliseconds=decode_time + composition_time),
            keyframe=keyframe,
            data=bytes(payload),
        )


def _legacy_video(view: memoryview) -> tuple[int, memoryview]:
    codec = view[0] & 0x0F
    if codec != _AVC:
        raise UnsupportedCodec(_VIDEO_CODECS.get(codec, f"Video codec {codec}"))
    packet_type = _octets(view, 1, 1)[0]
    if packet_type == _CODED_FRAMES:
        return packet_type, view[2:]
    if packet_type == _SEQUENCE_HEADER:
        # A composition time stands before it too, but means nothing.
        return packet_type, view[5:]
    return _NOTHING, view[:0]


def _legacy_audio(view: memoryview) -> tuple[int, memoryview]:
    codec = view[0] >> 4
    if codec != _AAC:
        raise UnsupportedCodec(_AUDIO_CODECS.get(codec, f"Audio codec {codec}"))
    return _octets(view, 1, 1)[0], view[2:]


def _enhanced_video(view: memoryview) -> tuple[int, memoryview]:
    return _enhanced(view, Track.VIDEO, supported=b"avc1")


def _enhanced(view: memoryview, track: Track, *, supported: bytes) -> tuple[int, memoryview]:
    """Return the packet type and what follows the codec's four characters, which must be *supported*."""
    packet_type, position = view[0] & 0x0F, 1
    while packet_type == _MODIFIER:
        size = _octets(view, position, 1)[0] + 1
        position += 1
        if size == 256:
            size = int.from_bytes(_octets(view, position, 2), "big") + 1
            position += 2
        packet_type = _octets(view, position + size, 1)[0] & 0x0F
        position += size + 1
    if packet_type == _MULTITRACK[track]:
        raise UnsupportedCodec(f"Multitrack {track}")
    codec = bytes(_octets(view, position, 4))
    if codec != supported:
        raise UnsupportedCodec(_FOUR_CHARACTER_CODECS.get(codec, f"An unknown {track} codec"))
    return packet_type, view[position + 4 :]


def _octets(view: memoryview, start: int, count: int) -> memoryview:
    octets = view[start : start + count]
    if len(octets) < count:
        raise ProtocolError("An audio or video message is cut short.")
    return octets
