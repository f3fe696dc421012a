"""Rules for `state.json`."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from bucketcast.stream.lifecycle import TRANSITIONS, StreamState
from tools.auditor.history import StreamHistory, violation
from tools.auditor.journal import ObjectGeneration, Rule, Violation

_KEYS = {"version", "stream", "state", "broadcast", "since"}


def states(history: StreamHistory) -> Iterator[Violation]:
    """Every state is valid and can follow the one before it; the last one is that of the playlists."""
    valid: list[tuple[ObjectGeneration, dict[str, Any]]] = []
    for written in history.states:
        try:
            valid.append((written, _read(history.stream, written)))
        except ValueError as error:
            yield violation(Rule.STATE, written, str(error))
    for (_, before), (written, after) in pairwise(valid):
        text = _step_fault(before, after)
        if text:
            yield violation(Rule.STATE, written, text)
    if valid:
        yield from _last_state(history, *valid[-1])


def _read(stream: str, written: ObjectGeneration) -> dict[str, Any]:
    state = json.loads(written.content or b"")
    if not isinstance(state, dict) or state.keys() != _KEYS:
        raise ValueError(f"it has the keys {', '.join(sorted(_KEYS))}")
    if state["version"] != 1 or state["stream"] != stream:
        raise ValueError(f"it is version 1 of stream {stream}")
    StreamState(state["state"])
    least = 0 if state["state"] == StreamState.IDLE else 1
    if not isinstance(state["broadcast"], int) or state["broadcast"] < least:
        raise ValueError(f"a stream that is {state['state']} has a broadcast from {least}")
    if datetime.fromisoformat(str(state["since"])).utcoffset() != timedelta(0):
        raise ValueError("since is a date in UTC")
    return state


def _step_fault(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    if after["broadcast"] < before["broadcast"]:
        return f"broadcast {before['broadcast']} is followed by {after['broadcast']}"
    if datetime.fromisoformat(after["since"]) < datetime.fromisoformat(before["since"]):
        return f"since {before['since']} is followed by {after['since']}"
    was, now = StreamState(before["state"]), StreamState(after["state"])
    # The newest state wins: one that lasted less than a second may never have been written.
    if now != was and now not in _reachable(was):
        return f"{was} is never followed by {now}"
    return None


def _reachable(state: StreamState) -> set[StreamState]:
    reached: set[StreamState] = set()
    ahead = {state}
    while ahead:
        ahead = {target for (source, _), target in TRANSITIONS.items() if source in ahead} - reached
        reached |= ahead
    return reached


def _last_state(
    history: StreamHistory, written: ObjectGeneration, state: dict[str, Any]
) -> Iterator[Violation]:
    ended = state["state"] == StreamState.ENDED
    for name, generations in history.renditions.items():
        if generations[-1].playlist.ended != ended:
            where = "has an ENDLIST" if not ended else "has no ENDLIST"
            yield violation(Rule.STATE, written, f"the last state is {state['state']}, and {name} {where}")


STATE_RULES = (states,)
