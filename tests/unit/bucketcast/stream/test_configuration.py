from datetime import timedelta
from typing import Any

import pytest

from bucketcast.errors import InvalidConfiguration, InvalidName
from bucketcast.stream.configuration import (
    DEFAULT_RUNGS,
    MAX_RUNGS,
    Preset,
    RecordingMode,
    RungConfiguration,
    StreamConfiguration,
)
from bucketcast.stream.identifiers import BitsPerSecond, RungName


def rung(name: str, video_bitrate: int = 1_000_000) -> RungConfiguration:
    return RungConfiguration(name=RungName(name), video_bitrate=BitsPerSecond(video_bitrate))


def test_the_default_ladder_is_the_one_that_was_asked_for() -> None:
    assert [(rung.short_side, rung.video_bitrate) for rung in DEFAULT_RUNGS] == [
        (1080, 5_000_000),
        (720, 2_800_000),
        (480, 1_400_000),
        (360, 800_000),
    ]
    default = StreamConfiguration()
    assert (default.rungs, default.audio_bitrate) == (DEFAULT_RUNGS, 128_000)
    assert (default.segment_duration, default.reconnect_window) == (timedelta(seconds=2), timedelta(seconds=60))
    assert default.preset in Preset
    assert not default.pass_through


@pytest.mark.parametrize(("name", "bitrate"), [("144p", 100_000), ("2160p", 60_000_000), ("486p", 100_001)])
def test_a_rung_within_the_bounds_is_taken(name: str, bitrate: int) -> None:
    assert rung(name, bitrate).short_side == int(name[:-1])


@pytest.mark.parametrize("name", ["142p", "2162p", "481p"])
def test_a_rung_has_a_size_that_can_be_encoded(name: str) -> None:
    with pytest.raises(InvalidConfiguration, match=f"rung {name}: the short side is even and from 144 to 2160"):
        rung(name)


@pytest.mark.parametrize("bitrate", [99_999, 60_000_001, 0, -1])
def test_a_rung_has_a_bitrate_that_can_be_seen(bitrate: int) -> None:
    with pytest.raises(InvalidConfiguration, match="rung 720p: the video bitrate is from"):
        rung("720p", bitrate)


def test_a_rung_has_a_name() -> None:
    with pytest.raises(InvalidName):
        rung("wide")


def test_a_stream_has_some_rungs_and_not_too_many() -> None:
    with pytest.raises(InvalidConfiguration, match=f"1 to {MAX_RUNGS} rungs"):
        StreamConfiguration(rungs=())
    many = tuple(rung(f"{1000 - 2 * step}p", 2_000_000 - step) for step in range(MAX_RUNGS + 1))
    assert StreamConfiguration(rungs=many[:MAX_RUNGS]).rungs == many[:MAX_RUNGS]
    with pytest.raises(InvalidConfiguration, match=f"1 to {MAX_RUNGS} rungs"):
        StreamConfiguration(rungs=many)


@pytest.mark.parametrize(
    ("higher", "lower"),
    [
        (rung("480p", 800_000), rung("720p", 700_000)),
        (rung("720p", 800_000), rung("720p", 700_000)),
        (rung("720p", 800_000), rung("480p", 800_000)),
        (rung("720p", 800_000), rung("480p", 900_000)),
    ],
)
def test_rungs_go_down_in_size_and_in_bitrate(higher: RungConfiguration, lower: RungConfiguration) -> None:
    with pytest.raises(InvalidConfiguration, match=f"{lower.name} cannot follow {higher.name}"):
        StreamConfiguration(rungs=(higher, lower))


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        ("audio_bitrate", [31_999, 320_001], "the audio bitrate is from 32000 to 320000"),
        (
            "segment_duration",
            [timedelta(seconds=s) for s in (0, 0.5, 0.999999, 1.25, 6.5, -2)],
            "the segment duration is from 1 to 6 s, in steps of 0.5 s",
        ),
        (
            "reconnect_window",
            [timedelta(microseconds=-1), timedelta(seconds=1800, microseconds=1)],
            "the reconnect window is from 0 to 1800 s",
        ),
    ],
)
def test_a_value_outside_its_bounds_is_named(field: str, values: list[Any], words: str) -> None:
    for value in values:
        with pytest.raises(InvalidConfiguration, match=words):
            StreamConfiguration(**{field: value})


def test_a_vod_is_made_of_a_recording() -> None:
    with pytest.raises(InvalidConfiguration, match="a VOD is made of a recording"):
        StreamConfiguration(recording=RecordingMode.OFF, vod=True)
    assert not StreamConfiguration(recording=RecordingMode.OFF).vod
    for mode in (RecordingMode.ON, RecordingMode.SOURCE):
        assert StreamConfiguration(recording=mode, vod=True).vod


@pytest.mark.parametrize("seconds", [1, 1.5, 2, 6])
@pytest.mark.parametrize("window", [0, 1800])
@pytest.mark.parametrize("audio", [32_000, 320_000])
def test_every_bound_itself_is_taken(seconds: float, window: int, audio: int) -> None:
    configuration = StreamConfiguration(
        segment_duration=timedelta(seconds=seconds),
        reconnect_window=timedelta(seconds=window),
        audio_bitrate=BitsPerSecond(audio),
    )
    assert configuration.segment_duration.total_seconds() == seconds
