"""H.264 pictures out of their packets (RFC 6184): the single NAL units, STAP-A and FU-A of modes 0 and 1."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Final

from bucketcast.codecs.bits import InvalidBits
from bucketcast.codecs.sequence_parameter_set import (
    MAX_PARAMETER_SET_BYTES,
    SequenceParameterSet,
    nal_unit_payload,
    parse_sequence_parameter_set,
)
from ingest.protocols.whip.media.assembly import PacketGroup
from ingest.protocols.whip.media.picture import Keyframe, LostBeginning, Picture
from ingest.protocols.whip.media.rtp import InvalidRtp

# ITU-T H.264, table 7-1.
_SLICE, _IDR_SLICE, _LAST_SLICE = 1, 5, 5
_SEQUENCE_PARAMETER_SET, _PICTURE_PARAMETER_SET = 7, 8
_ACCESS_UNIT_DELIMITER, _FILLER = 9, 12
_PARAMETER_SETS: Final = frozenset({_SEQUENCE_PARAMETER_SET, _PICTURE_PARAMETER_SET})
# They say nothing that a container does not say itself.
_DROPPED: Final = frozenset({_ACCESS_UNIT_DELIMITER, _FILLER})
# RFC 6184, table 1. What else there is belongs to the interleaved mode, which is never negotiated.
_LAST_SINGLE, _STAP_A, _FU_A = 23, 24, 28
_FU_START, _FU_END = 0x80, 0x40
_TYPE: Final = 0x1F
# ITU-T H.264, B.1: it cannot be within a NAL unit (7.4.1), so some senders' payloads are a byte stream.
_START_CODE: Final = b"\x00\x00\x01"
# Encoders use one or a few; 256 are allowed (7.4.2.2).
MAX_PICTURE_PARAMETER_SETS: Final = 32
# Of one picture: level 6.2 allows 600 slices (A.3.1), and there are parameter sets and SEI beside them.
MAX_NAL_UNITS: Final = 1024
# 7.3.3: the numbers that a slice header begins with are in its first bytes.
_SLICE_HEADER_BYTES: Final = 16
# 7.4.3, table 7-6: once for a slice, once for all of its picture's.
_B_SLICE_TYPES: Final = frozenset({1, 6})
_LENGTH_BYTES: Final = 4
# And so the first of them, first_mb_in_slice: 0 is a single bit that is set. Only a picture's first slice has
# it.
_FIRST_MACROBLOCK: Final = b"\x80"
# ISO/IEC 14496-15, 5.3.3.1.2: the profiles whose record goes on after the parameter sets.
_PROFILES_WITH_EXTENSION: Final = frozenset({100, 110, 122, 144})


class H264Depacketizer:
    """Makes pictures of 4-byte length-prefixed NAL units, without access unit delimiters and filler.

    Parameter sets are remembered by their ids, also those that came at a time of their own, and every IDR
    picture begins with those that it refers to. A keyframe is an IDR picture: other intra pictures do not
    promise that what follows them leaves alone what was before, and senders answer a PLI with IDR.
    """

    def __init__(self, parameter_sets: Iterable[bytes] = ()) -> None:
        """Begin with *parameter_sets*, NAL units from an offer, until those of the stream replace them."""
        self._sequence_sets: dict[int, SequenceParameterSet] = {}
        self._picture_sets: dict[int, tuple[int, bytes]] = {}  # by id: the id of its sequence set, and the unit
        self._waiting: list[bytes] = []  # sets that came at a time of their own, for the next picture
        self._fresh: set[int] = set()  # the types of sets that came since the last keyframe or loss
        self._has_lost = False  # since the last keyframe
        self._repeats_sets = False  # with every keyframe, as far as is known
        # One that cannot be read may be replaced in time, as any may.
        with suppress(InvalidRtp, InvalidBits):
            self._remember(parameter_sets)
        self._fresh.clear()

    def lose(self) -> None:
        """Take note that packets were lost, which may have held parameter sets."""
        self._fresh.clear()
        self._waiting.clear()
        self._has_lost = True

    def read(self, group: PacketGroup) -> Picture | None:
        """Return the picture in *group*, or None if it holds none.

        Raises:
            InvalidRtp: the payloads are not of RFC 6184, or of a picture that nothing describes.
            LostBeginning: packets were lost before *group*, and it may lack its beginning.
        """
        try:
            return self._read(group)
        except InvalidBits as invalid:
            raise InvalidRtp(str(invalid)) from None

    def _read(self, group: PacketGroup) -> Picture | None:
        if group.follows_hole:
            self.lose()
        units = list(islice(_nal_units(group.payloads), MAX_NAL_UNITS + 1))
        if len(units) > MAX_NAL_UNITS:
            raise InvalidRtp("an H.264 picture has too many NAL units")
        units = [unit for unit in units if unit[0] & _TYPE not in _DROPPED]
        self._remember(units)
        first_slice = next((unit for unit in units if _SLICE <= unit[0] & _TYPE <= _LAST_SLICE), None)
        if first_slice is None:
            sets = [unit for unit in units if unit[0] & _TYPE in _PARAMETER_SETS]
            self._waiting = (self._waiting + sets)[-MAX_PICTURE_PARAMETER_SETS:]
            return None
        waiting, self._waiting = self._waiting, []
        if group.follows_hole and first_slice[1:2] < _FIRST_MACROBLOCK:
            raise LostBeginning
        if first_slice[0] & _TYPE == _IDR_SLICE:
            return self._idr_picture(units, first_slice)
        return Picture(_length_prefixed(waiting + units), None)

    def _idr_picture(self, units: list[bytes], first_slice: bytes) -> Picture:
        is_described = self._fresh >= _PARAMETER_SETS
        self._fresh.clear()
        repeated, self._repeats_sets = self._repeats_sets, is_described
        if self._has_lost and repeated and not is_described:
            # They are among what was lost, and those that are remembered may be of another picture. A sender
            # that has ceased to repeat them loses one keyframe so, and no more.
            raise LostBeginning
        self._has_lost = False
        sequence_set, picture_sets = self._sets_of(first_slice)
        # A decoder forgets the picture sets that belong to a sequence set when it meets another of its id:
        # those go behind it, and what the picture does not refer to stays away until one does.
        rest = [unit for unit in units if unit[0] & _TYPE not in _PARAMETER_SETS]
        return Picture(
            _length_prefixed([sequence_set.unit, *picture_sets, *rest]),
            Keyframe(configuration=_configuration(sequence_set, picture_sets), size=sequence_set.size),
        )

    def _remember(self, units: Iterable[bytes]) -> None:
        for unit in units:
            kind = unit[0] & _TYPE
            if kind not in _PARAMETER_SETS:
                continue
            if len(unit) > MAX_PARAMETER_SET_BYTES:
                raise InvalidRtp("an H.264 parameter set is too large")
            self._fresh.add(kind)
            if kind == _SEQUENCE_PARAMETER_SET:
                sequence_set = parse_sequence_parameter_set(unit)
                self._sequence_sets[sequence_set.set_id] = sequence_set
            else:
                self._remember_picture_set(unit)

    def _remember_picture_set(self, unit: bytes) -> None:
        bits = nal_unit_payload(unit[: 1 + _SLICE_HEADER_BYTES])
        set_id, sequence_set_id = bits.unsigned(), bits.unsigned()  # 7.3.2.2
        self._picture_sets.pop(set_id, None)
        self._picture_sets[set_id] = sequence_set_id, unit
        if len(self._picture_sets) > MAX_PICTURE_PARAMETER_SETS:
            del self._picture_sets[next(iter(self._picture_sets))]

    def _sets_of(self, slice_unit: bytes) -> tuple[SequenceParameterSet, list[bytes]]:
        """Return what describes *slice_unit*'s picture: its sequence set and all picture sets that use it."""
        bits = nal_unit_payload(slice_unit[: 1 + _SLICE_HEADER_BYTES])
        bits.unsigned()  # first_mb_in_slice
        bits.unsigned()  # slice_type
        sequence_set_id, _ = self._picture_sets.get(bits.unsigned(), (None, b""))
        sequence_set = None if sequence_set_id is None else self._sequence_sets.get(sequence_set_id)
        if sequence_set is None:
            raise InvalidRtp("an H.264 keyframe came without its parameter sets")
        return sequence_set, [unit for used, unit in self._picture_sets.values() if used == sequence_set_id]


def has_b_slices(data: bytes) -> bool:
    """Whether the picture in *data*, length-prefixed NAL units, is coded from pictures before and after it.

    Its first slice says so (7.4.3, table 7-6). Where there is none, or none that can be read, it is not.
    """
    for unit in _prefixed_units(data):
        if _SLICE <= unit[0] & _TYPE <= _LAST_SLICE:
            bits = nal_unit_payload(unit)
            try:
                bits.unsigned()  # first_mb_in_slice
                return bits.unsigned() in _B_SLICE_TYPES
            except InvalidBits:
                return False
    return False


def _prefixed_units(data: bytes) -> Iterator[bytes]:
    """Yield the beginning of each NAL unit in *data*."""
    position = 0
    while position < len(data):
        start = position + _LENGTH_BYTES
        yield data[start : start + 1 + _SLICE_HEADER_BYTES]
        position = start + int.from_bytes(data[position:start])


def _nal_units(payloads: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the NAL units of one picture's *payloads*, none of them empty."""
    for unit in _packed_units(payloads):
        if _START_CODE in unit:
            pieces = unit.split(_START_CODE, MAX_NAL_UNITS)
            if len(pieces) > MAX_NAL_UNITS:
                raise InvalidRtp("an H.264 picture has too many NAL units")
            yield from filter(None, (piece.rstrip(b"\x00") for piece in pieces))
        else:
            yield unit


def _packed_units(payloads: Iterable[bytes]) -> Iterator[bytes]:
    fragments: list[bytes] = []
    for payload in payloads:
        kind = payload[0] & _TYPE
        if kind == _FU_A:
            unit = _join(fragments, payload)
            if unit is not None:
                yield unit
        elif fragments:
            raise InvalidRtp("an H.264 fragment is not gone on with")
        elif 0 < kind <= _LAST_SINGLE:
            yield payload
        elif kind == _STAP_A:
            yield from _aggregated(payload)
        else:
            raise InvalidRtp("an H.264 payload of a kind that was not negotiated")
    if fragments:
        raise InvalidRtp("an H.264 fragment has no end")


def _join(fragments: list[bytes], payload: bytes) -> bytes | None:
    """Add a fragmentation unit (RFC 6184, 5.8) to *fragments*; return the NAL unit that it ends."""
    if len(payload) < 2:
        raise InvalidRtp("an H.264 fragment is cut short")
    header = payload[1]
    if bool(header & _FU_START) == bool(fragments):
        raise InvalidRtp("an H.264 fragment does not go on with the one before")
    if header & _FU_START:
        fragments.append(bytes(((payload[0] & ~_TYPE) | (header & _TYPE),)))
    fragments.append(payload[2:])
    if not header & _FU_END:
        return None
    unit = b"".join(fragments)
    fragments.clear()
    return unit


def _aggregated(payload: bytes) -> Iterator[bytes]:
    """Yield the NAL units of a single-time aggregation packet (RFC 6184, 5.7.1)."""
    position = 1
    while position < len(payload):
        start = position + 2
        position = start + int.from_bytes(payload[position:start])
        if start == position or position > len(payload):
            raise InvalidRtp("an H.264 aggregation packet is cut short")
        yield payload[start:position]


def _length_prefixed(units: Iterable[bytes]) -> bytes:
    return b"".join([part for unit in units for part in (len(unit).to_bytes(_LENGTH_BYTES), unit)])


def _configuration(sequence_set: SequenceParameterSet, picture_sets: list[bytes]) -> bytes:
    """Return an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1.2) with lengths of four bytes."""
    unit = sequence_set.unit
    record = bytes((1, *unit[1:4], 0xFC | 3, 0xE0 | 1)) + len(unit).to_bytes(2) + unit
    record += bytes((len(picture_sets),))
    for picture_set in picture_sets:
        record += len(picture_set).to_bytes(2) + picture_set
    if sequence_set.profile in _PROFILES_WITH_EXTENSION:
        depths = 0xF8 | sequence_set.luma_depth - 8, 0xF8 | sequence_set.chroma_depth - 8
        record += bytes((0xFC | sequence_set.chroma_format, *depths, 0))
    return record
