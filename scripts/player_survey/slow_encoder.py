"""An encoder that is too slow: a process that is stopped for most of the time, as on too small a machine."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

# For so long is measured what the process takes: some pictures, and many of the system's 10 ms.
MEASURED_SECONDS: Final = 2.0
# How long it runs at a time, and how long it is stopped at least. Both are short against a picture's time, so
# that it is slow and does not look hung.
RUN_SECONDS: Final = 0.002
STOP_SECONDS: Final = 0.02
# Where a process's stat has the times that it ran, in user mode and in the system, behind its name.
_RUN_TIMES: Final = slice(11, 13)


def child_named(parent: int, name: str) -> int | None:
    """The process id of the child of *parent* whose program is called *name*, None if there is none."""
    for listed in Path(f"/proc/{parent}/task").glob("*/children"):
        for child in listed.read_text().split():
            # One that ends meanwhile is none.
            with suppress(OSError):
                # The system keeps the first 15 letters.
                if Path(f"/proc/{child}/comm").read_text().strip() == name[:15]:
                    return int(child)
    return None


def run_seconds(process: int) -> float:
    """The time that *process* has run so far; raises ProcessLookupError once it has ended."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError as error:
        raise ProcessLookupError(process) from error
    state, *fields = stat.rpartition(")")[2].split()
    if state == "Z":
        raise ProcessLookupError(process)
    return sum(map(int, [state, *fields][_RUN_TIMES])) / os.sysconf("SC_CLK_TCK")


def slow_down(process: int, *, speed: float, seconds: float) -> bool:
    """Let *process* run for *speed* of the time that it takes now; say whether it ended within *seconds*.

    It runs freely afterwards if it did not.
    """
    with suppress(ProcessLookupError), _running_in_the_end(process):
        before = run_seconds(process)
        time.sleep(MEASURED_SECONDS)
        after = run_seconds(process)
        share = speed * (after - before) / MEASURED_SECONDS
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            if run_seconds(process) - after <= share * elapsed:
                os.kill(process, signal.SIGCONT)
                time.sleep(RUN_SECONDS)
            os.kill(process, signal.SIGSTOP)
            time.sleep(STOP_SECONDS)
        return False
    return True


@contextmanager
def _running_in_the_end(process: int) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)
