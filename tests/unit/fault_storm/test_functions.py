"""The functions in the storm end with it."""

import asyncio
from random import Random
from typing import Any, cast

import pytest

from fault_storm.functions import StormFunctions, World
from local_cloud.faults import Faults


@pytest.mark.timeout(30)
async def test_functions_that_are_closed_wait_for_an_answer_that_is_under_way() -> None:
    """A bug: they waited in the event loop that the answer goes out by, for ever."""
    functions = StormFunctions(world=cast("World", None), faults=Faults(Random(1)), random=Random(1))
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "method": "GET",
        "path": "/publish",
        "query_string": b"",
        "headers": [],
        "server": ("127.0.0.1", 80),
    }
    call = asyncio.create_task(functions(scope, receive, send))
    await asyncio.sleep(0)  # it is handed to a thread
    await functions.close()
    await call
    assert sent[0]["status"] == 500
