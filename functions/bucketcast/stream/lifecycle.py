"""A stream's life cycle: every legal transition is a row of TRANSITIONS.

The diagram in ARCHITECTURE.md is generated from this table.
"""

from enum import StrEnum
from typing import Final

from bucketcast.errors import IllegalTransition


class StreamState(StrEnum):
    """What `state.json` says of a stream."""

    IDLE = "idle"
    """It was made, and has never been on air."""
    LIVE = "live"
    """A broadcaster's media is being published."""
    INTERRUPTED = "interrupted"
    """The broadcaster is gone; the reconnect window runs."""
    ENDED = "ended"
    """The last broadcast has its ENDLIST; the next one keeps the addresses."""


class StreamEvent(StrEnum):
    """What moves a stream from one state to another."""

    MEDIA_PUBLISHED = "media published"
    """A session's new segments were published."""
    BROADCASTER_LEFT = "broadcaster left"
    """Its session ended, or no media came for too long."""
    BROADCAST_ENDED = "broadcast ended"
    """The reconnect window ran out, or its end was asked for."""


TRANSITIONS: Final[dict[tuple[StreamState, StreamEvent], StreamState]] = {
    (StreamState.IDLE, StreamEvent.MEDIA_PUBLISHED): StreamState.LIVE,
    (StreamState.LIVE, StreamEvent.BROADCASTER_LEFT): StreamState.INTERRUPTED,
    (StreamState.LIVE, StreamEvent.BROADCAST_ENDED): StreamState.ENDED,
    (StreamState.INTERRUPTED, StreamEvent.MEDIA_PUBLISHED): StreamState.LIVE,
    (StreamState.INTERRUPTED, StreamEvent.BROADCAST_ENDED): StreamState.ENDED,
    (StreamState.ENDED, StreamEvent.MEDIA_PUBLISHED): StreamState.LIVE,
}


def advance_state(state: StreamState, event: StreamEvent) -> StreamState:
    """Return the state that *event* leads to from *state*, or raise IllegalTransition."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"a stream that is {state} takes no '{event}'") from None


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    rows = [f"    {state} --> {target}: {event}" for (state, event), target in TRANSITIONS.items()]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {StreamState.IDLE}", *rows])
