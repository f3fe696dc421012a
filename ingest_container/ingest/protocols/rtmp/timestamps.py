"""From RTMP's 32-bit counters of milliseconds to times that never wrap."""

from typing import Final

_MODULUS: Final = 1 << 32
_HALF: Final = 1 << 31
_SHORT_MODULI: Final = (1 << 24, 1 << 31)
"""Where senders wrap that know no extended timestamps, and those that keep FLV's sign clear, as FFmpeg does."""
_SHORT_WRAP_MARGIN: Final = 10_000
"""How close to one of those a jump is, in milliseconds, when it is taken for a wrap: wider than the gaps
between frames and tracks, far narrower than chance."""


class TimestampUnwrapper:
    """One sender's clock, shared by its tracks.

    Each counter is taken as the nearest time to the one before, forwards or backwards: an interleaved track
    may lie behind, and the wrap at 2^32 (49.7 days) is nothing special, nor at 2^31 and 2^24 (4.66 hours).
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
            # Nearly always the few milliseconds from one frame to the next.
            self._time += step if abs(step) <= _SHORT_WRAP_MARGIN else _without_short_wrap(step)
        self._counter = counter
        return self._time


def _without_short_wrap(step: int) -> int:
    for modulus in _SHORT_MODULI:
        for unwrapped in (step + modulus, step - modulus):
            if abs(unwrapped) <= _SHORT_WRAP_MARGIN:
                return unwrapped
    return step
