"""Streams: make one, look at them and watch them, end a broadcast."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bucketcast.errors import NotFound, PreconditionFailed, Refused, Unavailable
from bucketcast.handlers.watch import Watchdog
from bucketcast.objects import ABSENT
from bucketcast.ports import MAX_ROUNDS, Bucket, Clock, StoredDocument, StreamDocuments
from bucketcast.stream.claim import LEASE
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.encoder_report import ADVICE, EncoderReport, InputFault
from bucketcast.stream.identifiers import Revision, RungName, StreamId
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.object_names import tombstone_name
from bucketcast.stream.publication import end_broadcast
from bucketcast.stream.stream_key import SECRET_BYTES, key_hash, new_stream_key
from bucketcast.stream.stream_metrics import stream_metrics
from bucketcast.stream.stream_record import StreamRecord, document_of
from bucketcast.stream.stream_request import StreamRequest
from bucketcast.stream.watchdog import StreamHealth
from bucketcast.stream.window import listed_segments, slot_rungs
from bucketcast.stream_records import recorded_streams, stream_record_object

_log = logging.getLogger(__name__)

FIRST_RECORD: Final = 1


class CreatedStream(Struct, frozen=True, kw_only=True):
    """The one answer that shows a stream's key."""

    id: StreamId
    stream_key: str


class RungView(Struct, frozen=True, kw_only=True):
    """A slot, and the rung that fills it while the stream has segments listed."""

    name: RungName
    video_kbps: int
    filled_by: RungName | None
    width: int | None
    height: int | None
    last_media_sequence: int | None


class FaultView(Struct, frozen=True, kw_only=True):
    """A fault of the input, and what the broadcaster can do about it."""

    name: InputFault
    advice: str


class StreamView(Struct, frozen=True, kw_only=True):
    """A stream as its owner sees it; the key is shown once and never here."""

    id: StreamId
    state: StreamState
    since: datetime
    broadcast: int
    session: int  # the last one claimed; 0 before the first
    segment_seconds: float
    rungs: tuple[RungView, ...]
    health: StreamHealth | None  # None: the bucket does not answer
    input_faults: tuple[FaultView, ...]
    counters: EncoderReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """What the API needs of the world."""

    ingest: Bucket
    documents: StreamDocuments
    watchdog: Watchdog
    clock: Clock
    random_bytes: Callable[[int], bytes]

    def create(self, request: StreamRequest) -> CreatedStream:
        """Make a stream, or raise Refused if there is one of that id, InvalidInput if it cannot be.

        The stream record is what makes it; should the document not follow, the record's event makes it.
        """
        stream, configuration = request.stream(), request.configuration()
        key = new_stream_key(stream, random_bytes=self.random_bytes(SECRET_BYTES))
        now = self.clock.now()
        record = StreamRecord(
            stream=stream,
            number=FIRST_RECORD,
            created=now,
            key_hash=key_hash(key),
            configuration=configuration,
        )
        new = stream_record_object(record)
        if self.ingest.facts(tombstone_name(stream)) is not None:
            raise Refused(
                f"'{stream}' was deleted: its id is free a day after, unless its recordings were kept"
            )
        try:
            self.ingest.write(new, if_generation=ABSENT)
        except PreconditionFailed:
            # What is there may be our own, written by a try whose answer was lost.
            if self.ingest.read(new.name) != new.content:
                raise Refused(f"there is a stream '{stream}' already") from None
        # The record's own event was quicker, or will follow: nothing may keep the key from its one answer.
        with suppress(PreconditionFailed, Unavailable):
            self.documents.create(document_of(record))
        _log.info("stream created", extra={"stream": stream})
        return CreatedStream(id=stream, stream_key=key.reveal())

    def all(self) -> list[StreamView]:
        """Every stream, by id; one whose document is gone gets it back."""
        documents = {document.stream: document for document in self.documents.all()}
        for stream in recorded_streams(self.ingest) - documents.keys():
            documents[stream] = self._read(stream).document
        listed = [documents[stream] for stream in sorted(documents)]
        healths = self._watch(listed)
        return [self._view(document, health) for document, health in zip(listed, healths, strict=True)]

    def view(self, stream: StreamId) -> StreamView:
        """One stream, or NotFound."""
        document = self._read(stream).document
        return self._view(document, *self._watch([document]))

    def metrics(self) -> str:
        """The watchdog's view of every stream that has a document, as Prometheus reads it.

        Raises Unavailable where there is none: a failed scrape is an alarm of its own.
        """
        documents = sorted(self.documents.all(), key=lambda document: document.stream)
        watched = list(zip(documents, self.watchdog.watch(documents), strict=True))
        return stream_metrics(watched, now=self.clock.now())

    def end(self, stream: StreamId) -> None:
        """End the broadcast of *stream* at once; its playlists get their ENDLIST with the next publication.

        Raises NotFound, or IllegalTransition when the stream is not on air.
        """
        broadcast = None
        for _ in range(MAX_ROUNDS):
            stored = self._read(stream)
            broadcast = stored.document.broadcast if broadcast is None else broadcast
            if stored.document.ended_broadcasts >= broadcast:
                return  # by an earlier round whose answer was lost, or by somebody else
            ended = end_broadcast(stored.document, now=self.clock.now())
            try:
                self.documents.replace(
                    replace(ended, revision=Revision(ended.revision + 1)), version=stored.version
                )
            except PreconditionFailed:
                continue
            _log.info("broadcast ended on request", extra={"stream": stream})
            return
        raise Unavailable(f"ending {stream} found no end in {MAX_ROUNDS} rounds")

    def _read(self, stream: StreamId) -> StoredDocument:
        if (stored := self.documents.read(stream)) is None:
            raise NotFound(f"there is no stream '{stream}'")
        return stored

    def _watch(self, documents: list[StreamDocument]) -> Sequence[StreamHealth | None]:
        """The health of each of *documents*, as far as the bucket answers: an end is to be told in any case."""
        try:
            return self.watchdog.watch(documents)
        except Unavailable:
            _log.exception("the streams' playlists cannot be looked at")
            return [None] * len(documents)

    def _report(self, document: StreamDocument) -> EncoderReport:
        """What the encoder of *document* last said, as long as there is one.

        It has its lease before anything of its session is published: what keeps it from being must be seen. And
        on air it is there although a renewal is late.
        """
        lease = self.documents.lease(document.stream)
        if lease is None:
            return EncoderReport()
        fresh = self.clock.now() - lease.media_at < LEASE
        return lease.report if fresh or document.state is StreamState.LIVE else EncoderReport()

    def _view(self, document: StreamDocument, health: StreamHealth | None) -> StreamView:
        report = self._report(document)
        return StreamView(
            id=document.stream,
            state=document.state,
            since=document.since,
            broadcast=document.last_broadcast,
            session=document.next_session - 1,
            segment_seconds=document.configuration.segment_duration.total_seconds(),
            rungs=_rungs(document),
            health=health,
            input_faults=tuple(FaultView(name=fault, advice=ADVICE[fault]) for fault in report.faults),
            counters=report,
        )


def _rungs(document: StreamDocument) -> tuple[RungView, ...]:
    """Every slot, with what is listed in it now."""
    views = []
    for slot in document.configuration.rungs:
        rungs = slot_rungs(document, slot.name)
        listed = listed_segments(document, rungs) if rungs else ()
        rung = rungs[listed[-1].session] if listed else None
        views.append(
            RungView(
                name=slot.name,
                video_kbps=slot.video_bitrate // 1000,
                filled_by=rung.name if rung else None,
                width=rung.width if rung else None,
                height=rung.height if rung else None,
                last_media_sequence=listed[-1].media_sequence if listed else None,
            )
        )
    return tuple(views)
