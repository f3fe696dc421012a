"""The machine that was measured on."""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What figures depend on; *load* is the load average of the minute before."""

    cores: int
    cpu: str
    python: str
    ffmpeg: str
    load: float

    def __str__(self) -> str:
        return (
            f"{self.cores} cores, {self.cpu}, Python {self.python}, FFmpeg {self.ffmpeg}, load {self.load:.2f}"
        )


def this_machine(ffmpeg: Path) -> Machine:
    """The machine that this runs on, with the FFmpeg that encodes."""
    version = subprocess.run([ffmpeg, "-version"], capture_output=True, check=True, text=True).stdout
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        cpu=_cpu_model(),
        python=platform.python_version(),
        ffmpeg=version.split()[2],
        load=os.getloadavg()[0],
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
