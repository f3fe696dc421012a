"""Wake: what an object in the ingest bucket leads to."""

from contextlib import suppress

from bucketcast.errors import PreconditionFailed
from bucketcast.events import IngestObjectFinalized
from bucketcast.handlers.publish import Publisher
from bucketcast.stream.object_names import StreamRecordName
from bucketcast.stream.stream_record import document_of
from bucketcast.stream_records import latest_stream_record


def wake(event: IngestObjectFinalized, publisher: Publisher) -> None:
    """Publish the stream that *event* is about; a stream record brings its document first.

    Raises NotFound for an object of a stream that was never made.
    """
    stream = event.subject.stream
    if isinstance(event.subject, StreamRecordName) and publisher.documents.read(stream) is None:
        record = latest_stream_record(publisher.ingest, stream)
        if record is not None:
            with suppress(PreconditionFailed):  # made by another in the meantime
                publisher.documents.create(document_of(record))
    publisher.publish(stream)
