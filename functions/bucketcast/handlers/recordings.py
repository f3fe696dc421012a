"""Recordings: see to it that what is over is finalized, by one execution of a workflow for each broadcast.

Two events start one execution: whoever creates the recording document, or replaces it as it was read, starts
it. An execution that was started twice nevertheless, because an answer was lost, does no harm: every step of it
is safe twice.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from bucketcast.errors import BucketcastError, NotFound, PreconditionFailed, Unavailable
from bucketcast.handlers.publish import Publisher
from bucketcast.ports import MAX_ROUNDS, Clock, Executions, RecordingDocuments, StoredRecording
from bucketcast.recording.document import (
    ExecutionState,
    RecordingDocument,
    RecordingState,
    asked_again,
    begun,
    failed,
    over,
    resting_broadcast,
    resumed,
    went_on,
    with_execution,
)
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import BroadcastNumber, StreamId
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.publication import is_over, reconnect_until

_log = logging.getLogger(__name__)

WORKFLOW: Final = "finalize_recording"
# What is still to be sealed, or was just interrupted anew, is asked for again after as long.
SOON: Final = timedelta(seconds=2)


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


class RecordingView(Struct, frozen=True, kw_only=True):
    """A recording as its owner sees it."""

    broadcast: int
    state: RecordingState
    since: datetime
    failed_step: str | None
    reason: str | None
    files: tuple[FileView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """What the life of recordings needs of the world."""

    documents: RecordingDocuments
    executions: Executions
    publisher: Publisher
    clock: Clock

    def views(self, stream: StreamId) -> list[RecordingView]:
        """The recordings of *stream*, by broadcast."""
        found = sorted(self.documents.of_stream(stream), key=lambda recording: recording.broadcast)
        return [_view(recording) for recording in found]

    def see(self, document: StreamDocument) -> None:
        """Start what makes the recording that *document* shows to be due, unless it was started."""
        if (broadcast := resting_broadcast(document)) is None:
            return
        stored = self.documents.read(document.stream, broadcast)
        known = stored.document if stored else None
        self._start(stored, begun(known, document.stream, broadcast, now=self.clock.now()))

    def reap(self, reaped: Iterable[StreamDocument]) -> None:
        """See to the recordings of the streams that were *reaped*; start again what an execution should carry.

        Events may be lost, and executions die: once a minute all that is due is looked at.
        """
        for document in reaped:
            with self._logging_trouble(document.stream):
                self.see(document)
        for recording in list(self.documents.unsettled()):
            with self._logging_trouble(recording.stream):
                self._resume(recording)

    def finalize_again(self, stream: StreamId, broadcast: BroadcastNumber) -> None:
        """Start a recording that has failed once more; raises NotFound."""
        stored = self._stored(stream, broadcast)
        self._start(stored, asked_again(stored.document, now=self.clock.now()))

    def rest(self, stream: StreamId, broadcast: BroadcastNumber) -> Rest:
        """End *broadcast* of *stream* if its reconnect window ran out, and say how it stands.

        Raises NotFound for what was never started.
        """
        document = self.publisher.publish(stream)
        now = self.clock.now()
        if is_over(document, broadcast):
            self._change(stream, broadcast, lambda known: over(known, now=now))
            return Rest(over=True, on_air=False)
        if broadcast == document.broadcast and document.state is StreamState.LIVE:
            self._change(stream, broadcast, lambda known: went_on(known, now=now))
            return Rest(over=False, on_air=True)
        wait = SOON
        if broadcast == document.broadcast and document.state is StreamState.INTERRUPTED:
            wait = max(SOON, reconnect_until(document) - now)
        return Rest(over=False, on_air=False, seconds=-(-wait // timedelta(seconds=1)))

    def fail(self, stream: StreamId, broadcast: BroadcastNumber, *, step: str, reason: str) -> None:
        """Say that *step* of what carries the recording failed for good, for *reason*; raises NotFound."""
        now = self.clock.now()
        self._change(stream, broadcast, lambda known: failed(known, step=step, reason=reason, now=now))
        _log.error("a recording failed", extra={"stream": stream, "broadcast": broadcast, "step": step})

    @contextmanager
    def _logging_trouble(self, stream: StreamId) -> Iterator[None]:
        """One recording's trouble must not keep the others from going on."""
        try:
            yield
        except BucketcastError:
            _log.exception("a recording could not be reaped", extra={"stream": stream})

    def _resume(self, document: RecordingDocument) -> None:
        state = self.executions.state(document.execution) if document.execution else ExecutionState.OVER
        stored = self._stored(document.stream, document.broadcast)
        if stored.document == document:
            self._start(stored, resumed(document, state, now=self.clock.now()))

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
        argument: dict[str, str | int | bool] = {"stream": wanted.stream, "broadcast": wanted.broadcast}
        execution = self.executions.start(WORKFLOW, argument)
        _log.info("a recording's execution was started", extra={**_extra(wanted), "execution": execution})
        self._change(wanted.stream, wanted.broadcast, lambda known: with_execution(known, execution))

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


def _view(document: RecordingDocument) -> RecordingView:
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
    )


def _extra(document: RecordingDocument) -> dict[str, str | int | datetime]:
    return {"stream": document.stream, "broadcast": document.broadcast, "state": document.state}
