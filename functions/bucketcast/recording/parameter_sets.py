"""What H.264 parameter sets say, and how an ISO base media file states them.

ITU-T H.264, 7.3.2.1.1, and ISO/IEC 14496-15, 5.3.3.1 (AVCDecoderConfigurationRecord).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bucketcast.recording.invalid_media import InvalidMedia

LENGTH_BYTES: Final = 4  # before each NAL unit of a sample
# Real parameter sets have tens of bytes; with every scaling list some hundreds.
MAX_PARAMETER_SET_BYTES: Final = 4096
# What the configuration record can count: in five bits those of sequences, in eight those of pictures.
MAX_SEQUENCE_PARAMETER_SETS: Final = 31
MAX_PICTURE_PARAMETER_SETS: Final = 255

# Profiles whose set says how colour is sampled, and in ISO/IEC 14496-15 those whose record repeats it.
_PROFILES_WITH_CHROMA: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_PROFILES_WITHOUT_EXTENSION: Final = frozenset({66, 77, 88})
_MACROBLOCK: Final = 16
_MAX_SIDE: Final = 2**16 - 1  # what a sample entry can state
_MAX_CODE_ZEROS: Final = 32  # 9.1: no Exp-Golomb code is longer
_MAX_CYCLE: Final = 255  # 7.4.2.1.1: num_ref_frames_in_pic_order_cnt_cycle
_MAX_CHROMA, _MAX_DEPTH_OVER_8 = 3, 6
_FINGERPRINT_DIGITS: Final = 16  # in hexadecimal: enough to tell a broadcast's few formats apart


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

    @property
    def fingerprint(self) -> str:
        """A short text that is equal for equal formats only."""
        text = f"{self.width}x{self.height} {self.in_band} {self.configuration.hex()}"
        return hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT_DIGITS]


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
        record += [bytes((0xFC | first.chroma, 0xF8 | first.luma_depth, 0xF8 | first.chroma_depth, 0))]
    return VideoFormat(configuration=b"".join(record), width=first.width, height=first.height, in_band=in_band)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SequenceParameterSet:
    """Depths are above eight bits."""

    chroma: int
    luma_depth: int
    chroma_depth: int
    width: int
    height: int


def _read(unit: bytes) -> _SequenceParameterSet:
    # 7.3.1: emulation_prevention_three_byte is no part of the set.
    bits = _Bits(unit[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
    profile = bits.read(8)
    bits.read(16)  # constraints and level
    bits.unsigned()  # seq_parameter_set_id
    chroma, luma_depth, chroma_depth = _read_samples(bits) if profile in _PROFILES_WITH_CHROMA else (1, 0, 0)
    bits.unsigned()  # log2_max_frame_num_minus4
    _skip_picture_order(bits)
    bits.unsigned()  # max_num_ref_frames
    bits.read(1)  # gaps_in_frame_num_value_allowed_flag
    width, height = _read_size(bits, chroma)
    return _SequenceParameterSet(
        chroma=chroma, luma_depth=luma_depth, chroma_depth=chroma_depth, width=width, height=height
    )


def _read_samples(bits: "_Bits") -> tuple[int, int, int]:
    chroma = bits.unsigned()
    bits.read(1 if chroma == 3 else 0)  # separate_colour_plane_flag
    luma_depth, chroma_depth = bits.unsigned(), bits.unsigned()
    if chroma > _MAX_CHROMA or max(luma_depth, chroma_depth) > _MAX_DEPTH_OVER_8:
        raise InvalidMedia("a sequence parameter set has impossible samples")
    bits.read(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.read(1):  # seq_scaling_matrix_present_flag
        for number in range(12 if chroma == 3 else 8):
            if bits.read(1):
                _skip_scaling_list(bits, 16 if number < 6 else 64)
    return chroma, luma_depth, chroma_depth


def _skip_scaling_list(bits: "_Bits", size: int) -> None:
    """7.3.2.1.1.1."""
    last = 8
    for _ in range(size):
        last = (last + bits.signed()) % 256
        if last == 0:
            return


def _skip_picture_order(bits: "_Bits") -> None:
    kind = bits.unsigned()
    if kind == 0:
        bits.unsigned()  # log2_max_pic_order_cnt_lsb_minus4
    elif kind == 1:
        bits.read(1)  # delta_pic_order_always_zero_flag
        bits.signed()  # offset_for_non_ref_pic
        bits.signed()  # offset_for_top_to_bottom_field
        for _ in range(min(bits.unsigned(), _MAX_CYCLE)):
            bits.signed()  # offset_for_ref_frame


def _read_size(bits: "_Bits", chroma: int) -> tuple[int, int]:
    """7.4.2.1.1: the size less the cropping."""
    columns, map_units = bits.unsigned() + 1, bits.unsigned() + 1
    fields = 2 - bits.read(1)  # frame_mbs_only_flag
    bits.read(fields - 1)  # mb_adaptive_frame_field_flag
    bits.read(1)  # direct_8x8_inference_flag
    width, height = _MACROBLOCK * columns, _MACROBLOCK * map_units * fields
    if bits.read(1):  # frame_cropping_flag
        width -= (2 if chroma in {1, 2} else 1) * (bits.unsigned() + bits.unsigned())
        height -= (2 if chroma == 1 else 1) * fields * (bits.unsigned() + bits.unsigned())
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        raise InvalidMedia("a sequence parameter set has an impossible picture size")
    return width, height


class _Bits:
    """Bits and Exp-Golomb codes (ITU-T H.264, 7.2 and 9.1); raises InvalidMedia where nothing is left."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        if count > self._left:
            raise InvalidMedia("a parameter set is cut short")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def unsigned(self) -> int:
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > _MAX_CODE_ZEROS:
                raise InvalidMedia("a parameter set holds an impossible number")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self) -> int:
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)
