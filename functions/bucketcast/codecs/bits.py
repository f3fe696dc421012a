"""Bits and Exp-Golomb codes, which codecs' headers consist of."""

from typing import Final

# ITU-T H.264, 9.1: no code is longer than 32 bits allow.
_MAX_CODE_ZEROS: Final = 32


class InvalidBits(ValueError):
    """A codec's header is cut short, or says what its format does not allow."""


class BitReader:
    """Reads *data* from its first bit on; each method raises InvalidBits where nothing is left of it."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        """The next *count* bits as an unsigned number, u(n) of ITU-T H.264, 7.2."""
        if count > self._left:
            raise InvalidBits("a codec's header is cut short")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        """The next bit, u(1)."""
        return bool(self.read(1))

    def unsigned(self) -> int:
        """The next code, ue(v) of ITU-T H.264, 9.1; raises InvalidBits for one that is too long."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > _MAX_CODE_ZEROS:
                raise InvalidBits("a codec's header holds an impossible number")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self) -> int:
        """The next code, se(v)."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)
