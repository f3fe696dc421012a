"""What an H.264 sequence parameter set says of the pictures (ITU-T H.264, 7.3.2.1.1)."""

from dataclasses import dataclass
from typing import Final

from ingest.protocols.whip.media.picture import PictureSize
from ingest.protocols.whip.media.rtp import InvalidRtp

# 7.4.2.1.1: ids end there.
MAX_SEQUENCE_PARAMETER_SETS: Final = 32
# 9.1: no code of a parameter set is longer than 32 bits allow.
_MAX_CODE_ZEROS: Final = 32
# 7.3.2.1.1: the profiles whose parameter set says how colour is sampled.
_PROFILES_WITH_CHROMA: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_MACROBLOCK: Final = 16
# Level 6.2's longest side, in macroblocks (A.3.1: the root of eight times its frame size).
_MAX_SIDE: Final = 1056
# 7.4.2.1.1: num_ref_frames_in_pic_order_cnt_cycle.
_MAX_CYCLE: Final = 255


class BitReader:
    """Reads the payload of a NAL unit as bits and Exp-Golomb codes; raises InvalidRtp at its end."""

    def __init__(self, payload: bytes) -> None:
        # 7.4.1.1: emulation_prevention_three_byte is no part of what is coded.
        coded = payload.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(coded)
        self._left = 8 * len(coded)

    def read(self, count: int) -> int:
        """The next *count* bits as an unsigned number, u(n)."""
        if count > self._left:
            raise InvalidRtp("an H.264 header is cut short")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def unsigned(self) -> int:
        """The next code, ue(v)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > _MAX_CODE_ZEROS:
                raise InvalidRtp("an H.264 header holds an impossible number")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self) -> int:
        """The next code, se(v)."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceParameterSet:
    """A set as it came, *unit*, and what it says."""

    unit: bytes
    set_id: int
    profile: int
    chroma_format: int
    luma_depth: int
    chroma_depth: int
    size: PictureSize


def parse_sequence_parameter_set(unit: bytes) -> SequenceParameterSet:
    """Return what *unit*, a NAL unit of type 7, says.

    Raises:
        InvalidRtp: it cannot be read, or describes no picture.
    """
    bits = BitReader(unit[1:])
    profile = bits.read(8)
    bits.read(16)  # constraints and level
    set_id = bits.unsigned()
    if set_id >= MAX_SEQUENCE_PARAMETER_SETS:
        raise InvalidRtp("an H.264 sequence parameter set has an impossible id")
    chroma, luma_depth, chroma_depth = _read_samples(bits) if profile in _PROFILES_WITH_CHROMA else (1, 8, 8)
    bits.unsigned()  # log2_max_frame_num_minus4
    _skip_picture_order(bits)
    bits.unsigned()  # max_num_ref_frames
    bits.read(1)  # gaps_in_frame_num_value_allowed_flag
    return SequenceParameterSet(
        unit=unit,
        set_id=set_id,
        profile=profile,
        chroma_format=chroma,
        luma_depth=luma_depth,
        chroma_depth=chroma_depth,
        size=_read_size(bits, chroma),
    )


def _read_samples(bits: BitReader) -> tuple[int, int, int]:
    chroma = bits.unsigned()
    if chroma == 3:
        bits.read(1)  # separate_colour_plane_flag
    luma_depth, chroma_depth = 8 + bits.unsigned(), 8 + bits.unsigned()
    if chroma > 3 or max(luma_depth, chroma_depth) > 14:  # 7.4.2.1.1
        raise InvalidRtp("an H.264 sequence parameter set has impossible samples")
    bits.read(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.read(1):  # seq_scaling_matrix_present_flag
        for number in range(12 if chroma == 3 else 8):
            if bits.read(1):
                _skip_scaling_list(bits, 16 if number < 6 else 64)
    return chroma, luma_depth, chroma_depth


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    """7.3.2.1.1.1."""
    last = 8
    for _ in range(size):
        last = (last + bits.signed()) % 256
        if last == 0:
            return


def _skip_picture_order(bits: BitReader) -> None:
    order_type = bits.unsigned()
    if order_type == 0:
        bits.unsigned()  # log2_max_pic_order_cnt_lsb_minus4
    elif order_type == 1:
        bits.read(1)  # delta_pic_order_always_zero_flag
        bits.signed()  # offset_for_non_ref_pic
        bits.signed()  # offset_for_top_to_bottom_field
        for _ in range(min(bits.unsigned(), _MAX_CYCLE)):
            bits.signed()  # offset_for_ref_frame


def _read_size(bits: BitReader, chroma: int) -> PictureSize:
    """7.4.2.1.1: the size less the cropping."""
    columns, map_units = bits.unsigned() + 1, bits.unsigned() + 1
    fields = 1 if bits.read(1) else 2  # frame_mbs_only_flag
    if fields == 2:
        bits.read(1)  # mb_adaptive_frame_field_flag
    bits.read(1)  # direct_8x8_inference_flag
    width, height = _MACROBLOCK * columns, _MACROBLOCK * map_units * fields
    if bits.read(1):  # frame_cropping_flag
        unit_x = 2 if chroma in {1, 2} else 1
        unit_y = (2 if chroma == 1 else 1) * fields
        width -= unit_x * (bits.unsigned() + bits.unsigned())
        height -= unit_y * (bits.unsigned() + bits.unsigned())
    if columns > _MAX_SIDE or map_units * fields > _MAX_SIDE or width < 1 or height < 1:
        raise InvalidRtp("an H.264 sequence parameter set has an impossible picture size")
    return PictureSize(width, height)
