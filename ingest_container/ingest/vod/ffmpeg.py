"""FFmpeg's command line for a range of segments: a pure function of the plan.

The clock, the pictures' numbers and the sound's frames are counted from the recording's first picture, whatever
range is encoded, as ingest.encode.ffmpeg counts them from a session's origin. So a range's last segment and the
next range's first one meet as neighbours of one encoder do.
"""

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Final

from bucketcast.stream.bandwidth import buffer_size, max_rate
from bucketcast.stream.identifiers import SegmentIndex
from bucketcast.stream.silence import AUDIO_FRAME_SAMPLES, AUDIO_SAMPLE_RATE, CLOCK_START
from ingest.encode.source import MAX_SOURCE_PIXELS
from ingest.vod.plan import SourcePlan, VodRung

# Sound that is encoded before the first segment and then dropped: the encoder's priming (1024 samples), the
# overlap of its transform, and the reach of keyframes that are decoded before they are shown.
_AUDIO_RUN_UP: Final = Fraction(1, 4)
# Sound behind a range that does not end with the recording: all of its last segment's has then come before the
# keyframe behind it.
_AUDIO_RUN_OUT: Final = Fraction(1, 4)
# Never met: keyframes come where they are forced.
_NO_KEYFRAME_INTERVAL: Final = 100_000
# Tables are wanted before keyframes only, not by time as well.
_NEVER_SECONDS: Final = 1_000_000
# A connection that is silent for as long is dead; storage answers within a second.
_READ_TIMEOUT: Final = timedelta(seconds=30)
# Connections break when Cloud Run moves a long job to another machine; together with the pauses before it, this
# is a minute, after which the attempt ends and the next one goes on.
_LONGEST_RECONNECT_PAUSE: Final = 30
# The last picture is repeated as often at most, where rounding of times makes the recording a picture shorter.
_SPARE_PICTURES: Final = 2


def ffmpeg_arguments(plan: SourcePlan, segments: range, *, url: str, outputs: Sequence[int]) -> tuple[str, ...]:
    """Return FFmpeg's arguments for encoding *segments* of the recording at *url*.

    Rung by rung, *outputs* are the file descriptors that take the transport streams. A range that does not end
    with the recording is followed by one keyframe, by which ingest.encode's SegmentCutter sees its end.
    """
    return (
        *_general(),
        # The recording's own clock, whatever range is read.
        "-copyts",
        *_input(plan, segments, url),
        *("-filter_complex", _video_graph(plan, segments)),
        *(("-filter_complex", _audio_graph(plan, segments)) if plan.with_audio else ()),
        *_video(plan, segments),
        *(_audio(plan) if plan.with_audio else ()),
        *_outputs(plan, outputs),
    )


def reference_arguments(plan: SourcePlan, segments: range, *, url: str) -> tuple[str, ...]:
    """Return the arguments by which FFmpeg, told to copy times, reads the recording at *url* for *segments*."""
    return _input(plan, segments, url)


def reference_graph(plan: SourcePlan, segments: range) -> str:
    """The filters that give exactly the recording's pictures of *segments*, in the size of the highest rung."""
    pictures = _pictures(plan, segments, plan.frames_of(segments))
    return pictures if plan.adaptive else f"{pictures},{_scale(plan.rungs[0])}"


def _general() -> tuple[str, ...]:
    return (
        # The version and its build options say nothing about this recording.
        "-hide_banner",
        # What is worth a log line; the level stands before each message.
        *("-loglevel", "level+warning"),
        # There is no keyboard.
        "-nostdin",
        # Segments that arrive are the progress.
        "-nostats",
    )


def _input(plan: SourcePlan, segments: range, url: str) -> tuple[str, ...]:
    seek = max(Fraction(0), _start(plan, segments) - _AUDIO_RUN_UP)
    return (
        # Time 0 is its first picture.
        *("-itsoffset", f"{(-plan.start).total_seconds():.6f}"),
        # From the keyframe before the range; what is between the two is decoded, and dropped by the filters,
        # which count pictures exactly.
        *(("-noaccurate_seek", "-ss", f"{float(seek):.6f}") if seek else ()),
        *(_adaptive() if plan.adaptive else ()),
        *(_http() if url.startswith("http") else ()),
        *("-i", url),
    )


def _adaptive() -> tuple[str, ...]:
    return (
        # What live encoding decodes and no more: decoders count some lines and columns besides.
        *("-max_pixels", str(2 * MAX_SOURCE_PIXELS)),
        # Another size is the leading scaler's business: a graph made anew would number pictures anew.
        *("-reinit_filter", "0"),
    )


def _http() -> tuple[str, ...]:
    return (
        # A connection that breaks is opened again where it was.
        *("-reconnect", "1"),
        *("-reconnect_on_network_error", "1"),
        # Storage says 429 and 5xx in passing.
        *("-reconnect_on_http_error", "429,5xx"),
        *("-reconnect_delay_max", str(_LONGEST_RECONNECT_PAUSE)),
        *("-rw_timeout", str(_READ_TIMEOUT // timedelta(microseconds=1))),
    )


def _start(plan: SourcePlan, segments: range) -> Fraction:
    """When the first picture of *segments* is shown, in seconds."""
    return plan.grid.first_frame(SegmentIndex(segments.start)) / plan.rate


def _encoded_frames(plan: SourcePlan, segments: range) -> int:
    """How many pictures to encode: those of *segments*, and the next one's keyframe if there is one."""
    return plan.frames_of(segments) + (segments.stop < plan.segments)


def _video_graph(plan: SourcePlan, segments: range) -> str:
    """One decode and one chain of scalers: each rung is scaled from the one above it, which is cheaper."""
    head = f"[0:v:0]{_pictures(plan, segments, _encoded_frames(plan, segments))}"
    size, square = (plan.width, plan.height), plan.square_pixels
    if plan.adaptive:
        size, square = (plan.rungs[0].width, plan.rungs[0].height), True
    chains: list[str] = []
    for number, rung in enumerate(plan.rungs):
        chain = head if (rung.width, rung.height) == size and square else f"{head},{_scale(rung)}"
        last = number == len(plan.rungs) - 1
        chains.append(f"{chain}[v{number}]" if last else f"{chain},split=2[v{number}][s{number}]")
        head, size, square = f"[s{number}]null", (rung.width, rung.height), True
    return ";".join(chains).replace("]null,", "]")


def _pictures(plan: SourcePlan, segments: range, count: int) -> str:
    """The filters that give exactly *count* pictures from the beginning of *segments* on.

    Those of an adaptive recording have the first rung's size, before anything that could not take a change.
    """
    one_size = f"{_scale(plan.rungs[0])}," if plan.adaptive else ""
    return (
        f"{one_size}"
        # Whole microseconds name a picture's time better than some time bases do.
        "settb=1/1000000,"
        # A constant rate, so that pictures have numbers; and exactly the first one at or after the boundary.
        f"fps={_ratio(plan.rate)}:start_time={float(_start(plan, segments)):.6f}:round=near,"
        # As many as were planned, also if the last one's duration was rounded down.
        f"tpad=stop={_SPARE_PICTURES}:stop_mode=clone,"
        f"trim=end_frame={count},"
        # What every player decodes: 4:2:0 of 8 bits.
        "format=yuv420p"
    )


def _scale(rung: VodRung) -> str:
    # Lanczos keeps more of the low rungs than bicubic does, and here is time for it.
    # setsar: the size is chosen for square pixels, and rounding to even numbers is no reason to say otherwise.
    return f"scale={rung.width}:{rung.height}:flags=lanczos,setsar=1"


def _audio_graph(plan: SourcePlan, segments: range) -> str:
    run_up = max(Fraction(0), _start(plan, segments) - _AUDIO_RUN_UP)
    first_sample = int(run_up * AUDIO_SAMPLE_RATE) // AUDIO_FRAME_SAMPLES * AUDIO_FRAME_SAMPLES
    end = _start(plan, segments) + _encoded_frames(plan, segments) / plan.rate
    if segments.stop < plan.segments:
        end += _AUDIO_RUN_OUT
    # first_sample: the recording's grid of 1024 samples, from which every range's frames are counted.
    sound = (
        # Holes are filled with silence, and what overlaps is cut, so that samples and clock stay together.
        f"[0:a:0]aresample={AUDIO_SAMPLE_RATE}:async=1000:min_comp=0.02:first_pts={first_sample}"
        if plan.has_audio
        else f"anullsrc=sample_rate={AUDIO_SAMPLE_RATE},asetpts=PTS+{first_sample}"
    )
    return ",".join((
        sound,
        # Players change between rungs and broadcasts without a new decoder if all are stereo.
        "aformat=channel_layouts=stereo",
        # Sound that ends before the picture goes on as silence, and sound that does not is cut with it.
        f"apad,atrim=end_pts={-int(-end * AUDIO_SAMPLE_RATE // 1)}[a]",
    ))  # fmt: skip


def _video(plan: SourcePlan, segments: range) -> tuple[str, ...]:
    return (
        *(option for number in range(len(plan.rungs)) for option in ("-map", f"[v{number}]")),
        *("-preset:v", str(plan.compression.preset)),
        # Constant quality: easy scenes take less than the live encoder's constant rate, and hard ones no more.
        *("-crf:v", str(plan.compression.crf)),
        # The filter has made the rate constant; a second correction could only drop or double pictures.
        *("-fps_mode:v", "passthrough"),
        # Keyframes on the grid and nowhere else, so that all rungs are cut at the same pictures.
        *("-force_key_frames:v", _keyframe_expression(plan, segments)),
        # A forced keyframe is one that a decoder can start at (IDR), not merely an intra picture.
        *("-forced-idr:v", "1"),
        *("-g:v", str(_NO_KEYFRAME_INTERVAL)),
        # A keyframe at a change of scene would be off the grid, and would cost bits before the next one.
        *("-sc_threshold:v", "0"),
        *(option for number, rung in enumerate(plan.rungs) for option in _rung(number, rung)),
    )


def _keyframe_expression(plan: SourcePlan, segments: range) -> str:
    """An expression that is true at the first picture, and at each whose segment is not that of the last one.

    FFmpeg's t counts from the first picture encoded. Rounding it to a picture's number leaves half a picture of
    margin; adding the number of the first gives the recording's own, and a segment's index is that number
    divided by the pictures in a segment, rounded down, exactly as SegmentGrid has it.
    """
    offset = plan.grid.first_frame(SegmentIndex(segments.start))
    inverse = 1 / plan.grid.frames_per_segment

    def index(time: str) -> str:
        return f"floor((round({time}*{_ratio(plan.rate)})+{offset})*{inverse.numerator}/{inverse.denominator})"

    return f"expr:if(isnan(prev_forced_t),1,gt({index('t')},{index('prev_forced_t')}))"


def _rung(number: int, rung: VodRung) -> tuple[str, ...]:
    return (
        *(f"-c:v:{number}", "libx264"),
        # What CODECS declares is what the encoder is held to.
        *(f"-profile:v:{number}", rung.profile),
        *(f"-level:v:{number}", rung.level),
        # Quality is capped at what the live rung may take: whoever could watch that can watch this.
        *(f"-maxrate:v:{number}", str(max_rate(rung.video_bitrate))),
        *(f"-bufsize:v:{number}", str(buffer_size(rung.video_bitrate))),
        # Rungs run beside each other already; threads inside one cost memory and some quality.
        *(f"-threads:v:{number}", str(rung.threads)),
    )


def _audio(plan: SourcePlan) -> tuple[str, ...]:
    return (
        *("-map", "[a]"),
        # AAC-LC by FFmpeg's own encoder: every build has it.
        *("-c:a", "aac"),
        *("-b:a", str(plan.audio_bitrate)),
    )


def _outputs(plan: SourcePlan, outputs: Sequence[int]) -> tuple[str, ...]:
    options = ":".join((
        # Transport streams: a segment is whole in itself, so ranges need not agree on an initialization
        # section, and players decode the form that they know from the live stream. It costs some per cent.
        "f=mpegts",
        # No allowance for a multiplexer's delay: timestamps are the recording's clock plus CLOCK_START.
        "max_delay=0",
        f"output_ts_offset={CLOCK_START.total_seconds():g}",
        "avoid_negative_ts=disabled",
        # Each frame of sound in a packet of its own, so that a segment ends with the frame that belongs there.
        "pes_payload_size=0",
        # Program tables before keyframes, which FFmpeg writes in any case, and nowhere else.
        f"pat_period={_NEVER_SECONDS}",
        f"sdt_period={_NEVER_SECONDS}",
    ))  # fmt: skip
    sound = ",a" if plan.with_audio else ""
    slaves = (
        rf"[{options}:select=\'v:{number}{sound}\']pipe:{output}" for number, output in enumerate(outputs)
    )
    # The tee muxer lets every rung have the sound that is encoded once.
    return ("-f", "tee", "|".join(slaves))


def _ratio(rate: Fraction) -> str:
    return f"{rate.numerator}/{rate.denominator}"
