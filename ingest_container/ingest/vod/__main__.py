"""Run one task of the VOD job: `python -m ingest.vod`. SIGTERM ends it at once; the next attempt goes on."""

import asyncio
import logging
import os
import signal
import sys
from time import monotonic
from typing import Final

from bucketcast.errors import BucketcastError, InvalidSettings
from bucketcast.gcp.clients import storage_client
from bucketcast.gcp.storage import CloudStorageBucket
from bucketcast.logs import configure_logging
from ingest.encode.ffmpeg import find_ffmpeg
from ingest.vod.job import World, run_task
from ingest.vod.progress import BucketProgress
from ingest.vod.settings import VodSettings, read_settings

_log = logging.getLogger("ingest.vod")  # this module is called __main__ where it runs

# How long one request to storage is tried again: Cloud Run breaks the connections of long jobs for some
# seconds, and nobody waits for this one.
PATIENCE: Final = 60.0
# Not zero, so that Cloud Run tries again. sysexits.h: the user is invited to retry.
INTERRUPTED: Final = 75


def main() -> int:
    """Run the task and return the process's exit code."""
    try:
        settings = read_settings(os.environ)
    except InvalidSettings as error:
        print(f"vod: {error}", file=sys.stderr)
        return 2
    configure_logging(settings.log_level)
    try:
        return asyncio.run(_run(settings))
    except BucketcastError as error:
        _log.error("task failed", extra={"reason": str(error), "retryable": error.retryable})
        return 1


async def _run(settings: VodSettings) -> int:
    task = asyncio.create_task(_task(settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    # Cloud Run's warning that connections are going to break. Left alone, it would stop the process for ever.
    loop.add_signal_handler(signal.SIGTSTP, _log.info, "connections are about to break")
    try:
        await task
    except asyncio.CancelledError:
        _log.info("task interrupted")
        return INTERRUPTED
    return 0


async def _task(settings: VodSettings) -> None:
    client = storage_client(settings.project, emulated=settings.emulated)
    media, ingest, recording = (
        CloudStorageBucket(client, name, patience=PATIENCE)
        for name in (settings.media_bucket, settings.ingest_bucket, settings.recording_bucket)
    )
    progress = BucketProgress(
        recording, settings.names, task=settings.share.task, tasks=settings.share.tasks, monotonic=monotonic
    )
    world = World(
        media=media,
        ingest=ingest,
        recording=recording,
        media_url=settings.media_url,
        ffmpeg=find_ffmpeg(settings.ffmpeg),
        progress=progress,
    )
    await run_task(
        world, settings.names, settings.share, source=settings.source, compression=settings.compression
    )


if __name__ == "__main__":
    sys.exit(main())
