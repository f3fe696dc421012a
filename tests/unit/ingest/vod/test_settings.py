import logging
from pathlib import Path

import pytest

from bucketcast.errors import InvalidSettings
from ingest.vod.job import Share
from ingest.vod.plan import Compression, VodPreset
from ingest.vod.settings import read_settings
from unit.ingest.vod.vod_plans import NAMES

NEEDED = {
    "GOOGLE_CLOUD_PROJECT": "demo",
    "BUCKETCAST_MEDIA_BUCKET": "media",
    "BUCKETCAST_INGEST_BUCKET": "ingest",
    "BUCKETCAST_RECORDING_BUCKET": "recording",
    "STREAM": "concert",
    "BROADCAST": "7",
}


def test_what_is_needed_is_enough() -> None:
    settings = read_settings(NEEDED)
    assert settings.names == NAMES
    assert settings.source is None
    assert settings.media_url == "https://storage.googleapis.com/media"
    assert settings.share == Share(task=0, tasks=1)
    assert settings.compression == Compression(preset=VodPreset.MEDIUM, crf=21)
    assert (settings.ffmpeg, settings.emulated, settings.log_level) == (None, False, logging.INFO)


def test_everything_can_be_chosen() -> None:
    chosen = {
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:8080",
        "BUCKETCAST_VOD_PRESET": "slower",
        "BUCKETCAST_VOD_CRF": "18",
        "BUCKETCAST_FFMPEG": "/opt/ffmpeg",
        "BUCKETCAST_LOG_LEVEL": "DEBUG",
        "SOURCE": "concert/recording/00000007/full_stream_2.mp4",
        "CLOUD_RUN_TASK_INDEX": "3",
        "CLOUD_RUN_TASK_COUNT": "4",
    }
    settings = read_settings(NEEDED | chosen)
    assert settings.media_url == "http://127.0.0.1:8080/media"
    assert settings.source == chosen["SOURCE"]
    assert settings.share == Share(task=3, tasks=4)
    assert settings.compression == Compression(preset=VodPreset.SLOWER, crf=18)
    assert (settings.ffmpeg, settings.emulated) == (Path("/opt/ffmpeg"), True)
    assert settings.log_level == logging.DEBUG


def test_the_recording_can_be_read_elsewhere() -> None:
    settings = read_settings(NEEDED | {"BUCKETCAST_MEDIA_URL": "https://cdn.example.com/"})
    assert settings.media_url == "https://cdn.example.com"


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(InvalidSettings, match=f"{name} is not set"):
        read_settings({key: value for key, value in NEEDED.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STREAM", "No Stream"),
        ("BROADCAST", "0"),
        ("BROADCAST", "seven"),
        ("CLOUD_RUN_TASK_COUNT", "0"),
        ("CLOUD_RUN_TASK_INDEX", "1"),
        ("BUCKETCAST_VOD_PRESET", "placebo"),
        ("BUCKETCAST_VOD_CRF", "0"),
        ("BUCKETCAST_VOD_CRF", "51"),
        ("BUCKETCAST_LOG_LEVEL", "LOUD"),
    ],
)
def test_what_is_unusable_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        read_settings(NEEDED | {name: value})
