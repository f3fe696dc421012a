"""The recording document: what became of one broadcast's recording, kept in Firestore.

Pure. A recording belongs to a broadcast, never to a stream. One execution of a workflow carries it from the
first interruption on; whoever sees that it should be there, and is not, starts it.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from bucketcast.errors import Refused
from bucketcast.stream.configuration import RecordingMode
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.expiry import KEPT_FOR_A_RECORDING
from bucketcast.stream.identifiers import BroadcastNumber, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.publication import reconnect_until

# Whoever decided to start an execution starts it within a second; a minute later it has died in between.
STARTING: Final = timedelta(minutes=1)
# An execution retries each step itself; one that was cancelled, or met what no retry outlasts, is begun anew as
# many times before somebody has to look.
MAX_EXECUTIONS: Final = 5
# What is still to be sealed, or was just interrupted anew, is asked for again after as long; what takes longer
# is asked for after an eighth of the time that it has taken: some eighty times within a day.
SOON: Final = timedelta(seconds=2)
PATIENCE_GROWTH: Final = 8
# A session is sealed within seconds. An outage of storage is over within a day; what else may be wrong,
# somebody has to look at while the recording can still be made.
SEALED_WITHIN: Final = timedelta(days=1)
# A recording that has failed can be made again for as long as what it is made of is kept (stream/expiry.py),
# less a day for making it.
AGAIN_WITHIN: Final = KEPT_FOR_A_RECORDING - timedelta(days=1)


class RecordingState(StrEnum):
    """Where a broadcast's recording stands."""

    RECORDING = "recording"
    """Its broadcast went on after an interruption."""
    WAITING = "waiting"
    """Its broadcast is interrupted: the reconnect window runs."""
    FINALIZING = "finalizing"
    """Its broadcast is over; its parts are being joined."""
    FINALIZED = "finalized"
    """Its files are there."""
    FAILED = "failed"
    """A step failed, and trying again did not help."""


class RecordedGap(Struct, frozen=True, kw_only=True):
    """What could not be had: the picture stands still for *duration*, in silence, from *at* on."""

    at: timedelta
    duration: timedelta


class MissingRange(Struct, frozen=True, kw_only=True):
    """Segments of *session*, *first* to *last*, that no file has: gaps, or what could not be read."""

    session: SessionNumber
    first: SegmentIndex
    last: SegmentIndex


class RecordedFile(Struct, frozen=True, kw_only=True):
    """One MP4 in the media bucket, verified."""

    name: str
    size: int  # bytes
    crc32c: str
    duration: timedelta
    frames: int
    sessions: tuple[SessionNumber, ...]
    gaps: tuple[RecordedGap, ...] = ()


class RecordingFacts(Struct, frozen=True, kw_only=True):
    """`facts.json`: what a recording consists of, created once when its files are there and verified.

    From then on nothing is made of parts or segments any more: they may be gone.
    """

    version: Literal[1] = 1
    stream: StreamId
    broadcast: BroadcastNumber
    files: tuple[RecordedFile, ...]
    missing: tuple[MissingRange, ...] = ()

    @property
    def duration(self) -> timedelta:
        """How long all files are together."""
        return sum((file.duration for file in self.files), timedelta(0))


class VodState(StrEnum):
    """Where a recording's VOD stands."""

    ENCODING = "encoding"
    PUBLISHED = "published"
    FAILED = "failed"


class Vod(Struct, frozen=True, kw_only=True):
    """What becomes of encoding a recording once more."""

    state: VodState
    since: datetime
    execution: str = ""  # Workflows' name for what carries it; empty while it is being started
    executions: int = 0
    reason: str = ""


class RecordingDocument(Struct, frozen=True, kw_only=True):
    """All that is decided about the recording of one broadcast."""

    version: Literal[1] = 1
    stream: StreamId
    broadcast: BroadcastNumber
    state: RecordingState
    since: datetime
    begun: datetime  # when its broadcast came to rest last
    execution: str = ""  # Workflows' name for what carries it; empty while it is being started
    executions: int = 1
    failed_step: str = ""
    reason: str = ""
    files: tuple[RecordedFile, ...] = ()
    missing: tuple[MissingRange, ...] = ()
    vod: Vod | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self.is_decided and not self.is_encoding

    @property
    def is_decided(self) -> bool:
        """Whether its files are there, or were given up."""
        return self.state in (RecordingState.FINALIZED, RecordingState.FAILED)

    @property
    def is_encoding(self) -> bool:
        """Whether an execution should be carrying its VOD."""
        return self.vod is not None and self.vod.state is VodState.ENCODING

    @property
    def is_finalized(self) -> bool:
        """Whether all that it was made of may go."""
        return self.state is RecordingState.FINALIZED

    @property
    def is_carried(self) -> bool:
        """Whether an execution should be carrying it."""
        return self.state in (RecordingState.WAITING, RecordingState.FINALIZING)


class ExecutionState(StrEnum):
    """What Workflows says of an execution."""

    ACTIVE = "active"
    OVER = "over"
    """It succeeded, failed, was cancelled, or is forgotten."""


def resting_broadcast(document: StreamDocument) -> BroadcastNumber | None:
    """The broadcast of *document* whose recording is due as soon as nobody returns to it, if there is one."""
    if document.configuration.recording is RecordingMode.OFF:
        return None
    if document.state is StreamState.INTERRUPTED:
        return document.broadcast
    return BroadcastNumber(document.ended_broadcasts) if document.ended_broadcasts else None


def wait_for_rest(document: StreamDocument, known: RecordingDocument, *, now: datetime) -> timedelta:
    """How long to wait before it is asked again whether the broadcast of *known* is over.

    Raises Refused where it should have been for SEALED_WITHIN.
    """
    due = _due(document, known)
    if now - due < SEALED_WITHIN:
        return max(SOON, due - now, (now - due) / PATIENCE_GROWTH)
    unsealed = [s.session for s in document.sessions if s.broadcast == known.broadcast and not s.sealed]
    missing = f"the seal of session {unsealed[0]} is missing" if unsealed else "no session of it is known"
    raise Refused(f"broadcast {known.broadcast} of '{known.stream}' should be over since {due}: {missing}")


def _due(document: StreamDocument, known: RecordingDocument) -> datetime:
    """When the broadcast of *known*, which is not over, should have been."""
    if known.broadcast == document.broadcast and document.state is StreamState.INTERRUPTED:
        return reconnect_until(document)
    if known.broadcast == document.ended_broadcasts and document.state is StreamState.ENDED:
        return document.since
    return known.begun


def begun(
    known: RecordingDocument | None, stream: StreamId, broadcast: BroadcastNumber, *, now: datetime
) -> RecordingDocument | None:
    """The document with which an execution is to be started for *broadcast*, or None if one was.

    *known* is what there is of it.
    """
    if known is None:
        return RecordingDocument(
            stream=stream, broadcast=broadcast, state=RecordingState.WAITING, since=now, begun=now
        )
    if known.state is RecordingState.RECORDING:
        return replace(known, state=RecordingState.WAITING, since=now, begun=now, execution="", executions=1)
    return None


def resumed(known: RecordingDocument, execution: ExecutionState, *, now: datetime) -> RecordingDocument | None:
    """What becomes of *known*, whose *execution* is as it says, or None while all is well.

    One without an execution that should have one is to be started with the document returned; after
    MAX_EXECUTIONS it has failed.
    """
    if not known.is_carried or execution is ExecutionState.ACTIVE:
        return None
    if not known.execution and now - known.since < STARTING:
        return None
    if known.executions >= MAX_EXECUTIONS:
        return failed(known, step=known.state, reason="its executions ended without a result", now=now)
    return replace(known, since=now, execution="", executions=known.executions + 1)


def vod_begun(known: RecordingDocument, *, now: datetime) -> RecordingDocument | None:
    """The document with which the VOD of *known* is to be started, or None if it was or none is wanted."""
    if known.vod is None or not known.is_encoding or known.vod.executions:
        return None
    return replace(known, vod=replace(known.vod, since=now, executions=1))


def vod_resumed(
    known: RecordingDocument, execution: ExecutionState, *, now: datetime
) -> RecordingDocument | None:
    """As `resumed`, for the execution that carries the VOD of *known*."""
    vod = known.vod
    if vod is None or not known.is_encoding or execution is ExecutionState.ACTIVE:
        return None
    if not vod.execution and now - vod.since < STARTING:
        return None
    if vod.executions >= MAX_EXECUTIONS:
        return vod_failed(known, vod, reason="its executions ended without a result", now=now)
    begun_again = replace(vod, since=now, execution="", executions=vod.executions + 1)
    return replace(known, vod=begun_again)


def asked_again(known: RecordingDocument, *, now: datetime) -> RecordingDocument | None:
    """The document with which *known*, if it has failed, is to be started again because its owner says so.

    So it is with a VOD that has failed. Raises Refused where it is too late.
    """
    if known.vod is not None and known.vod.state is VodState.FAILED:
        return replace(known, vod=Vod(state=VodState.ENCODING, since=now))
    if known.state is not RecordingState.FAILED:
        return None
    if now - known.begun >= AGAIN_WITHIN:
        raise Refused("what this recording would be made of is gone, or about to go")
    waiting = RecordingState.WAITING
    return replace(known, state=waiting, since=now, execution="", executions=1, failed_step="", reason="")


def with_execution(known: RecordingDocument, execution: str) -> RecordingDocument:
    """*known* carried by *execution*, unless it is carried by another or needs none any more."""
    return replace(known, execution=execution) if known.is_carried and not known.execution else known


def went_on(known: RecordingDocument, *, now: datetime) -> RecordingDocument:
    """*known* while its broadcast is on air again: the next interruption begins another execution."""
    return known if known.is_decided else replace(known, state=RecordingState.RECORDING, since=now)


def over(known: RecordingDocument, *, now: datetime) -> RecordingDocument:
    """*known* once its broadcast is over and sealed; what is settled stays as it is."""
    return known if known.is_decided else replace(known, state=RecordingState.FINALIZING, since=now)


def finalized(
    known: RecordingDocument, facts: RecordingFacts, *, with_vod: bool, now: datetime
) -> RecordingDocument:
    """*known* with its *facts*; *with_vod* a VOD is made of its files."""
    return replace(
        known,
        state=RecordingState.FINALIZED,
        since=now,
        files=facts.files,
        missing=facts.missing,
        failed_step="",
        reason="",
        vod=Vod(state=VodState.ENCODING, since=now) if with_vod and facts.files else None,
    )


def restored(
    facts: RecordingFacts, *, has_vod: bool, wants_vod: bool, finalized_at: datetime
) -> RecordingDocument:
    """The document of a recording that has *facts*, since *finalized_at*, and lost its own.

    A VOD that is wanted and is not there may have failed, or be under way: its owner may start it again.
    """
    vod: Vod | None = None
    if has_vod:
        vod = Vod(state=VodState.PUBLISHED, since=finalized_at)
    elif wants_vod and facts.files:
        vod = Vod(state=VodState.FAILED, since=finalized_at, reason="it was not there when Firestore was lost")
    return RecordingDocument(
        stream=facts.stream,
        broadcast=facts.broadcast,
        state=RecordingState.FINALIZED,
        since=finalized_at,
        begun=finalized_at,
        files=facts.files,
        missing=facts.missing,
        vod=vod,
    )


def with_vod_execution(known: RecordingDocument, execution: str) -> RecordingDocument:
    """*known* with its VOD carried by *execution*, unless by another one, or it needs none any more."""
    if known.vod is None or not known.is_encoding or known.vod.execution:
        return known
    return replace(known, vod=replace(known.vod, execution=execution))


def vod_published(known: RecordingDocument, *, now: datetime) -> RecordingDocument:
    """*known* with its VOD, which is there and checked."""
    if known.vod is None or known.vod.state is VodState.PUBLISHED:
        return known
    return replace(known, vod=replace(known.vod, state=VodState.PUBLISHED, since=now, reason=""))


def vod_failed(known: RecordingDocument, vod: Vod, *, reason: str, now: datetime) -> RecordingDocument:
    """*known*, whose *vod* is being encoded, after that failed for *reason*."""
    return replace(known, vod=replace(vod, state=VodState.FAILED, since=now, reason=reason))


def failed(known: RecordingDocument, *, step: str, reason: str, now: datetime) -> RecordingDocument:
    """*known*, which is not decided yet, after *step* failed for *reason*."""
    return replace(known, state=RecordingState.FAILED, since=now, failed_step=step, reason=reason)
