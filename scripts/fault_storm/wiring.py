"""Wiring: handlers and encoders on Google's client libraries, as production has them."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry

from bucketcast.bootstrap import PATIENCE, STREAMS_AT_ONCE
from bucketcast.errors import PreconditionFailed, TooManyWrites, Unavailable
from bucketcast.gcp.clients import firestore_client, storage_client
from bucketcast.gcp.firestore import FirestoreStreamDocuments
from bucketcast.gcp.functions import CloudFunction
from bucketcast.gcp.storage import CloudStorageBucket, crc32c
from bucketcast.objects import ABSENT, Generation, NewObject, ObjectFacts
from bucketcast.ports import Bucket
from bucketcast.stream.media_object import listed_as
from fault_storm.cloud import INGEST, MEDIA, PROJECT
from fault_storm.compressed_time import CompressedTime
from fault_storm.encoder import Studio
from fault_storm.functions import World
from ingest.control import Control
from ingest.metrics import Metrics

# For some streams at the same time; nearly all of them wait for the cloud.
UPLOAD_THREADS: Final = 16
CONTROL_THREADS: Final = 24
PUBLISHER_THREADS: Final = 24


def world(clock: CompressedTime, until: AsyncExitStack) -> World:
    """What the functions have, *until* then; the environment says where the cloud is."""
    client = storage_client(PROJECT, emulated=True)
    until.callback(client.close)
    database = firestore_client(PROJECT, emulated=True)
    until.callback(database.close)
    # The library waits between two tries in the machine's time.
    bucket = partial(CloudStorageBucket, client, patience=PATIENCE / clock.factor)
    return World(
        media=bucket(MEDIA),
        ingest=bucket(INGEST),
        documents=FirestoreStreamDocuments(database),
        clock=clock,
        executor=until.enter_context(ThreadPoolExecutor(PUBLISHER_THREADS, thread_name_prefix="publish")),
        streams_at_once=until.enter_context(ThreadPoolExecutor(STREAMS_AT_ONCE, thread_name_prefix="reap")),
    )


def studio(clock: CompressedTime, functions_url: str, counts: Counter[str], until: AsyncExitStack) -> Studio:
    """What the encoders have, *until* then; *counts* takes what becomes of their writes."""
    client = storage_client(PROJECT, emulated=True)
    until.callback(client.close)
    function = partial(CloudFunction, emulated=True, clock=clock.seconds)
    publish, sessions = function(f"{functions_url}/publish"), function(functions_url)
    for called in (publish, sessions):
        until.callback(called._session.close)  # noqa: SLF001 - in production nobody has to
    threads = partial(ThreadPoolExecutor, CONTROL_THREADS)
    return Studio(
        media=CountedBucket(CloudStorageBucket(client, MEDIA, patience=0), "segment", counts),
        ingest=CountedBucket(CloudStorageBucket(client, INGEST, patience=0), "timeline", counts),
        control=Control(
            publish=publish,
            sessions=sessions,
            ingest_bucket=INGEST,
            wakes=until.enter_context(threads(thread_name_prefix="wakes")),
            leases=until.enter_context(threads(thread_name_prefix="leases")),
        ),
        executor=until.enter_context(ThreadPoolExecutor(UPLOAD_THREADS, thread_name_prefix="upload")),
        metrics=Metrics(CollectorRegistry()),
        clock=clock,
        counts=counts,
    )


class CountedBucket:
    """A bucket that counts what becomes of the writes of *kind*."""

    def __init__(self, bucket: Bucket, kind: str, counts: Counter[str]) -> None:
        self._bucket = bucket
        self._kind = kind
        self._counts = counts
        self.facts = bucket.facts
        self.read = bucket.read
        self.names = bucket.names

    def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
        """See Bucket.write."""
        try:
            return self._bucket.write(new, if_generation=if_generation)
        except PreconditionFailed:
            self._counts[f"{self._kind} 412{self._why(new) if if_generation == ABSENT else ''}"] += 1
            raise
        except TooManyWrites:
            self._counts[f"{self._kind} 429"] += 1
            raise
        except Unavailable:
            self._counts[f"{self._kind} unavailable"] += 1
            raise

    def _why(self, new: NewObject) -> str:
        try:
            there = self._bucket.facts(new.name)
        except Unavailable:
            return ""
        if there is None or there.crc32c == crc32c(new.content):
            return ": our own"
        return f": a {listed_as(there)} was first"
