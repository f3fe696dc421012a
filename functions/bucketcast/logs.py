"""Structured logs: one JSON object a line, in the form that Cloud Logging and Error Reporting read."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final, TextIO

_ERROR_REPORT: Final = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"
# What a LogRecord has of its own; everything else came in by `extra`.
_OWN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class CloudFormatter(logging.Formatter):
    """Formats a record as Cloud Logging's structured payload; the fields of `extra` become its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line of JSON; an exception makes it an error report."""
        entry: dict[str, Any] = {
            "severity": record.levelname,
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "message": record.getMessage(),
            "logger": record.name,
        }
        entry |= {key: value for key, value in vars(record).items() if key not in _OWN_FIELDS}
        if record.exc_info:
            trace = "".join(traceback.format_exception(*record.exc_info))
            entry |= {"@type": _ERROR_REPORT, "stack_trace": trace}
        return json.dumps(entry, default=str)


def configure_logging(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send our packages' records from *level* on, and everybody's warnings, to *stream* (stderr unless set).

    What the root logger did before is over: a platform's own handlers would say everything twice.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(CloudFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in ("bucketcast", "ingest"):
        logging.getLogger(package).setLevel(level)
