"""The clock of the machine behind the port Clock."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Wall clock time, in UTC."""

    def now(self) -> datetime:
        """See Clock.now."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """See Clock.sleep."""
        time.sleep(seconds)
