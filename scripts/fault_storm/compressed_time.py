"""Compressed time: a clock and event loops that run faster than the machine's."""

import asyncio
import selectors
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

# Any day will do; a fixed one lets two runs of one seed be laid side by side.
EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedTime:
    """A clock that shows EPOCH at *began* and goes *factor* times as fast since; the port Clock.

    *began* is in seconds of the machine's monotonic clock, which all its processes share.
    """

    factor: float
    began: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        """See Clock.now."""
        return EPOCH + timedelta(seconds=self.seconds())

    def seconds(self) -> float:
        """The compressed seconds since *began*."""
        return (time.monotonic() - self.began) * self.factor

    def sleep(self, seconds: float) -> None:
        """See Clock.sleep."""
        time.sleep(max(0.0, seconds) / self.factor)

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """An event loop whose every timer is in compressed seconds."""
        return _CompressedLoop(self)


class _ImpatientSelector(selectors.DefaultSelector):
    """Waits the *factor*-th part of what it is asked to wait."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = factor

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / self._factor)


class _CompressedLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: CompressedTime) -> None:
        self._clock = clock
        super().__init__(_ImpatientSelector(clock.factor))

    def time(self) -> float:
        return self._clock.seconds()
