"""Reap: wake every stream whose broadcast is not over, so that what must end ends without an event."""

import logging
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bucketcast.errors import BucketcastError
from bucketcast.handlers.publish import Publisher
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import StreamId
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream_records import recorded_streams

_log = logging.getLogger(__name__)

# A publisher that is killed between document and objects leaves the objects to the next wake-up. When a
# broadcast is over, only the reaper wakes: for a few of its rounds more.
SETTLING: Final = timedelta(minutes=5)
# Eventarc tries to deliver an event for a day. A claimed session of which nothing came by then has nothing to
# say.
UNDELIVERED: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaper:
    """What reaping needs of the world."""

    publisher: Publisher
    executor: Executor  # publishes several streams at the same time; not the one that its publisher waits for

    def reap(self) -> list[StreamDocument]:
        """Publish every stream that is on air, interrupted or ended lately, has sessions to seal, or was lost.

        A stream whose document is gone gets it back. Returns the documents of those that could be published.
        """
        now = self.publisher.clock.now()
        documents = list(self.publisher.documents.all())
        unsettled = {document.stream for document in documents if not is_settled(document, now)}
        lost = recorded_streams(self.publisher.ingest) - {document.stream for document in documents}
        published = self.executor.map(self._publish, sorted(unsettled | lost))
        return [document for document in published if document is not None]

    def _publish(self, stream: StreamId) -> StreamDocument | None:
        try:
            return self.publisher.publish(stream)
        except BucketcastError:
            # One stream's trouble must not keep the others from being reaped.
            _log.exception("a stream could not be reaped", extra={"stream": stream})
            return None


def is_settled(document: StreamDocument, now: datetime) -> bool:
    """Whether nothing more will come of *document* by itself, nor is to be restored."""
    over = document.state in (StreamState.IDLE, StreamState.ENDED) and now - document.since >= SETTLING
    return (
        over
        and not document.unrestored
        and all(session.sealed or now - session.claimed >= UNDELIVERED for session in document.sessions)
    )
