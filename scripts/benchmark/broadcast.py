"""A steady broadcast without viewers: how soon segments are listed, and what the processes take."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from benchmark.delivery import cut_times, deliveries, delivery_figures
from benchmark.figures import Figure, Outcome, slope
from benchmark.processes import (
    busy_share,
    children_cpu_seconds,
    cpu_seconds,
    machine_ticks,
    peak_resident_mebibytes,
    resident_mebibytes,
)
from benchmark.setting import STREAM, OnAir, Setting, on_air
from local_system.system import INGEST_BUCKET, MEDIA_BUCKET, System
from tools.auditor.collect import collect

PYTHON_SHARE_GOAL: Final = 5.0
PEAK_GOAL: Final = 150.0
# Flat: a megabyte in ten minutes is within what Python's allocator moves by itself. A shorter broadcast cannot
# tell, while a timeline's 64 segments and the buffers of a first minute or two come together.
GROWTH_GOAL: Final = 0.1
FLATNESS_RUN: Final = timedelta(minutes=5)
SAMPLE_INTERVAL: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU seconds so far, at one moment; *machine* is what `machine_ticks` says."""

    at: float
    ffmpeg: float
    ingest: float
    cloud: float
    machine: tuple[int, int]


def measure(setting: Setting) -> list[Outcome]:
    """Broadcast for the setting's time and return the figures; raises NotStarted."""
    with on_air(setting, "broadcast") as broadcast:
        system = broadcast.system
        time.sleep(setting.warm_up.total_seconds())
        before = usage(system)
        memory = _watch_memory(broadcast, setting.measured)
        after = usage(system)
        peak = peak_resident_mebibytes(system.processes["ingest"].pid)
        sent = broadcast.sender.stop()
        delivered = [
            one
            for one in deliveries(
                cut_times(system.log("ingest").splitlines()),
                collect(system.url, MEDIA_BUCKET, stream=STREAM),
                collect(system.url, INGEST_BUCKET),
            )
            if before.at <= one.cut < after.at
        ]
    return [
        *delivery_figures(delivered, sent.sent, setting.plan.grid),
        *cost_figures(before, after),
        *memory_figures(memory, peak),
        Figure(
            name="sender: latest frame behind the most punctual one",
            value=sent.late,
            unit="s",
            method=_SOUNDNESS,
        ),
        Figure(name="sender: CPU", value=sent.cpu, unit="CPU", method=_SOUNDNESS),
        Figure(
            name="machine: share of its CPU in use by everybody",
            value=100 * busy_share(before.machine, after.machine),
            unit="%",
            method=_SOUNDNESS,
        ),
    ]


_SOUNDNESS: Final = "the figures' own soundness: a sender that is not held up, a machine with room"


def cost_figures(before: Usage, after: Usage) -> list[Outcome]:
    """CPU seconds per second of stream between two moments of a broadcast in real time."""
    seconds = after.at - before.at
    ffmpeg, ingest = after.ffmpeg - before.ffmpeg, after.ingest - before.ingest
    method = f"utime + stime of /proc/PID/stat over {seconds:.0f} s of a steady broadcast in real time"
    return [
        Figure(name="CPU per stream-second: FFmpeg", value=ffmpeg / seconds, unit="CPU", method=method),
        Figure(
            name="CPU per stream-second: ingest's Python", value=ingest / seconds, unit="CPU", method=method
        ),
        Figure(
            name="ingest's Python in % of FFmpeg",
            value=100 * ingest / ffmpeg,
            unit="%",
            method=method,
            goal=PYTHON_SHARE_GOAL,
        ),
        Figure(
            name="CPU per stream-second: local cloud with functions",
            value=(after.cloud - before.cloud) / seconds,
            unit="CPU",
            method=method,
        ),
    ]


def memory_figures(samples: Sequence[tuple[float, float]], peak: float) -> list[Outcome]:
    """The ingest's *peak* memory, and its growth over the second half of *samples* (seconds, mebibytes)."""
    length = samples[-1][0] - samples[0][0]
    half = samples[len(samples) // 2 :]
    return [
        Figure(
            name="ingest's peak memory",
            value=peak,
            unit="MiB",
            method="VmHWM of /proc/PID/status (Python only)",
            goal=PEAK_GOAL,
        ),
        Figure(
            name="ingest's growth",
            value=60 * slope(half),
            unit="MiB/min",
            method=f"least squares over VmRSS, one sample a second, second half of {length:.0f} s",
            count=len(half),
            goal=GROWTH_GOAL if length >= FLATNESS_RUN.total_seconds() else None,
        ),
    ]


def usage(system: System) -> Usage:
    """What the processes of *system* have taken so far."""
    ingest = system.processes["ingest"].pid
    return Usage(
        at=time.time(),
        ffmpeg=children_cpu_seconds(ingest),
        ingest=cpu_seconds(ingest),
        cloud=cpu_seconds(system.processes["cloud"].pid),
        machine=machine_ticks(),
    )


def _watch_memory(broadcast: OnAir, length: timedelta) -> list[tuple[float, float]]:
    ingest = broadcast.system.processes["ingest"].pid
    began = time.monotonic()
    samples: list[tuple[float, float]] = []
    while (elapsed := time.monotonic() - began) < length.total_seconds() or len(samples) < 2:
        samples.append((elapsed, resident_mebibytes(ingest)))
        time.sleep(SAMPLE_INTERVAL.total_seconds())
    return samples
