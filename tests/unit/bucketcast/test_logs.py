import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from bucketcast.logs import CloudFormatter, configure_logging


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What configure_logging sends to; afterwards logging is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    packages = {name: logging.getLogger(name).level for name in ("bucketcast", "ingest")}
    stream = io.StringIO()
    configure_logging(stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in packages.items():
        logging.getLogger(name).setLevel(before)


def entries(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_a_record_is_one_line_of_json_with_its_fields(lines: io.StringIO) -> None:
    logging.getLogger("bucketcast.x").info("session\nsealed", extra={"stream": "demo", "at": {1}})
    (entry,) = entries(lines)
    assert (entry["severity"], entry["message"], entry["logger"]) == ("INFO", "session\nsealed", "bucketcast.x")
    assert (entry["stream"], entry["at"]) == ("demo", "{1}")
    assert entry["time"].endswith("+00:00")
    assert not {"args", "levelname", "taskName", "exc_info"} & entry.keys()


def test_an_exception_is_an_error_report(lines: io.StringIO) -> None:
    try:
        "".index("lost")
    except ValueError:
        logging.getLogger("ingest").exception("it failed")
    (entry,) = entries(lines)
    assert entry["severity"] == "ERROR"
    assert entry["@type"].endswith("ReportedErrorEvent")
    assert entry["stack_trace"].endswith("ValueError: substring not found\n")


def test_others_are_heard_from_warnings_on(lines: io.StringIO) -> None:
    logging.getLogger("werkzeug").info("GET /")
    logging.getLogger("werkzeug").warning("careful")
    assert [entry["message"] for entry in entries(lines)] == ["careful"]


def test_without_a_stream_records_go_to_stderr(lines: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    logging.getLogger("ingest").info("here")
    captured = capsys.readouterr()
    assert json.loads(captured.err)["message"] == "here"
    assert captured.out == ""


def test_the_formatter_knows_a_records_arguments() -> None:
    record = logging.makeLogRecord({"msg": "%d segments", "args": (3,)})
    assert json.loads(CloudFormatter().format(record))["message"] == "3 segments"
