"""`scripts/bench`: measure, print a table, write JSON."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from selenium.common.exceptions import WebDriverException

from benchmark import (
    broadcast,
    glass,
    operations,
    peers,
    quality,
    recording,
    vod,
    wake_ups,
    whip,
    whip_glass,
    whip_soak,
)
from benchmark.figures import Outcome, Skipped, as_json, table
from benchmark.machine import this_machine
from benchmark.setting import Setting, prepare, size_named
from ingest.encode.ffmpeg import find_ffmpeg
from local_system.system import NotStarted

MEASUREMENTS: Final[Mapping[str, tuple[str, Callable[[Setting], list[Outcome]]]]] = {
    "broadcast": ("segments to playlists, CPU and memory", broadcast.measure),
    "operations": ("cloud operations and their price, four small rungs", operations.measure),
    "glass": ("glass to glass with hls.js in Chromium", glass.measure),
    "ffmpeg": ("beside it: one FFmpeg with the same ladder, writing HLS to a folder", peers.measure_ffmpeg),
    "nginx": ("beside it: nginx-rtmp with the same ladder by exec_push", peers.measure_nginx),
    "quality": ("360p by scaler", quality.measure),
    "whip": ("WebRTC in: CPU, beside aiortc as it is ordinarily used", whip.measure),
    "whip-glass": ("glass to glass, from a browser over WHIP", whip_glass.measure),
    "whip-soak": ("WHIP publishers who come and go, and what they leave behind", whip_soak.measure),
    "recording": ("finalizing recordings of 10 minutes to 12 hours, and the recorder", recording.measure),
    "vod": ("VOD of a recording beside the live ladder: bytes and VMAF", vod.measure),
    "wake-ups": ("direct wake and storage events, as late as in the cloud", wake_ups.measure),
}
# Three broadcasts that are watched for minutes each, and what tells nothing before it has run for many: taken
# when they are asked for.
LONG: Final = frozenset({"wake-ups", "whip-soak"})
QUICK_SECONDS: Final = 12.0
QUICK_WARM_UP: Final = timedelta(seconds=3)
WARM_UP: Final = timedelta(seconds=10)
SHORT_VIEWS: Final = 3


def main() -> int:
    """Measure what the command line asks for; return the exit code."""
    options = _options()
    ffmpeg = find_ffmpeg(options.ffmpeg)
    machine = this_machine(ffmpeg)
    print(machine, flush=True)
    measured = timedelta(seconds=QUICK_SECONDS if options.quick else 60 * options.minutes)
    outcomes: dict[str, list[Outcome]] = {}
    failed = False
    with tempfile.TemporaryDirectory(prefix="bucketcast-bench-") as folder:
        setting = prepare(
            size_named(full_hd=options.full_hd),
            ffmpeg=ffmpeg,
            folder=Path(folder),
            measured=measured,
            warm_up=QUICK_WARM_UP if options.quick else WARM_UP,
            short_views=1 if options.quick else SHORT_VIEWS,
        )
        for name in options.only or [name for name in MEASUREMENTS if name not in LONG]:
            title, measure = MEASUREMENTS[name]
            began = time.monotonic()
            try:
                outcomes[name] = measure(setting)
            except (NotStarted, subprocess.SubprocessError, WebDriverException) as error:
                outcomes[name] = [Skipped(name=name, reason=f"failed: {error}")]
                failed = True
            print(f"\n{name}: {title} ({time.monotonic() - began:.0f} s)")
            print(table(outcomes[name]), flush=True)
    report = {
        "version": 1,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": asdict(machine),
        "source": setting.clip.file_name,
        "rungs": dict(setting.rungs),
        "preset": setting.plan.preset,
        "seconds": measured.total_seconds(),
        "figures": {name: [as_json(outcome) for outcome in found] for name, found in outcomes.items()},
    }
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="short runs: to see that it works, not for figures")
    add("--minutes", type=float, default=2.0, help="length of the steady broadcast (default: %(default)g)")
    add(
        "--only",
        nargs="+",
        choices=MEASUREMENTS,
        help=f"measure these alone (default: all but {', '.join(sorted(LONG))})",
    )
    add("--full-hd", action="store_true", help="1080p with four rungs: wants four cores")
    add("--ffmpeg", type=Path, metavar="FILE", help="an FFmpeg to use instead of the packaged one")
    add("--output", type=Path, metavar="FILE", default=Path("bench.json"), help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
