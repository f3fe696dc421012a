"""What a recording's sound is: its codec, what a decoder has to know, and how long its frames last.

ISO/IEC 14496-3, 1.6.2.1 (AudioSpecificConfig); Encapsulation of Opus in ISO Base Media File Format, 4.3.2
(dOps).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bucketcast.codecs import aac, opus
from bucketcast.codecs.bits import InvalidBits
from bucketcast.recording.invalid_media import InvalidMedia

# Configurations have some bytes; an extension of AAC's takes ten more. A descriptor's size is one byte.
MAX_CONFIGURATION_BYTES: Final = 64
# What every browser sends, and OBS and FFmpeg unless they are told otherwise. Others' sound has no one grid.
OPUS_PACKET_SAMPLES: Final = 960
_MAX_SAMPLE_RATE: Final = 0xFFFF  # a sample entry has 16 bits for it


class AudioCoding(StrEnum):
    """The sound's codec, by the type of its sample entry."""

    AAC = "mp4a"
    OPUS = "Opus"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """What a decoder has to know before the first frame; sounds of equal formats can be one track's.

    *configuration* is AAC's AudioSpecificConfig, or what a dOps box holds. A frame has *frame_samples* at
    *sample_rate*, and *silence* is one that cannot be heard.
    """

    coding: AudioCoding
    configuration: bytes
    sample_rate: int
    channels: int
    frame_samples: int
    silence: bytes = field(repr=False)


def aac_format(configuration: bytes) -> AudioFormat:
    """Return the format of AAC-LC with this AudioSpecificConfig; raises InvalidMedia for any other."""
    try:
        described = aac.parse_audio_specific_config(configuration)
    except InvalidBits as error:
        raise InvalidMedia(str(error)) from error
    if described.object_type != aac.AAC_LC or described.has_short_frames:
        raise InvalidMedia("the sound is not AAC-LC with frames of 1024 samples")
    if not 0 < described.channels <= aac.MAX_CHANNELS or described.sample_rate > _MAX_SAMPLE_RATE:
        raise InvalidMedia("the sound has more channels than 5.1, or its rate is too high for a recording")
    if len(configuration) > MAX_CONFIGURATION_BYTES:
        raise InvalidMedia("the sound's configuration is too large")
    return AudioFormat(
        coding=AudioCoding.AAC,
        configuration=configuration,
        sample_rate=described.sample_rate,
        channels=described.channels,
        frame_samples=aac.FRAME_SAMPLES,
        silence=aac.silent_frame(described.channels),
    )


def opus_format(configuration: bytes) -> AudioFormat:
    """Return the format of Opus in packets of 20 ms whose dOps box holds *configuration*.

    Raises InvalidMedia where it says anything else than one channel or two.
    """
    channels = configuration[1] if len(configuration) > 1 else 0
    if configuration != _decoder_configuration(channels) or channels not in {1, 2}:
        raise InvalidMedia("the sound is not Opus of one channel or two")
    return AudioFormat(
        coding=AudioCoding.OPUS,
        configuration=configuration,
        sample_rate=opus.SAMPLE_RATE,
        channels=channels,
        frame_samples=OPUS_PACKET_SAMPLES,
        silence=opus.silent_packet(channels),
    )


def opus_head_format(head: bytes) -> AudioFormat:
    """Return the format of Opus in packets of 20 ms with this OpusHead (RFC 7845, 5.1); raises InvalidMedia."""
    try:
        described = opus.parse_opus_head(head)
    except InvalidBits as error:
        raise InvalidMedia(str(error)) from error
    if not described.is_plain:
        raise InvalidMedia("the sound is not Opus of one channel or two")
    return opus_format(_decoder_configuration(described.channels))


def _decoder_configuration(channels: int) -> bytes:
    """Without a pre-skip: a recording begins in mid-stream, and with silence where nothing is heard."""
    return bytes((0, channels)) + bytes(2) + opus.SAMPLE_RATE.to_bytes(4) + bytes(3)


# What encoders make of whatever sound a source has: AAC-LC, 48 kHz (index 3 of table 1.18), stereo.
ENCODED_SOUND: Final = aac_format(bytes((aac.AAC_LC << 3 | 3 >> 1, (3 & 1) << 7 | 2 << 3)))
