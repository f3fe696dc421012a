from fractions import Fraction

import pytest

from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.rtmp.amf0 import Value
from ingest.protocols.rtmp.metadata import read_metadata


def _read(**properties: Value) -> SourceMetadata:
    return read_metadata(properties)


def test_what_obs_says_is_read() -> None:
    said = _read(encoder="obs", width=1920.0, height=1080.0, framerate=60.0, videocodecid=7.0, stereo=True)
    assert said == SourceMetadata(frame_rate=Fraction(60))


def test_nothing_said_is_nothing_known() -> None:
    assert _read() == SourceMetadata()


@pytest.mark.parametrize(
    ("said", "rate"),
    [
        (30.0, Fraction(30)),
        (25.0, Fraction(25)),
        (29.97, Fraction(30_000, 1001)),
        (29.97002997002997, Fraction(30_000, 1001)),
        (23.976, Fraction(24_000, 1001)),
        (23.98, Fraction(24_000, 1001)),
        (59.94, Fraction(60_000, 1001)),
        (12.5, Fraction(25, 2)),
        (0.3, Fraction(3, 10)),
    ],
)
def test_frame_rate_is_the_fraction_that_was_meant(said: float, rate: Fraction) -> None:
    assert _read(framerate=said).frame_rate == rate


@pytest.mark.parametrize("value", [0.0, -1.0, 1e9, float("nan"), float("inf"), 1e-9, "30", None, True, {}])
def test_nonsense_is_not_believed(value: Value) -> None:
    assert _read(framerate=value) == SourceMetadata()
