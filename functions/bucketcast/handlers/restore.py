"""Restore: bring back what was deleted behind our back, a stream's document and its published objects."""

from dataclasses import replace

from bucketcast.handlers.publish import Publisher, SeenObjects
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import StreamId


def restore(stream: StreamId, publisher: Publisher) -> StreamDocument:
    """Publish *stream* as the buckets hold it, looking at every published object, and return its document.

    Where *publisher* has RebuiltDocuments, one that is gone is made again. Raises as Publisher.publish does.
    """
    return replace(publisher, seen=SeenObjects(limit=0)).publish(stream)
