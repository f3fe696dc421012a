"""What a publisher may know of its session, while it goes on and a while after its end."""

from dataclasses import dataclass
from enum import StrEnum

from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import StreamId
from ingest.protocols.publishing import CloseReason


class SessionState(StrEnum):
    """How far a session has come."""

    CONNECTING = "connecting"  # no connectivity check, or no DTLS handshake yet
    WAITING = "waiting"  # connected, without media
    LIVE = "live"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """How a session of *stream* stands; *reason* and *detail* are those of its end."""

    stream: StreamId
    state: SessionState
    faults: tuple[InputFault, ...]
    reason: CloseReason | None = None
    detail: str = ""
