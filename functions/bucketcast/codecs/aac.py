"""What AAC's header says of the sound, and frames that are silent (ISO/IEC 14496-3)."""

from dataclasses import dataclass
from typing import Final

from bucketcast.codecs.bits import BitReader, InvalidBits

FRAME_SAMPLES: Final = 1024  # 4.5.1.1, where frameLengthFlag does not say 960
AAC_LC: Final = 2  # table 1.17, audio object types
# Table 1.18: sampling frequencies by index, of which the last one means that it is spelt out.
_SAMPLE_RATES: Final = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_ESCAPED_SAMPLE_RATE: Final = 15
# Table 1.19: channels by channelConfiguration; 0 leaves it to the frames.
_CHANNELS: Final = (0, 1, 2, 3, 4, 5, 6, 8)
# Table 4.4 and 4.5.1.2: the elements of a raw data block.
_SINGLE, _PAIR, _LOW_FREQUENCY, _END = 0, 1, 3, 7
_ELEMENTS_BY_CHANNELS: Final = {
    1: (_SINGLE,),
    2: (_PAIR,),
    3: (_SINGLE, _PAIR),
    4: (_SINGLE, _PAIR, _SINGLE),
    5: (_SINGLE, _PAIR, _PAIR),
    6: (_SINGLE, _PAIR, _PAIR, _LOW_FREQUENCY),
}
# Up to 5.1: table 1.19 has one arrangement of more, which nobody sends.
MAX_CHANNELS: Final = max(_ELEMENTS_BY_CHANNELS)
# 4.4.2: ics_info is a reserved bit, a long window (2), its shape, no scale factor band (6), no prediction. A
# channel is its global_gain (8) and, without bands, three flags: no pulse, no noise shaping, no gain control. A
# pair with a common window says it once, and how its channels are joined: not at all (2).
_WINDOW_BITS, _CHANNEL_BITS, _JOINING_BITS = 11, 8 + 3, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSpecificConfig:
    """1.6.2.1: the sound as its core codec has it; *channels* are 0 where only the frames say how many.

    *has_short_frames* tells of 960 samples in a frame, which few decoders take.
    """

    object_type: int
    sample_rate: int
    channels: int
    has_short_frames: bool


def parse_audio_specific_config(data: bytes) -> AudioSpecificConfig:
    """Return what *data*, an AudioSpecificConfig, says; raises InvalidBits where it cannot be read."""
    bits = BitReader(data)
    object_type = bits.read(5)
    sample_rate = _read_sample_rate(bits)
    channels = bits.read(4)
    if channels >= len(_CHANNELS):
        raise InvalidBits("the AAC configuration names a reserved arrangement of channels")
    return AudioSpecificConfig(
        object_type=object_type,
        sample_rate=sample_rate,
        channels=_CHANNELS[channels],
        has_short_frames=object_type == AAC_LC and bits.flag(),
    )


def _read_sample_rate(bits: BitReader) -> int:
    index = bits.read(4)
    if index == _ESCAPED_SAMPLE_RATE:
        rate = bits.read(24)
        if not _SAMPLE_RATES[-1] <= rate <= _SAMPLE_RATES[0]:
            raise InvalidBits("the AAC configuration names an impossible sampling frequency")
        return rate
    if index >= len(_SAMPLE_RATES):
        raise InvalidBits("the AAC configuration names a reserved sampling frequency")
    return _SAMPLE_RATES[index]


def silent_frame(channels: int) -> bytes:
    """Return one frame of silence for one to MAX_CHANNELS *channels* in their usual arrangement."""
    value = size = 0
    elements = _ELEMENTS_BY_CHANNELS[channels]
    for position, element in enumerate(elements):
        tag = elements[:position].count(element)
        # id_syn_ele (3), element_instance_tag (4), and for a pair common_window (1).
        value = (value << 7) | (element << 4) | tag
        bits = _WINDOW_BITS + _CHANNEL_BITS
        if element == _PAIR:
            value = (value << 1) | 1
            bits += _JOINING_BITS + _CHANNEL_BITS
            size += 1
        value <<= bits
        size += 7 + bits
    value, size = (value << 3) | _END, size + 3
    padding = -size % 8
    return (value << padding).to_bytes((size + padding) // 8)
