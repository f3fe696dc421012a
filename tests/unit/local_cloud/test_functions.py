"""Calls of functions are counted, and the time that they would be billed for."""

from contextlib import closing
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


async def test_each_call_is_counted_and_its_time_rounded_up(tmp_path: Path) -> None:
    source = tmp_path / "main.py"
    source.write_text(SOURCE)
    operations = OperationCounts()
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    with closing(
        Functions(source, (FunctionTarget(name="api", signature=SignatureType.HTTP),), operations)
    ) as functions:
        for _ in range(2):
            await functions.call("api", SCOPE, receive, send)
    assert [message["status"] for message in sent if message["type"] == "http.response.start"] == [200, 200]
    counted = operations.so_far()
    assert counted[CountedOperation(PriceClass.FUNCTION_CALL, "call", "api")] == 2
    assert operations.total(PriceClass.FUNCTION_TIME) >= 2
