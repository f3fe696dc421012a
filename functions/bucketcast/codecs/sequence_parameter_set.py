"""What an H.264 sequence parameter set says of the pictures (ITU-T H.264, 7.3.2.1.1)."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from bucketcast.codecs.bits import BitReader, InvalidBits
from bucketcast.codecs.picture_size import PictureSize

# 7.4.2.1.1: ids end there.
MAX_SEQUENCE_PARAMETER_SETS: Final = 32
# Real parameter sets have tens of bytes; with every scaling list some hundreds.
MAX_PARAMETER_SET_BYTES: Final = 4096
_TYPE, _SEQUENCE_PARAMETER_SET = 0x1F, 7  # 7.3.1 and table 7-1
# The profiles whose parameter set says how colour is sampled.
_PROFILES_WITH_CHROMA: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_MACROBLOCK: Final = 16
# Level 6.2's longest side, in macroblocks (A.3.1: the root of eight times its frame size).
_MAX_SIDE: Final = 1056
# 7.4.2.1.1: num_ref_frames_in_pic_order_cnt_cycle, chroma_format_idc, and the bits of a sample.
_MAX_CYCLE, _MAX_CHROMA, _MAX_DEPTH = 255, 3, 14
# Table E-1: sample aspect ratios by aspect_ratio_idc.
_ASPECT_RATIOS: Final = (
    *((1, 1), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11)),
    *((80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1)),
)
_EXTENDED_ASPECT_RATIO: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceParameterSet:
    """A set as it came, *unit*, and what it says; *size* is what is left of the picture after cropping."""

    unit: bytes
    set_id: int
    profile: int
    constraints: int  # constraint_set0_flag to 5, highest first, and two zeros
    level: int
    chroma_format: int
    luma_depth: int
    chroma_depth: int
    size: PictureSize
    progressive: bool  # every picture is a whole frame
    sample_aspect_ratio: Fraction
    frame_rate: Fraction | None


def nal_unit_payload(unit: bytes) -> BitReader:
    """Return what *unit* holds behind its header (7.3.1): emulation_prevention_three_byte is no part of it."""
    return BitReader(unit[1:].replace(b"\x00\x00\x03", b"\x00\x00"))


def parse_sequence_parameter_set(unit: bytes) -> SequenceParameterSet:
    """Return what *unit*, a NAL unit of type 7, says.

    Raises:
        InvalidBits: it is none, cannot be read, or describes no picture.
    """
    if not unit or unit[0] & _TYPE != _SEQUENCE_PARAMETER_SET:
        raise InvalidBits("this is no H.264 sequence parameter set")
    if len(unit) > MAX_PARAMETER_SET_BYTES:
        raise InvalidBits("an H.264 sequence parameter set is too large")
    bits = nal_unit_payload(unit)
    profile, constraints, level, set_id = bits.read(8), bits.read(8), bits.read(8), bits.unsigned()
    if set_id >= MAX_SEQUENCE_PARAMETER_SETS:
        raise InvalidBits("an H.264 sequence parameter set has an impossible id")
    chroma, luma_depth, chroma_depth = _read_samples(bits) if profile in _PROFILES_WITH_CHROMA else (1, 8, 8)
    bits.unsigned()  # log2_max_frame_num_minus4
    _skip_picture_order(bits)
    bits.unsigned()  # max_num_ref_frames
    bits.flag()  # gaps_in_frame_num_value_allowed_flag
    size, progressive = _read_size(bits, chroma)
    ratio, rate = _read_usability(bits) if bits.flag() else (Fraction(1), None)
    return SequenceParameterSet(
        unit=unit,
        set_id=set_id,
        profile=profile,
        constraints=constraints,
        level=level,
        chroma_format=chroma,
        luma_depth=luma_depth,
        chroma_depth=chroma_depth,
        size=size,
        progressive=progressive,
        sample_aspect_ratio=ratio,
        frame_rate=rate,
    )


def _read_samples(bits: BitReader) -> tuple[int, int, int]:
    """The sampling of colour, and the bits of luma and chroma, in the high profiles."""
    chroma = bits.unsigned()
    if chroma == 3:
        bits.flag()  # separate_colour_plane_flag
    luma_depth, chroma_depth = 8 + bits.unsigned(), 8 + bits.unsigned()
    if chroma > _MAX_CHROMA or max(luma_depth, chroma_depth) > _MAX_DEPTH:
        raise InvalidBits("an H.264 sequence parameter set has impossible samples")
    bits.flag()  # qpprime_y_zero_transform_bypass_flag
    if bits.flag():  # seq_scaling_matrix_present_flag
        for number in range(12 if chroma == 3 else 8):
            if bits.flag():
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
        bits.flag()  # delta_pic_order_always_zero_flag
        bits.signed()  # offset_for_non_ref_pic
        bits.signed()  # offset_for_top_to_bottom_field
        for _ in range(min(bits.unsigned(), _MAX_CYCLE)):
            bits.signed()  # offset_for_ref_frame


def _read_size(bits: BitReader, chroma: int) -> tuple[PictureSize, bool]:
    """7.4.2.1.1: the size less the cropping, and whether every picture is a whole frame."""
    columns, map_units = bits.unsigned() + 1, bits.unsigned() + 1
    fields = 1 if bits.flag() else 2  # frame_mbs_only_flag
    if fields == 2:
        bits.flag()  # mb_adaptive_frame_field_flag
    bits.flag()  # direct_8x8_inference_flag
    width, height = _MACROBLOCK * columns, _MACROBLOCK * map_units * fields
    if bits.flag():  # frame_cropping_flag
        unit_x = 2 if chroma in {1, 2} else 1
        unit_y = (2 if chroma == 1 else 1) * fields
        width -= unit_x * (bits.unsigned() + bits.unsigned())
        height -= unit_y * (bits.unsigned() + bits.unsigned())
    if columns > _MAX_SIDE or map_units * fields > _MAX_SIDE or width < 1 or height < 1:
        raise InvalidBits("an H.264 sequence parameter set has an impossible picture size")
    return PictureSize(width, height), fields == 1


def _read_usability(bits: BitReader) -> tuple[Fraction, Fraction | None]:
    """E.1.1, as far as timing: the sample aspect ratio and the frame rate."""
    ratio = _read_aspect_ratio(bits) if bits.flag() else Fraction(1)
    if bits.flag():  # overscan_info_present_flag
        bits.flag()
    if bits.flag():  # video_signal_type_present_flag
        bits.read(4)
        if bits.flag():  # colour_description_present_flag
            bits.read(24)
    if bits.flag():  # chroma_loc_info_present_flag
        bits.unsigned()
        bits.unsigned()
    if not bits.flag():  # timing_info_present_flag
        return ratio, None
    units, scale = bits.read(32), bits.read(32)
    # E.2.1: a tick is a field; a frame is two.
    return ratio, Fraction(scale, 2 * units) if units and scale else None


def _read_aspect_ratio(bits: BitReader) -> Fraction:
    kind = bits.read(8)
    if kind == _EXTENDED_ASPECT_RATIO:
        width, height = bits.read(16), bits.read(16)
    else:
        width, height = _ASPECT_RATIOS[kind] if kind < len(_ASPECT_RATIOS) else (1, 1)
    # E.2.1: zero means that the ratio is unspecified.
    return Fraction(width, height) if width and height else Fraction(1)
