import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.http import from_http

from bucketcast.errors import InvalidEvent
from bucketcast.events import OBJECT_FINALIZED, object_finalized_request, parse_object_finalized
from bucketcast.objects import Generation, ObjectFacts
from bucketcast.stream.object_names import (
    SessionObjectName,
    StreamRecordName,
    stream_record_name,
    timeline_name,
)
from stream_world import FIRST, STREAM, A

FACTS = ObjectFacts(
    name=timeline_name(STREAM, FIRST, A),
    generation=Generation(17),
    size=5,
    crc32c="NT3Yvg==",
    updated=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    metadata={},
)


def test_the_direct_wake_is_the_event_that_cloud_storage_sends() -> None:
    """Binary mode, at the same entry point; the id tells it from Eventarc's own."""
    request = object_finalized_request("ingest", FACTS)
    event = from_http(dict(request.headers), request.body)
    assert (event["type"], event["source"]) == (
        OBJECT_FINALIZED,
        "//storage.googleapis.com/projects/_/buckets/ingest",
    )
    assert (event["subject"], event["id"]) == (f"objects/{FACTS.name}", "17-direct")
    assert event["time"] == "2026-01-02T03:04:05.000678Z"
    parsed = parse_object_finalized(event.get_attributes(), event.get_data())
    assert (parsed.bucket, parsed.name) == ("ingest", FACTS.name)
    assert parsed.subject == SessionObjectName(stream=STREAM, session=FIRST)
    assert json.loads(request.body)["generation"] == "17"


def test_the_event_of_a_stream_record_is_told_from_a_sessions() -> None:
    data = {"bucket": "ingest", "name": stream_record_name(STREAM, 1)}
    assert parse_object_finalized({"type": OBJECT_FINALIZED}, data).subject == StreamRecordName(stream=STREAM)


@pytest.mark.parametrize(
    ("attributes", "data", "words"),
    [
        ({}, {}, "type"),
        ({"type": "google.cloud.storage.object.v1.deleted"}, {}, "type"),
        ({"type": OBJECT_FINALIZED}, None, "not a JSON object"),
        ({"type": OBJECT_FINALIZED}, b"{}", "not a JSON object"),
        ({"type": OBJECT_FINALIZED}, ["a"], "not a JSON object"),
        ({"type": OBJECT_FINALIZED}, {}, "names no bucket"),
        ({"type": OBJECT_FINALIZED}, {"bucket": "ingest"}, "names no bucket"),
        ({"type": OBJECT_FINALIZED}, {"bucket": 1, "name": "streams/demo/00000001.json"}, "names no bucket"),
        (
            {"type": OBJECT_FINALIZED},
            {"bucket": "ingest", "name": "demo/master.m3u8"},
            "not the name of a record",
        ),
    ],
)
def test_an_event_that_is_not_ours_is_refused(attributes: dict[str, Any], data: object, words: str) -> None:
    with pytest.raises(InvalidEvent, match=words):
        parse_object_finalized(attributes, data)
