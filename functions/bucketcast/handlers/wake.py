"""Wake: what an object in the ingest bucket leads to."""

from bucketcast.events import IngestObjectFinalized
from bucketcast.handlers.publish import Publisher
from bucketcast.stream.document import StreamDocument


def wake(event: IngestObjectFinalized, publisher: Publisher) -> StreamDocument:
    """Publish the stream that *event* is about, and return its document.

    Raises NotFound for an object of a stream that was never made.
    """
    return publisher.publish(event.subject.stream)
