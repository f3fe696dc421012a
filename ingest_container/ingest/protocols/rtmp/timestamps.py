"""From RTMP's 32-bit counters of milliseconds to times that never wrap."""

from typing import Final

_MODULUS: Final = 1 << 32
_HALF: Final = 1 << 31
_SHORT_MODULUS: Final = 1 << 24
_SHORT_WRAP_MARGIN: Final = 10_000
"""How close to 2^24 ms a jump is when it is taken for the wrap of a sender that does not know extended
timestamps. Wider than the gaps between frames and tracks, far narrower than any chance."""


class TimestampUnwrapper:
    """One sender's clock, shared by its tracks.

    Each counter is taken as the nearest time to the one before, forwards or backwards: an interleaved track
    may lie behind, and 2^31 and 2^32 (24.8 and 49.7 days) are nothing special. Nor is 2^24 (4.66 hours).
    """

    __slots__ = ("_counter", "_time")

    def __init__(self) -> None:
        self._counter: int | None = None
        self._time = 0

    def unwrap(self, counter: int) -> int:
        """Return the milliseconds that *counter* stands for; the first one stands for itself."""
        if self._counter is None:
            self._time = counter
        else:
            step = (counter - self._counter + _HALF) % _MODULUS - _HALF
            if abs(step + _SHORT_MODULUS) <= _SHORT_WRAP_MARGIN:
                step += _SHORT_MODULUS
            elif abs(step - _SHORT_MODULUS) <= _SHORT_WRAP_MARGIN:
                step -= _SHORT_MODULUS
            self._time += step
        self._counter = counter
        return self._time
