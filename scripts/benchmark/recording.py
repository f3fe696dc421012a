"""Recordings: what finalizing takes for 1, 4 and 16 times the length, and what recording takes meanwhile.

Parts are made of seconds that a real encoder cut, over and over, with all their pictures and few bytes; the
local cloud holds them in a process of its own. Each recording is finalized twice by the functions' own handler,
in a process each: once for seconds, RAM and operations, once for Python's memory, whose tracing takes time. Of
twelve hours only the header is made, which is most of what grows in our memory.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Final

from benchmark import charges
from benchmark.charges import HOUR, Counts
from benchmark.figures import Charge, Figure, Outcome, slope
from benchmark.prices import LISTED, PRICES, REGION
from benchmark.recorded_media import (
    LAP,
    LEAD,
    SEGMENT,
    SEGMENTS_PER_PART,
    converted,
    cut,
    lap,
    media,
    read_source,
)
from benchmark.recording_runs import Checked, HeaderRun, Run, header_run, run, storage
from benchmark.setting import Setting
from bucketcast.recording.part import write_part
from tools.frame_strip import Clip, make_clip

FRAME_RATES: Final = (30, 60)
LENGTHS: Final = tuple(timedelta(minutes=10 * times) for times in (1, 4, 16))
LONGEST: Final = timedelta(hours=12)
# Who measures anything for less only wants to see that it works: everything is a tenth as long.
FULL_RUN: Final = timedelta(minutes=1)
# Few bytes for storage to join; a header does not depend on them, but on how many pictures there are.
LOW_BITRATE: Final = 100_000
# What the recorder converts is the best rung: its work grows with bytes, too.
TOP_BITRATE: Final = 5_000_000
AUDIO_BITRATE: Final = 128_000
LOW_AUDIO_BITRATE: Final = 32_000
CONVERTED_PARTS: Final = 2
ROUNDS: Final = 3
# A fiftieth of a core, beside an encoder that takes one or two.
CONVERTING_GOAL: Final = 0.02
# Twelve hours, beside what Google's libraries take, in a function of half a gigabyte.
MEBIBYTES_PER_HOUR_GOAL: Final = 10.0
# Linear, with room for what others on the machine do to CPU time.
GROWTH_GOAL: Final = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Converting:
    """How many CPU *seconds* it took, each time, to convert *media* of *what*, which has *size* bytes."""

    what: str
    media: timedelta
    size: int
    seconds: tuple[float, ...]


def measure(setting: Setting) -> list[Outcome]:
    """Finalize recordings of all lengths and frame rates, convert segments; raises NotStarted."""
    outcomes: list[Outcome] = []
    share = 1 if setting.measured >= FULL_RUN else 10
    for rate in FRAME_RATES:
        folder = setting.folder / f"recording-{rate}"
        folder.mkdir()
        clip = _clip(rate, height=144, bitrate=LOW_BITRATE, duration=LEAD + LAP + SEGMENT)
        encoded = media(clip, audio_bitrate=LOW_AUDIO_BITRATE)
        one_lap = lap(cut(encoded, setting.ffmpeg))
        with storage(folder / "cloud") as cloud:
            runs = [run(cloud, encoded, one_lap, length / share, folder) for length in LENGTHS]
            longest = header_run(cloud, encoded, one_lap, LONGEST / share, folder)
        outcomes += finalize_figures(rate, runs)
        outcomes += header_figures(rate, longest)
        for converting in _convert(rate, setting.ffmpeg):
            outcomes += converting_figures(rate, converting)
        if rate == FRAME_RATES[-1]:  # pictures take no operations
            outcomes += operation_figures(runs[-1])
    return outcomes


def finalize_figures(rate: int, runs: Sequence[Run]) -> list[Outcome]:
    """The figures of *runs* at *rate* pictures a second, the shortest first, and of how they grow. Pure."""
    return [
        *(figure for one in runs for figure in _lengths(rate, one)),
        *_growth(rate, runs),
        *_soundness(f"{rate} fps", [one.checked for one in runs]),
        Figure(
            name=f"{rate} fps: machine in use by everybody",
            value=100 * max(one.machine for one in runs),
            unit="%",
            method="the figures' own soundness: a machine with room",
        ),
    ]


def operation_figures(one: Run) -> list[Outcome]:
    """The operations of the recording *one*, by the hour, and their price. Pure."""
    return [
        *_charges("finalizing", one.operations, one),
        *_charges("recording its parts", one.recorded, one),
    ]


def header_figures(rate: int, one: HeaderRun) -> list[Outcome]:
    """The figures of the long recording *one*, of which there is the header alone. Pure."""
    length = f"{rate} fps, {one.length / HOUR:g} h"
    method = f"{length}: the header alone, of the heads of {one.parts} parts in a file, without a cloud"
    grown, hours = one.timed.peak - one.timed.resident, one.length / HOUR
    return [
        *(
            Figure(name=f"{length}: {name}", value=value, unit=unit, method=method, goal=goal)
            for name, value, unit, goal in (
                ("CPU", one.timed.cpu, "s", None),
                ("resident, at most", one.timed.peak, "MiB", None),
                ("resident since it began, per hour", grown / hours, "MiB/h", MEBIBYTES_PER_HOUR_GOAL),
                ("Python's memory per hour", one.traced.traced / hours, "MiB/h", None),
                ("header per hour", len(one.timed.made.header) / 1e6 / hours, "MB/h", None),
            )
        ),
        *_soundness(length, [one.checked]),
    ]


def converting_figures(rate: int, converting: Converting) -> list[Outcome]:
    """The figure of *converting* media of *rate* pictures a second. Pure."""
    seconds = converting.media.total_seconds()
    return [
        Figure(
            name=(
                f"recorder of the {converting.what} at {rate} fps,"
                f" {converting.size * 8 / seconds / 1e6:.1f} Mb/s: converting"
            ),
            value=median(converting.seconds) / seconds,
            unit="CPU",
            method="CPU seconds from the segments or frames to their parts per second, one thread; the median",
            count=len(converting.seconds),
            goal=CONVERTING_GOAL,
        )
    ]


def _lengths(rate: int, one: Run) -> Iterator[Outcome]:
    length = f"{rate} fps, {_minutes(one)} min"
    kilobits = one.parts_size * 8 / one.length.total_seconds() / 1000
    method = (
        f"{length}: a process with the functions' handler against the local cloud; of {kilobits:.0f} kb/s, as "
        "joining bytes is storage's work, and the header does not depend on them"
    )
    for name, value, unit in (
        ("wall", one.timed.seconds, "s"),
        ("CPU", one.timed.cpu, "s"),
        ("resident, at most", one.timed.peak, "MiB"),
        ("resident before it began", one.timed.resident, "MiB"),
        ("Python's memory since it began, at most", one.traced.traced, "MiB"),
    ):
        yield Figure(name=f"{length}: {name}", value=value, unit=unit, method=method)


def _growth(rate: int, runs: Sequence[Run]) -> Iterator[Outcome]:
    quantities: tuple[tuple[str, str, Callable[[Run], float]], ...] = (
        ("wall", "s/h", lambda one: one.timed.seconds),
        ("CPU", "s/h", lambda one: one.timed.cpu),
        ("resident", "MiB/h", lambda one: one.timed.peak),
        ("Python's memory", "MiB/h", lambda one: one.traced.traced),
        ("header", "MB/h", lambda one: one.header_bytes / 1e6),
    )
    shortest, longest = runs[0], runs[-1]
    # Some megabytes are held of any recording: minutes say nothing of an hour.
    memory_goal = MEBIBYTES_PER_HOUR_GOAL if longest.length >= HOUR else None
    for name, unit, of in quantities:
        yield Figure(
            name=f"{rate} fps: {name} per hour of recording",
            value=slope([(one.length / HOUR, of(one)) for one in runs]),
            unit=unit,
            method=f"{rate} fps: least squares over {', '.join(map(_minutes, runs))} min",
            goal=memory_goal if unit == "MiB/h" else None,
        )
    for name, _, of in quantities:
        if name != "resident":  # most of it is there before
            yield Figure(
                name=f"{rate} fps: {name}, growth over that of the length",
                value=of(longest) / of(shortest) / (longest.length / shortest.length),
                unit="",
                method=f"{rate} fps: {_minutes(longest)} min by {_minutes(shortest)}; what is linear has 1",
                goal=None if name == "wall" else GROWTH_GOAL,  # which is everybody's on the machine
            )


def _charges(what: str, counts: Counts, one: Run) -> Iterator[Outcome]:
    """What *counts*, of *one*, are and cost an hour of recording, by operation and by price."""
    hourly = charges.without_viewers(charges.hourly(counts, one.length))
    method = f"{what}: operations per hour of recording, from {_minutes(one)} min"
    for operation, times in sorted(hourly.items()):
        yield Charge(
            name=f"{operation.name}, {operation.place}",
            count=times,
            dollars=PRICES[operation.price_class].of(times),
            method=f"{method}; list prices of {REGION}, {LISTED}",
        )
    for price_class in sorted({operation.price_class for operation in hourly}):
        times = sum(count for operation, count in hourly.items() if operation.price_class is price_class)
        yield Charge(
            name=price_class,
            count=times,
            dollars=PRICES[price_class].of(times),
            method=f"{what}: the same by line of the price list",
        )
    yield Charge(
        name="an hour of recording",
        count=1,
        dollars=charges.dollars(hourly),
        method=f"{what}: the sum of the above, without compute",
    )


def _soundness(what: str, checked: Sequence[Checked]) -> Iterator[Outcome]:
    wrong = [one.last_wrong for one in checked if one.last_wrong is not None]
    for name, values, unit, goal in (
        ("pictures missing", [one.frames_missing for one in checked], "pictures", 0.0),
        ("pictures of the last segment wrong", wrong, "pictures", 0.0),
        ("duration off by", [one.frames_off for one in checked], "frames", 1.0),
        ("size off by", [one.bytes_off for one in checked], "bytes", 0.0),
    ):
        if not values:
            continue
        yield Figure(
            name=f"{what}: {name}",
            value=max(values),
            unit=unit,
            count=len(values),
            method=f"{what}: the MP4 itself as libavformat reads it; the worst",
            goal=goal,
        )


def _minutes(one: Run) -> str:
    return f"{one.length / timedelta(minutes=1):g}"


def _clip(rate: int, *, height: int, bitrate: int, duration: timedelta) -> Clip:
    return Clip(
        width=height * 16 // 9,
        height=height,
        frame_rate=Fraction(rate),
        duration=duration,
        video_bitrate=bitrate,
    )


def _convert(rate: int, ffmpeg: Path) -> Iterator[Converting]:
    """Convert some parts of the best rung, and of the source itself, as their recorders do."""
    length = CONVERTED_PARTS * SEGMENTS_PER_PART * SEGMENT
    clip = _clip(rate, height=720, bitrate=TOP_BITRATE, duration=length)
    segments = cut(media(clip, audio_bitrate=AUDIO_BITRATE), ffmpeg)
    source = read_source(make_clip(clip), frame_rate=clip.frame_rate)

    def best_rung() -> None:
        for begin in range(0, len(segments), SEGMENTS_PER_PART):
            write_part([converted(segment) for segment in segments[begin : begin + SEGMENTS_PER_PART]])

    def itself() -> None:
        for part in source.parts():
            write_part(list(part.samples(source.format)))

    def seconds(convert: Callable[[], None]) -> float:
        began = time.thread_time()
        convert()
        return time.thread_time() - began

    for what, size, convert in (
        ("best rung", sum(len(segment.data) for segment in segments), best_rung),
        ("source", sum(len(frame.data) for frame in source.frames), itself),
    ):
        yield Converting(
            what=what, media=length, size=size, seconds=tuple(seconds(convert) for _ in range(ROUNDS))
        )
