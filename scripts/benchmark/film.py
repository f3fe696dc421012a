"""Film to encode, drawn by FFmpeg and always the same: nothing of it was filmed.

Its scenes are equally long, and some are easy to encode and some hard: a patch of colours that sways before a
still wall; a pan over a large still full of detail; a zoom into detail; soft colours that drift; and fine
clouds that move fast. There is grain over all of them, and one follows the other with a cut.

How hard it is was chosen: live encoding at 720p and 2.8 Mb/s keeps a VMAF of some 90.
"""

import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from ingest.feed.file_clock import LEAD

FRAME_RATE: Final = 30
SCENES: Final = 5
# Of 255, at most: a camera in daylight. More would be all that low bitrates are spent on.
GRAIN: Final = 2
# x264's scale: what was drawn, with its grain, can hardly be told from what is sent.
SENT_CRF: Final = 12
COLOURS: Final = ("0x2040a0", "0x40b060", "0xc09040", "0x802020", "0x90c0e0", "0x503080")
# What broadcasters are asked for.
KEYFRAME_SECONDS: Final = 2
_DRAWING: Final = ("gradients", "mandelbrot", "perlin")
# Drawing takes a few times as long as the film.
_PATIENCE: Final = timedelta(minutes=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A film's size in pixels, and its *length*."""

    width: int
    height: int
    length: timedelta

    @property
    def frames(self) -> int:
        """How many pictures it has."""
        return round(self.length.total_seconds() * FRAME_RATE)


def film_graph(film: Film) -> str:
    """The filters that draw *film*, as their output v; pure."""
    width, height = film.width, film.height
    # Drawn in half the size and grown, or blurred: about as soft as a lens.
    half, size = (f"s={width // by}x{height // by}:r={FRAME_RATE}" for by in (2, 1))
    grow, grow_double = (f"scale={width * by}:{height * by}:flags=bicubic,format=yuv420p" for by in (1, 2))
    blur = "gblur=sigma=1,format=yuv420p"
    # No seed reaches colours that are not named.
    colours = "n=6:" + ":".join(f"c{number}={colour}" for number, colour in enumerate(COLOURS))
    still = f"trim=end_frame=1,loop=loop=-1:size=1,setpts=N/{FRAME_RATE}/TB"
    # What draws says times of its own.
    scene = (
        f"trim=duration={film.length.total_seconds() / SCENES:.6f},setpts=PTS-STARTPTS,"
        f"noise=alls={GRAIN}:allf=t+u,format=yuv420p"
    )
    return ";".join((
        f"perlin={half}:octaves=7:persistence=0.7:xscale=6:yscale=6:random_mode=seed:random_seed=3,{grow},{still}[wall]",
        f"gradients={half}:{colours}:speed=0.02:seed=11,scale={width // 3}:{height // 3},format=yuv420p[patch]",
        f"[wall][patch]overlay=x='W*0.33+W*0.03*sin(t*2)':y='H*0.3+H*0.02*sin(t*3.1)',{scene}[sway]",
        f"mandelbrot={size}:maxiter=400:start_scale=0.02:end_scale=0.02,{grow_double},{still}[large]",
        f"[large]crop={width}:{height}:x='(in_w-out_w)*t/6':y='(in_h-out_h)*(0.5+0.4*sin(t))',{scene}[pan]",
        f"mandelbrot={size}:maxiter=48:start_scale=0.4:end_scale=0.05:end_pts=150,{blur},{scene}[zoom]",
        f"gradients={half}:{colours}:speed=0.03:seed=7,{grow}[soft]",
        f"perlin={half}:octaves=4:persistence=0.5:xscale=4:yscale=4:tscale=0.6:random_mode=seed:random_seed=7,{grow}[mist]",
        f"[soft][mist]blend=all_mode=overlay,{scene}[drift]",
        f"perlin={half}:octaves=5:persistence=0.55:xscale=6:yscale=9:tscale=0.8:random_mode=seed:random_seed=9,{grow},{scene}[clouds]",
        f"[sway][pan][zoom][drift][clouds]concat=n={SCENES},format=yuv420p[v]",
    ))  # fmt: skip


def missing_filters(ffmpeg: Path) -> list[str]:
    """Return which of the filters that draw *ffmpeg* lacks: old versions lack some."""
    listed = subprocess.run([ffmpeg, "-hide_banner", "-filters"], capture_output=True, check=True, text=True)
    return [name for name in _DRAWING if f" {name} " not in listed.stdout]


def make_film(ffmpeg: Path, film: Film, path: Path) -> None:
    """Write *film* to *path* as a broadcaster sends it: FLV whose times have LEAD.

    Raises subprocess.SubprocessError where FFmpeg cannot draw it.
    """
    subprocess.run(
        [
            ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y",
            "-filter_complex", film_graph(film),
            # Sound that fills the bitrate which it is given, as a tone would not.
            "-f", "lavfi", "-i", "anoisesrc=color=pink:amplitude=0.3:seed=5:sample_rate=48000",
            "-map", "[v]", "-map", "0:a", "-t", f"{film.length.total_seconds():.6f}",
            "-c:v", "libx264", "-preset", "veryfast", "-crf", str(SENT_CRF),
            "-g", str(KEYFRAME_SECONDS * FRAME_RATE), "-c:a", "aac", "-b:a", "160k",
            "-output_ts_offset", str(LEAD.total_seconds()), "-f", "flv", path,
        ],
        check=True,
        timeout=_PATIENCE.total_seconds(),
    )  # fmt: skip
