"""The VOD beside the live ladder: bytes, and how both look against what was sent.

The VOD is made of the recording, which is the live ladder's best rung: what that rung has lost, it cannot find
again. So the best rung's VMAF says what encoding twice costs, and the others' what more time for it brings.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from benchmark.figures import Figure, Outcome, Skipped
from benchmark.film import FRAME_RATE, SCENES, Film, missing_filters
from benchmark.setting import Setting
from benchmark.vod_run import VMAF_SAMPLING, VodRun, run
from bucketcast.stream.configuration import RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, RungName
from ingest.vod.plan import SEGMENT_DURATION, Compression

# Whole segments of the VOD, and no scene of it begins with one but the first.
LENGTH: Final = 4 * SEGMENT_DURATION
# Who measures anything for less only wants to see that it works.
FULL_RUN: Final = timedelta(minutes=1)
QUICK_LENGTH: Final = SEGMENT_DURATION


def measure(setting: Setting) -> list[Outcome]:
    """Encode a film both ways; raises NotStarted, and subprocess.SubprocessError where FFmpeg fails."""
    if missing := missing_filters(setting.ffmpeg):
        return [Skipped(name="VOD", reason=f"this FFmpeg cannot draw the film: it lacks {', '.join(missing)}")]
    folder = setting.folder / "vod"
    folder.mkdir()
    film = Film(
        width=setting.clip.width,
        height=setting.clip.height,
        length=LENGTH if setting.measured >= FULL_RUN else QUICK_LENGTH,
    )
    rungs = tuple(
        RungConfiguration(name=RungName(name), video_bitrate=BitsPerSecond(1000 * kbps))
        for name, kbps in setting.rungs
    )
    configuration = StreamConfiguration(rungs=rungs)
    return figures(run(film, configuration, Compression(), ffmpeg=setting.ffmpeg, folder=folder))


def figures(one: VodRun) -> list[Outcome]:
    """The figures of *one* film: rung by rung, what a VOD is judged by; then what it took. Pure."""
    return [
        *(outcome for number in range(len(one.live)) for outcome in _rung(one, number)),
        *_check(one),
        *_effort(one),
    ]


def _rung(one: VodRun, number: int) -> Iterator[Outcome]:
    name = list(one.live)[number]
    live, vod = one.live[name], one.vod[name]
    method = f"{name}: {_film(one)}; live at {one.live_preset}, the VOD of the recording of it at {_vod(one)}"
    kilobits = 8 / 1000 / one.film.length.total_seconds()
    for what, encoded in (("live", live), ("VOD", vod)):
        for with_what, size in (("pictures", encoded.video_bytes), ("with sound, in segments", encoded.bytes)):
            yield Figure(name=f"{name}: {what}, {with_what}", value=size * kilobits, unit="kb/s", method=method)
    yield Figure(
        name=f"{name}: VOD by live, with sound, in segments",
        value=100 * vod.bytes / live.bytes,
        unit="%",
        method=method,
    )
    share = Figure(
        name=f"{name}: VOD by live, pictures",
        value=100 * vod.video_bytes / live.video_bytes,
        unit="%",
        method=method,
        goal=100,
    )
    yield share
    if live.vmaf is None or vod.vmaf is None:
        yield _not_measurable(f"{name}: VMAF")
        return
    method = (
        f"{name}: mean VMAF of every {VMAF_SAMPLING}th picture, scaled up to {one.film.height} lines, against "
        "what was sent"
    )
    for what, vmaf in (("live", live.vmaf), ("VOD", vod.vmaf)):
        yield Figure(name=f"{name}: {what}, VMAF", value=vmaf, unit="VMAF", method=method)
    loss = Figure(
        name=f"{name}: VMAF that live has more than the VOD",
        value=live.vmaf - vod.vmaf,
        unit="VMAF",
        method=method,
        goal=0,
    )
    yield loss
    yield Figure(
        name=f"{name}: fewer bytes at equal or better VMAF",
        value=sum(not figure.is_met for figure in (share, loss)),
        unit="missed",
        method=f"{name}: how many of the two the VOD misses; the bytes are those of pictures",
        goal=0,
    )


def _check(one: VodRun) -> Iterator[Outcome]:
    highest = next(iter(one.vod))
    if one.against_recording is None:
        yield _not_measurable(f"{highest}: VMAF against the recording")
        return
    yield Figure(
        name=f"{highest}: VMAF against the recording",
        value=one.against_recording,
        unit="VMAF",
        method="as the job measures before it announces a VOD: not against what was sent",
    )


def _effort(one: VodRun) -> Iterator[Outcome]:
    for what, cpu in (("live", one.live_cpu), ("VOD", one.vod_cpu)):
        yield Figure(
            name=f"{what}, all rungs: CPU per second of media",
            value=cpu / one.film.length.total_seconds(),
            unit="CPU s/s",
            method="CPU seconds of FFmpeg, with decoding and scaling, and without what is measured here",
        )


def _not_measurable(name: str) -> Skipped:
    return Skipped(name=name, reason="this FFmpeg has no libvmaf; the one of the package imageio-ffmpeg has")


def _film(one: VodRun) -> str:
    seconds = one.film.length.total_seconds()
    return (
        f"{seconds:g} s at {one.film.width}x{one.film.height}, {FRAME_RATE} fps, drawn and not filmed: "
        f"{SCENES} scenes of {seconds / SCENES:g} s, from still to fast; how hard they are was chosen"
    )


def _vod(one: VodRun) -> str:
    return f"{one.compression.preset}, CRF {one.compression.crf}"
