"""Cloud Functions: the real functions-framework applications of one source file, mounted side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from pathlib import Path
from typing import Final, cast

import functions_framework
from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi_typing import Environ, IterableChunks, StartResponse, WSGIApp
from flask import Flask
from starlette.types import ASGIApp, Receive, Scope, Send

from local_cloud.operations import OperationCounts, PriceClass

THREADS_PER_FUNCTION: Final = 8  # enough to overlap their waiting for storage on a developer's machine
ENDING_SECONDS: Final = 8  # functions give up what is gone after five
BILLED_SECONDS: Final = 0.1  # Cloud Run rounds an instance's time up to this


class FunctionsNotLoaded(Exception):
    """The functions' source is missing or does not import; the text says why."""


class SignatureType(StrEnum):
    """How a function is called: the framework's words."""

    HTTP = "http"
    CLOUD_EVENT = "cloudevent"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTarget:
    """One function: its *name* in the source file and its signature."""

    name: str
    signature: SignatureType


class Functions:
    """The applications of *targets* in *source*; each imports the source for itself, as its own instance does.

    Calls are counted in *operations*. Raises FunctionsNotLoaded. What the source reads from the environment has
    to be there before.
    """

    def __init__(
        self, source: Path, targets: Sequence[FunctionTarget], operations: OperationCounts | None = None
    ) -> None:
        self._operations = operations or OperationCounts()
        self._bridges: list[WSGIMiddleware] = []
        self._apps: Mapping[str, ASGIApp] = {target.name: self._load(source, target) for target in targets}

    def __contains__(self, name: str) -> bool:
        return name in self._apps

    async def call(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the function *name* answer; what `root_path` says is not part of the path that it sees."""
        self._operations.count(PriceClass.FUNCTION_CALL, "call", name)
        began = time.monotonic()
        try:
            await self._apps[name](scope, receive, send)
        finally:
            billed = max(1, ceil((time.monotonic() - began) / BILLED_SECONDS))
            self._operations.count(PriceClass.FUNCTION_TIME, "100 ms, each call rounded up", name, times=billed)

    async def close(self) -> None:
        """Accept no more calls, and wait for those under way, but for ENDING_SECONDS at most."""
        for bridge in self._bridges:
            bridge.executor.shutdown(wait=False, cancel_futures=True)
        # What they answer is for this loop.
        ended = asyncio.gather(*(asyncio.to_thread(bridge.executor.shutdown) for bridge in self._bridges))
        with suppress(TimeoutError):
            await asyncio.wait_for(ended, ENDING_SECONDS)

    def _load(self, source: Path, target: FunctionTarget) -> ASGIApp:
        try:
            # The framework is not typed.
            create_app: Callable[..., Flask | ASGIApp] = functions_framework.create_app
            app = create_app(target.name, str(source), target.signature.value)
        except Exception as error:
            raise FunctionsNotLoaded(f"{source}: function {target.name}: {error}") from error
        if not isinstance(app, Flask):
            return app
        bridge = WSGIMiddleware(_with_ending_input(cast("WSGIApp", app)), workers=THREADS_PER_FUNCTION)
        self._bridges.append(bridge)
        return cast("ASGIApp", bridge)


def _with_ending_input(app: WSGIApp) -> WSGIApp:
    """*app*, told that its input ends where the body does, as Gunicorn tells it.

    Without that, Werkzeug takes a body that no Content-Length announces, such as a chunked one, for none.
    """

    def called(environ: Environ, start_response: StartResponse) -> IterableChunks:
        ending = {**environ, "wsgi.input_terminated": True}
        return app(cast("Environ", ending), start_response)

    return called
