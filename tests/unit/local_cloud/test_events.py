import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from local_cloud import events as events_module
from local_cloud.events import EVENTARC_BACKOFF, Backoff, Events, finalized_event
from local_cloud.faults import Delay, EventFaults, FaultPlan, Faults
from local_cloud.operations import CountedOperation, OperationCounts, PriceClass
from local_cloud.storage.objects import Attributes, Checksums, StoredObject
from tools.event_receiver import EventReceiver, event_receiver
from tools.manual_clock import ManualClock

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
QUICK = Backoff(first=timedelta(milliseconds=1), most=timedelta(milliseconds=4))


def stored(name: str = "s/timeline.json", *, bucket: str = "ingest", generation: int = 7) -> StoredObject:
    return StoredObject(
        bucket=bucket,
        name=name,
        generation=generation,
        size=1 << 40,
        checksums=Checksums(crc32c="mnG7TA=="),
        attributes=Attributes(content_type="application/json", metadata={"session": "1"}),
        time_created=NOW,
        updated=NOW,
    )


@pytest.fixture
async def receiver() -> AsyncIterator[EventReceiver]:
    async with event_receiver() as started:
        yield started


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@asynccontextmanager
async def running(
    receiver: EventReceiver,
    clock: ManualClock,
    faults: EventFaults | None = None,
    operations: OperationCounts | None = None,
) -> AsyncIterator[Events]:
    drawn = Faults(Random(3))
    drawn.set(FaultPlan(events=(faults,) if faults else ()), now=clock())
    triggers = {"ingest": f"{receiver.url}/functions/publish"}
    events = Events(
        triggers,
        base_url="http://localhost",
        faults=drawn,
        clock=clock,
        backoff=QUICK,
        operations=operations,
    )
    try:
        yield events
    finally:
        await events.close()


async def test_a_finalized_object_is_posted_as_a_cloud_event(
    receiver: EventReceiver, clock: ManualClock
) -> None:
    async with running(receiver, clock) as events:
        events.finalized(stored("s/ü 1%.json"))
        await receiver.wait_for(1)
    (event,) = receiver.received
    assert event.path == "/functions/publish"
    assert {name: value for name, value in event.headers.items() if name.startswith("ce-")} == {
        "ce-specversion": "1.0",
        "ce-id": "7",
        "ce-type": "google.cloud.storage.object.v1.finalized",
        "ce-source": "//storage.googleapis.com/projects/_/buckets/ingest",
        "ce-subject": "objects/s/%C3%BC%201%25.json",
        "ce-time": "2026-11-22T12:00:00.000000Z",
        "ce-bucket": "ingest",
    }
    assert event.headers["content-type"] == "application/json"
    assert event.body["name"] == "s/ü 1%.json"
    assert (event.body["generation"], event.body["size"]) == ("7", str(1 << 40))
    assert (event.body["contentType"], event.body["crc32c"]) == ("application/json", "mnG7TA==")
    assert event.body["metadata"] == {"session": "1"}


async def test_a_bucket_without_a_trigger_wakes_nobody(receiver: EventReceiver, clock: ManualClock) -> None:
    async with running(receiver, clock) as events:
        events.finalized(stored(bucket="media"))
        events.finalized(stored("last"))
        await receiver.wait_for(1)
        await events.drain()
    assert receiver.names == ["last"]


@pytest.mark.parametrize("status", [301, 400, 429, 500, 503])
async def test_an_event_is_sent_until_it_is_accepted(
    receiver: EventReceiver, clock: ManualClock, status: int
) -> None:
    receiver.answers = [status, status, 204]
    async with running(receiver, clock) as events:
        events.finalized(stored())
        await receiver.wait_for(3)
        await events.drain()
    assert {event.headers["ce-id"] for event in receiver.received} == {"7"}
    assert len(receiver.received) == 3


async def test_an_event_is_charged_for_when_published_and_at_each_delivery(
    receiver: EventReceiver, clock: ManualClock
) -> None:
    receiver.answers = [503, 204]
    operations = OperationCounts()
    async with running(receiver, clock, operations=operations) as events:
        events.finalized(stored())
        await receiver.wait_for(2)
        await events.drain()
    counted = operations.so_far()
    assert counted[CountedOperation(PriceClass.FREE, "event published", "ingest")] == 1
    assert counted[CountedOperation(PriceClass.FREE, "event delivered", "ingest")] == 2
    assert operations.total(PriceClass.PUBSUB_BYTE) >= 3_000


async def test_a_receiver_that_is_not_there_yet_gets_its_event_later(clock: ManualClock) -> None:
    async with event_receiver() as receiver:
        pass
    async with running(receiver, clock) as events:
        events.finalized(stored())
        await asyncio.sleep(0)
        assert events.pending == 1
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(events.drain(), 0.05)
        assert events.pending == 1


async def test_an_event_expires_after_a_day(receiver: EventReceiver, clock: ManualClock) -> None:
    clock.advance(seconds=24 * 3600)
    async with running(receiver, clock) as events:
        events.finalized(stored())
        await asyncio.sleep(0)
        await events.drain()
    assert receiver.received == []


async def test_lost_events_never_come(receiver: EventReceiver, clock: ManualClock) -> None:
    async with running(receiver, clock, EventFaults(name="lost*", loss=1)) as events:
        for number in range(10):
            events.finalized(stored(f"lost{number}"))
        events.finalized(stored("last"))
        await receiver.wait_for(1)
        await events.drain()
    assert receiver.names == ["last"]


async def test_repeated_events_come_twice_with_the_same_id(receiver: EventReceiver, clock: ManualClock) -> None:
    async with running(receiver, clock, EventFaults(repeat=1)) as events:
        events.finalized(stored())
        await receiver.wait_for(2)
        await events.drain()
    assert [event.headers["ce-id"] for event in receiver.received] == ["7", "7"]


async def test_reordered_events_all_come_in_another_order(receiver: EventReceiver, clock: ManualClock) -> None:
    names = [f"{number:02}" for number in range(20)]
    async with running(receiver, clock, EventFaults(reorder=0.5, reorder_seconds=0.1)) as events:
        for name in names:
            events.finalized(stored(name))
        await receiver.wait_for(len(names))
        await events.drain()
    assert sorted(receiver.names) == names
    assert receiver.names != names


async def test_a_delayed_event_is_overtaken(receiver: EventReceiver, clock: ManualClock) -> None:
    slow = EventFaults(name="slow", delay=Delay(median=0.05, p99=0.05))
    async with running(receiver, clock, slow) as events:
        events.finalized(stored("slow"))
        events.finalized(stored("quick"))
        await receiver.wait_for(2)
    assert receiver.names == ["quick", "slow"]


async def test_deliveries_under_way_and_waiting_are_bounded(
    receiver: EventReceiver, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "MAX_PENDING", 30)
    receiver.answering.clear()
    async with running(receiver, clock) as events:
        for number in range(50):
            events.finalized(stored(str(number)))
        await receiver.wait_for(events_module.MAX_CONCURRENT_DELIVERIES)
        assert events.pending == 30
        assert len(receiver.received) == events_module.MAX_CONCURRENT_DELIVERIES
        receiver.answering.set()
        await events.drain()
    assert len(receiver.received) == 30


def test_pauses_double_up_to_eventarc_s_limit() -> None:
    pauses = [EVENTARC_BACKOFF.after(attempts).total_seconds() for attempts in range(1, 9)]
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600]
    assert EVENTARC_BACKOFF.after(10_000) == timedelta(seconds=600)


def test_an_event_s_headers_are_ascii_whatever_the_name() -> None:
    event = finalized_event(stored('"日本" %\n'), url="http://localhost", base_url="http://localhost")
    assert all(value.isascii() and value.isprintable() for value in event.headers.values())
