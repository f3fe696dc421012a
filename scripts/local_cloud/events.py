"""Storage events: a finalized object in a bucket with a trigger is posted to the trigger's address.

As Eventarc does it: CloudEvents in binary mode, at least once, in no promised order, retried with
exponential back-off until the receiver answers 2xx. Events that wait are in memory: a process that ends
loses them, which reconcilers have to bear anyway.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from local_cloud.faults import Faults
from local_cloud.operations import OperationCounts, PriceClass
from local_cloud.outbound import NoAnswer, request
from local_cloud.storage.objects import StoredObject
from local_cloud.storage.resources import format_time, linked, object_resource

FINALIZED: Final = "google.cloud.storage.object.v1.finalized"
MAX_PENDING: Final = 10_000  # some 10 MB; the cloud holds a day's, a local receiver that is gone may cost less
MAX_CONCURRENT_DELIVERIES: Final = 16  # more would only wait for each other on a developer's machine
DELIVERY_TIMEOUT: Final = timedelta(seconds=60)  # the default request timeout of an event-driven function
# "A minimum of 1000 bytes per publish, push or pull request": https://cloud.google.com/pubsub/pricing
MIN_BILLED_BYTES: Final = 1000
RETENTION: Final = timedelta(hours=24)  # https://cloud.google.com/eventarc/docs/retry-events
# Characters of header values that need no percent-encoding: CloudEvents HTTP binding 1.0, section 3.1.3.2.
_PLAIN: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before the next attempt: *first*, doubled each time, never above *most*.

    The defaults are Eventarc's: https://cloud.google.com/eventarc/docs/retry-events.
    """

    first: timedelta = timedelta(seconds=10)
    most: timedelta = timedelta(seconds=600)

    def after(self, attempts: int) -> timedelta:
        """The pause after *attempts* failed ones."""
        doublings = min(attempts - 1, 32)  # any more would only overflow
        return min(self.first * (1 << doublings), self.most)


EVENTARC_BACKOFF: Final = Backoff()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One CloudEvent in binary mode, addressed."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    expires: datetime


def finalized_event(stored: StoredObject, *, url: str, base_url: str) -> Event:
    """The event that *stored* was finalized, for the receiver at *url*."""
    return Event(
        url=url,
        headers={
            "content-type": "application/json",
            "ce-specversion": "1.0",
            "ce-id": str(stored.generation),
            "ce-type": FINALIZED,
            "ce-source": f"//storage.googleapis.com/projects/_/buckets/{stored.bucket}",
            "ce-subject": quote(f"objects/{stored.name}", safe=_PLAIN),
            "ce-time": format_time(stored.updated),
            "ce-bucket": stored.bucket,
        },
        body=json.dumps(linked(object_resource(stored), base_url=base_url)).encode(),
        expires=stored.updated + RETENTION,
    )


class Events:
    """Delivers the events of *triggers* (bucket to address), with the fates that *faults* draws for them.

    Construct it inside the loop that delivers; `finalized` may be called from any thread.
    """

    def __init__(
        self,
        triggers: Mapping[str, str],
        *,
        base_url: str,
        faults: Faults,
        clock: Callable[[], datetime],
        backoff: Backoff,
        operations: OperationCounts | None = None,
    ) -> None:
        self._triggers = triggers
        self._operations = operations or OperationCounts()
        self._base_url = base_url
        self._faults = faults
        self._clock = clock
        self._backoff = backoff
        self._loop = asyncio.get_running_loop()
        self._deliveries: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_DELIVERIES)

    @property
    def pending(self) -> int:
        """How many deliveries are delayed, under way or waiting for their next attempt."""
        return len(self._deliveries)

    def finalized(self, stored: StoredObject) -> None:
        """Accept that *stored* was finalized."""
        if stored.bucket in self._triggers:
            self._loop.call_soon_threadsafe(self._accept, stored)

    async def drain(self) -> None:
        """Wait until every event that was accepted is delivered, lost or expired."""
        while self._deliveries:
            await asyncio.wait(self._deliveries)

    async def close(self) -> None:
        """Give up what is pending."""
        for delivery in self._deliveries:
            delivery.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)

    def _accept(self, stored: StoredObject) -> None:
        event = finalized_event(stored, url=self._triggers[stored.bucket], base_url=self._base_url)
        self._count("event published", event)
        for delay in self._faults.event_deliveries(stored.bucket, stored.name, now=self._clock()):
            if len(self._deliveries) >= MAX_PENDING:
                log.error("event dropped: too many are pending", extra={"event": event.headers["ce-id"]})
                return
            delivery = self._loop.create_task(self._deliver(event, delay))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)

    async def _deliver(self, event: Event, delay: timedelta) -> None:
        attempts = 0
        while self._clock() < event.expires:
            await asyncio.sleep(delay.total_seconds())
            if await self._attempt(event):
                return
            attempts += 1
            delay = self._backoff.after(attempts)
        log.error("event dropped: it expired", extra={"event": event.headers["ce-id"]})

    def _count(self, name: str, event: Event) -> None:
        """Note what Pub/Sub, which carries Eventarc's events, charges for; Eventarc itself is free."""
        bucket = event.headers["ce-bucket"]
        size = len(event.body) + sum(len(key) + len(value) for key, value in event.headers.items())
        self._operations.count(PriceClass.FREE, name, bucket)
        self._operations.count(PriceClass.PUBSUB_BYTE, name, bucket, times=max(size, MIN_BILLED_BYTES))

    async def _attempt(self, event: Event) -> bool:
        self._count("event delivered", event)
        async with self._slots:
            try:
                status = await request(
                    "POST", event.url, headers=event.headers, body=event.body, timeout=DELIVERY_TIMEOUT
                )
            except NoAnswer as error:
                log.warning("event not delivered", extra={"url": event.url, "error": str(error)})
                return False
        if not 200 <= status < 300:
            log.warning("event not accepted", extra={"url": event.url, "status": status})
            return False
        return True
