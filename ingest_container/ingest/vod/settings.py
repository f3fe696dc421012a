"""Settings of a task: the environment, read once at the start."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bucketcast.errors import InvalidName, InvalidSettings
from bucketcast.stream.identifiers import BroadcastNumber, parse_stream_id
from ingest.vod.job import Share
from ingest.vod.names import VodNames
from ingest.vod.plan import MAX_CRF, MIN_CRF, Compression, VodPreset

# Where Cloud Storage shows public buckets.
_PUBLIC_STORAGE: Final = "https://storage.googleapis.com"
# Eight digits name a broadcast; nobody has as many.
_LAST_BROADCAST: Final = 99_999_999


@dataclass(frozen=True, slots=True, kw_only=True)
class VodSettings:
    """What a task needs to know of where it runs, and of what it is to make."""

    project: str
    media_bucket: str
    ingest_bucket: str
    recording_bucket: str
    media_url: str
    names: VodNames
    source: str | None  # None: the recording, all of its files
    share: Share
    compression: Compression
    ffmpeg: Path | None  # None: find one
    emulated: bool  # on the local cloud there are no credentials
    log_level: int  # of Python's logging


def read_settings(environ: Mapping[str, str]) -> VodSettings:
    """Read *environ*, or raise InvalidSettings naming the variable that is missing or unusable."""
    names = _names(environ)
    media_bucket = _required(environ, "BUCKETCAST_MEDIA_BUCKET")
    storage = environ.get("STORAGE_EMULATOR_HOST") or _PUBLIC_STORAGE
    ffmpeg = environ.get("BUCKETCAST_FFMPEG")
    return VodSettings(
        project=_required(environ, "GOOGLE_CLOUD_PROJECT"),
        media_bucket=media_bucket,
        ingest_bucket=_required(environ, "BUCKETCAST_INGEST_BUCKET"),
        recording_bucket=_required(environ, "BUCKETCAST_RECORDING_BUCKET"),
        media_url=(environ.get("BUCKETCAST_MEDIA_URL") or f"{storage}/{media_bucket}").rstrip("/"),
        names=names,
        source=environ.get("SOURCE") or None,
        share=_share(environ),
        compression=_compression(environ),
        ffmpeg=Path(ffmpeg) if ffmpeg else None,
        emulated="STORAGE_EMULATOR_HOST" in environ,
        log_level=_log_level(environ),
    )


def _required(environ: Mapping[str, str], name: str) -> str:
    if not (value := environ.get(name, "")):
        raise InvalidSettings(f"the environment variable {name} is not set")
    return value


def _names(environ: Mapping[str, str]) -> VodNames:
    try:
        stream = parse_stream_id(_required(environ, "STREAM"))
    except InvalidName as error:
        raise InvalidSettings(f"STREAM: {error}") from None
    _required(environ, "BROADCAST")
    broadcast = _number(environ, "BROADCAST", 1, least=1, most=_LAST_BROADCAST)
    return VodNames(stream=stream, broadcast=BroadcastNumber(broadcast))


def _share(environ: Mapping[str, str]) -> Share:
    """Cloud Run says in each task which of how many it is; elsewhere there is one."""
    tasks = _number(environ, "CLOUD_RUN_TASK_COUNT", 1, least=1, most=10_000)
    task = _number(environ, "CLOUD_RUN_TASK_INDEX", 0, least=0, most=tasks - 1)
    return Share(task=task, tasks=tasks)


def _compression(environ: Mapping[str, str]) -> Compression:
    default = Compression()
    preset = environ.get("BUCKETCAST_VOD_PRESET") or default.preset
    if preset not in frozenset(VodPreset):
        raise InvalidSettings(f"BUCKETCAST_VOD_PRESET is none of {', '.join(VodPreset)}")
    crf = _number(environ, "BUCKETCAST_VOD_CRF", default.crf, least=MIN_CRF, most=MAX_CRF)
    return Compression(preset=VodPreset(preset), crf=crf)


def _number(environ: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        raise InvalidSettings(f"{name} is not a number from {least} to {most}")
    return int(text)


def _log_level(environ: Mapping[str, str]) -> int:
    levels = logging.getLevelNamesMapping()
    if (level := levels.get(environ.get("BUCKETCAST_LOG_LEVEL", "INFO"))) is None:
        raise InvalidSettings(f"BUCKETCAST_LOG_LEVEL is no log level: one of {', '.join(levels)}")
    return level
