"""Run the ingest: `python -m ingest`. SIGTERM and SIGINT end every session properly, then the process."""

import asyncio
import os
import signal
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from prometheus_client import CollectorRegistry

from bucketcast.errors import InvalidSettings
from bucketcast.gcp.clients import storage_client
from bucketcast.gcp.functions import CloudFunction
from bucketcast.gcp.storage import CloudStorageBucket
from bucketcast.logs import configure_logging
from bucketcast.stream.identifiers import EncoderId
from ingest.broadcasters import Broadcasters
from ingest.control import Control
from ingest.encode.ffmpeg import find_ffmpeg
from ingest.metrics import Metrics
from ingest.protocols.rtmp import RtmpServer
from ingest.protocols.whip.addresses import served_addresses
from ingest.protocols.whip.server import WhipServer
from ingest.session import Surroundings
from ingest.settings import Settings, read_settings
from ingest.web import web_application, whip_application
from ingest.web_server import web_server
from ingest.whip_metrics import WhipCollector

# Uploads of a few streams' rungs at the same time; each thread waits for the network nearly always.
UPLOAD_THREADS: Final = 16
# Parts of recordings are made in fractions of a second, ten seconds apart.
RECORDER_THREADS: Final = 2
# One write at a time for each session, apart from the uploads, which take all of their threads where the media
# bucket hangs: without a timeline's sign of life the broadcast is taken for interrupted, and ended.
TIMELINE_THREADS: Final = 8
# A stream has one wake-up at a time, for up to 15 s where playlists have to wait a second out again and again:
# more than the streams that the machine can encode.
WAKE_THREADS: Final = 16
# Claims and renewals, one at a time for each session. They take milliseconds, and a lease only holds three
# seconds: neither uploads nor wake-ups may stand before them.
LEASE_THREADS: Final = 8
# Stream keys of strangers: however many come, they wait for each other and for nobody else.
STRANGER_THREADS: Final = 4


def main() -> int:
    """Run until a signal comes; return the process's exit code."""
    try:
        settings = read_settings(os.environ)
    except InvalidSettings as error:
        print(f"ingest: {error}", file=sys.stderr)
        return 2
    configure_logging(settings.log_level)
    try:
        asyncio.run(_serve(settings))
    except (OSError, InvalidSettings) as error:
        print(f"ingest: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics(CollectorRegistry())
    broadcasters = Broadcasters(_surroundings(settings, metrics))
    rtmp, whip = RtmpServer(broadcasters), WhipServer(broadcasters)
    await rtmp.start(settings.host, settings.rtmp_port)
    await whip.start(served_addresses(settings.host), settings.whip.udp_port, announced=settings.whip.addresses)
    metrics.registry.register(WhipCollector(lambda: whip.sessions, lambda: whip.discarded))
    publishing = whip_application(whip, settings.whip.endpoint, viewer_url=settings.whip.viewer_url)
    webs = [
        web_server(web_application(metrics.registry), settings.host, settings.http_port),
        web_server(publishing, settings.host, settings.whip.port),
    ]
    serving = [asyncio.create_task(web.serve()) for web in webs]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({*serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.gather(rtmp.close(), whip.close())
    for web in webs:
        web.should_exit = True
    stopping.cancel()
    await asyncio.gather(*serving)


def _surroundings(settings: Settings, metrics: Metrics) -> Surroundings:
    client = storage_client(settings.project, emulated=settings.emulated)
    control = Control(
        publish=CloudFunction(settings.publish_url, emulated=settings.emulated, clock=monotonic),
        sessions=CloudFunction(settings.sessions_url, emulated=settings.emulated, clock=monotonic),
        ingest_bucket=settings.ingest_bucket,
        wakes=ThreadPoolExecutor(WAKE_THREADS, thread_name_prefix="wakes"),
        leases=ThreadPoolExecutor(LEASE_THREADS, thread_name_prefix="leases"),
    )
    return Surroundings(
        media=CloudStorageBucket(client, settings.media_bucket, patience=0),
        ingest=CloudStorageBucket(client, settings.ingest_bucket, patience=0),
        recording=CloudStorageBucket(client, settings.recording_bucket, patience=0),
        control=control,
        executor=ThreadPoolExecutor(UPLOAD_THREADS, thread_name_prefix="upload"),
        recorders=ThreadPoolExecutor(RECORDER_THREADS, thread_name_prefix="recorders"),
        timelines=ThreadPoolExecutor(TIMELINE_THREADS, thread_name_prefix="timelines"),
        strangers=ThreadPoolExecutor(STRANGER_THREADS, thread_name_prefix="strangers"),
        metrics=metrics,
        ffmpeg=find_ffmpeg(settings.ffmpeg),
        now=lambda: datetime.now(UTC),
        new_encoder_id=lambda: EncoderId(uuid.uuid4().hex),
    )


if __name__ == "__main__":
    sys.exit(main())
