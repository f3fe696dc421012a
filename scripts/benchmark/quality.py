"""The quality of the 360p rung by scaler: VMAF against what was sent."""

from fractions import Fraction
from typing import Final

from benchmark.figures import Figure, Outcome, Skipped
from benchmark.setting import Setting
from bucketcast.stream.identifiers import RungName
from ingest.encode.source import AudioSource, SourceFacts, VideoSource
from measure_encoding import RATE, Variant, encode, make_clip, score

SCALERS: Final = ("bilinear", "bicubic", "lanczos")
RUNG: Final = RungName("360p")


def measure(setting: Setting) -> list[Outcome]:
    """Encode a clip that stands in for film with each of SCALERS, and score RUNG."""
    width, height = setting.clip.width, setting.clip.height
    clip = setting.folder / "quality.flv"
    make_clip(setting.ffmpeg, clip, width, height)
    facts = SourceFacts(
        video=VideoSource(width=width, height=height),
        audio=AudioSource(sample_rate=48_000, channels=1),
        frame_rate=Fraction(RATE),
    )
    outcomes: list[Outcome] = []
    for scaler in SCALERS:
        variant = Variant(preset=setting.plan.preset, scaler=scaler)
        _, rungs = encode(setting.ffmpeg, clip, facts, variant, setting.folder)
        if RUNG not in rungs:
            return [Skipped(name="360p quality", reason="the ladder has no such rung")]
        outcomes.append(
            Figure(
                name=f"VMAF of {RUNG}, {scaler}",
                value=score(setting.ffmpeg, rungs[RUNG], clip, (width, height), setting.folder),
                unit="VMAF",
                method=f"the session's own command line at {setting.plan.preset} on the clip of "
                f"scripts/measure_encoding.py, {RUNG} scaled up to {height} lines",
            )
        )
    return outcomes
