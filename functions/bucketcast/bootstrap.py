"""The composition root of the functions: settings, adapters, handlers; made at the first request, then kept."""

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from bucketcast.gcp.clients import firestore_client, storage_client
from bucketcast.gcp.firestore import FirestoreRecordingDocuments, FirestoreStreamDocuments
from bucketcast.gcp.storage import CloudStorageBucket
from bucketcast.gcp.workflows import CloudWorkflows, executions_client
from bucketcast.handlers.claim import Claims
from bucketcast.handlers.clean_up import CleanUp
from bucketcast.handlers.deletion import Deletions
from bucketcast.handlers.evidence import EvidenceReader
from bucketcast.handlers.finalize import Finalizer
from bucketcast.handlers.publish import Publisher, SeenObjects
from bucketcast.handlers.reap import Reaper
from bucketcast.handlers.rebuild import RebuiltDocuments
from bucketcast.handlers.recordings import Recordings
from bucketcast.handlers.streams import Streams
from bucketcast.handlers.watch import Watchdog
from bucketcast.http_api import Owner, WorkflowSteps
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
# Objects of a recording that are read, joined or deleted at the same time: each waits for the network.
OBJECTS_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """Everything that main.py's entry points call."""

    publisher: Publisher
    claims: Claims
    reaper: Reaper
    owner: Owner
    workflow_steps: WorkflowSteps


@cache
def handlers() -> Handlers:
    """Wire the handlers to Google Cloud as the environment says; raises InvalidSettings."""
    settings = read_settings(os.environ)
    configure_logging()
    client = storage_client(settings.project, emulated=settings.emulated)
    media = CloudStorageBucket(client, settings.media_bucket, patience=PATIENCE)
    ingest = CloudStorageBucket(client, settings.ingest_bucket, patience=PATIENCE)
    recording = CloudStorageBucket(client, settings.recording_bucket, patience=PATIENCE)
    clock = SystemClock()
    firestore = firestore_client(settings.project, emulated=settings.emulated)
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="publish")
    objects = ThreadPoolExecutor(OBJECTS_AT_ONCE, thread_name_prefix="objects")
    reader = EvidenceReader(media=media, ingest=ingest, executor=executor)
    stored = FirestoreStreamDocuments(firestore)
    documents = RebuiltDocuments(documents=stored, reader=reader, clock=clock)
    recording_documents = FirestoreRecordingDocuments(firestore)
    publisher = Publisher(media=media, ingest=ingest, documents=documents, clock=clock, executor=executor)
    recordings = Recordings(
        documents=recording_documents,
        executions=CloudWorkflows(executions_client(settings.workflows_emulator), settings.workflows),
        publisher=publisher,
        media=media,
        recording=recording,
        clock=clock,
    )
    deletions = Deletions(
        media=media,
        ingest=ingest,
        recording=recording,
        documents=stored,
        rebuilt=documents,
        recordings=recording_documents,
        clock=clock,
        executor=objects,
    )
    return Handlers(
        publisher=publisher,
        claims=Claims(ingest=ingest, documents=documents, clock=clock),
        # What was deleted behind our back is found by the reaper, which looks at every object itself.
        reaper=Reaper(
            publisher=replace(publisher, seen=SeenObjects(limit=0)),
            executor=ThreadPoolExecutor(STREAMS_AT_ONCE, thread_name_prefix="reap"),
        ),
        owner=Owner(
            streams=Streams(
                ingest=ingest,
                documents=documents,
                watchdog=Watchdog(media=media, clock=clock, executor=executor),
                clock=clock,
                random_bytes=secrets.token_bytes,
            ),
            publisher=publisher,
            recordings=recordings,
            deletions=deletions,
            admin_token=settings.admin_token,
        ),
        workflow_steps=WorkflowSteps(
            recordings=recordings,
            finalizer=Finalizer(
                media=media,
                recording=recording,
                reader=reader,
                documents=recording_documents,
                clock=clock,
                executor=objects,
            ),
            clean_up=CleanUp(deletions=deletions, recordings=recordings, executor=objects),
        ),
    )
