from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.configuration import Preset, RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, RungName
from bucketcast.stream.session_record import EncodedRung, FrameRate
from ingest.encode.ladder import plan_encoding, plan_ladder
from ingest.encode.source import AudioSource, SourceFacts, VideoSource

STEREO = AudioSource(sample_rate=48_000, channels=2)
DEFAULT = StreamConfiguration()


def source(
    width: int,
    height: int,
    *,
    rate: Fraction = Fraction(30),
    ratio: Fraction = Fraction(1),
    audio: AudioSource | None = STEREO,
) -> SourceFacts:
    video = VideoSource(width=width, height=height, sample_aspect_ratio=ratio)
    return SourceFacts(video=video, audio=audio, frame_rate=rate)


def sizes(facts: SourceFacts, configuration: StreamConfiguration = DEFAULT) -> dict[str, str]:
    return {rung.name: f"{rung.width}x{rung.height}" for rung in plan_ladder(configuration, facts)}


FULL_HD = {"1080p": "1920x1080", "720p": "1280x720", "480p": "854x480", "360p": "640x360"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (source(1920, 1080), FULL_HD),
        (source(3840, 2160), FULL_HD),
        (source(1280, 720), {"720p": "1280x720", "480p": "854x480", "360p": "640x360"}),
        (source(640, 480), {"480p": "640x480", "360p": "480x360"}),
        (source(854, 480), {"480p": "854x480", "360p": "640x360"}),
        (
            source(1080, 1920),
            {"1080p": "1080x1920", "720p": "720x1280", "480p": "480x854", "360p": "360x640"},
        ),
        (source(608, 1080), {"480p": "480x852", "360p": "360x640"}),
        (
            source(1080, 1080),
            {"1080p": "1080x1080", "720p": "720x720", "480p": "480x480", "360p": "360x360"},
        ),
        (source(1366, 768), {"720p": "1280x720", "480p": "854x480", "360p": "640x360"}),
        (source(1279, 719), {"480p": "854x480", "360p": "640x360"}),
        (source(1281, 721), {"720p": "1280x720", "480p": "852x480", "360p": "640x360"}),
        (source(320, 240), {"360p": "320x240"}),
        (source(321, 241), {"360p": "320x240"}),
        (source(640, 360, audio=None), {"360p": "640x360"}),
        # PAL, 16:9: 720 coded samples are 1024 wide; lines are taken away rather than samples added.
        (source(720, 576, ratio=Fraction(64, 45)), {"360p": "640x360"}),
        # Upright samples: fewer columns are shown than were coded.
        (source(1920, 1080, ratio=Fraction(3, 4)), {**FULL_HD, "1080p": "1440x1080", "720p": "960x720",
         "480p": "640x480", "360p": "480x360"}),
        (source(4096, 144), {"360p": "4096x144"}),
    ],
    ids=[
        *("1080p", "4K", "720p", "640x480", "854x480", "portrait", "narrow portrait", "square", "768 lines"),
        *("just below 720", "odd", "small", "small and odd", "no audio", "wide samples", "tall samples"),
        "a ribbon",
    ],
)  # fmt: skip
def test_a_source_gets_these_rungs(facts: SourceFacts, expected: dict[str, str]) -> None:
    assert sizes(facts) == expected


@pytest.mark.parametrize(
    ("facts", "preset", "codecs"),
    [
        (source(1920, 1080), Preset.SUPERFAST, ["640028", "64001f", "64001f", "64001e"]),
        (
            source(1920, 1080, rate=Fraction(60)),
            Preset.VERYFAST,
            ["64002a", "640020", "64001f", "64001f"],
        ),
        (
            source(1920, 1080, rate=Fraction(25)),
            Preset.ULTRAFAST,
            ["42c028", "42c01f", "42c01e", "42c01e"],
        ),
    ],
    ids=["30 fps", "60 fps", "ultrafast"],
)
def test_codecs_name_the_profile_and_the_lowest_level_that_admits_the_rung(
    facts: SourceFacts, preset: Preset, codecs: list[str]
) -> None:
    rungs = plan_ladder(StreamConfiguration(preset=preset), facts)
    assert [rung.codecs for rung in rungs] == [f"avc1.{code},mp4a.40.2" for code in codecs]


def test_the_level_also_follows_from_the_bitrate_and_from_the_longest_side() -> None:
    rung = RungConfiguration(name=RungName("360p"), video_bitrate=BitsPerSecond(60_000_000))
    configuration = StreamConfiguration(rungs=(rung,))
    assert plan_ladder(configuration, source(640, 360))[0].level.name == "5.0"
    assert plan_ladder(DEFAULT, source(4096, 144))[0].level.name == "4.0"


def test_beyond_every_level_the_highest_is_stated() -> None:
    rung = RungConfiguration(name=RungName("2160p"), video_bitrate=BitsPerSecond(20_000_000))
    facts = source(4096, 2160, rate=Fraction(60))
    assert plan_ladder(StreamConfiguration(rungs=(rung,)), facts)[0].level.name == "5.2"


def test_threads_follow_the_number_of_pixels() -> None:
    assert [rung.threads for rung in plan_ladder(DEFAULT, source(1920, 1080))] == [3, 1, 1, 1]


def test_the_plan_says_what_the_session_record_and_the_encoder_need() -> None:
    plan = plan_encoding(DEFAULT, source(640, 360, rate=Fraction(30000, 1001)))
    assert plan.frame_rate == FrameRate(numerator=30000, denominator=1001)
    assert plan.grid.frame_rate == Fraction(30000, 1001)
    assert plan.grid.segment_duration == plan.segment_duration == timedelta(seconds=2)
    assert [rung.encoded_rung for rung in plan.rungs] == [
        EncodedRung(name=RungName("360p"), width=640, height=360, codecs="avc1.64001e,mp4a.40.2")
    ]


@given(
    width=st.integers(min_value=32, max_value=4096),
    height=st.integers(min_value=32, max_value=2304),
    ratio=st.fractions(min_value=Fraction(1, 2), max_value=2, max_denominator=99),
)
def test_every_source_gets_rungs_of_even_sizes_and_its_shape_and_none_upscaled(
    width: int, height: int, ratio: Fraction
) -> None:
    facts = source(width, height, ratio=ratio)
    rungs = plan_ladder(DEFAULT, facts)
    assert rungs
    shape = width * ratio / height
    for rung in rungs:
        assert rung.width % 2 == rung.height % 2 == 0
        assert 2 <= rung.width <= width
        assert 2 <= rung.height <= height
        # Even numbers are up to a pixel off on either side; a cut to even at full size up to two.
        assert abs(rung.width - rung.height * shape) <= 2 + 2 * shape


def test_a_copied_top_rung_declares_the_source_s_own_codec() -> None:
    facts = source(1920, 1080)
    facts = replace(facts, video=replace(facts.video, profile=77, constraints=0x40, level=41))
    encoded, copied = (plan_encoding(DEFAULT, facts, source_delay=delay) for delay in (None, 2))
    assert (encoded.copies_top, copied.copies_top) == (False, True)
    assert copied.rungs[0].codecs == "avc1.4d4029,mp4a.40.2"
    assert replace(copied.rungs[0], source_codec=None) == encoded.rungs[0]
    assert copied.rungs[1:] == encoded.rungs[1:]


@pytest.mark.parametrize(
    ("shed", "delay", "expected", "next_shed"),
    [
        (None, None, ["1080p", "720p", "480p", "360p"], "1080p"),
        ("1080p", None, ["720p", "480p", "360p"], "720p"),
        ("480p", None, ["360p"], None),
        ("360p", None, ["360p"], None),  # where a copy, beside which it was too much, has ended
        (None, 0, ["1080p", "720p", "480p", "360p"], "720p"),
        ("720p", 2, ["1080p", "480p", "360p"], "480p"),
        ("480p", 0, ["1080p", "360p"], "360p"),
        ("360p", 0, ["1080p"], None),
        ("1080p", 0, ["1080p", "720p", "480p", "360p"], "720p"),
    ],
)
def test_the_largest_rung_that_is_encoded_is_shed_but_never_the_last(
    shed: RungName | None, delay: int | None, expected: list[str], next_shed: str | None
) -> None:
    plan = plan_encoding(DEFAULT, source(1920, 1080), source_delay=delay, shed=shed)
    assert [rung.name for rung in plan.rungs] == expected
    assert [rung.source_codec is not None for rung in plan.rungs].count(True) == (delay is not None)
    assert plan.sheddable_rung == next_shed


@given(
    width=st.integers(min_value=32, max_value=4096),
    height=st.integers(min_value=32, max_value=2304),
    delay=st.none() | st.integers(min_value=0, max_value=4),
)
def test_shedding_leaves_one_rung_less_each_time_and_in_the_end_one(
    width: int, height: int, delay: int | None
) -> None:
    plan = plan_encoding(DEFAULT, source(width, height), source_delay=delay)
    while (shed := plan.sheddable_rung) is not None:
        left = plan_encoding(DEFAULT, plan.source, source_delay=delay, shed=shed)
        assert left.rungs == tuple(rung for rung in plan.rungs if rung.name != shed)
        plan = left
    assert len(plan.rungs) == 1


def adaptive(facts: SourceFacts, full_size: tuple[int, int] | None = None) -> SourceFacts:
    return replace(facts, adaptive=True, full_size=full_size)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (adaptive(source(480, 270)), FULL_HD),
        (adaptive(source(480, 270), (1280, 720)), {"720p": "1280x720", "480p": "854x480", "360p": "640x360"}),
        (adaptive(source(480, 270), (3840, 2160)), FULL_HD),
        (
            adaptive(source(270, 480)),
            {"1080p": "1080x1920", "720p": "720x1280", "480p": "480x854", "360p": "360x640"},
        ),
        (
            adaptive(source(320, 240)),
            {"1080p": "1440x1080", "720p": "960x720", "480p": "640x480", "360p": "480x360"},
        ),
        (adaptive(source(480, 270), (320, 180)), {"360p": "320x180"}),
        (adaptive(source(3840, 2160)), FULL_HD),
    ],
    ids=["not declared", "declared", "declared larger", "portrait", "4:3", "small for ever", "large at once"],
)
def test_an_adaptive_source_gets_the_rungs_that_it_may_grow_into(
    facts: SourceFacts, expected: dict[str, str]
) -> None:
    assert sizes(facts) == expected


@given(
    width=st.integers(min_value=32, max_value=2000),
    height=st.integers(min_value=32, max_value=2000),
    full_size=st.none() | st.tuples(*(st.integers(min_value=32, max_value=2000),) * 2),
)
def test_a_plan_s_own_source_is_planned_alike(
    width: int, height: int, full_size: tuple[int, int] | None
) -> None:
    """A session's successor is planned from it."""
    plan = plan_encoding(DEFAULT, adaptive(source(width, height), full_size))
    assert plan_encoding(DEFAULT, plan.source) == plan
