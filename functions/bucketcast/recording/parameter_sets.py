"""What H.264 parameter sets say, and how an ISO base media file states them.

ISO/IEC 14496-15, 5.3.3.1 (AVCDecoderConfigurationRecord).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bucketcast.codecs.bits import InvalidBits
from bucketcast.codecs.sequence_parameter_set import (
    MAX_PARAMETER_SET_BYTES,
    SequenceParameterSet,
    parse_sequence_parameter_set,
)
from bucketcast.recording.invalid_media import InvalidMedia

LENGTH_BYTES: Final = 4  # before each NAL unit of a sample
# What the configuration record can count: in five bits those of sequences, in eight those of pictures.
MAX_SEQUENCE_PARAMETER_SETS: Final = 31
MAX_PICTURE_PARAMETER_SETS: Final = 255

# A source's own record: some parameter sets of the largest size.
MAX_CONFIGURATION_BYTES: Final = 8 * MAX_PARAMETER_SET_BYTES

# The profiles for which the record does not repeat how colour is sampled.
_PROFILES_WITHOUT_EXTENSION: Final = frozenset({66, 77, 88})


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFormat:
    """What a decoder has to know before the first picture; pictures of equal formats can be one track's.

    *configuration* is the AVCDecoderConfigurationRecord. *in_band* says that samples hold further parameter
    sets, which ISO/IEC 14496-15 gives another type (avc3 instead of avc1).
    """

    configuration: bytes = field(repr=False)
    width: int
    height: int
    in_band: bool = False


def video_format(
    sequence_sets: Sequence[bytes], picture_sets: Sequence[bytes], *, in_band: bool = False
) -> VideoFormat:
    """Return the format that the parameter sets, as NAL units, state; the first one's size is the picture's.

    Raises InvalidMedia where a kind is missing or has too many, or the first set cannot be read.
    """
    if not 0 < len(sequence_sets) <= MAX_SEQUENCE_PARAMETER_SETS:
        raise InvalidMedia("there is no sequence parameter set, or too many are there")
    if not 0 < len(picture_sets) <= MAX_PICTURE_PARAMETER_SETS:
        raise InvalidMedia("there is no picture parameter set, or too many are there")
    if any(len(unit) > MAX_PARAMETER_SET_BYTES for unit in (*sequence_sets, *picture_sets)):
        raise InvalidMedia("a parameter set is too large")
    first = _read(sequence_sets[0])
    record = [bytes((1, *sequence_sets[0][1:4], 0xFC | LENGTH_BYTES - 1, 0xE0 | len(sequence_sets)))]
    record += [len(unit).to_bytes(2) + unit for unit in sequence_sets]
    record += [bytes((len(picture_sets),))]
    record += [len(unit).to_bytes(2) + unit for unit in picture_sets]
    if sequence_sets[0][1] not in _PROFILES_WITHOUT_EXTENSION:
        depths = first.luma_depth - 8, first.chroma_depth - 8
        record += [bytes((0xFC | first.chroma_format, *(0xF8 | depth for depth in depths), 0))]
    width, height = first.size
    return VideoFormat(configuration=b"".join(record), width=width, height=height, in_band=in_band)


def configured_format(configuration: bytes, *, in_band: bool) -> VideoFormat:
    """Return the format that *configuration*, an AVCDecoderConfigurationRecord, states.

    Raises InvalidMedia where it cannot be read as far as the first sequence parameter set, or is too large.
    """
    begin, size = 8, int.from_bytes(configuration[6:8])
    if len(configuration) < begin + size or configuration[0] != 1 or not configuration[5] & 0x1F:
        raise InvalidMedia("the pictures' configuration is cut short, or without a sequence parameter set")
    if len(configuration) > MAX_CONFIGURATION_BYTES:
        raise InvalidMedia("the pictures' configuration is too large")
    width, height = _read(configuration[begin : begin + size]).size
    return VideoFormat(configuration=configuration, width=width, height=height, in_band=in_band)


def _read(unit: bytes) -> SequenceParameterSet:
    try:
        return parse_sequence_parameter_set(unit)
    except InvalidBits as error:
        raise InvalidMedia(str(error)) from error
