import base64
import json
from datetime import UTC, datetime

from tools.auditor.collect import read_journal
from tools.auditor.journal import ObjectGeneration

NAME = "demo/state.json"


def _line(operation: str, time: str, content: bytes | None, **resource: object) -> str:
    written = {
        "bucket": "media",
        "name": NAME,
        "generation": "1795370402100000",
        "size": "2",
        "timeCreated": "2026-11-22T18:00:02.100Z",
        **resource,
    }
    encoded = None if content is None else base64.b64encode(content).decode()
    return json.dumps(
        {"sequence": 1, "time": time, "operation": operation, "object": written, "content": encoded}
    )


def test_a_write_is_a_generation_and_a_deletion_is_when_it_went() -> None:
    generations = read_journal(
        [
            _line(
                "insert",
                "2026-11-22T18:00:02.100Z",
                b"{}",
                contentType="application/json",
                cacheControl="no-store",
                metadata={"revision": "7"},
            ),
            _line("patch", "2026-11-22T18:00:03Z", b"{}", cacheControl="private"),
            "",
            _line("delete", "2026-11-22T18:00:04Z", None),
        ]
    )
    expected = ObjectGeneration(
        bucket="media",
        name=NAME,
        generation=1795370402100000,
        created=datetime(2026, 11, 22, 18, 0, 2, 100_000, tzinfo=UTC),
        size=2,
        content=b"{}",
        content_type="application/json",
        cache_control="no-store",
        metadata={"revision": "7"},
        deleted=datetime(2026, 11, 22, 18, 0, 4, tzinfo=UTC),
    )
    assert [expected] == generations


def test_what_was_deleted_before_the_journal_begins_is_unknown() -> None:
    assert read_journal([_line("delete", "2026-11-22T18:00:04Z", None)]) == []
