from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.bandwidth import buffer_size, declared_bandwidth, max_rate
from bucketcast.stream.configuration import (
    DEFAULT_RUNGS,
    MAX_VIDEO_BITRATE,
    MIN_VIDEO_BITRATE,
    RungConfiguration,
)
from bucketcast.stream.identifiers import BitsPerSecond, RungName

AUDIO = BitsPerSecond(128_000)
TWO_SECONDS = timedelta(seconds=2)


def test_the_default_ladder_declares_these_bandwidths() -> None:
    """Players choose by these numbers, so a change of them is a change to see."""
    assert {rung.name: declared_bandwidth(rung, AUDIO, TWO_SECONDS) for rung in DEFAULT_RUNGS} == {
        "1080p": 8_374_900,
        "720p": 4_845_813,
        "480p": 2_600_030,
        "360p": 1_637_552,
    }


@given(
    bitrate=st.integers(min_value=MIN_VIDEO_BITRATE, max_value=MAX_VIDEO_BITRATE),
    half_seconds=st.integers(min_value=2, max_value=12),
)
def test_no_segment_that_the_decoder_buffer_admits_exceeds_the_declared_bandwidth(
    bitrate: int, half_seconds: int
) -> None:
    video = BitsPerSecond(bitrate)
    rung = RungConfiguration(name=RungName("720p"), video_bitrate=video)
    seconds = half_seconds / 2
    most_bits = max_rate(video) * seconds + buffer_size(video) + AUDIO * seconds
    assert most_bits * 188 / 184 / seconds <= declared_bandwidth(rung, AUDIO, timedelta(seconds=seconds))


@pytest.mark.parametrize("rung", DEFAULT_RUNGS, ids=lambda rung: rung.name)
def test_the_peak_is_above_the_average_and_falls_with_longer_segments(rung: RungConfiguration) -> None:
    peaks = [declared_bandwidth(rung, AUDIO, timedelta(seconds=seconds)) for seconds in (1, 2, 6)]
    assert peaks == sorted(peaks, reverse=True)
    assert rung.video_bitrate + AUDIO < peaks[-1]
