"""The local cloud as one object: what `python -m local_cloud` runs, and what tests run in their own process."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from local_cloud.connections import WebServer, listen
from local_cloud.events import EVENTARC_BACKOFF, Backoff, Events
from local_cloud.faults import NO_FAULTS, FaultPlan, Faults
from local_cloud.firestore import FirestoreServer
from local_cloud.functions import Functions, FunctionsNotLoaded, FunctionTarget
from local_cloud.operations import OperationCounts
from local_cloud.run_jobs import JobOptions, JobRunner, RunJobsApi
from local_cloud.scheduler import Scheduler, Timer
from local_cloud.storage.api import StorageApi
from local_cloud.storage.objects import CORS_FOR_VIEWERS, Bucket
from local_cloud.storage.store import ObjectStore
from local_cloud.web import Health, Web
from local_cloud.workflows import WorkflowsOptions, WorkflowsServer

START_AND_STOP_SECONDS: Final = 60  # far above what either takes; a test must not hang for ever

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketOptions:
    """A bucket that is there from the start; finalized objects wake *trigger*, a function or an address."""

    name: str
    public: bool = False
    trigger: str | None = None


BUCKETS: Final = (
    BucketOptions(name="media", public=True),
    BucketOptions(name="ingest", trigger="publish"),
    BucketOptions(name="recording"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudOptions:
    """Everything that can be chosen; port 0 is any free one, and without *data* all is in memory.

    *timers* post to the functions or addresses that they name; *jobs* are Cloud Run's. *health_checks* are
    addresses that have to answer 200 before the cloud calls itself ready. *workflows* have the cloud's own
    project and run its own jobs.
    """

    host: str = "127.0.0.1"
    port: int = 0
    firestore_port: int = 0
    data: Path | None = None
    project: str = "demo"
    buckets: tuple[BucketOptions, ...] = BUCKETS
    functions_source: Path | None = None
    functions: tuple[FunctionTarget, ...] = ()
    timers: tuple[tuple[str, timedelta], ...] = ()
    jobs: tuple[JobOptions, ...] = ()
    workflows: WorkflowsOptions | None = None
    health_checks: tuple[str, ...] = ()
    event_backoff: Backoff = EVENTARC_BACKOFF
    faults: FaultPlan = NO_FAULTS
    seed: int = 0
    limit_writes: bool = True


def utc_now() -> datetime:
    return datetime.now(UTC)


class LocalCloud:
    """Storage, events, Firestore, functions and timers on loopback, from `start` to `close`.

    While functions are mounted, the environment of the process is the one that client libraries need to
    find this cloud: only one cloud with functions can run in a process at a time.
    """

    def __init__(self, options: CloudOptions, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.options = options
        self.faults = Faults(Random(options.seed))  # noqa: S311 - a seeded generator is what is wanted
        self.operations = OperationCounts()
        self.workflows_port: int | None = None
        self._clock = clock
        self._closing = AsyncExitStack()

    async def start(self) -> None:
        """Return when all that was asked for is there.

        Raises PortInUse, FunctionsNotLoaded, InvalidWorkflow; then everything that was started is closed again.
        """
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End everything, in the opposite order of its start; a second time it does nothing."""
        await self._closing.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """The address of storage, functions and everything else that speaks HTTP."""
        return f"http://{self.options.host}:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables with which clients find this cloud.

        Google's own libraries read all but WORKFLOWS_EMULATOR_HOST, which is there when workflows are.
        """
        workflows = (
            {}
            if self.workflows_port is None
            else {"WORKFLOWS_EMULATOR_HOST": f"{self.options.host}:{self.workflows_port}"}
        )
        return {
            **workflows,
            "STORAGE_EMULATOR_HOST": self.url,
            "FIRESTORE_EMULATOR_HOST": f"{self.options.host}:{self.firestore_port}",
            "GOOGLE_CLOUD_PROJECT": self.options.project,
        }

    async def _start(self) -> None:
        options = self.options
        listener = listen(options.host, options.port)
        self._closing.callback(listener.close)
        self.port: int = listener.getsockname()[1]
        self._open_storage()
        if options.firestore_port:
            # gRPC would say at length on stderr that the port is taken; ours is one clear line.
            listen(options.host, options.firestore_port).close()
        self.firestore = FirestoreServer(
            options.data and options.data / "firestore",
            operations=self.operations,
            fate=self.faults.firestore_fate,
        )
        self._closing.callback(self.firestore.stop)
        self.firestore_port = await asyncio.to_thread(
            self.firestore.start, options.host, options.firestore_port
        )
        health = Health(options.health_checks)
        health.starting("functions")
        storage = StorageApi(self.store, self.faults, self._clock, self.operations)
        self._closing.callback(storage.close)
        web = Web(
            storage=storage,
            journal=self.store.journal,
            operations=self.operations,
            faults=self.faults,
            events=self.events,
            health=health,
            clock=self._clock,
        )
        server = WebServer(web, listener)
        self._closing.push_async_callback(server.close)
        server.start()
        if options.workflows is not None:
            await self._start_workflows(options.workflows)
        self.jobs = JobRunner(options.jobs, cloud_environment=self.environment, clock=self._clock)
        self._closing.push_async_callback(self.jobs.close)
        web.run_jobs = RunJobsApi(self.jobs, project=options.project)
        if options.functions_source is not None:
            self._closing.callback(_restore_environment, _set_environment(self.environment))
            web.functions = await asyncio.to_thread(
                Functions, options.functions_source, options.functions, self.operations
            )
            self._closing.push_async_callback(web.functions.close)
        scheduler = Scheduler()
        self._closing.push_async_callback(scheduler.close)
        scheduler.start(
            [Timer(url=self._function_url(name), interval=interval) for name, interval in options.timers]
        )
        self._closing.push_async_callback(self.events.close)
        health.started("functions")

    async def _start_workflows(self, options: WorkflowsOptions) -> None:
        host = self.options.host
        if options.port:
            listen(host, options.port).close()
        own = replace(options, project=self.options.project, run_address=self.url)
        self.workflows = WorkflowsServer(own)
        self._closing.push_async_callback(self.workflows.close)
        self.workflows_port = await self.workflows.start(host)

    def _open_storage(self) -> None:
        options = self.options
        self.faults.set(options.faults, now=self._clock())
        self.store = ObjectStore(
            options.data and options.data / "storage", clock=self._clock, limit_writes=options.limit_writes
        )
        self._closing.callback(self.store.close)
        for bucket in options.buckets:
            cors = (CORS_FOR_VIEWERS,) if bucket.public else ()
            self.store.ensure_bucket(
                Bucket(name=bucket.name, public=bucket.public, cors=cors, time_created=self._clock())
            )
        self.events = Events(
            self._triggers(),
            base_url=self.url,
            faults=self.faults,
            clock=self._clock,
            backoff=options.event_backoff,
            operations=self.operations,
        )
        self.store.on_finalized = self.events.finalized

    def _triggers(self) -> dict[str, str]:
        # Without any functions the cloud is storage and Firestore only, and events wake nobody.
        return {
            bucket.name: self._function_url(bucket.trigger)
            for bucket in self.options.buckets
            if bucket.trigger and (self.options.functions or "://" in bucket.trigger)
        }

    def _function_url(self, name: str) -> str:
        if "://" in name:
            return name
        if name not in {function.name for function in self.options.functions}:
            raise FunctionsNotLoaded(f"a trigger or a timer calls the function {name}, which is not mounted")
        return f"{self.url}/functions/{name}"


class RunningLocalCloud:
    """A local cloud in a thread with an event loop of its own, for code that is not asynchronous."""

    def __init__(self, cloud: LocalCloud, loop: asyncio.AbstractEventLoop) -> None:
        self.cloud = cloud
        self._loop = loop

    @property
    def url(self) -> str:
        return self.cloud.url

    @property
    def store(self) -> ObjectStore:
        return self.cloud.store

    @property
    def faults(self) -> Faults:
        return self.cloud.faults

    def drain_events(self, *, seconds: float = 30) -> None:
        """Wait until no event is pending; raises TimeoutError after *seconds*."""
        self.run(asyncio.wait_for(self.cloud.events.drain(), seconds))

    def run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of *coroutine* in the cloud's own loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(START_AND_STOP_SECONDS)


@contextmanager
def running_local_cloud(options: CloudOptions | None = None) -> Iterator[RunningLocalCloud]:
    """Run a local cloud in the background for as long as the context lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="local cloud", daemon=True)
    thread.start()
    running = RunningLocalCloud(LocalCloud(options or CloudOptions()), loop)
    try:
        running.run(running.cloud.start())
        try:
            yield running
        finally:
            running.run(running.cloud.close())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _set_environment(variables: Mapping[str, str]) -> dict[str, str | None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    return before


def _restore_environment(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
