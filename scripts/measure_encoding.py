"""What the ladder costs and how it looks, by preset, scaler and B-frames: the figures behind the defaults.

Encodes a synthetic clip exactly as a session would (the same command line, but as fast as it goes), and prints
CPU seconds of FFmpeg per second of stream, and VMAF of every rung, scaled up to the source's size, against
what went in. The clip stands in for film: drifting soft noise and gradients, a detailed zoom, a change of
scene every two and a half seconds, and grain over all of it.

Takes ten minutes on two cores.

    PYTHONPATH=functions:ingest_container .venv/bin/python scripts/measure_encoding.py [--json FILE]
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

from bucketcast.stream.configuration import Preset, StreamConfiguration
from bucketcast.stream.identifiers import RungName, SegmentIndex
from ingest.encode.ffmpeg import ffmpeg_arguments, find_ffmpeg
from ingest.encode.ladder import plan_encoding
from ingest.encode.source import AudioSource, SourceFacts, VideoSource
from ingest.feed.file_clock import LEAD

SECONDS = 10
RATE = 30
# One picture in so many is scored: neighbours score alike, and scoring costs more than encoding.
VMAF_SAMPLING = 6
PRODUCTION_SCALER = "bicubic"
# Frames by which x264 decodes pictures before they are shown, with B-frames that others refer to.
CLIP_DELAY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to encode: *extra* are options that no session has, *copied* makes the source the top rung."""

    preset: Preset
    scaler: str = PRODUCTION_SCALER
    extra: tuple[str, ...] = ()
    copied: bool = False

    @property
    def name(self) -> str:
        """The variant in words."""
        return " ".join((self.preset, self.scaler, *self.extra, *(("copied",) if self.copied else ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one variant took: *cpu* per second of stream, and by rung its VMAF and its bit/s."""

    source: str
    variant: str
    cpu: float
    vmaf: dict[RungName, float]
    bitrate: dict[RungName, int]


VARIANTS = (
    *(
        Variant(preset=preset, copied=copied)
        for preset in (Preset.ULTRAFAST, Preset.SUPERFAST, Preset.VERYFAST)
        for copied in (False, True)
    ),
    *(Variant(preset=Preset.SUPERFAST, scaler=scaler) for scaler in ("bilinear", "lanczos")),
    *(Variant(preset=Preset.SUPERFAST, extra=("-bf:v", count)) for count in ("0", "3")),
)


def make_clip(ffmpeg: Path, path: Path, width: int, height: int) -> None:
    """Write the clip to *path* as a broadcaster would send it: FLV, a keyframe every 2 s, times with LEAD."""
    size, half = f"s={width}x{height}:r={RATE}", f"s={width // 2}x{height // 2}:r={RATE}"
    grow = f"scale={width}:{height}:flags=bicubic,format=yuv420p"
    graph = (
        f"gradients={half}:n=6:speed=0.03:seed=7,{grow}[soft];"
        f"perlin={half}:octaves=6:persistence=0.6:xscale=4:yscale=4:tscale=0.6:random_seed=7,{grow}[drift];"
        f"mandelbrot={size}:maxiter=400:start_scale=0.4:end_scale=0.02:end_pts=400,format=yuv420p[zoom];"
        "[soft][drift]blend=all_mode=overlay,split[film][under];"
        "[zoom][under]blend=all_mode=normal:all_opacity=0.6[detail];"
        # A change of scene every 2.5 s, and grain.
        "[film][detail]overlay=enable='lt(mod(t,5),2.5)',noise=alls=7:allf=t+u,format=yuv420p[v]"
    )
    bitrate = "6M" if height > 720 else "4M"
    subprocess.run(
        [
            ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y",
            "-filter_complex", graph, "-f", "lavfi", "-i", "sine=f=440:r=48000",
            "-map", "[v]", "-map", "0:a", "-t", str(SECONDS),
            "-c:v", "libx264", "-preset", "veryfast", "-b:v", bitrate, "-maxrate", bitrate, "-bufsize", bitrate,
            "-g", str(2 * RATE), "-c:a", "aac", "-b:a", "160k",
            "-output_ts_offset", str(LEAD.total_seconds()), "-f", "flv", path,
        ],
        check=True,
    )  # fmt: skip


def encode(
    ffmpeg: Path, clip: Path, facts: SourceFacts, variant: Variant, folder: Path
) -> tuple[float, dict[RungName, Path]]:
    """Encode *clip*; return FFmpeg's CPU seconds per second of stream, and each rung's file."""
    delay = CLIP_DELAY if variant.copied else None
    plan = plan_encoding(StreamConfiguration(preset=variant.preset), facts, source_delay=delay)
    files = {rung.name: folder / f"{rung.name}.ts" for rung in plan.rungs}
    with ExitStack() as stack:
        outputs = [stack.enter_context(file.open("wb")).fileno() for file in files.values()]
        progress = stack.enter_context((folder / "progress").open("wb")).fileno()
        arguments = [
            argument.replace(f"flags={PRODUCTION_SCALER}", f"flags={variant.scaler}")
            for argument in ffmpeg_arguments(plan, start=SegmentIndex(0), outputs=outputs, progress=progress)
        ]
        tee = arguments.index("tee") - 1
        arguments[tee:tee] = variant.extra
        before = os.times()
        subprocess.run(
            [ffmpeg, *arguments],
            stdin=stack.enter_context(clip.open("rb")),
            pass_fds=[*outputs, progress],
            check=True,
        )
        after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu / SECONDS, files


def score(ffmpeg: Path, rung: Path, clip: Path, size: tuple[int, int], folder: Path) -> float:
    """The mean VMAF of *rung*, scaled up to *size*, against *clip*."""
    width, height = size
    log = folder / "vmaf.json"
    graph = (
        f"[0:v]setpts=N/{RATE}/TB,scale={width}:{height}:flags=bicubic[distorted];"
        f"[1:v]setpts=N/{RATE}/TB[reference];"
        f"[distorted][reference]libvmaf=n_threads={os.cpu_count()}:n_subsample={VMAF_SAMPLING}"
        f":log_fmt=json:log_path={log}"
    )
    subprocess.run(
        [
            ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-i", rung, "-i", clip,
            "-filter_complex", graph, "-f", "null", "-",
        ],
        check=True,
    )  # fmt: skip
    return float(json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"])


def measure(ffmpeg: Path, sizes: Sequence[tuple[int, int]]) -> Iterator[Measurement]:
    """Measure every variant on a clip of each of *sizes*, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for width, height in sizes:
            clip = folder / "clip.flv"
            make_clip(ffmpeg, clip, width, height)
            facts = SourceFacts(
                video=VideoSource(width=width, height=height),
                audio=AudioSource(sample_rate=48_000, channels=1),
                frame_rate=Fraction(RATE),
            )
            for variant in VARIANTS:
                cpu, rungs = encode(ffmpeg, clip, facts, variant, folder)
                yield Measurement(
                    source=f"{height}p{RATE}",
                    variant=variant.name,
                    cpu=cpu,
                    vmaf={
                        rung: score(ffmpeg, file, clip, (width, height), folder) for rung, file in rungs.items()
                    },
                    bitrate={rung: file.stat().st_size * 8 // SECONDS for rung, file in rungs.items()},
                )


def main() -> None:
    """Print the table; with --json also write it."""
    parser = argparse.ArgumentParser(description="Measure what the ladder costs and how it looks.")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--ffmpeg", type=Path, help="the FFmpeg to use; it needs libvmaf")
    options = parser.parse_args()
    measurements = []
    print(f"{'source':8} {'variant':30} {'CPU':>5}  VMAF by rung (kbit/s)", flush=True)
    for one in measure(find_ffmpeg(options.ffmpeg), [(1920, 1080), (1280, 720)]):
        measurements.append(one)
        rungs = "  ".join(
            f"{rung} {value:4.1f} ({one.bitrate[rung] // 1000})" for rung, value in one.vmaf.items()
        )
        print(f"{one.source:8} {one.variant:30} {one.cpu:5.2f}  {rungs}", flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in measurements], indent=2) + "\n")


if __name__ == "__main__":
    main()
