"""What processes take: CPU and memory, as Linux's /proc tells it (proc(5))."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")


def cpu_seconds(pid: int) -> float:
    """The CPU time that process *pid* has taken in user and kernel mode, without that of its children."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def children_cpu_seconds(pid: int) -> float:
    """The CPU time that the children of process *pid* have taken, with those that it has seen end.

    So it grows where one takes another's place, too.
    """
    fields = _stat(pid)
    seconds = (int(fields[13]) + int(fields[14])) / _TICKS
    for child in children(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            seconds += cpu_seconds(child)
    return seconds


def resident_mebibytes(pid: int) -> float:
    """The memory of process *pid* that is in RAM now."""
    return _status(pid, "VmRSS")


def peak_resident_mebibytes(pid: int) -> float:
    """The most memory that process *pid* ever had in RAM."""
    return _status(pid, "VmHWM")


def open_descriptors(pid: int) -> int:
    """How many files and sockets process *pid* has open."""
    return len(list((_PROC / str(pid) / "fd").iterdir()))


def children(pid: int) -> list[int]:
    """The processes that process *pid* has started and that run."""
    found = []
    for process in _processes():
        with suppress(FileNotFoundError, ProcessLookupError):
            if int(_stat(process)[1]) == pid:
                found.append(process)
    return found


def descendants(pid: int) -> list[int]:
    """The children of process *pid*, theirs, and so on."""
    found = children(pid)
    return found + [grandchild for child in found for grandchild in descendants(child)]


def busy_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """The share of the machine's CPU time between two readings of `machine_ticks` that anybody used."""
    busy, total = after[0] - before[0], after[1] - before[1]
    return busy / total if total else 0.0


def machine_ticks() -> tuple[int, int]:
    """How long the machine's CPUs were busy, and how long they have been there, in ticks."""
    numbers = [int(number) for number in (_PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    idle = numbers[3] + numbers[4]  # idle, iowait
    return sum(numbers) - idle, sum(numbers)


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())


def _stat(pid: int) -> list[str]:
    """The fields after the program's name, which may hold anything: state is the first, parent the second."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _status(pid: int, key: str) -> float:
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) / 1024
    raise ProcessLookupError(f"process {pid} has no {key}")
