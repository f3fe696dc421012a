"""FFmpeg's command line: a pure function from a plan and a resume point, and the program's whereabouts.

Every encoder of a session runs on the session's one clock: the feed's times reach FFmpeg unchanged, frames
are numbered from the session's origin, and the transport streams' timestamps are that clock plus CLOCK_START.
So a replacement encoder makes exactly the segments that are missing.
"""

import math
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from bucketcast.errors import InvalidSettings
from bucketcast.stream.bandwidth import buffer_size, max_rate
from bucketcast.stream.identifiers import SegmentIndex
from bucketcast.stream.silence import AUDIO_FRAME_SAMPLES, AUDIO_SAMPLE_RATE, CLOCK_START
from ingest.encode.container import container_of
from ingest.encode.ladder import EncodingPlan, RungPlan
from ingest.encode.source import MAX_SOURCE_PIXELS
from ingest.feed.file_clock import LEAD

# FFmpeg before 5.1 has no -fps_mode, and what this module relies on was tried from 5.1 on.
MIN_FFMPEG_VERSION = (5, 1)

# Sound that a replacement encodes before its first segment and that is then dropped: the encoder's priming
# (1024 samples), the overlap of its transform, and the reach of keyframes that are decoded before they are
# shown.
_AUDIO_RUN_UP = Fraction(1, 4)
# A decoder needs its header, one keyframe and one sound frame to be known; this is media time.
_ANALYZED = timedelta(seconds=1)
# Never met: keyframes come where they are forced.
_NO_KEYFRAME_INTERVAL = 100_000
# Tables are wanted before keyframes only, not by time as well.
_NEVER_SECONDS = 1_000_000
# One thread of FFmpeg decodes 1080p at 60 frames a second with room to spare; more add a frame of delay each.
_PIXELS_PER_SECOND_IN_ONE_DECODER_THREAD = 1920 * 1080 * 60
_VERSION_TIMEOUT = timedelta(seconds=10)


def ffmpeg_arguments(
    plan: EncodingPlan, *, start: SegmentIndex, outputs: Sequence[int], progress: int
) -> tuple[str, ...]:
    """Return FFmpeg's arguments for encoding *plan* from segment *start* on.

    The feed comes on standard input, in the format that container_of says; rung by rung, *outputs* are the file
    descriptors that take the transport streams; *progress* is the one that takes progress reports.
    """
    return (
        *_general(progress),
        *_input(plan),
        *_filters(plan, start),
        *_video(plan, start),
        *_audio(plan),
        *_outputs(plan, outputs),
    )


def printable(program: str | Path, arguments: Sequence[str], *, feed: str, outputs: Mapping[int, str]) -> str:
    """Return a line for a shell that runs *program* with *arguments* as a session does.

    It reads the file *feed* and writes the file descriptors of *outputs* to the files named there.
    """
    redirections = [f"{descriptor}>{shlex.quote(name)}" for descriptor, name in outputs.items()]
    return " ".join((shlex.join((str(program), *arguments)), f"<{feed}", *redirections))


def find_ffmpeg(configured: Path | None = None) -> Path:
    """Return FFmpeg: *configured* if given, else the one that comes with the packages, else PATH's.

    Raises InvalidSettings, saying what to do, where there is none of at least MIN_FFMPEG_VERSION.
    """
    if configured is not None:
        return _checked(configured)
    try:
        return _checked(Path(imageio_ffmpeg.get_ffmpeg_exe()))
    except (RuntimeError, InvalidSettings):
        # The package has no build for this platform, or one that does not start here.
        found = shutil.which("ffmpeg")
    if found is None:
        raise InvalidSettings("FFmpeg is not installed: install it, or configure its path")
    return _checked(Path(found))


def parse_version(text: str) -> tuple[int, int] | None:
    """Return major and minor version from what `ffmpeg -version` says; None for a build from the trunk."""
    match = re.match(r"ffmpeg version n?([0-9]+)\.([0-9]+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _checked(path: Path) -> Path:
    try:
        run = subprocess.run(
            [path, "-version"],
            capture_output=True,
            check=True,
            text=True,
            timeout=_VERSION_TIMEOUT.total_seconds(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise InvalidSettings(f"FFmpeg at {path} does not run") from error
    version = parse_version(run.stdout)
    # A build from the trunk is named by date or commit: newer than any release, as far as one can say.
    if version is not None and version < MIN_FFMPEG_VERSION:
        raise InvalidSettings(f"FFmpeg at {path} is older than {'.'.join(map(str, MIN_FFMPEG_VERSION))}")
    return path


def _general(progress: int) -> tuple[str, ...]:
    return (
        # The version and its build options say nothing about this session.
        "-hide_banner",
        # What is worth a log line; the level stands before each message.
        *("-loglevel", "level+warning"),
        # Standard input is the feed, not a keyboard.
        "-nostdin",
        # Numbers for machines go to a pipe of their own instead of a line for people on standard error.
        "-nostats",
        *("-progress", f"pipe:{progress}"),
        *("-stats_period", "1"),
    )


def _input(plan: EncodingPlan) -> tuple[str, ...]:
    video = plan.source.video
    slow = video.width * video.height * plan.source.frame_rate <= _PIXELS_PER_SECOND_IN_ONE_DECODER_THREAD
    return (
        # The session's clock, not one that starts at this encoder's first packet.
        "-copyts",
        # The feed's times carry a lead that keeps them positive in its file; here it is taken off again.
        *("-itsoffset", _seconds(-LEAD)),
        # Nothing is learnt from guessing the frame rate, which is decided; it would hold back a second of
        # pictures.
        *("-fpsprobesize", "0"),
        # FLV of pictures alone is otherwise searched for sound for five seconds.
        *("-analyzeduration", str(_ANALYZED // timedelta(microseconds=1))),
        # Each thread of the decoder holds a picture back; only large pictures need more than one.
        *("-threads", "1" if slow else "0"),
        # A broken picture is shown as well as it can be: a gap would be filled with the one before.
        *("-flags", "+output_corrupt"),
        # The bound that the first picture's size was checked for; decoders count some lines and columns more.
        *(("-max_pixels", str(2 * MAX_SOURCE_PIXELS)) if plan.source.adaptive else ()),
        # Another size is the leading scaler's business: a graph made anew would number frames from zero again.
        *(("-reinit_filter", "0") if plan.source.adaptive else ()),
        # The feed knows its format; probing could take it for another.
        *("-f", str(container_of(plan.source)), "-i", "pipe:0"),
    )


def _filters(plan: EncodingPlan, start: SegmentIndex) -> tuple[str, ...]:
    rate = plan.source.frame_rate
    first_seconds = plan.grid.first_frame(start) / rate
    run_up = max(Fraction(0), first_seconds - _AUDIO_RUN_UP)
    first_sample = int(run_up * AUDIO_SAMPLE_RATE) // AUDIO_FRAME_SAMPLES * AUDIO_FRAME_SAMPLES
    return (
        *_video_filters(plan, first_seconds),
        # A graph of its own, so that a change in one track's format leaves the other alone.
        "-filter_complex",
        ",".join((
            # Holes are filled with silence, and what overlaps is cut, so that samples and clock stay together;
            # drift is stretched away. Below 20 ms it is the rounding of timestamps to milliseconds.
            # first_pts: the session's grid of 1024 samples, from which every encoder's frames are counted.
            f"[0:a:0]aresample={AUDIO_SAMPLE_RATE}:async=1000:min_comp=0.02:first_pts={first_sample}",
            # Players change between sessions without a new decoder if all are stereo.
            "aformat=channel_layouts=stereo[a]",
        )),
    )  # fmt: skip


def _video_filters(plan: EncodingPlan, first_seconds: Fraction) -> tuple[str, ...]:
    # Where the source is the only rung, there is nothing to decode.
    return ("-filter_complex", _video_graph(plan, first_seconds)) if _encoded(plan) else ()


def _encoded(plan: EncodingPlan) -> tuple[tuple[int, RungPlan], ...]:
    """The rungs that are encoded, with their numbers."""
    return tuple(enumerate(plan.rungs))[1 if plan.copies_top else 0 :]


def _video_graph(plan: EncodingPlan, first_seconds: Fraction) -> str:
    """One decode and one chain of scalers: each rung is scaled from the one above it, which is cheaper."""
    head = (
        f"[0:v:0]{_one_size(plan)}"
        # Whole microseconds name a frame's time better than the feed's file does.
        "settb=1/1000000,"
        # A constant rate, so that frames have numbers; and exactly the first frame at or after the boundary.
        f"fps={_ratio(plan.source.frame_rate)}:start_time={float(first_seconds):.6f}:round=near,"
        # What every player decodes: 4:2:0 of 8 bits.
        "format=yuv420p"
    )
    source = plan.source.video
    size, square = (source.width, source.height), source.sample_aspect_ratio == 1
    if plan.source.adaptive:
        size, square = (plan.rungs[0].width, plan.rungs[0].height), True
    chains: list[str] = []
    for number, rung in _encoded(plan):
        filters = [] if (rung.width, rung.height) == size and square else [_scale(rung)]
        chain = ",".join([head, *filters])
        last = number == len(plan.rungs) - 1
        chains.append(f"{chain}[v{number}]" if last else f"{chain},split=2[v{number}][s{number}]")
        head, size, square = f"[s{number}]null", (rung.width, rung.height), True
    return ";".join(chains).replace("]null,", "]")


def _one_size(plan: EncodingPlan) -> str:
    """Brings pictures of every size to the first rung's, before anything that could not take a change of it."""
    return f"{_scale(plan.rungs[0])}," if plan.source.adaptive else ""


def _scale(rung: RungPlan) -> str:
    # Bicubic: bilinear loses up to a third of the low rungs' quality and saves hardly anything.
    # setsar: the size is chosen for square pixels, and rounding to even numbers is no reason to say otherwise.
    return f"scale={rung.width}:{rung.height}:flags=bicubic,setsar=1"


def _video(plan: EncodingPlan, start: SegmentIndex) -> tuple[str, ...]:
    encoded = _encoded(plan)
    return (
        *_copy(plan),
        *(option for number, _ in encoded for option in ("-map", f"[v{number}]")),
        *(_encode(plan, start) if encoded else ()),
        *(option for number, rung in encoded for option in _rung(number, rung, plan)),
    )


def _copy(plan: EncodingPlan) -> tuple[str, ...]:
    # Its pictures came with their final times; see CopyWatch.
    return ("-map", "0:v:0", "-c:v:0", "copy") if plan.copies_top else ()


def _encode(plan: EncodingPlan, start: SegmentIndex) -> tuple[str, ...]:
    return (
        *("-preset:v", str(plan.preset)),
        # The filter has made the rate constant; a second correction could only drop or double frames.
        *("-fps_mode:v", "passthrough"),
        # Keyframes on the grid and nowhere else, so that all rungs are cut at the same pictures.
        *("-force_key_frames:v", _keyframe_expression(plan, start)),
        # A forced keyframe is one that a decoder can start at (IDR), not merely an intra picture.
        *("-forced-idr:v", "1"),
        *("-g:v", str(_NO_KEYFRAME_INTERVAL)),
        # One picture out of order at most: measured (scripts/measure_encoding.py), it looks better than the
        # presets' three at the same bitrate, costs a tenth less, and takes two frames' delay away.
        *("-bf:v", str(plan.reordered_pictures)),
        # A keyframe at a change of scene would be off the grid, and would cost bits before the next one.
        *("-sc_threshold:v", "0"),
        # The rate is constant: told so, x264 does not hold a picture back to learn how long it is shown.
        *("-x264-params:v", "force-cfr=1"),
    )


def _keyframe_expression(plan: EncodingPlan, start: SegmentIndex) -> str:
    """An expression that is true at the first frame, and at each whose segment is not that of the last one.

    FFmpeg's t counts from the first frame encoded. Rounding it to a frame's number leaves half a frame of
    margin; adding the number of the first frame gives the session's own, and a segment's index is that number
    divided by the frames in a segment, rounded down, exactly as SegmentGrid has it.
    """
    rate = _ratio(plan.source.frame_rate)
    offset = plan.grid.first_frame(start)
    inverse = 1 / plan.grid.frames_per_segment

    def index(time: str) -> str:
        frame = f"(round({time}*{rate})+{offset})"
        return f"floor({frame}*{inverse.numerator}/{inverse.denominator})"

    return f"expr:if(isnan(prev_forced_t),1,gt({index('t')},{index('prev_forced_t')}))"


def _rung(number: int, rung: RungPlan, plan: EncodingPlan) -> tuple[str, ...]:
    shift = plan.delay - plan.reordered_pictures
    return (
        *(f"-c:v:{number}", "libx264"),
        # What CODECS declares is what the encoder is held to.
        *(f"-profile:v:{number}", rung.profile.name),
        *(f"-level:v:{number}", rung.level.name),
        # The buffer model that BANDWIDTH is computed from.
        *(f"-b:v:{number}", str(rung.video_bitrate)),
        *(f"-maxrate:v:{number}", str(max_rate(rung.video_bitrate))),
        *(f"-bufsize:v:{number}", str(buffer_size(rung.video_bitrate))),
        # Rungs run beside each other already; threads inside one cost delay, memory and some quality.
        *(f"-threads:v:{number}", str(rung.threads)),
        *(_delayed(number, shift, plan.source.frame_rate) if shift else ()),
    )


def _delayed(number: int, frames: int, rate: Fraction) -> tuple[str, ...]:
    # As many frames before they are shown as in the copied rung; see EncodingPlan.delay.
    return (f"-bsf:v:{number}", f"setts=pts=PTS:dts=DTS-{frames}/({_ratio(rate)}*TB)")


def _audio(plan: EncodingPlan) -> tuple[str, ...]:
    return (
        *("-map", "[a]"),
        # AAC-LC by FFmpeg's own encoder: every build has it.
        *("-c:a", "aac"),
        *("-b:a", str(plan.audio_bitrate)),
    )


def _outputs(plan: EncodingPlan, outputs: Sequence[int]) -> tuple[str, ...]:
    options = ":".join((
        "f=mpegts",
        # Every packet is handed on at once; FFmpeg would gather 32 KiB, seconds of a low rung.
        "flush_packets=1",
        # No allowance for a multiplexer's delay: timestamps are the session's clock plus CLOCK_START.
        "max_delay=0",
        # Sound is written before the picture that is decoded a frame earlier: all of a segment's, then, before
        # the segment's last picture, so that SegmentCutter need not wait for the next segment's first.
        f"audio_preload={_frame_microseconds(plan)}",
        f"output_ts_offset={_seconds(CLOCK_START)}",
        "avoid_negative_ts=disabled",
        # Each frame of sound in a packet of its own, so that a segment ends with the frame that belongs there.
        "pes_payload_size=0",
        # Program tables before keyframes, which FFmpeg writes in any case, and nowhere else.
        f"pat_period={_NEVER_SECONDS}",
        f"sdt_period={_NEVER_SECONDS}",
    ))  # fmt: skip
    slaves = (rf"[{options}:select=\'v:{number},a\']pipe:{output}" for number, output in enumerate(outputs))
    return (
        # The rungs do not wait for each other; each output puts its pictures and sound in order by itself.
        *("-max_interleave_delta", "1"),
        # The tee muxer lets every rung have the sound that is encoded once.
        *("-f", "tee", "|".join(slaves)),
    )


def _frame_microseconds(plan: EncodingPlan) -> int:
    """A frame's duration, rounded up, and the millisecond that a copied picture can be early by."""
    return 1000 * (1 + math.ceil(1000 / plan.source.frame_rate))


def _ratio(rate: Fraction) -> str:
    return f"{rate.numerator}/{rate.denominator}"


def _seconds(time: timedelta) -> str:
    return f"{time.total_seconds():g}"
