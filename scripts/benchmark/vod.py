"""The VOD beside the live ladder: bytes, and how both look against what was sent.

The VOD is made of the recording. Where that is the live ladder's best rung, what that rung has lost cannot be
found again: the best rung's VMAF says what encoding twice costs, and the others' what more time for it brings.
Of a recording of the source, all of them do.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from benchmark.figures import Figure, Outcome, Skipped
from benchmark.film import FRAME_RATE, SCENES, Film, missing_filters
from benchmark.setting import Setting
from benchmark.vod_run import VMAF_SAMPLING, Encoded, Ladder, Recorded, Vod, VodRun, run
from bucketcast.stream.configuration import RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, RungName
from ingest.vod.plan import SEGMENT_DURATION, Compression

# Whole segments of the VOD, and no scene of it begins with one but the first.
LENGTH: Final = 4 * SEGMENT_DURATION
# Who measures anything for less only wants to see that it works.
FULL_RUN: Final = timedelta(minutes=1)
QUICK_LENGTH: Final = SEGMENT_DURATION


def measure(setting: Setting) -> list[Outcome]:
    """Encode a film every way; raises NotStarted, and subprocess.SubprocessError where FFmpeg fails."""
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
        *(outcome for name in one.live.rungs for outcome in _live(one, name)),
        *(
            outcome
            for recorded, vod in one.vods.items()
            for outcome in (
                *(figure for name in vod.rungs for figure in _rung(one, recorded, name)),
                *_check(recorded, vod),
                _effort(one.film, f"VOD of the {recorded}", vod),
            )
        ),
        _effort(one.film, "live", one.live),
    ]


def _live(one: VodRun, name: RungName) -> Iterator[Outcome]:
    live = one.live.rungs[name]
    yield from _bytes(one.film, f"{name}: live", live, f"{_film(one.film)}; live at {one.live_preset}")
    yield from _vmaf(one.film, f"{name}: live", live)


def _rung(one: VodRun, recorded: Recorded, name: RungName) -> Iterator[Outcome]:
    live, vod = one.live.rungs[name], one.vods[recorded].rungs[name]
    what = f"{name}: VOD of the {recorded}"
    method = f"at {one.compression.preset}, CRF {one.compression.crf}, of a recording of the {recorded}"
    yield from _bytes(one.film, what, vod, method)
    yield Figure(
        name=f"{what} by live, with sound, in segments",
        value=100 * vod.bytes / live.bytes,
        unit="%",
        method=method,
    )
    share = Figure(
        name=f"{what} by live, pictures",
        value=100 * vod.video_bytes / live.video_bytes,
        unit="%",
        method=method,
        goal=100,
    )
    yield share
    yield from _vmaf(one.film, what, vod)
    if live.vmaf is None or vod.vmaf is None:
        return
    loss = Figure(
        name=f"{what}: VMAF that live has more",
        value=live.vmaf - vod.vmaf,
        unit="VMAF",
        method=method,
        goal=0,
    )
    yield loss
    yield Figure(
        name=f"{what}: fewer bytes at equal or better VMAF",
        value=sum(not figure.is_met for figure in (share, loss)),
        unit="missed",
        method="how many of the two the VOD misses; the bytes are those of pictures",
        goal=0,
    )


def _bytes(film: Film, what: str, encoded: Encoded, method: str) -> Iterator[Outcome]:
    kilobits = 8 / 1000 / film.length.total_seconds()
    for with_what, size in (("pictures", encoded.video_bytes), ("with sound, in segments", encoded.bytes)):
        yield Figure(name=f"{what}, {with_what}", value=size * kilobits, unit="kb/s", method=method)


def _vmaf(film: Film, what: str, encoded: Encoded) -> Iterator[Outcome]:
    if encoded.vmaf is None:
        yield _not_measurable(f"{what}, VMAF")
        return
    method = (
        f"mean VMAF of every {VMAF_SAMPLING}th picture, scaled up to {film.height} lines, against what was sent"
    )
    yield Figure(name=f"{what}, VMAF", value=encoded.vmaf, unit="VMAF", method=method)


def _check(recorded: Recorded, vod: Vod) -> Iterator[Outcome]:
    name = f"{next(iter(vod.rungs))}: VOD of the {recorded}, VMAF against the recording"
    if vod.against_recording is None:
        yield _not_measurable(name)
        return
    yield Figure(
        name=name,
        value=vod.against_recording,
        unit="VMAF",
        method="as the job measures before it announces a VOD: not against what was sent",
    )


def _effort(film: Film, what: str, ladder: Ladder) -> Outcome:
    return Figure(
        name=f"{what}, all rungs: CPU per second of media",
        value=ladder.cpu / film.length.total_seconds(),
        unit="CPU s/s",
        method="CPU seconds of FFmpeg, with decoding and scaling, and without what is measured here",
    )


def _not_measurable(name: str) -> Skipped:
    return Skipped(name=name, reason="this FFmpeg has no libvmaf; the one of the package imageio-ffmpeg has")


def _film(film: Film) -> str:
    seconds = film.length.total_seconds()
    return (
        f"{seconds:g} s at {film.width}x{film.height}, {FRAME_RATE} fps, drawn and not filmed: "
        f"{SCENES} scenes of {seconds / SCENES:g} s, from still to fast; how hard they are was chosen"
    )
