"""Reap: wake every stream whose broadcast is not over, so that what must end ends without an event."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bucketcast.errors import BucketcastError
from bucketcast.handlers.publish import Publisher
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.lifecycle import StreamState

_log = logging.getLogger(__name__)

# A publisher that is killed between document and objects leaves the objects to the next wake-up. When a
# broadcast is over, only the reaper wakes: for a few of its rounds more.
SETTLING: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaper:
    """What reaping needs of the world."""

    publisher: Publisher

    def reap(self) -> None:
        """Publish every stream that is on air, interrupted or ended lately, or has sessions to seal."""
        now = self.publisher.clock.now()
        for document in self.publisher.documents.all():
            if not _is_settled(document, now):
                try:
                    self.publisher.publish(document.stream)
                except BucketcastError:
                    # One stream's trouble must not keep the others from being reaped.
                    _log.exception("a stream could not be reaped", extra={"stream": document.stream})


def _is_settled(document: StreamDocument, now: datetime) -> bool:
    over = document.state in (StreamState.IDLE, StreamState.ENDED) and now - document.since >= SETTLING
    return over and all(session.sealed for session in document.sessions)
