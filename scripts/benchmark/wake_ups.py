"""Wake-ups as they are in the cloud: how soon playlists follow each, and whether viewers stall."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import requests

from benchmark.delivery import Delivery, RungIndex, cut_times, deliveries
from benchmark.figures import Figure, Outcome, Skipped, percentile
from benchmark.processes import busy_share, machine_ticks
from benchmark.setting import FOUR_SMALL_RUNGS, STREAM, Setting, on_air, with_size
from benchmark.watching import Watched, catch_up, viewer, watch, what_is_missing
from local_cloud.faults import Delay, EventFaults, FaultPlan, plan_json
from local_system.system import INGEST_BUCKET, MEDIA_BUCKET, System
from tools.auditor.collect import collect

# "Typically delivered within seconds", at least once, in no promised order: a median of half a second, one in a
# hundred above ten, one in ten twice, one in five overtaken.
AS_IN_THE_CLOUD: Final = EventFaults(
    delay=Delay(median=0.5, p99=10.0), repeat=0.1, reorder=0.2, reorder_seconds=3.0
)
OUTAGE: Final = timedelta(seconds=120)
# A viewer comes to a broadcast that has its live window; to an earlier one hls.js would start at its beginning.
LIVE_WINDOW: Final = timedelta(seconds=14)
# hls.js has found its distance from the live edge by then.
SETTLING: Final = timedelta(seconds=5)
# After this nobody waits any more for a segment that was cut while we watched.
LATE: Final = timedelta(seconds=15)
_TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeUp:
    """A way in which publishers are woken; events are lost for *lost* from when a viewer begins to watch."""

    name: str
    direct: bool
    lost: timedelta = timedelta(0)


WAKE_UPS: Final = (
    WakeUp(name="direct wake", direct=True),
    WakeUp(name="events alone", direct=False),
    WakeUp(name="direct wake, events lost", direct=True, lost=OUTAGE),
)


def measure(setting: Setting) -> list[Outcome]:
    """Broadcast four small rungs with each of WAKE_UPS in turn, watched by hls.js; raises NotStarted."""
    if (missing := what_is_missing()) is not None:
        return [Skipped(name="wake-ups", reason=missing)]
    small = with_size(setting, FOUR_SMALL_RUNGS)
    return [outcome for number, wake_up in enumerate(WAKE_UPS) for outcome in _measure(small, wake_up, number)]


def figures(
    wake_up: WakeUp,
    watched: Watched,
    cuts: Iterable[RungIndex],
    listed: Sequence[Delivery],
    *,
    frame_rate: float,
    busy: float,
) -> list[Outcome]:
    """The figures of one way to be woken: *listed* are those of the segments *cuts* that came to a playlist."""
    times = [one.listed - one.cut for one in listed]
    method = (
        f"{wake_up.name}: events {_words(wake_up)}; {watched.seconds:.0f} s, "
        f"the machine's CPU {100 * busy:.0f} % in use"
    )

    def figure(
        name: str, value: float, unit: str, count: int | None = None, goal: float | None = None
    ) -> Figure:
        name = f"{name}, {wake_up.name}"
        return Figure(name=name, value=value, unit=unit, method=method, count=count, goal=goal)

    visible = "encoder close to playlist visible"
    return [
        *(
            figure(f"{visible} {label}", percentile(times, share), "s", len(times))
            for label, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
            if times
        ),
        figure("segments never listed", len(set(cuts) - {one.segment for one in listed}), "segments"),
        figure("stalls, hls.js defaults", watched.stalls, "times", goal=0),
        figure("time stalled, hls.js defaults", watched.stalled_seconds, "s"),
        figure("seconds not shown, hls.js defaults", watched.seconds - watched.frames / frame_rate, "s"),
        *(
            figure(f"behind live {label}, hls.js defaults", percentile(watched.latencies, share), "s")
            for label, share in (("p50", 0.5), ("max", 1.0))
            if watched.latencies
        ),
    ]


def _words(wake_up: WakeUp) -> str:
    rule = AS_IN_THE_CLOUD
    words = (
        f"after {rule.delay.median:g} s (p99 {rule.delay.p99:g} s), {100 * rule.repeat:.0f} % twice, "
        f"{100 * rule.reorder:.0f} % overtaken"
    )
    return f"{words}, all lost for {wake_up.lost.seconds} s" if wake_up.lost else words


def _measure(setting: Setting, wake_up: WakeUp, number: int) -> list[Outcome]:
    with on_air(setting, f"wake-ups-{number}", direct_wake=wake_up.direct) as broadcast:
        system = broadcast.system
        _set_events(system, AS_IN_THE_CLOUD)
        time.sleep(LIVE_WINDOW.total_seconds())
        with viewer(system) as browser:
            time.sleep(SETTLING.total_seconds())
            catch_up(browser)
            time.sleep(SETTLING.total_seconds())
            if wake_up.lost:
                _set_events(system, replace(AS_IN_THE_CLOUD, lose_seconds=wake_up.lost.total_seconds()))
            began, machine = time.time(), machine_ticks()
            watched = watch(browser, max(setting.measured, wake_up.lost + SETTLING))
            ended, busy = time.time(), busy_share(machine, machine_ticks())
        time.sleep(LATE.total_seconds())
        cuts = {
            segment: cut
            for segment, cut in cut_times(system.log("ingest").splitlines()).items()
            if began <= cut < ended
        }
        listed = deliveries(
            cuts, collect(system.url, MEDIA_BUCKET, stream=STREAM), collect(system.url, INGEST_BUCKET)
        )
    rate = float(setting.clip.frame_rate)
    return figures(wake_up, watched, cuts, listed, frame_rate=rate, busy=busy)


def _set_events(system: System, rule: EventFaults) -> None:
    """Have the local cloud of *system* deliver events by *rule* from now on."""
    plan = plan_json(FaultPlan(events=(rule,)))
    answer = requests.put(f"{system.url}/_local/faults", json=plan, timeout=_TIMEOUT)
    answer.raise_for_status()
