"""How many bytes from a publisher are worth waking up for."""

from typing import Final

_SOUND_BYTES: Final = 1024
"""More than a frame of sound has: AAC of 48 kHz and 384 kb/s."""
_GROWTH: Final = 1.1
"""Of the least size that pictures are taken to have, with each one: a still second is forgotten in another."""


class WakeSize:
    """Learns from a source's pictures when its sound may wait for the next one.

    Sound comes more often than pictures do, and to wake up for it costs more than to work on it; nothing that
    is made of it is ready before the picture is. Where pictures are large, fewer bytes can only be sound. The
    first small one after those shows what the one before showed.
    """

    __slots__ = ("_least",)

    def __init__(self) -> None:
        self._least = 1.0

    def note_picture(self, size: int) -> None:
        """Take note that a picture has *size* bytes."""
        self._least = min(size, self._least * _GROWTH)

    @property
    def bytes(self) -> int:
        """How many are worth waking up for, between two messages: 1 until pictures were large for a while."""
        return _SOUND_BYTES if self._least >= 2 * _SOUND_BYTES else 1
