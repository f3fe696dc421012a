"""Recordings: see to it that what is over is finalized, by one execution of a workflow for each broadcast.

Two events start one execution: whoever creates the recording document, or replaces it as it was read, starts
it. An execution that was started twice nevertheless, because an answer was lost, does no harm: every step of it
is safe twice.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bucketcast.errors import (
    BucketcastError,
    InvalidRecord,
    NotFound,
    PreconditionFailed,
    TooManyWrites,
    Unavailable,
)
from bucketcast.handlers.publish import Publisher
from bucketcast.objects import ABSENT, WRITE_INTERVAL
from bucketcast.ports import MAX_ROUNDS, Archive, Bucket, Clock, Executions, RecordingDocuments, StoredRecording
from bucketcast.recording.document import (
    ExecutionState,
    MissingRange,
    RecordingDocument,
    RecordingFacts,
    RecordingState,
    VodState,
    asked_again,
    begun,
    failed,
    over,
    resting_broadcast,
    restored,
    resumed,
    vod_begun,
    vod_failed,
    vod_published,
    vod_resumed,
    wait_for_rest,
    went_on,
    with_execution,
    with_vod_execution,
)
from bucketcast.recording.index import RECORDINGS_SHOWN, index_name, index_object
from bucketcast.recording.names import recorded_broadcasts, recording_facts_name, recordings_folder
from bucketcast.recording.vod import TaskProgress, vod_facts_name, vod_progress_prefix
from bucketcast.records import decode_record
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import BroadcastNumber, Revision, StreamId
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.publication import is_over

_log = logging.getLogger(__name__)

WORKFLOW: Final = "finalize_recording"
VOD_WORKFLOW: Final = "reencode_vod"
# Of the scheduler's minute it takes some twenty seconds to look for as many: four calls for each that is there.
RESTORED_AT_ONCE: Final = 200


class Rest(Struct, frozen=True, kw_only=True):
    """Whether a broadcast is *over*, or *on_air*; while it is neither, ask again in *seconds*."""

    over: bool
    on_air: bool
    seconds: int = 0


class GapView(Struct, frozen=True, kw_only=True):
    """Where a recording stands still because nothing could be had."""

    at_seconds: float
    seconds: float


class FileView(Struct, frozen=True, kw_only=True):
    """A recording's file, under *name* in the media bucket."""

    name: str
    bytes: int
    crc32c: str
    seconds: float
    frames: int
    sessions: tuple[int, ...]
    gaps: tuple[GapView, ...]


class VodView(Struct, frozen=True, kw_only=True):
    """A recording's VOD; how many of its segments are done is told while it is encoded."""

    state: VodState
    since: datetime
    segments_done: int
    segments: int
    reason: str | None


class RecordingView(Struct, frozen=True, kw_only=True):
    """A recording as its owner sees it."""

    broadcast: int
    state: RecordingState
    since: datetime
    failed_step: str | None
    reason: str | None
    files: tuple[FileView, ...]
    missing: tuple[MissingRange, ...]
    vod: VodView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """What the life of recordings needs of the world."""

    documents: RecordingDocuments
    executions: Executions
    publisher: Publisher
    media: Archive
    recording: Bucket
    clock: Clock

    def views(self, stream: StreamId) -> list[RecordingView]:
        """The recordings of *stream*, by broadcast."""
        found = sorted(self.documents.of_stream(stream), key=lambda recording: recording.broadcast)
        return [_view(recording, self._vod(recording)) for recording in found]

    def see(self, document: StreamDocument) -> None:
        """Start what makes the recording that *document* shows to be due, unless it was started."""
        if (broadcast := resting_broadcast(document)) is None:
            return
        self.begin(document.stream, broadcast)

    def begin(self, stream: StreamId, broadcast: BroadcastNumber) -> None:
        """Start what makes the recording of *broadcast*, which came to rest, unless it was started."""
        stored = self.documents.read(stream, broadcast)
        known = stored.document if stored else None
        wanted = begun(known, stream, broadcast, now=self.clock.now())
        if wanted is not None:
            self.show(stream)  # an empty list, at first: pages ask for it as soon as a broadcast has ended
        self._start(stored, wanted)

    def reap(self, reaped: Iterable[StreamDocument]) -> None:
        """See to the recordings of the streams that were *reaped*; start again what an execution should carry.

        Events may be lost, and executions die: once a minute all that is due is looked at. So is what became of
        the recordings of streams whose documents were lost, RESTORED_AT_ONCE in all.
        """
        left = RESTORED_AT_ONCE
        for document in reaped:
            with self._logging_trouble(document.stream):
                self.see(document)
            with self._logging_trouble(document.stream):
                left -= self._restore(document, at_most=left)
        for recording in list(self.documents.unsettled()):
            with self._logging_trouble(recording.stream):
                self._resume(recording)

    def restore(self, stream: StreamId) -> None:
        """Look for recordings of *stream* without a document, and give them theirs back; raises NotFound.

        Beyond RESTORED_AT_ONCE the reaper goes on with them.
        """
        document = self._replace_stream(
            stream, lambda known: replace(known, unrestored=max(known.unrestored, known.ended_broadcasts))
        )
        self.see(document)
        self._restore(document, at_most=RESTORED_AT_ONCE)

    def finalize_again(self, stream: StreamId, broadcast: BroadcastNumber) -> None:
        """Start a recording that has failed, or its VOD if that has, once more; raises NotFound."""
        stored = self._stored(stream, broadcast)
        wanted = asked_again(stored.document, now=self.clock.now())
        if wanted is not None and wanted.is_encoding:
            self.documents.replace(wanted, version=stored.version)
            self.encode(stream, broadcast)
        else:
            self._start(stored, wanted)

    def rest(self, stream: StreamId, broadcast: BroadcastNumber) -> Rest:
        """End *broadcast* of *stream* if its reconnect window ran out, and say how it stands.

        Raises NotFound for what was never started, and Refused for what does not come to an end.
        """
        document = self.publisher.publish(stream)
        now = self.clock.now()
        if is_over(document, broadcast):
            self._change(stream, broadcast, lambda known: over(known, now=now))
            return Rest(over=True, on_air=False)
        if broadcast == document.broadcast and document.state is StreamState.LIVE:
            self._change(stream, broadcast, lambda known: went_on(known, now=now))
            return Rest(over=False, on_air=True)
        wait = wait_for_rest(document, self._stored(stream, broadcast).document, now=now)
        return Rest(over=False, on_air=False, seconds=-(-wait // timedelta(seconds=1)))

    def show(self, stream: StreamId) -> None:
        """Bring the index that viewers read up to what there is; raises Unavailable.

        What replaces a generation was read after that was written: of two that show, none goes back.
        """
        for _ in range(MAX_ROUNDS):
            there = self.media.facts(index_name(stream))
            folders = self.media.folders(recordings_folder(stream))
            shown = recorded_broadcasts(stream, folders)[-RECORDINGS_SHOWN:]
            found = [self._facts(recording_facts_name(stream, broadcast)) for broadcast in shown]
            with_vod = {number for number in shown if self.media.facts(vod_facts_name(stream, number))}
            new = index_object(stream, filter(None, found), with_vod)
            if there is not None and self.media.read(new.name) == new.content:
                return
            try:
                self.media.write(new, if_generation=there.generation if there else ABSENT)
            except PreconditionFailed:
                continue
            except TooManyWrites:  # a broadcast was finalized, or its VOD announced, within the same second
                self.clock.sleep(WRITE_INTERVAL.total_seconds())
            else:
                return
        raise Unavailable(f"showing the recordings of {stream} found no end in {MAX_ROUNDS} rounds")

    def encode(self, stream: StreamId, broadcast: BroadcastNumber) -> None:
        """Start what makes the VOD of a finalized recording, if one is wanted, unless it was started."""
        stored = self._stored(stream, broadcast)
        self._start_vod(stored, vod_begun(stored.document, now=self.clock.now()))

    def announce(self, stream: StreamId, broadcast: BroadcastNumber) -> None:
        """Say that the VOD is there and checked; raises NotFound where its facts are not in the bucket."""
        if self.media.facts(vod_facts_name(stream, broadcast)) is None:
            raise NotFound(f"there is no VOD of broadcast {broadcast} of '{stream}'")
        now = self.clock.now()
        self._change(stream, broadcast, lambda known: vod_published(known, now=now))
        self.show(stream)
        _log.info("vod published", extra={"stream": stream, "broadcast": broadcast})

    def fail_vod(self, stream: StreamId, broadcast: BroadcastNumber, *, execution: str, reason: str) -> None:
        """Say that encoding the recording failed for good, for *reason*; raises NotFound.

        Only *execution*, the id of the one that carries it, can say so: what another one repeats is over.
        Raises Unavailable while the one that carries it is being started, and its id not known.
        """
        now = self.clock.now()

        def change(known: RecordingDocument) -> RecordingDocument:
            vod = known.vod if known.is_encoding else None
            if vod is None or not _is_of(vod.execution, execution):
                return known
            return vod_failed(known, vod, reason=reason, now=now)

        self._change(stream, broadcast, change)
        _log.error("a vod failed", extra={"stream": stream, "broadcast": broadcast})

    def fail(
        self, stream: StreamId, broadcast: BroadcastNumber, *, execution: str, step: str, reason: str
    ) -> None:
        """Say that *step* of what carries the recording failed for good, for *reason*; raises NotFound.

        Of *execution* holds what `fail_vod` says.
        """
        now = self.clock.now()

        def change(known: RecordingDocument) -> RecordingDocument:
            if known.is_decided or not _is_of(known.execution, execution):
                return known
            return failed(known, step=step, reason=reason, now=now)

        self._change(stream, broadcast, change)
        _log.error("a recording failed", extra={"stream": stream, "broadcast": broadcast, "step": step})

    def _restore(self, document: StreamDocument, *, at_most: int) -> int:
        """Restore the recordings of the last *at_most* unrestored broadcasts, and say how many they were.

        The last broadcast's is not among them: `see` has it made again, with the VOD that may still be due.
        """
        last = document.unrestored
        first = max(0, last - at_most)
        for broadcast in map(BroadcastNumber, range(last, first, -1)):
            if broadcast != resting_broadcast(document):
                self._restore_one(document, broadcast)
        if first < last:
            self._replace_stream(
                document.stream, lambda known: replace(known, unrestored=min(known.unrestored, first))
            )
        return last - first

    def _restore_one(self, document: StreamDocument, broadcast: BroadcastNumber) -> None:
        """Create the document of *broadcast*'s recording, if it has facts and none."""
        stream = document.stream
        name = recording_facts_name(stream, broadcast)
        if (facts := self._facts(name)) is None or (there := self.media.facts(name)) is None:
            return
        lost = restored(
            facts,
            has_vod=self.media.facts(vod_facts_name(stream, broadcast)) is not None,
            wants_vod=document.configuration.vod,
            finalized_at=there.updated,
        )
        with suppress(PreconditionFailed):
            self.documents.create(lost)
            _log.warning("a recording's document is made again", extra=_extra(lost))

    def _facts(self, name: str) -> RecordingFacts | None:
        """The facts under *name*, if they can be read: those of other recordings must not wait for them."""
        content = self.media.read(name)
        try:
            return None if content is None else decode_record(RecordingFacts, content)
        except InvalidRecord:
            _log.exception("a recording's facts cannot be read", extra={"object": name})
            return None

    def _replace_stream(
        self, stream: StreamId, change: Callable[[StreamDocument], StreamDocument]
    ) -> StreamDocument:
        """Store what *change* makes of the stream's document, however many replace it at the same time."""
        documents = self.publisher.documents
        for _ in range(MAX_ROUNDS):
            if (stored := documents.read(stream)) is None:
                raise NotFound(f"there is no stream '{stream}'")
            changed = change(stored.document)
            if changed == stored.document:
                return changed
            changed = replace(changed, revision=Revision(changed.revision + 1))
            with suppress(PreconditionFailed):
                documents.replace(changed, version=stored.version)
                return changed
        raise Unavailable(f"changing {stream} found no end in {MAX_ROUNDS} rounds")

    @contextmanager
    def _logging_trouble(self, stream: StreamId) -> Iterator[None]:
        """One recording's trouble must not keep the others from going on."""
        try:
            yield
        except BucketcastError:
            _log.exception("a recording could not be reaped", extra={"stream": stream})

    def _vod(self, document: RecordingDocument) -> VodView | None:
        """How far the VOD of *document* is."""
        vod = document.vod
        if vod is None:
            return None
        prefix = vod_progress_prefix(document.stream, document.broadcast)
        names = self.recording.names(prefix) if document.is_encoding else []
        told = [content for name in names if (content := self.recording.read(name)) is not None]
        tasks = [decode_record(TaskProgress, content) for content in told]
        return VodView(
            state=vod.state,
            since=vod.since,
            segments_done=sum(task.done for task in tasks),
            segments=sum(task.total for task in tasks),
            reason=vod.reason or None,
        )

    def _resume(self, document: RecordingDocument) -> None:
        vod = document.vod
        name = vod.execution if vod and document.is_encoding else document.execution
        state = self.executions.state(name) if name else ExecutionState.OVER
        stored, now = self._stored(document.stream, document.broadcast), self.clock.now()
        if stored.document != document:
            return
        if document.is_encoding:
            wanted = vod_begun(document, now=now) or vod_resumed(document, state, now=now)
            self._start_vod(stored, wanted)
        else:
            self._start(stored, resumed(document, state, now=now))

    def _start(self, stored: StoredRecording | None, wanted: RecordingDocument | None) -> None:
        """Start the execution of *wanted*, if there is any, unless somebody else has decided on it since."""
        if wanted is None:
            return
        try:
            if stored is None:
                self.documents.create(wanted)
            else:
                self.documents.replace(wanted, version=stored.version)
        except PreconditionFailed:
            return
        if wanted.is_settled:
            _log.error("a recording failed", extra=_extra(wanted))
            return
        execution = self.executions.start(WORKFLOW, _argument(wanted))
        _log.info("a recording's execution was started", extra={**_extra(wanted), "execution": execution})
        self._change(wanted.stream, wanted.broadcast, lambda known: with_execution(known, execution))

    def _start_vod(self, stored: StoredRecording, wanted: RecordingDocument | None) -> None:
        """As `_start`, for the VOD."""
        if wanted is None:
            return
        try:
            self.documents.replace(wanted, version=stored.version)
        except PreconditionFailed:
            return
        if not wanted.is_encoding:
            _log.error("a vod failed", extra=_extra(wanted))
            return
        execution = self.executions.start(VOD_WORKFLOW, _argument(wanted))
        _log.info("a vod's execution was started", extra={**_extra(wanted), "execution": execution})
        self._change(wanted.stream, wanted.broadcast, lambda known: with_vod_execution(known, execution))

    def _change(
        self,
        stream: StreamId,
        broadcast: BroadcastNumber,
        change: Callable[[RecordingDocument], RecordingDocument],
    ) -> RecordingDocument:
        """Store what *change* makes of the document, however many decide on it at the same time."""
        for _ in range(MAX_ROUNDS):
            stored = self._stored(stream, broadcast)
            changed = change(stored.document)
            if changed == stored.document:
                return changed
            try:
                self.documents.replace(changed, version=stored.version)
            except PreconditionFailed:
                continue
            return changed
        raise Unavailable(f"changing a recording of {stream} found no end in {MAX_ROUNDS} rounds")

    def _stored(self, stream: StreamId, broadcast: BroadcastNumber) -> StoredRecording:
        if (stored := self.documents.read(stream, broadcast)) is None:
            raise NotFound(f"there is no recording of broadcast {broadcast} of '{stream}'")
        return stored


def _is_of(name: str, execution: str) -> bool:
    """Whether *name* is that of *execution*; raises Unavailable while it is empty, for nobody knows yet."""
    if not name:
        raise Unavailable("the execution that carries this recording is being started, its id not known yet")
    return name.rpartition("/")[2] == execution


def _view(document: RecordingDocument, vod: VodView | None) -> RecordingView:
    return RecordingView(
        broadcast=document.broadcast,
        state=document.state,
        since=document.since,
        failed_step=document.failed_step or None,
        reason=document.reason or None,
        files=tuple(
            FileView(
                name=file.name,
                bytes=file.size,
                crc32c=file.crc32c,
                seconds=file.duration.total_seconds(),
                frames=file.frames,
                sessions=file.sessions,
                gaps=tuple(
                    GapView(at_seconds=gap.at.total_seconds(), seconds=gap.duration.total_seconds())
                    for gap in file.gaps
                ),
            )
            for file in document.files
        ),
        missing=document.missing,
        vod=vod,
    )


def _argument(document: RecordingDocument) -> dict[str, str | int | bool]:
    return {"stream": document.stream, "broadcast": document.broadcast}


def _extra(document: RecordingDocument) -> dict[str, str | int | datetime]:
    return {"stream": document.stream, "broadcast": document.broadcast, "state": document.state}
