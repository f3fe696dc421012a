"""The composition root of the functions: settings, adapters, handlers; made at the first request, then kept."""

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from bucketcast.gcp.clients import firestore_client, storage_client
from bucketcast.gcp.firestore import FirestoreStreamDocuments
from bucketcast.gcp.storage import CloudStorageBucket
from bucketcast.handlers.claim import Claims
from bucketcast.handlers.evidence import EvidenceReader
from bucketcast.handlers.publish import Publisher, SeenObjects
from bucketcast.handlers.reap import Reaper
from bucketcast.handlers.rebuild import RebuiltDocuments
from bucketcast.handlers.streams import Streams
from bucketcast.handlers.watch import Watchdog
from bucketcast.logs import configure_logging
from bucketcast.settings import read_settings
from bucketcast.system_clock import SystemClock

# How long a function tries again what fails in passing, before the event's own redelivery does.
PATIENCE: Final = 5.0
# A publication reads and writes at most MAX_RUNGS + 2 objects; more threads would only wait for the network.
THREADS: Final = 10
# A publication waits for the network, and now and then for a second to pass: some hundred streams are reaped
# within the scheduler's minute.
STREAMS_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """Everything that main.py's entry points call."""

    publisher: Publisher
    claims: Claims
    reaper: Reaper
    streams: Streams
    admin_token: str


@cache
def handlers() -> Handlers:
    """Wire the handlers to Google Cloud as the environment says; raises InvalidSettings."""
    settings = read_settings(os.environ)
    configure_logging()
    client = storage_client(settings.project, emulated=settings.emulated)
    media = CloudStorageBucket(client, settings.media_bucket, patience=PATIENCE)
    ingest = CloudStorageBucket(client, settings.ingest_bucket, patience=PATIENCE)
    clock = SystemClock()
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="publish")
    documents = RebuiltDocuments(
        documents=FirestoreStreamDocuments(firestore_client(settings.project, emulated=settings.emulated)),
        reader=EvidenceReader(media=media, ingest=ingest, executor=executor),
        clock=clock,
    )
    publisher = Publisher(media=media, ingest=ingest, documents=documents, clock=clock, executor=executor)
    return Handlers(
        publisher=publisher,
        claims=Claims(ingest=ingest, documents=documents, clock=clock),
        # What was deleted behind our back is found by the reaper, which looks at every object itself.
        reaper=Reaper(
            publisher=replace(publisher, seen=SeenObjects(limit=0)),
            executor=ThreadPoolExecutor(STREAMS_AT_ONCE, thread_name_prefix="reap"),
        ),
        streams=Streams(
            ingest=ingest,
            documents=documents,
            watchdog=Watchdog(media=media, clock=clock, executor=executor),
            clock=clock,
            random_bytes=secrets.token_bytes,
        ),
        admin_token=settings.admin_token,
    )
