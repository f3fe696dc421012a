"""VMAF of the highest rung against the recording, on segments that stand for all."""

import re
from datetime import timedelta
from pathlib import Path
from statistics import fmean
from typing import Final

from bucketcast.stream.identifiers import SegmentIndex
from ingest.vod.ffmpeg import reference_arguments, reference_graph
from ingest.vod.plan import SourcePlan
from ingest.vod.running import FfmpegFailed, run

# Six seconds each, spread over the recording: measuring all of it would cost as much as encoding it, and half a
# minute says well enough whether something went wrong.
SAMPLES: Final = 5
# Each picture is as good as its neighbours; every fifth is looked at.
_EVERY: Final = 5
# Six seconds of 2160p on a small machine.
_PATIENCE: Final = timedelta(minutes=10)
_LISTING_PATIENCE: Final = timedelta(seconds=10)
_SCORE: Final = re.compile(r"VMAF score: ([0-9.]+)")


async def has_vmaf(ffmpeg: Path) -> bool:
    """Whether this build of *ffmpeg* can measure."""
    listed = await run(ffmpeg, ("-hide_banner", "-filters"), b"", patience=_LISTING_PATIENCE)
    return b" libvmaf " in listed.output


async def vmaf_of(ffmpeg: Path, plan: SourcePlan, index: SegmentIndex, content: bytes, *, url: str) -> float:
    """Return the VMAF of *content*, segment *index* of the file's highest rung, against the file at *url*.

    Both are compared at the rung's size, picture by picture. Raises FfmpegFailed.
    """
    segments = range(index, index + 1)
    number = f"settb={plan.rate.denominator}/{plan.rate.numerator},setpts=N"
    graph = ";".join((
        f"[0:v:0]format=yuv420p,{number}[made]",
        f"[1:v:0]{reference_graph(plan, segments)},{number}[recorded]",
        f"[made][recorded]libvmaf=n_threads=0:n_subsample={_EVERY}",
    ))  # fmt: skip
    arguments = (
        # The score is said as information.
        *("-hide_banner", "-nostats", "-loglevel", "info"),
        *("-copyts", "-f", "mpegts", "-i", "pipe:0"),
        *reference_arguments(plan, segments, url=url),
        *("-filter_complex", graph, "-f", "null", "-"),
    )
    said = (await run(ffmpeg, arguments, content, patience=_PATIENCE)).said
    score = _SCORE.search(said)
    if score is None:
        raise FfmpegFailed("FFmpeg did not say the VMAF that it measured")
    return float(score[1])


def mean_vmaf(scores: list[float]) -> float:
    """The mean of *scores*, with as many decimals as mean something."""
    return round(fmean(scores), 2)
