"""Delivery: what becomes of an event whose handler failed."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from bucketcast.errors import BucketcastError

_log = logging.getLogger(__name__)


@contextmanager
def acknowledging_permanent_errors() -> Iterator[None]:
    """Log an error that a redelivery could not change; let every other one through, so that there is one.

    Eventarc delivers again whatever was not acknowledged, for a day.
    """
    try:
        yield
    except BucketcastError as error:
        if error.retryable:
            raise
        _log.exception("an event was dropped: no redelivery can help it")
