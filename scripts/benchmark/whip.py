"""WebRTC in: what the ingest's Python takes to receive over WHIP, beside aiortc as it is ordinarily used.

FFmpeg's WHIP muxer sends the same clip by copy, in real time, to one after the other: to the whole local
system with its ladder; to our receiver alone; to aiortc's receiver, whose decoded pictures nobody takes; and to
aiortc's MediaRecorder, which encodes them again as a feed. Of each, the CPU time of its process is taken, from
/proc, once it has received for a while; FFmpeg, which the ingest starts, is counted apart, and aiortc's codecs,
which run within its process, are its own.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import requests
from prometheus_client.parser import text_string_to_metric_families

from benchmark.broadcast import usage
from benchmark.figures import Figure, Outcome
from benchmark.processes import busy_share, cpu_seconds, machine_ticks
from benchmark.setting import ON_AIR_SECONDS, STREAM, Setting, ready
from benchmark.whip_publisher import film_clip, publishing
from benchmark.whip_servers import Way, recorded, serving
from ingest.feed import Track
from local_system.system import System

CPU_GOAL: Final = 0.05
SHARE_GOAL: Final = 25.0  # % of the ordinary way
ANSWER_SECONDS: Final = 10.0
_KEY: Final = "anything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What receiving for *seconds* took: CPU seconds of *python* and *ffmpeg*, and what the *machine* was busy.

    *pictures* came out in that time; None where nobody counts them.
    """

    seconds: float
    python: float
    machine: float
    ffmpeg: float | None = None
    pictures: float | None = None


def measure(setting: Setting) -> list[Outcome]:
    """Receive in each way; raises NotStarted, subprocess.SubprocessError."""
    clip = film_clip(setting.ffmpeg)
    return whip_figures(
        ingest=_by_the_ingest(setting, clip),
        alone=_by_server(setting, clip, Way.RECEIVED),
        decoded=_by_server(setting, clip, Way.DECODED),
        recorded=_by_server(setting, clip, Way.RECORDED),
    )


def whip_figures(*, ingest: Received, alone: Received, decoded: Received, recorded: Received) -> list[Outcome]:
    """The figures of the four ways. Pure."""
    named = (
        ("ingest's Python, with all that it does", ingest, CPU_GOAL),
        ("our WHIP server alone, its feed dropped", alone, None),
        ("aiortc, decoded", decoded, None),
        ("aiortc, decoded and encoded again", recorded, None),
    )
    outcomes: list[Outcome] = [
        Figure(
            name=f"WHIP: {name}",
            value=received.python / received.seconds,
            unit="CPU",
            method=f"CPU seconds (utime + stime of /proc/PID/stat) per second over {received.seconds:.0f} s",
            goal=goal,
        )
        for name, received, goal in named
    ]
    share = 100 * ingest.python / ingest.seconds
    for name, other, goal in (
        ("decoding and encoding again", recorded, SHARE_GOAL),
        ("decoding alone", decoded, None),
    ):
        outcomes.append(
            Figure(
                name=f"WHIP: ingest's Python in % of aiortc's {name}",
                value=share / (other.python / other.seconds),
                unit="%",
                method="of the figures above",
                goal=goal,
            )
        )
    return [*outcomes, *_soundness(named)]


def _soundness(named: Sequence[tuple[str, Received, float | None]]) -> list[Outcome]:
    method = "the figures' own soundness: FFmpeg's part, pictures that came out, a machine with room"
    found: list[Outcome] = []
    for name, received, _ in named:
        for what, value, unit in (
            ("FFmpeg", None if received.ffmpeg is None else received.ffmpeg / received.seconds, "CPU"),
            ("pictures", None if received.pictures is None else received.pictures / received.seconds, "1/s"),
            ("machine in use", 100 * received.machine, "%"),
        ):
            if value is not None:
                found.append(Figure(name=f"  {what}, {name}", value=value, unit=unit, method=method))
    return found


def _by_the_ingest(setting: Setting, clip: Path) -> Received:
    with ready(setting, "whip") as prepared:
        system, folder = prepared.system, prepared.folder
        key = prepared.stream.stream_key
        with publishing(setting.ffmpeg, clip, system.whip_url, key, folder) as publisher:
            master = f"{system.media_url}/{STREAM}/master.m3u8"
            system.wait_for(master, "the broadcast", seconds=ON_AIR_SECONDS)
            time.sleep(setting.warm_up.total_seconds())
            pictures, before = _pictures(system), usage(system)
            time.sleep(setting.measured.total_seconds())
            after = usage(system)
            more = _pictures(system) - pictures
            publisher.check()
    return Received(
        seconds=after.at - before.at,
        python=after.ingest - before.ingest,
        ffmpeg=after.ffmpeg - before.ffmpeg,
        machine=busy_share(before.machine, after.machine),
        pictures=more,
    )


def _by_server(setting: Setting, clip: Path, way: Way) -> Received:
    folder = setting.folder / f"whip-{way}"
    folder.mkdir()
    file = recorded(folder, "video")
    with (
        serving(way, folder) as server,
        publishing(setting.ffmpeg, clip, server.address, _KEY, folder) as publisher,
    ):
        time.sleep(setting.warm_up.total_seconds())
        pictures = _pictures_in(file) if way is Way.RECORDED else None
        cpu, machine, began = cpu_seconds(server.pid), machine_ticks(), time.monotonic()
        time.sleep(setting.beside.total_seconds())
        seconds = time.monotonic() - began
        cpu, share = cpu_seconds(server.pid) - cpu, busy_share(machine, machine_ticks())
        more = None if pictures is None else _pictures_in(file) - pictures
        publisher.check()
    return Received(seconds=seconds, python=cpu, machine=share, pictures=more)


def _pictures(system: System) -> float:
    """How many the ingest's receiver has handed on, as its metrics tell."""
    answer = requests.get(f"{system.metrics_url}/metrics", timeout=ANSWER_SECONDS)
    return sum(
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == "bucketcast_whip_frames_total" and sample.labels["track"] == Track.VIDEO
    )


def _pictures_in(file: Path) -> int:
    """How many are in *file*, which may still grow."""
    with av.open(str(file)) as container:
        return sum(1 for packet in container.demux(container.streams.video[0]) if packet.size)
