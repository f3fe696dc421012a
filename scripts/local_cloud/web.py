"""The web port: functions, health and the local cloud's own addresses; everything else is storage."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from local_cloud.connections import cut_connection
from local_cloud.events import Events
from local_cloud.faults import Faults, InvalidFaults, parse_plan, plan_json
from local_cloud.functions import Functions
from local_cloud.operations import OperationCounts
from local_cloud.outbound import NoAnswer, request
from local_cloud.run_jobs import RunJobsApi
from local_cloud.storage.api import StorageApi
from local_cloud.storage.journal import ENTRIES_PER_ANSWER, Journal, entry_json

API_FUNCTION: Final = "api"  # also reachable under /v1, where its own addresses begin
HEALTH_CHECK_TIMEOUT: Final = timedelta(seconds=2)  # whoever polls asks again soon
MAX_FAULTS_BYTES: Final = 1024 * 1024  # a hundred rules of each kind are far smaller


class Health:
    """What is still missing: parts that are starting, and addresses at *urls* that do not answer yet."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._starting: set[str] = set()

    def starting(self, part: str) -> None:
        self._starting.add(part)

    def started(self, part: str) -> None:
        self._starting.discard(part)

    async def missing(self) -> list[str]:
        """The names of all that is missing; empty when everything answers."""
        answers = await asyncio.gather(*map(_answers, self._urls))
        return sorted(self._starting) + [
            url for url, healthy in zip(self._urls, answers, strict=True) if not healthy
        ]


class Web:
    """The ASGI application of the web port; *functions* and *run_jobs* are mounted when they are there."""

    def __init__(
        self,
        *,
        storage: StorageApi,
        journal: Journal,
        operations: OperationCounts,
        faults: Faults,
        events: Events,
        health: Health,
        clock: Callable[[], datetime],
    ) -> None:
        self.functions: Functions | None = None
        self.run_jobs: RunJobsApi | None = None
        self._storage = storage
        self._log = journal
        self._operations = operations
        self._faults = faults
        self._events = events
        self._health = health
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"].split("/", 3)[1:]:
            case ["functions", name, *_]:
                await self._call_function(name, f"/functions/{name}", scope, receive, send)
            case ["v1", *_]:
                await self._call_function(API_FUNCTION, "", scope, receive, send)
            case ["v2", *_] if self.run_jobs is not None:
                await self.run_jobs(scope, receive, send)
            case ["healthz"]:
                await (await self._healthz())(scope, receive, send)
            case ["_local", *path]:
                response = await self._local("/".join(path), Request(scope, receive))
                await response(scope, receive, send)
            case _:
                await self._storage(scope, receive, send)

    async def _call_function(
        self, name: str, root_path: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self.functions is None or name not in self.functions:
            missing = JSONResponse({"error": f"no function is called {name!r}"}, HTTPStatus.NOT_FOUND)
            await missing(scope, receive, send)
            return
        fate = self._faults.function_fate(name)
        if fate.refusal is not None:
            failed = JSONResponse({"error": "a fault that was asked for"}, HTTPStatus.INTERNAL_SERVER_ERROR)
            await failed(scope, receive, send)
            return
        # A function's own address is its root, with or without a slash: Cloud Run never redirects there.
        path = scope["path"] if scope["path"] != root_path else f"{root_path}/"
        called = {**scope, "root_path": root_path, "path": path}
        await self.functions.call(name, called, receive, _discard if fate.answer_lost else send)
        if fate.answer_lost:
            await cut_connection(scope, receive)

    async def _healthz(self) -> Response:
        missing = await self._health.missing()
        status = HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK
        return JSONResponse({"missing": missing}, status)

    async def _local(self, path: str, asked: Request) -> Response:
        match asked.method, path:
            case "GET", "journal":
                return self._journal(asked)
            case "GET", "operations" | "events" | "faults" | "faults/drawn" | "executions":
                return JSONResponse(self._view(path))
            case "PUT", "faults":
                return await self._set_faults(asked)
            case _:
                return JSONResponse(
                    {"error": f"there is no {asked.method} /_local/{path}"}, HTTPStatus.NOT_FOUND
                )

    def _view(self, path: str) -> object:
        match path:
            case "operations":
                return _operations(self._operations)
            case "events":
                return {"pending": self._events.pending}
            case "faults":
                return plan_json(self._faults.plan)
            case "executions":
                return [] if self.run_jobs is None else self.run_jobs.tasks_views()
            case _:
                return self._faults.drawn

    def _journal(self, asked: Request) -> Response:
        since = asked.query_params.get("since", "0")
        if not (since.isascii() and since.isdigit()):
            return JSONResponse({"error": "since: the number of an entry is needed"}, HTTPStatus.BAD_REQUEST)
        lines = _journal_lines(
            self._log,
            bucket=asked.query_params.get("bucket"),
            prefix=asked.query_params.get("prefix", ""),
            since=int(since),
        )
        return StreamingResponse(lines, media_type="application/jsonl")

    async def _set_faults(self, asked: Request) -> Response:
        try:
            plan = parse_plan(await _parse_json(asked))
        except InvalidFaults as error:
            return JSONResponse({"error": str(error)}, HTTPStatus.BAD_REQUEST)
        self._faults.set(plan, now=self._clock())
        return JSONResponse(plan_json(plan))


async def _discard(_: Message) -> None:
    """Send nothing."""


async def _answers(url: str) -> bool:
    try:
        return await request("GET", url, timeout=HEALTH_CHECK_TIMEOUT) == HTTPStatus.OK
    except NoAnswer:
        return False


async def _parse_json(asked: Request) -> object:
    received = bytearray()
    async for piece in asked.stream():
        received += piece
        if len(received) > MAX_FAULTS_BYTES:
            raise InvalidFaults(f"faults: longer than {MAX_FAULTS_BYTES} bytes")
    try:
        description: object = json.loads(received)
    except ValueError as error:
        raise InvalidFaults(f"faults: not JSON: {error}") from error
    return description


async def _journal_lines(
    journal: Journal, *, bucket: str | None, prefix: str, since: int
) -> AsyncIterator[str]:
    while entries := journal.entries(bucket=bucket, prefix=prefix, since=since, limit=ENTRIES_PER_ANSWER):
        yield "".join(json.dumps(entry_json(entry)) + "\n" for entry in entries)
        since = entries[-1].sequence


def _operations(operations: OperationCounts) -> list[dict[str, str | int]]:
    return [
        {"class": counted.price_class, "operation": counted.name, "place": counted.place, "count": times}
        for counted, times in sorted(operations.so_far().items())
    ]
