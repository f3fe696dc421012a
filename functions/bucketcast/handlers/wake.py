"""Wake: what an object in the ingest bucket leads to."""

from bucketcast.events import IngestObjectFinalized
from bucketcast.handlers.publish import Publisher
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.object_names import TombstoneName


def wake(event: IngestObjectFinalized, publisher: Publisher) -> StreamDocument | None:
    """Publish the stream that *event* is about, and return its document; None for one that was deleted.

    Raises NotFound for an object of a stream that was never made.
    """
    if isinstance(event.subject, TombstoneName):
        return None
    return publisher.publish(event.subject.stream)
