"""What the functions answer becomes a value, or an error of ours."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from bucketcast.errors import BucketcastError, InvalidRecord, NotFound, Refused, Unavailable
from bucketcast.events import OBJECT_FINALIZED
from bucketcast.gcp.functions import Answer
from bucketcast.objects import Generation, ObjectFacts
from bucketcast.records import encode_record
from bucketcast.stream.claim import ClaimRequest, Renewal
from bucketcast.stream.identifiers import BroadcastNumber, EncoderId, SessionNumber
from bucketcast.stream.session_record import FrameRate, SessionRecord
from fakes import EPOCH, FakeFunction, InlineExecutor
from ingest.control import Control
from stream_world import SEGMENT, SLOTS, STREAM, claim_request, encoded_rung

REQUEST: ClaimRequest = claim_request(EncoderId("e"))
RENEWAL = Renewal(stream=STREAM, session=SessionNumber(1), encoder=EncoderId("e"))
FACTS = ObjectFacts(
    name="timelines/demo/00000001/e.json",
    generation=Generation(17),
    size=3,
    crc32c="AAAAAA==",
    updated=EPOCH,
    metadata={},
)


def control(function: FakeFunction) -> Control:
    inline = InlineExecutor()
    return Control(publish=function, sessions=function, ingest_bucket="ingest", wakes=inline, leases=inline)


def answering(status: int, body: bytes = b"") -> FakeFunction:
    return FakeFunction(lambda _path, _body: Answer(status=status, body=body))


def problem(detail: str) -> bytes:
    return json.dumps({"type": "about:blank", "title": "no", "status": 0, "detail": detail}).encode()


async def test_a_claim_is_answered_with_the_session_s_record() -> None:
    record = SessionRecord(
        stream=STREAM,
        session=SessionNumber(1),
        broadcast=BroadcastNumber(1),
        encoder=EncoderId("e"),
        start=EPOCH,
        segment_duration=SEGMENT,
        frame_rate=FrameRate(numerator=30),
        rungs=(encoded_rung(SLOTS[0]),),
    )
    function = answering(200, encode_record(record))
    assert await control(function).claim(REQUEST) == record
    assert function.calls == [("/claim", encode_record(REQUEST))]


@pytest.mark.parametrize("holds", ["on", "replaced", "ended"])
async def test_a_renewal_is_answered_with_what_the_session_holds(holds: str) -> None:
    function = answering(200, json.dumps({"holds": holds}).encode())
    assert (await control(function).renew(RENEWAL)).holds == holds
    assert function.calls == [("/renew", encode_record(RENEWAL))]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Refused),
        (401, Unavailable),
        (403, Unavailable),
        (404, NotFound),
        (409, Refused),
        (429, Unavailable),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
    ],
)
async def test_a_problem_becomes_an_error_of_ours(status: int, error: type[BucketcastError]) -> None:
    """What the broadcaster can act on keeps its words; what is wrong with us does not reach it."""
    one = control(answering(status, problem("stop the other one first")))
    said = str(status) if error is Unavailable else "stop the other one"
    with pytest.raises(error, match=said):
        await one.claim(REQUEST)
    with pytest.raises(error, match=said):
        await one.renew(RENEWAL)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"detail": 5}', b'{"detail": "\xff"}', b"\xff\xfe", b"[" * 5000]
)
@pytest.mark.parametrize("status", [404, 409, 503])
async def test_a_problem_that_cannot_be_read_is_still_one_of_ours(status: int, body: bytes) -> None:
    """A bug: text that is not UTF-8 raised UnicodeDecodeError, and ended the session's renewals."""
    with pytest.raises(BucketcastError):
        await control(answering(status, body)).renew(RENEWAL)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"holds": "perhaps"}', b"\xff"])
async def test_an_answer_that_cannot_be_read_is_an_invalid_record(body: bytes) -> None:
    with pytest.raises(InvalidRecord):
        await control(answering(200, body)).renew(RENEWAL)


async def test_a_wake_up_is_the_event_of_the_timeline() -> None:
    function = answering(204)
    await control(function).wake(FACTS)
    ((path, body),) = function.calls
    assert path == ""
    assert json.loads(body)["name"] == FACTS.name
    assert function.headers[0]["ce-type"] == OBJECT_FINALIZED
    assert function.headers[0]["ce-source"].endswith("/buckets/ingest")


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_a_wake_up_that_was_not_taken_is_unavailable(status: int) -> None:
    with pytest.raises(Unavailable, match=str(status)):
        await control(answering(status)).wake(FACTS)


async def test_a_publisher_that_hangs_keeps_no_lease_from_being_renewed() -> None:
    """A bug: eight slow wake-ups took all threads, and three seconds later anybody could take over."""
    let_go = Event()

    def answer(path: str, _body: bytes) -> Answer:
        if path == "/renew":
            return Answer(status=200, body=b'{"holds": "on"}')
        let_go.wait()
        return Answer(status=204, body=b"")

    function = FakeFunction(answer)
    with ThreadPoolExecutor(1) as wakes, ThreadPoolExecutor(1) as leases:
        one = Control(publish=function, sessions=function, ingest_bucket="ingest", wakes=wakes, leases=leases)
        waking = [asyncio.create_task(one.wake(FACTS)) for _ in range(3)]
        try:
            async with asyncio.timeout(10):
                assert (await one.renew(RENEWAL)).holds == "on"
            assert not any(task.done() for task in waking)
        finally:
            let_go.set()
        await asyncio.gather(*waking)


async def test_a_function_that_does_not_answer_is_unavailable() -> None:
    def silent(_path: str, _body: bytes) -> Answer:
        raise Unavailable("a function did not answer")

    one = control(FakeFunction(silent))
    with pytest.raises(Unavailable):
        await one.wake(FACTS)
    with pytest.raises(Unavailable):
        await one.claim(REQUEST)
