"""What a feed says of its source: picture, sound and frame rate, read from the codecs' own headers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from bucketcast.codecs import aac, opus
from bucketcast.codecs.bits import InvalidBits
from bucketcast.codecs.sequence_parameter_set import parse_sequence_parameter_set
from bucketcast.errors import InvalidInput
from ingest.feed import AudioCodec, CodecConfiguration, FeedItem, VideoCodec

# A level 5.2 picture is at most 36,864 macroblocks (4096x2304): what 4K needs, and the most that is decoded.
MAX_SOURCE_PIXELS = 36_864 * 256
# Nothing can be made out below, and x264 refuses pictures of a few pixels.
MIN_SOURCE_SIDE = 32
# A source twice as fast gives every second frame: 60 is what screens show and H.264's levels are made for.
MAX_FRAME_RATE = Fraction(60)
# Slower sources show frames several times, so that a segment's length stays close to its duration.
MIN_FRAME_RATE = Fraction(10)
# The rates that cameras, films and screens have.
_COMMON_RATES = (
    *(Fraction(rate) for rate in (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 72, 75, 90, 100, 120, 144, 240)),
    *(Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120)),
    Fraction(25, 2),
)
# Of two common rates the nearest are 0.1 % apart; a measured rate within 1 % is meant to be one of them.
_SNAP_TOLERANCE = Fraction(1, 100)
# 24 and 25 are within it, so the declared rate decides; 25 and 30 are not, so a wrong declaration is seen.
_DECLARATION_TOLERANCE = Fraction(1, 10)
# RFC 6386, 9.1: a key frame's tag has its lowest bit clear, and the start code behind it.
_VP8_HEADER_BYTES, _VP8_START_CODE = 10, b"\x9d\x01\x2a"
# Screens show no more, and no camera gives less unless it has to: what an adaptive source may come to.
_ADAPTIVE_RATES = tuple(Fraction(rate) for rate in (24, 25, 30, 48, 50, 60))
_USUAL_RATE, _LOWEST_IN_STREAM = Fraction(30), Fraction(23)
# Channels that only the frames tell are usually two.
_USUAL_CHANNELS = 2
_AAC_OBJECT_TYPES = frozenset({2, 5, 29})  # AAC-LC, HE-AAC and HE-AAC v2, which build on it


class UnusableSource(InvalidInput):
    """The source cannot be encoded; the text says why, and what to change at the broadcaster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSource:
    """A picture as its codec's own header describes it, after cropping; the details are H.264's."""

    width: int
    height: int
    codec: VideoCodec = VideoCodec.H264
    sample_aspect_ratio: Fraction = Fraction(1)
    profile: int = 100
    constraints: int = 0  # constraint_set0_flag to 5, highest first, and two zeros
    level: int = 40
    chroma_format: int = 1  # 4:2:0
    bit_depth: int = 8  # the greater of luma's and chroma's
    progressive: bool = True
    declared_rate: Fraction | None = None

    @property
    def rfc6381_codec(self) -> str:
        """The H.264 picture in CODECS: RFC 6381, 3.3 (avc1; profile, constraints and level in hexadecimal)."""
        return f"avc1.{self.profile:02x}{self.constraints:02x}{self.level:02x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSource:
    """Sound as its codec's own header describes it, at the rate of its core codec."""

    sample_rate: int
    channels: int
    codec: AudioCodec = AudioCodec.AAC


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """All that the ladder depends on; *audio* is None where the source has no sound.

    The pictures of an *adaptive* source change their size and rate with what its network takes: *video* is the
    first one then, and *full_size*, in square pixels, what they may grow to, if that is known.
    """

    video: VideoSource
    audio: AudioSource | None
    frame_rate: Fraction
    adaptive: bool = False
    full_size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A source that is understood: its facts, the session's *origin*, and the *items* to encode first.

    *origin* is time 0 of the session on the sender's clock: the presentation time of the first keyframe, or the
    end of a session that this one continues; decoding begins with an earlier keyframe then. *source_delay* is
    for plan_encoding: with it the top rung is copied. *not_copied* says why it is not, where that was wanted.
    """

    source: SourceFacts
    origin: timedelta
    items: tuple[FeedItem, ...]
    source_delay: int | None = None
    not_copied: str | None = None


def parse_video(configuration: CodecConfiguration) -> VideoSource:
    """Return the picture that *configuration* describes.

    ISO/IEC 14496-15, 5.3.3.1 and ITU-T H.264, 7.3.2.1.1; RFC 6386, 9.1. Raises UnusableSource where it cannot
    be read.
    """
    match configuration.codec:
        case VideoCodec.H264:
            return _parse_decoder_configuration(configuration.data)
        case VideoCodec.VP8:
            return _parse_vp8_header(configuration.data)
        case _:
            raise UnusableSource(
                "the video codec is neither H.264 nor VP8: choose H.264 (x264) in the broadcaster's settings"
            )


def _parse_decoder_configuration(data: bytes) -> VideoSource:
    if len(data) < 8 or not data[5] & 0x1F:
        raise UnusableSource("the H.264 configuration holds no sequence parameter set")
    try:
        described = parse_sequence_parameter_set(data[8 : 8 + int.from_bytes(data[6:8])])
    except InvalidBits as invalid:
        raise UnusableSource(f"the H.264 configuration cannot be read: {invalid}") from None
    _check_size(*described.size)
    return VideoSource(
        width=described.size.width,
        height=described.size.height,
        sample_aspect_ratio=described.sample_aspect_ratio,
        profile=described.profile,
        constraints=described.constraints,
        level=described.level,
        chroma_format=described.chroma_format,
        bit_depth=max(described.luma_depth, described.chroma_depth),
        progressive=described.progressive,
        declared_rate=described.frame_rate,
    )


def parse_audio(configuration: CodecConfiguration) -> AudioSource:
    """Return the sound that *configuration* describes.

    ISO/IEC 14496-3, 1.6.2.1; RFC 7845, 5.1. Raises UnusableSource where it cannot be read.
    """
    match configuration.codec:
        case AudioCodec.AAC:
            return _parse_aac(configuration.data)
        case AudioCodec.OPUS:
            return _parse_opus_head(configuration.data)
        case _:
            raise UnusableSource(
                "the audio codec is neither AAC nor Opus: choose AAC in the broadcaster's settings"
            )


def _parse_aac(data: bytes) -> AudioSource:
    try:
        described = aac.parse_audio_specific_config(data)
    except InvalidBits as invalid:
        raise UnusableSource(f"the AAC configuration cannot be read: {invalid}") from None
    if described.object_type not in _AAC_OBJECT_TYPES:
        raise UnusableSource("the audio is not AAC-LC or HE-AAC: choose AAC in the broadcaster's settings")
    if described.channels > aac.MAX_CHANNELS:
        raise UnusableSource(
            "the sound has more channels than 5.1: choose stereo in the broadcaster's settings"
        )
    return AudioSource(sample_rate=described.sample_rate, channels=described.channels or _USUAL_CHANNELS)


def _parse_vp8_header(data: bytes) -> VideoSource:
    if len(data) < _VP8_HEADER_BYTES or data[0] & 1 or data[3:6] != _VP8_START_CODE:
        raise UnusableSource("the VP8 configuration is not the beginning of a key frame")
    # Two upper bits say how a player may enlarge the picture; senders that use them mean the size itself.
    width, height = (int.from_bytes(side, "little") & 0x3FFF for side in (data[6:8], data[8:10]))
    _check_size(width, height)
    return VideoSource(width=width, height=height, codec=VideoCodec.VP8)


def _parse_opus_head(data: bytes) -> AudioSource:
    try:
        described = opus.parse_opus_head(data)
    except InvalidBits as invalid:
        raise UnusableSource(str(invalid)) from None
    if not described.is_plain:
        raise UnusableSource("the Opus sound has more than two channels: choose stereo")
    return AudioSource(sample_rate=opus.SAMPLE_RATE, channels=described.channels, codec=AudioCodec.OPUS)


def snap_rate(rate: Fraction) -> Fraction:
    """Return the common frame rate that *rate* is meant to be, or the nearest whole number of frames."""
    nearest = min(_COMMON_RATES, key=lambda common: abs(common - rate))
    if abs(nearest - rate) <= nearest * _SNAP_TOLERANCE:
        return nearest
    return Fraction(max(1, round(rate)))


def measure_rate(times: Sequence[timedelta]) -> Fraction | None:
    """Return the frames a second at which frames with *times* came, or None of fewer than two."""
    ordered = sorted(set(times))
    if len(ordered) < 2:
        return None
    span = (ordered[-1] - ordered[0]) // timedelta(microseconds=1)
    return Fraction((len(ordered) - 1) * 1_000_000, span)


def decide_frame_rate(*, declared: Sequence[Fraction | None], measured: Fraction | None) -> Fraction:
    """Return the constant rate to encode at, from MIN_FRAME_RATE to MAX_FRAME_RATE.

    The first of the *declared* rates (parameter set, metadata) that the *measured* one bears out, since
    timestamps in milliseconds do not tell 30 from 29.97; else what was measured; else what was declared.
    """
    candidates = [snap_rate(rate) for rate in declared if rate is not None and rate > 0]
    if measured is None:
        rate = next(iter(candidates), Fraction(30))
    else:
        rate = next((rate for rate in candidates if _bears_out(measured, rate)), snap_rate(measured))
    return _bounded(rate)


def decide_adaptive_rate(
    *, stated: Fraction | None, in_stream: Fraction | None, measured: Fraction | None
) -> Fraction:
    """Return the constant rate at which to encode a source whose own rate varies.

    What its sender *stated* holds, whatever comes at first. A film's rate or more *in_stream* holds if the
    pictures bear it out. A *measured* one of 24 or more is what a camera gives; below, the sender is held back,
    and is trusted with 30. What is above and none of the usual rates is one of 60 that is held back.
    """
    if stated is not None and stated > 0:
        return _bounded(snap_rate(stated))
    if measured is None:
        return _USUAL_RATE
    if in_stream is not None and in_stream >= _LOWEST_IN_STREAM and _bears_out(measured, snap_rate(in_stream)):
        return _bounded(snap_rate(in_stream))
    nearest = min(_ADAPTIVE_RATES, key=lambda rate: abs(rate - measured))
    if abs(nearest - measured) <= nearest * _SNAP_TOLERANCE:
        return nearest
    return MAX_FRAME_RATE if measured > _USUAL_RATE * (1 + _DECLARATION_TOLERANCE) else _USUAL_RATE


def _bounded(rate: Fraction) -> Fraction:
    while rate > MAX_FRAME_RATE:
        rate /= 2
    while rate < MIN_FRAME_RATE:
        rate *= 2
    return rate


def _bears_out(measured: Fraction, declared: Fraction) -> bool:
    return abs(measured - declared) <= declared * _DECLARATION_TOLERANCE


def _check_size(width: int, height: int) -> None:
    if min(width, height) < MIN_SOURCE_SIDE or width * height > MAX_SOURCE_PIXELS:
        raise UnusableSource(
            f"the picture of {width}x{height} cannot be encoded: choose a size from {MIN_SOURCE_SIDE} pixels"
            " on the short side to 4096x2304"
        )
