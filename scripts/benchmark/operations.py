"""Cloud operations of a steady broadcast and their price, counted by the local cloud in Google's classes."""

import time
from datetime import timedelta
from typing import Final

import requests

from benchmark import charges
from benchmark.charges import Counts
from benchmark.figures import Figure, Outcome, Skipped
from benchmark.processes import busy_share, machine_ticks
from benchmark.setting import FOUR_SMALL_RUNGS, STREAM, OnAir, Setting, broadcasting, ready, with_size
from benchmark.watching import viewer, what_is_missing
from bucketcast.stream.configuration import StreamConfiguration
from local_system.system import System

# Cloud Scheduler's shortest interval; the local system reaps more often, for who waits for a broadcast's end.
REAP_SECONDS: Final = 60
ENDED_SECONDS: Final = 20.0
# What is on its way when a broadcast is ended: events are delayed by seconds.
SETTLING: Final = timedelta(seconds=5)
# hls.js fills its buffer first, then it reads as it plays; its requests come in steps of a segment.
VIEWER_SETTLING: Final = timedelta(seconds=10)
VIEW: Final = timedelta(seconds=20)
_TIMEOUT: Final = 10.0


def measure(setting: Setting) -> list[Outcome]:
    """Broadcast four small rungs for the setting's time and return the figures; raises NotStarted."""
    small = with_size(setting, FOUR_SMALL_RUNGS)
    with ready(small, "operations", reap_seconds=REAP_SECONDS) as prepared:
        system = prepared.system
        at_first = counted(system)
        with broadcasting(small, prepared) as broadcast:
            began = time.monotonic()
            time.sleep(small.warm_up.total_seconds())
            machine = machine_ticks()
            counts, measured = _count_for(system, small.measured)
            busy = busy_share(machine, machine_ticks())
            reads = _viewer_reads(system)
            on_air = timedelta(seconds=time.monotonic() - began)
            _end(broadcast)
        whole = charges.without_viewers(charges.difference(at_first, counted(system)))
    rungs, segment = len(small.rungs), small.plan.grid.segment_duration
    rate = charges.without_viewers(charges.hourly(counts, measured))
    return [
        *charges.stream_hour(rate, measured=measured, rungs=rungs, segment=segment),
        charges.stored(StreamConfiguration()),
        *charges.session_once(charges.once(whole, rate, on_air)),
        *(
            [reads]
            if isinstance(reads, Skipped)
            else charges.viewer_hour(reads, rungs=rungs, segment=segment, watched=VIEW)
        ),
        Figure(
            name="machine: share of its CPU in use by everybody",
            value=100 * busy,
            unit="%",
            method="the figures' own soundness: publishers that are late meet more often",
        ),
    ]


def counted(system: System) -> Counts:
    """What the local cloud of *system* has counted so far."""
    answer = requests.get(f"{system.url}/_local/operations", timeout=_TIMEOUT)
    answer.raise_for_status()
    return charges.parse_counts(answer.json())


def _count_for(system: System, length: timedelta) -> tuple[Counts, timedelta]:
    before, began = counted(system), time.monotonic()
    time.sleep(length.total_seconds())
    after, ended = counted(system), time.monotonic()
    return charges.difference(before, after), timedelta(seconds=ended - began)


def _viewer_reads(system: System) -> float | Skipped:
    """How often one viewer reads in an hour."""
    if (missing := what_is_missing()) is not None:
        return Skipped(name="reads per viewer-hour", reason=missing)
    with viewer(system):
        time.sleep(VIEWER_SETTLING.total_seconds())
        counts, watched = _count_for(system, VIEW)
    return charges.viewers(charges.hourly(counts, watched))


def _end(broadcast: OnAir) -> None:
    """Stop sending, end the broadcast and wait until viewers are told so and all is quiet."""
    broadcast.sender.stop()
    broadcast.system.api("POST", f"streams/{STREAM}/end")
    broadcast.system.wait_for(
        f"{broadcast.system.media_url}/{STREAM}/state.json",
        "the broadcast's end",
        seconds=ENDED_SECONDS,
        until=lambda content: b'"ended"' in content,
    )
    time.sleep(SETTLING.total_seconds())
