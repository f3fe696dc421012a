"""Wake: what an object in the ingest bucket leads to."""

from bucketcast.events import IngestObjectFinalized
from bucketcast.handlers.publish import Publisher


def wake(event: IngestObjectFinalized, publisher: Publisher) -> None:
    """Publish the stream that *event* is about.

    Raises NotFound for an object of a stream that was never made.
    """
    publisher.publish(event.subject.stream)
