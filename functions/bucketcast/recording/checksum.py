"""CRC32C (RFC 9260, appendix B) of objects that are joined, from the checksums of what they are joined of.

Appending *n* bytes multiplies a CRC by x^(8n) modulo the polynomial, over GF(2): a linear map of its 32 bits,
made of maps for 1, 2, 4, ... bytes.
"""

import base64
from collections.abc import Iterable
from functools import cache
from typing import Final

_POLYNOMIAL: Final = 0x82F6_3B78  # reflected
_BITS: Final = 32
_Map = tuple[int, ...]  # what becomes of each bit


def joined_crc32c(parts: Iterable[tuple[str, int]]) -> str:
    """Return the checksum of *parts*, each with its checksum and its size in bytes, one behind the other.

    Checksums are as Cloud Storage writes them: base64 of four big-endian bytes.
    """
    joined = 0
    for checksum, size in parts:
        joined = _appended(joined, size) ^ int.from_bytes(base64.b64decode(checksum, validate=True))
    return base64.b64encode(joined.to_bytes(_BITS // 8)).decode()


def _appended(checksum: int, size: int) -> int:
    """*checksum* of something, as it counts in that of the same with *size* bytes behind it."""
    power = 0
    while size >> power:
        if size >> power & 1:
            checksum = _apply(_zero_bytes(power), checksum)
        power += 1
    return checksum


@cache
def _zero_bytes(power: int) -> _Map:
    """The map of 2 to the *power* bytes."""
    if power > 0:
        half = _zero_bytes(power - 1)
        return tuple(_apply(half, column) for column in half)
    one_bit: _Map = (_POLYNOMIAL, *(1 << bit for bit in range(_BITS - 1)))
    for _ in range(3):
        one_bit = tuple(_apply(one_bit, column) for column in one_bit)
    return one_bit


def _apply(mapping: _Map, bits: int) -> int:
    result = 0
    for bit in range(bits.bit_length()):
        if bits >> bit & 1:
            result ^= mapping[bit]
    return result
