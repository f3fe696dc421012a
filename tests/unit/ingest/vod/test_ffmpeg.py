import math
import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bucketcast.stream.identifiers import SegmentIndex
from ingest.vod.ffmpeg import ffmpeg_arguments, reference_arguments, reference_graph
from ingest.vod.plan import SourcePlan
from unit.ingest.vod.vod_plans import plan_of, recording, source_of

FILE, ADDRESS = "recording.mp4", "https://storage.googleapis.com/media/recording.mp4"
ALL = range(4)


def arguments_of(plan: SourcePlan, segments: range, url: str = FILE) -> Sequence[str]:
    return ffmpeg_arguments(plan, segments, url=url, outputs=[5, 6])


def after(arguments: Sequence[str], option: str) -> str:
    return arguments[list(arguments).index(option) + 1]


def graphs(arguments: Sequence[str]) -> list[str]:
    return [value for option, value in pairwise(arguments) if option == "-filter_complex"]


def test_the_recording_is_read_from_its_beginning_without_seeking() -> None:
    arguments = arguments_of(source_of(recording(start=Fraction(3, 2))), ALL)
    assert "-ss" not in arguments
    assert after(arguments_of(source_of(recording()), ALL), "-itsoffset") == "0.000000"
    assert after(arguments, "-itsoffset") == "-1.500000"
    assert after(arguments, "-i") == FILE


def test_a_later_range_seeks_to_a_little_before_it() -> None:
    arguments = arguments_of(source_of(recording()), range(2, 4))
    assert after(arguments, "-ss") == "11.750000"
    assert list(arguments).index("-ss") < list(arguments).index("-i")


def test_an_address_is_opened_again_where_its_connection_breaks() -> None:
    plan = source_of(recording())
    assert "-reconnect" not in arguments_of(plan, ALL)
    arguments = arguments_of(plan, ALL, ADDRESS)
    assert after(arguments, "-reconnect") == "1"
    assert list(arguments).index("-reconnect") < list(arguments).index("-i")


def test_a_range_that_does_not_end_with_the_recording_is_followed_by_one_keyframe() -> None:
    plan = source_of(recording(frame_rate=Fraction(30000, 1001), duration=Fraction(1001, 50)))
    for segments, pictures, sample in ((range(2), 361, 590_178), (range(2, 4), 240, 960_960)):
        video, audio = graphs(arguments_of(plan, segments))
        assert f"trim=end_frame={pictures}," in video
        assert f"atrim=end_pts={sample}[a]" in audio


def test_each_rung_is_scaled_from_the_one_above_it() -> None:
    (video, _) = graphs(arguments_of(source_of(recording(width=1920, height=1080)), ALL))
    chains = video.split(";")
    assert [re.findall(r"scale=(\d+:\d+)", chain) for chain in chains] == [[], ["1280:720"], ["640:360"]]
    assert [chain.partition("]")[0] for chain in chains] == ["[0:v:0", "[s0", "[s1"]
    assert video.endswith("[v2]")


def test_pixels_that_are_not_square_are_scaled_in_the_first_rung_too() -> None:
    source = recording(width=960, height=1080, sample_aspect_ratio=Fraction(4, 3))
    video = graphs(arguments_of(source_of(source), ALL))[0]
    assert "scale=" in video.split(";")[0]


def test_pictures_that_change_their_size_have_that_of_the_first_rung_before_they_are_counted() -> None:
    """And they are counted in one go: FFmpeg would otherwise make its filters anew at each change."""
    plan = source_of(recording(adaptive=True))
    arguments = arguments_of(plan, ALL)
    for option in ("-reinit_filter", "-max_pixels"):
        assert list(arguments).index(option) < list(arguments).index("-i")
        assert option in reference_arguments(plan, ALL, url=FILE)
        assert option not in arguments_of(source_of(recording()), ALL)
    chains = graphs(arguments)[0].split(";")
    assert chains[0].startswith("[0:v:0]scale=1280:720:")
    assert [re.findall(r"scale=(\d+:\d+)", chain) for chain in chains] == [["1280:720"], ["640:360"]]
    reference = reference_graph(plan, ALL)
    assert reference.startswith("scale=1280:720:")
    assert reference.count("scale=") == 1


def test_a_recording_without_sound_is_encoded_without() -> None:
    arguments = arguments_of(source_of(recording(has_audio=False)), ALL)
    assert len(graphs(arguments)) == 1
    assert "aac" not in arguments
    assert "select=\\'v:0\\']pipe:5|" in arguments[-1]
    assert "select=\\'v:1,a\\']pipe:6" in arguments_of(source_of(recording()), ALL)[-1]


def test_a_file_without_sound_is_silent_where_another_has_some() -> None:
    """Its samples lie on the grid from which every range's frames are counted."""
    silent = plan_of(recording(), recording(has_audio=False)).sources[1]
    for segments, run_up in ((ALL, 0), (range(2, 4), 550 * 1024)):
        arguments = arguments_of(silent, segments)
        assert graphs(arguments)[1].startswith(f"anullsrc=sample_rate=48000,asetpts=PTS+{run_up},aformat=")
        assert "select=\\'v:1,a\\']pipe:6" in arguments[-1]


def test_quality_is_constant_and_capped_at_what_the_live_rung_may_take() -> None:
    arguments = arguments_of(source_of(recording()), ALL)
    assert after(arguments, "-crf:v") == "21"
    assert after(arguments, "-preset:v") == "medium"
    assert after(arguments, "-maxrate:v:0") == "2996000"
    assert after(arguments, "-bufsize:v:1") == "800000"


def test_a_measurement_reads_the_very_pictures_that_were_encoded() -> None:
    plan = source_of(recording(width=1920, height=1080))
    assert after(reference_arguments(plan, range(1, 2), url=FILE), "-ss") == "5.750000"
    graph = reference_graph(plan, range(1, 2))
    assert "start_time=6.000000" in graph
    assert "trim=end_frame=180," in graph
    assert "scale=1920:1080" in graph


@settings(max_examples=30)  # each is hundreds of pictures
@given(
    rate=st.sampled_from([Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60)]),
    start=st.integers(0, 7_199),
    jitter=st.floats(-0.3, 0.3),
)
def test_keyframes_are_forced_where_segments_begin_and_nowhere_else(
    rate: Fraction, start: int, jitter: float
) -> None:
    """Whatever range is encoded, and however FFmpeg rounds its times."""
    plan = source_of(recording(frame_rate=rate, duration=Fraction(12 * 3600)))
    segments = range(start, min(start + 2, plan.segments))
    expression = after(arguments_of(plan, segments), "-force_key_frames:v").removeprefix("expr:")
    first = plan.grid.first_frame(SegmentIndex(start))
    forced = math.nan
    keyframes = []
    for number in range(plan.frames_of(segments) + (segments.stop < plan.segments)):
        time = float((number + jitter) / rate)
        if _evaluate(expression, t=time, prev_forced_t=forced):
            keyframes.append(first + number)
            forced = time
    expected = [plan.grid.first_frame(SegmentIndex(index)) for index in range(start, segments.stop + 1)]
    assert keyframes == [frame for frame in expected if frame < plan.frames]


def _evaluate(expression: str, **variables: float) -> float:
    """The value of *expression*, in the few words of FFmpeg's language that it has."""
    words = {
        "choose": lambda condition, yes, no: yes if condition else no(),
        "isnan": math.isnan,
        "gt": lambda a, b: a > b,
        "floor": math.floor,
        "round": round,
    }
    python = re.sub(r"^if\((isnan\(prev_forced_t\)),1,(.*)\)$", r"choose(\1,1,lambda:\2)", expression)
    value: float = eval(python, {**words, **variables})
    return value
