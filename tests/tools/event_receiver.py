"""A receiver of events for tests: notes what it was sent and answers as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from local_cloud.connections import WebServer, listen


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request that came in."""

    path: str
    headers: Mapping[str, str]
    body: Any


class EventReceiver:
    """*answers* are the statuses of the next answers, 200 after the last of them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[Received] = []
        self.answers: list[int] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self._came = asyncio.Condition()

    @property
    def names(self) -> list[str]:
        """The object names in the order in which their events came."""
        return [event.body["name"] for event in self.received]

    async def wait_for(self, count: int) -> None:
        """Return when *count* requests have come."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.received) >= count)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        self.received.append(
            Received(path=request.url.path, headers=dict(request.headers), body=json.loads(body or b"null"))
        )
        async with self._came:
            self._came.notify_all()
        await self.answering.wait()
        await Response(status_code=self.answers.pop(0) if self.answers else 200)(scope, receive, send)


@asynccontextmanager
async def event_receiver() -> AsyncIterator[EventReceiver]:
    """A receiver that listens on a port of its own."""
    listener = listen("127.0.0.1", 0)
    receiver = EventReceiver("http://{}:{}".format(*listener.getsockname()))
    server = WebServer(receiver, listener)
    server.start()
    try:
        yield receiver
    finally:
        receiver.answering.set()
        await server.close()
