"""Calls of functions are counted, and the time that they would be billed for."""

import asyncio
from pathlib import Path

from starlette.types import Message, Scope

from local_cloud.functions import Functions, FunctionTarget, SignatureType
from local_cloud.operations import CountedOperation, OperationCounts, PriceClass

SOURCE = """
import functions_framework

@functions_framework.http
def api(request):
    return "yes"
"""
API = FunctionTarget(name="api", signature=SignatureType.HTTP)
SCOPE: Scope = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "root_path": "",
    "query_string": b"",
    "headers": [],
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 2),
}


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def test_each_call_is_counted_and_its_time_rounded_up(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text(SOURCE)
    operations = OperationCounts()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    functions = Functions(source, (API,), operations)
    for _ in range(2):
        await functions.call("api", SCOPE, receive, send)
    await functions.close()
    assert [message["status"] for message in sent if message["type"] == "http.response.start"] == [200, 200]
    counted = operations.so_far()
    assert counted[CountedOperation(PriceClass.FUNCTION_CALL, "call", "api")] == 2
    assert operations.total(PriceClass.FUNCTION_TIME) >= 2


SLOW_SOURCE = """
import pathlib
import time
import functions_framework

@functions_framework.http
def api(request):
    here = pathlib.Path(__file__).parent
    (here / "called").touch()
    while not (here / "go-on").exists():
        time.sleep(0.01)
    return "yes"
"""


async def test_a_call_that_is_under_way_has_its_answer_before_all_ends(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text(SLOW_SOURCE)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    functions = Functions(source, (API,))
    call = asyncio.create_task(functions.call("api", SCOPE, receive, send))
    async with asyncio.timeout(20):
        while not (tmp_path / "called").exists():  # noqa: ASYNC110 - another thread's file has no event
            await asyncio.sleep(0.01)
        closing = asyncio.create_task(functions.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
        (tmp_path / "go-on").touch()
        await closing
        await call
    assert sent[0]["status"] == 200
