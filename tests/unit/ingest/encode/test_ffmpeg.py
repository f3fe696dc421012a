# ruff: noqa: E501 - the lines of a command line are as long as they are
import math
import shlex
import stat
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.errors import InvalidSettings
from bucketcast.stream.configuration import Preset, RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, RungName, SegmentIndex
from ingest.encode.ffmpeg import ffmpeg_arguments, find_ffmpeg, parse_version, printable
from ingest.encode.ladder import EncodingPlan, plan_encoding
from ingest.encode.source import AudioSource, SourceFacts, VideoSource
from ingest.feed import AudioCodec

STEREO = AudioSource(sample_rate=44_100, channels=2)
TWO_RUNGS = StreamConfiguration(
    rungs=(
        RungConfiguration(name=RungName("720p"), video_bitrate=BitsPerSecond(2_800_000)),
        RungConfiguration(name=RungName("360p"), video_bitrate=BitsPerSecond(800_000)),
    )
)
SOURCE = SourceFacts(video=VideoSource(width=1920, height=1080), audio=STEREO, frame_rate=Fraction(30000, 1001))

GOLDEN = r"""
-hide_banner
-loglevel level+warning
-nostdin
-nostats
-progress pipe:9
-stats_period 1
-copyts
-itsoffset -10
-fpsprobesize 0
-analyzeduration 1000000
-threads 1
-flags +output_corrupt
-f flv
-i pipe:0
-filter_complex [0:v:0]settb=1/1000000,fps=30000/1001:start_time=6.006000:round=near,format=yuv420p,scale=1280:720:flags=bicubic,setsar=1,split=2[v0][s0];[s0]scale=640:360:flags=bicubic,setsar=1[v1]
-filter_complex [0:a:0]aresample=48000:async=1000:min_comp=0.02:first_pts=275456,aformat=channel_layouts=stereo[a]
-map [v0]
-map [v1]
-preset:v superfast
-fps_mode:v passthrough
-force_key_frames:v expr:if(isnan(prev_forced_t),1,gt(floor((round(t*30000/1001)+180)*1001/60000),floor((round(prev_forced_t*30000/1001)+180)*1001/60000)))
-forced-idr:v 1
-g:v 100000
-bf:v 1
-sc_threshold:v 0
-x264-params:v force-cfr=1
-c:v:0 libx264
-profile:v:0 high
-level:v:0 3.1
-b:v:0 2800000
-maxrate:v:0 2996000
-bufsize:v:0 2800000
-threads:v:0 1
-c:v:1 libx264
-profile:v:1 high
-level:v:1 3.0
-b:v:1 800000
-maxrate:v:1 856000
-bufsize:v:1 800000
-threads:v:1 1
-map [a]
-c:a aac
-b:a 128000
-max_interleave_delta 1
-f tee
[f=mpegts:flush_packets=1:max_delay=0:audio_preload=35000:output_ts_offset=10:avoid_negative_ts=disabled:pes_payload_size=0:pat_period=1000000:sdt_period=1000000:select=\'v:0,a\']pipe:7|[f=mpegts:flush_packets=1:max_delay=0:audio_preload=35000:output_ts_offset=10:avoid_negative_ts=disabled:pes_payload_size=0:pat_period=1000000:sdt_period=1000000:select=\'v:1,a\']pipe:8
"""


def arguments(plan: EncodingPlan, start: int = 0) -> tuple[str, ...]:
    return ffmpeg_arguments(
        plan, start=SegmentIndex(start), outputs=[7 + number for number in range(len(plan.rungs))], progress=9
    )


def option(name: str, plan: EncodingPlan, start: int = 0) -> str:
    """The value of the first option *name*."""
    given = arguments(plan, start)
    return given[given.index(name) + 1]


def test_the_whole_command_line_of_a_replacement_from_the_fourth_segment_on() -> None:
    """A change here is a change of every segment: it must be meant."""
    lines = [line for line in GOLDEN.splitlines() if line]
    words = [word for line in lines for word in line.split(" ", 1)]
    assert list(arguments(plan_encoding(TWO_RUNGS, SOURCE), start=3)) == words


def test_the_first_encoder_starts_at_the_session_s_beginning() -> None:
    plan = plan_encoding(TWO_RUNGS, SOURCE)
    assert "start_time=0.000000" in option("-filter_complex", plan)
    assert any("first_pts=0," in argument for argument in arguments(plan))


def test_a_rung_of_the_source_s_size_is_not_scaled() -> None:
    plan = plan_encoding(StreamConfiguration(), replace(SOURCE, video=VideoSource(width=1280, height=720)))
    graph = option("-filter_complex", plan)
    assert graph.endswith(
        "format=yuv420p,split=2[v0][s0];"
        "[s0]scale=854:480:flags=bicubic,setsar=1,split=2[v1][s1];"
        "[s1]scale=640:360:flags=bicubic,setsar=1[v2]"
    )


def test_a_single_rung_of_the_source_s_size_is_neither_scaled_nor_split() -> None:
    plan = plan_encoding(StreamConfiguration(), replace(SOURCE, video=VideoSource(width=640, height=360)))
    assert option("-filter_complex", plan).endswith("round=near,format=yuv420p[v0]")


def test_a_copied_top_rung_is_not_filtered_and_the_others_are_scaled_from_the_source() -> None:
    facts = replace(SOURCE, video=VideoSource(width=1280, height=720), frame_rate=Fraction(30))
    plan = plan_encoding(TWO_RUNGS, facts, source_delay=2)
    assert option("-filter_complex", plan).endswith("format=yuv420p,scale=640:360:flags=bicubic,setsar=1[v1]")
    assert option("-c:v:0", plan) == "copy"
    assert option("-c:v:1", plan) == "libx264"
    given = arguments(plan)
    assert [given[at + 1] for at, word in enumerate(given) if word == "-map"] == ["0:v:0", "[v1]", "[a]"]


@pytest.mark.parametrize(
    ("preset", "source_delay", "shift"),
    [(Preset.SUPERFAST, 0, 0), (Preset.SUPERFAST, 1, 0), (Preset.SUPERFAST, 2, 1), (Preset.ULTRAFAST, 2, 2)],
)
def test_encoded_rungs_decode_as_many_frames_ahead_as_a_copied_one(
    preset: Preset, source_delay: int, shift: int
) -> None:
    facts = replace(SOURCE, video=VideoSource(width=1280, height=720), frame_rate=Fraction(30))
    configuration = StreamConfiguration(rungs=TWO_RUNGS.rungs, preset=preset)
    plan = plan_encoding(configuration, facts, source_delay=source_delay)
    assert "-bsf:v:0" not in arguments(plan)
    assert ("-bsf:v:1" in arguments(plan)) == bool(shift)
    if shift:
        assert option("-bsf:v:1", plan) == f"setts=pts=PTS:dts=DTS-{shift}/(30/1*TB)"


def test_a_source_that_is_the_only_rung_is_not_decoded() -> None:
    facts = replace(SOURCE, video=VideoSource(width=640, height=360), frame_rate=Fraction(30))
    given = arguments(plan_encoding(StreamConfiguration(), facts, source_delay=0))
    assert not any("[0:v:0]" in argument for argument in given)
    assert "libx264" not in given
    assert "-preset:v" not in given


def test_pixels_that_are_not_square_are_made_so() -> None:
    video = VideoSource(width=640, height=360, sample_aspect_ratio=Fraction(1, 2))
    graph = option("-filter_complex", plan_encoding(StreamConfiguration(), replace(SOURCE, video=video)))
    assert "scale=320:360:flags=bicubic,setsar=1" in graph


def test_only_large_pictures_are_decoded_with_more_than_one_thread() -> None:
    large = replace(SOURCE, video=VideoSource(width=3840, height=2160))
    assert option("-threads", plan_encoding(TWO_RUNGS, SOURCE)) == "1"
    assert option("-threads", plan_encoding(TWO_RUNGS, large)) == "0"


def test_ultrafast_keeps_to_the_profile_that_it_is_declared_with() -> None:
    """Constrained Baseline has no pictures out of order."""
    plan = plan_encoding(StreamConfiguration(preset=Preset.ULTRAFAST), SOURCE)
    assert (option("-bf:v", plan), option("-profile:v:0", plan)) == ("0", "baseline")


def test_a_segment_duration_of_one_and_a_half_seconds_is_in_the_keyframe_expression() -> None:
    configuration = StreamConfiguration(segment_duration=timedelta(milliseconds=1500))
    plan = plan_encoding(configuration, replace(SOURCE, frame_rate=Fraction(25)))
    assert "floor((round(t*25/1)+38)*2/75)" in option("-force_key_frames:v", plan, start=1)


def forces(expression: str, time: float, forced: float) -> bool:
    """What FFmpeg makes of the -force_key_frames *expression* at *time*, the last one forced at *forced*."""
    names = {
        "t": time,
        "prev_forced_t": forced,
        "if_": lambda condition, then, otherwise: then if condition else otherwise,
        "gt": lambda one, other: one > other,
        "isnan": math.isnan,
        # Nothing is forced before the first frame, and Python would refuse to round that.
        "floor": lambda value: value if math.isnan(value) else math.floor(value),
        "round": lambda value: value if math.isnan(value) else math.floor(value + 0.5),
    }
    text = expression.removeprefix("expr:").replace("if(", "if_(", 1)
    return bool(eval(text, {"__builtins__": {}}, names))


@given(
    rate=st.sampled_from([
        *(Fraction(rate * 1000, 1001) for rate in (24, 30, 60)),
        *(Fraction(rate) for rate in (10, 24, 25, 30, 50, 60)),
    ]),
    half_seconds=st.integers(min_value=2, max_value=12),
    start=st.integers(min_value=0, max_value=86_400),
    later=st.integers(min_value=0, max_value=86_400),
    offset=st.integers(min_value=-3, max_value=3),
)  # fmt: skip
def test_for_a_day_and_from_any_segment_on_a_keyframe_is_forced_at_exactly_the_first_frame_of_each(
    rate: Fraction, half_seconds: int, start: int, later: int, offset: int
) -> None:
    configuration = StreamConfiguration(segment_duration=timedelta(seconds=half_seconds / 2))
    plan = plan_encoding(configuration, replace(SOURCE, frame_rate=rate))
    expression = option("-force_key_frames:v", plan, start)
    grid, first = plan.grid, plan.grid.first_frame(SegmentIndex(start))
    assert forces(expression, 0.0, math.nan)
    frame = grid.first_frame(SegmentIndex(start + later + 1)) + offset
    last_forced = grid.first_frame(grid.index_of_frame(frame - 1))
    # FFmpeg's times are doubles: a count of frames by the duration of one.
    time, forced = ((number - first) * float(1 / rate) for number in (frame, max(first, last_forced)))
    if frame > first:
        assert forces(expression, time, forced) == (frame == grid.first_frame(grid.index_of_frame(frame)))


def test_the_printed_line_is_what_a_shell_splits_into_the_same_arguments() -> None:
    given = arguments(plan_encoding(TWO_RUNGS, SOURCE))
    line = printable("/opt/ffmpeg", given, feed="session.mkv", outputs={7: "720p.ts", 8: "the small one.ts"})
    assert shlex.split(line) == ["/opt/ffmpeg", *given, "<session.mkv", "7>720p.ts", "8>the small one.ts"]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("ffmpeg version 5.1.9-0+deb12u1 Copyright", (5, 1)),
        ("ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright", (9, 0)),
        ("ffmpeg version N-118448-g43be8d0728 Copyright", None),
        ("", None),
    ],
)
def test_the_version_is_read(text: str, version: tuple[int, int] | None) -> None:
    assert parse_version(text) == version


def program(folder: Path, says: str, *, name: str = "ffmpeg", status: int = 0) -> Path:
    """A program that prints *says*."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def _no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package has no FFmpeg for this platform."""

    def absent() -> str:
        raise RuntimeError("no ffmpeg exe could be found")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", absent)


def test_a_configured_ffmpeg_comes_first(tmp_path: Path) -> None:
    path = program(tmp_path, "ffmpeg version 6.0")
    assert find_ffmpeg(path) == path


def test_without_configuration_it_is_the_package_s() -> None:
    assert find_ffmpeg() == Path(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.mark.usefixtures("_no_package")
def test_without_the_package_it_is_the_one_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path, "ffmpeg version N-118448-g43be8d0728")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert find_ffmpeg() == path


@pytest.mark.usefixtures("_no_package")
def test_without_any_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidSettings, match="install it"):
        find_ffmpeg()


@pytest.mark.parametrize(
    ("says", "status", "reason"),
    [("ffmpeg version 4.4.6", 0, r"older than 5\.1"), ("ffmpeg version 6.0", 1, "does not run")],
)
def test_an_ffmpeg_that_cannot_be_used_is_refused(says: str, status: int, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=reason):
        find_ffmpeg(program(tmp_path, says, status=status))


def test_a_path_where_nothing_is_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="does not run"):
        find_ffmpeg(tmp_path / "ffmpeg")


def test_an_adaptive_source_is_brought_to_one_size_before_its_frames_are_numbered() -> None:
    """And its graph is never made anew: that would number them from zero again."""
    facts = replace(SOURCE, video=VideoSource(width=480, height=270), adaptive=True)
    plan = plan_encoding(TWO_RUNGS, facts)
    assert option("-reinit_filter", plan) == "0"
    assert option("-max_pixels", plan) == str(2 * 4096 * 2304)
    assert arguments(plan).index("-reinit_filter") < arguments(plan).index("-i")
    assert option("-filter_complex", plan) == (
        "[0:v:0]scale=1280:720:flags=bicubic,setsar=1,settb=1/1000000,"
        "fps=30000/1001:start_time=0.000000:round=near,format=yuv420p,split=2[v0][s0];"
        "[s0]scale=640:360:flags=bicubic,setsar=1[v1]"
    )
    assert "-reinit_filter" not in arguments(plan_encoding(TWO_RUNGS, SOURCE))


def test_the_feed_s_format_follows_from_its_codecs() -> None:
    opus = replace(STEREO, codec=AudioCodec.OPUS)
    given = arguments(plan_encoding(TWO_RUNGS, replace(SOURCE, audio=opus)))
    assert given[given.index("-i") - 1] == "matroska"
