"""Reap: wake every stream whose broadcast is not over, so that what must end ends without an event."""

import logging
from dataclasses import dataclass

from bucketcast.errors import BucketcastError
from bucketcast.handlers.publish import Publisher
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.lifecycle import StreamState

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaper:
    """What reaping needs of the world."""

    publisher: Publisher

    def reap(self) -> None:
        """Publish every stream that is on air, interrupted, or has sessions that are not sealed."""
        for document in self.publisher.documents.all():
            if not _is_settled(document):
                try:
                    self.publisher.publish(document.stream)
                except BucketcastError:
                    # One stream's trouble must not keep the others from being reaped.
                    _log.exception("a stream could not be reaped", extra={"stream": document.stream})


def _is_settled(document: StreamDocument) -> bool:
    settled = document.state in (StreamState.IDLE, StreamState.ENDED)
    return settled and all(session.sealed for session in document.sessions)
