"""What loss makes of groups of pictures: which are handed on, and when a keyframe is asked for."""

import math
from enum import Enum
from typing import Final

# Encoders that ignore a PLI bring a keyframe every two seconds, as they are told to (OBS). Whoever waits for it
# sees no broken picture; when it does not come, pictures that a decoder conceals are better than none.
CONCEAL_AFTER: Final = 2.5
# RFC 4585, 6.3.1.1: a PLI is answered with a keyframe, which costs as much as ten other pictures. Half a second
# is the round trip, and the time that an encoder takes, on a slow path.
MIN_REQUEST_SECONDS: Final = 0.5
# For a sender that does not answer, for as long as a keyframe is missing.
MAX_REQUEST_SECONDS: Final = 4.0
# And while none is missing: it has a rhythm of its own.
MAX_RHYTHM_SECONDS: Final = 60.0
# A keyframe a second takes a quarter of a bitrate.
MIN_KEYFRAME_INTERVAL: Final = 1.0
# A sender that keeps to the interval by itself is not asked for what is on its way.
_LATE: Final = 1.1
_MAX_DOUBLINGS: Final = 6


class _State(Enum):
    STARTING = "starting"  # no keyframe came: there is nothing that a decoder could begin with
    WHOLE = "whole"
    DAMAGED = "damaged"
    CONCEALED = "concealed"  # damaged for so long that a decoder may make of it what it can


class GroupGate:
    """Lets pictures through from a keyframe to the next loss, and again from a keyframe on.

    Where none comes within CONCEAL_AFTER, all whole pictures are let through until one does. Times are seconds
    of a monotonic clock.
    """

    def __init__(self) -> None:
        self._state = _State.STARTING
        self._damaged_at = 0.0

    @property
    def lacks_keyframe(self) -> bool:
        """Whether a keyframe is needed."""
        return self._state is not _State.WHOLE

    def damage(self, at: float) -> None:
        """Take note that a picture was lost, or a part of one."""
        if self._state is _State.WHOLE:
            self._state, self._damaged_at = _State.DAMAGED, at

    def admits(self, *, keyframe: bool, at: float) -> bool:
        """Whether the next picture, which is whole, is to be handed on."""
        if keyframe:
            self._state = _State.WHOLE
        elif self._state is _State.DAMAGED and at - self._damaged_at > CONCEAL_AFTER:
            self._state = _State.CONCEALED
        return self._state in {_State.WHOLE, _State.CONCEALED}


class KeyframeRequests:
    """Says when to send a PLI: after loss, and so that a keyframe comes about every *interval* seconds.

    Where none comes in answer, less and less often.
    """

    def __init__(self, interval: float) -> None:
        self._interval = max(interval, MIN_KEYFRAME_INTERVAL)
        self._keyframe_at: float | None = None
        self._asked_at: float | None = None
        self._unanswered = 0
        self._lacked = False
        self.keyframe_interval: float | None = None
        """Seconds between the last two keyframes."""

    def observe_keyframe(self, at: float) -> None:
        """Take note of a keyframe that is handed on."""
        if self._keyframe_at is not None:
            self.keyframe_interval = at - self._keyframe_at
        self._keyframe_at = at
        self._unanswered = 0

    def is_due(self, now: float, *, lacks_keyframe: bool) -> bool:
        """Whether to ask now; to say so counts as asking."""
        if lacks_keyframe and not self._lacked:
            self._unanswered = 0
        self._lacked = lacks_keyframe
        if now < self._ask_at(lacks_keyframe=lacks_keyframe):
            return False
        self._asked_at = now
        self._unanswered += 1
        return True

    def _ask_at(self, *, lacks_keyframe: bool) -> float:
        if lacks_keyframe or self._keyframe_at is None:
            first, pause, longest = -math.inf, MIN_REQUEST_SECONDS, MAX_REQUEST_SECONDS
        else:
            first, pause, longest = (
                self._keyframe_at + _LATE * self._interval,
                self._interval,
                MAX_RHYTHM_SECONDS,
            )
        if self._asked_at is None:
            return first
        if not self._unanswered:
            return max(first, self._asked_at + MIN_REQUEST_SECONDS)
        return self._asked_at + min(math.ldexp(pause, min(self._unanswered - 1, _MAX_DOUBLINGS)), longest)
