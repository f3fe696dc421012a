"""The functions as HTTP servers: the real handlers, whose runs may be killed at any call of a port."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from random import Random
from secrets import token_bytes
from threading import Lock
from typing import Final, cast

from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi_typing import WSGIApp
from cloudevents.http import from_http
from flask import Flask, Response, request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bucketcast import http_api
from bucketcast.errors import BucketcastError
from bucketcast.events import parse_object_finalized
from bucketcast.handlers.claim import Claims
from bucketcast.handlers.deletion import Deletions
from bucketcast.handlers.delivery import acknowledging_permanent_errors
from bucketcast.handlers.evidence import EvidenceReader
from bucketcast.handlers.publish import Publisher, SeenObjects
from bucketcast.handlers.reap import Reaper
from bucketcast.handlers.rebuild import RebuiltDocuments
from bucketcast.handlers.recordings import Recordings
from bucketcast.handlers.streams import Streams
from bucketcast.handlers.wake import wake
from bucketcast.handlers.watch import Watchdog
from bucketcast.http_api import Owner
from bucketcast.ports import Bucket, Clock, StreamDocuments
from fakes import FakeBucket, FakeClock, FakeExecutions, FakeRecordingDocuments, FakeStreamDocuments
from fault_storm.mortality import Killed, Life, MortalBucket, MortalClock, MortalDocuments, draw_life
from local_cloud.connections import cut_connection
from local_cloud.faults import Faults

# Two of each, so that their hints (SeenObjects) differ, and one may be behind the other.
INSTANCES: Final = 2
# Of each function, apart: a publisher that waits for a second to pass must not hold up a lease.
# Most of the time they sleep or wait for the cloud.
THREADS: Final[Mapping[str, int]] = {"publish": 24, "claim": 4, "renew": 8, "reap": 4, "v1": 4}
ADMIN_TOKEN: Final = "the-owner-of-the-storm"  # noqa: S105 - nobody but the storm itself can reach it

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the functions share: the cloud, through the official clients, and the time."""

    media: Bucket
    ingest: Bucket
    documents: StreamDocuments
    clock: Clock
    executor: Executor
    streams_at_once: Executor  # of the reaper, which waits for the other one's


@dataclass(slots=True, kw_only=True)
class StormFunctions:
    """The functions publish, claim, renew, reap and the API at the root of one address; an ASGI application.

    *faults* decide which calls fail as a whole, *killed* how many runs die half-way. *counts* says what became
    of the runs.
    """

    world: World
    faults: Faults
    random: Random
    killed: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    _seen: list[SeenObjects] = field(default_factory=lambda: [SeenObjects() for _ in range(INSTANCES)])
    _lock: Lock = field(default_factory=Lock)
    _bridges: Mapping[str, WSGIMiddleware] = field(init=False)

    def __post_init__(self) -> None:
        """Make the application."""
        flask = Flask(__name__)
        for rule in ("/", "/<path:path>"):
            flask.add_url_rule(rule, view_func=self._answer, methods=["GET", "POST"])
        self._bridges = {
            name: WSGIMiddleware(cast("WSGIApp", flask), workers=threads) for name, threads in THREADS.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, unless a fault does."""
        name = _name(scope["path"])
        fate = self.faults.function_fate(name)
        if fate.refusal is not None:
            failed = PlainTextResponse("a fault that was asked for", HTTPStatus.INTERNAL_SERVER_ERROR)
            await failed(scope, receive, send)
            return
        app = cast("ASGIApp", self._bridges[name])
        await app(scope, receive, _discard if fate.answer_lost else send)
        if fate.answer_lost:
            await cut_connection(scope, receive)

    async def close(self) -> None:
        """Take no more calls, and wait for those under way, whose answers go out by this very loop."""
        for bridge in self._bridges.values():
            await asyncio.to_thread(bridge.executor.shutdown, wait=True, cancel_futures=True)

    def _answer(self, path: str = "") -> Response:
        name = _name(f"/{path}")
        with self._lock:
            life = draw_life(self.random, killed=self.killed)
            instance = self.random.randrange(INSTANCES)
        self._count(f"{name} runs")
        try:
            response = self._run(name, life, instance)
        except Killed:
            self._count(f"{name} runs killed")
            self._seen[instance] = SeenObjects()  # whoever is started in its place knows nothing
            return Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        except BucketcastError as error:
            self._count(f"{name} runs failed: {type(error).__name__}")
            return Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        except Exception as error:  # noqa: BLE001 - a defect, to be counted, as the framework answers it
            self._count(f"{name} runs crashed: {type(error).__name__}")
            _log.exception("a function failed unexpectedly", extra={"function": name})
            return Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._count(f"{name} runs answered {response.status_code}")
        return response

    def _run(self, name: str, life: Life, instance: int) -> Response:
        world = _mortal(self.world, life)
        publisher = Publisher(
            media=world.media,
            ingest=world.ingest,
            documents=world.documents,
            clock=world.clock,
            executor=world.executor,
            seen=self._seen[instance],
        )
        run: dict[str, Callable[[], Response]] = {
            "publish": lambda: _publish(publisher),
            "claim": lambda: http_api.sessions(request, _claims(world)),
            "renew": lambda: http_api.sessions(request, _claims(world)),
            "v1": lambda: http_api.streams(request, _owner(world, publisher)),
            "reap": lambda: _reap(replace(publisher, seen=SeenObjects(limit=0)), world.streams_at_once),
        }
        return run[name]()

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1


def _name(path: str) -> str:
    return path.split("/")[1]


def _mortal(world: World, life: Life) -> World:
    """*world* as a run of a limited *life* sees it, wired as bucketcast.bootstrap does."""
    media, ingest = MortalBucket(world.media, life), MortalBucket(world.ingest, life)
    clock = MortalClock(world.clock, life)
    documents = RebuiltDocuments(
        documents=MortalDocuments(world.documents, life),
        reader=EvidenceReader(media=media, ingest=ingest, executor=world.executor),
        clock=clock,
    )
    return replace(world, media=media, ingest=ingest, documents=documents, clock=clock)


def _publish(publisher: Publisher) -> Response:
    event = from_http(dict(request.headers), request.get_data())
    with acknowledging_permanent_errors():
        wake(parse_object_finalized(event.get_attributes(), event.get_data()), publisher)
    return Response(status=HTTPStatus.NO_CONTENT)


def _reap(publisher: Publisher, streams_at_once: Executor) -> Response:
    Reaper(publisher=publisher, executor=streams_at_once).reap()
    return Response(status=HTTPStatus.NO_CONTENT)


def _claims(world: World) -> Claims:
    return Claims(ingest=world.ingest, documents=world.documents, clock=world.clock)


def _streams(world: World) -> Streams:
    return Streams(
        ingest=world.ingest,
        documents=world.documents,
        watchdog=Watchdog(media=world.media, clock=world.clock, executor=world.executor),
        clock=world.clock,
        random_bytes=token_bytes,
    )


def _owner(world: World, publisher: Publisher) -> Owner:
    """The owner's API; recordings and deletions are not under this storm."""
    clock = FakeClock()
    bucket, recordings = FakeBucket(clock), FakeRecordingDocuments()
    return Owner(
        streams=_streams(world),
        publisher=publisher,
        recordings=Recordings(
            documents=recordings,
            executions=FakeExecutions(),
            publisher=publisher,
            media=bucket,
            recording=bucket,
            clock=world.clock,
        ),
        deletions=Deletions(
            media=bucket,
            ingest=bucket,
            recording=bucket,
            documents=FakeStreamDocuments(),
            rebuilt=FakeStreamDocuments(),
            recordings=recordings,
            clock=clock,
            executor=world.executor,
        ),
        admin_token=ADMIN_TOKEN,
    )


async def _discard(_: Message) -> None:
    """Send nothing."""
