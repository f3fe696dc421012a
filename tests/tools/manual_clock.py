"""A clock for tests, which stands still until it is moved on."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Call it for the time; *now* can be changed."""

    def __init__(self, now: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, *, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
