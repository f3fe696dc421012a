"""Stream records in the ingest bucket: how they are written, and which one holds."""

from bucketcast.objects import NewObject
from bucketcast.ports import Bucket
from bucketcast.records import decode_record, record_object
from bucketcast.stream.identifiers import StreamId
from bucketcast.stream.object_names import (
    STREAM_RECORDS,
    StreamRecordName,
    parsed_names,
    stream_record_name,
    stream_records_prefix,
)
from bucketcast.stream.stream_record import StreamRecord


def stream_record_object(record: StreamRecord) -> NewObject:
    """The object of *record*."""
    return record_object(stream_record_name(record.stream, record.number), record)


def latest_stream_record(ingest: Bucket, stream: StreamId) -> StreamRecord | None:
    """Return the record of *stream* that holds, the one of the highest number, or None for no stream."""
    names = [name for name, _ in parsed_names(ingest.names(stream_records_prefix(stream)))]
    content = ingest.read(names[-1]) if names else None
    return None if content is None else decode_record(StreamRecord, content)


def recorded_streams(ingest: Bucket) -> set[StreamId]:
    """Return the streams that have a record: all that were ever made."""
    names = parsed_names(ingest.names(STREAM_RECORDS))
    return {name.stream for _, name in names if isinstance(name, StreamRecordName)}
