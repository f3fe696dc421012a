"""Settings of the ingest: the environment, read once at the start."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bucketcast.errors import InvalidSettings

# The port that RTMP clients take when an address names none.
RTMP_PORT: Final = 1935
# The port for metrics and health where the environment names none; Cloud Run sets PORT.
HTTP_PORT: Final = 9090
_HIGHEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the ingest needs to know of where it runs."""

    project: str
    media_bucket: str
    ingest_bucket: str
    publish_url: str
    sessions_url: str
    host: str
    rtmp_port: int
    http_port: int
    ffmpeg: Path | None  # None: find one
    emulated: bool  # on the local cloud there are no credentials
    log_level: int  # of Python's logging


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read *environ*, or raise InvalidSettings naming the variable that is missing or unusable."""

    def required(name: str) -> str:
        if not (value := environ.get(name, "")):
            raise InvalidSettings(f"the environment variable {name} is not set")
        return value

    def port(name: str, default: int) -> int:
        text = environ.get(name, str(default))
        if not text.isdecimal() or int(text) > _HIGHEST_PORT:
            raise InvalidSettings(f"{name} is not a port: a number from 0 (any) to {_HIGHEST_PORT}")
        return int(text)

    def log_level(name: str) -> int:
        levels = logging.getLevelNamesMapping()
        if (level := levels.get(environ.get(name, "INFO"))) is None:
            raise InvalidSettings(f"{name} is no log level: one of {', '.join(levels)}")
        return level

    ffmpeg = environ.get("BUCKETCAST_FFMPEG")
    return Settings(
        project=required("GOOGLE_CLOUD_PROJECT"),
        media_bucket=required("BUCKETCAST_MEDIA_BUCKET"),
        ingest_bucket=required("BUCKETCAST_INGEST_BUCKET"),
        publish_url=required("BUCKETCAST_PUBLISH_URL"),
        sessions_url=required("BUCKETCAST_SESSIONS_URL"),
        host=environ.get("BUCKETCAST_HOST", "0.0.0.0"),  # noqa: S104 - a container's own network
        rtmp_port=port("BUCKETCAST_RTMP_PORT", RTMP_PORT),
        http_port=port("PORT", HTTP_PORT),
        ffmpeg=Path(ffmpeg) if ffmpeg else None,
        emulated="STORAGE_EMULATOR_HOST" in environ,
        log_level=log_level("BUCKETCAST_LOG_LEVEL"),
    )
