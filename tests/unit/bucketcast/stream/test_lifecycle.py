from itertools import product

import pytest

from bucketcast.errors import IllegalTransition
from bucketcast.stream.lifecycle import TRANSITIONS, StreamEvent, StreamState, advance_state, diagram


@pytest.mark.parametrize(("state", "event"), list(product(StreamState, StreamEvent)))
def test_every_event_leads_where_the_table_says_or_is_refused(state: StreamState, event: StreamEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert advance_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f"a stream that is {state} takes no '{event}'"):
            advance_state(state, event)


def test_every_state_can_be_reached_and_left() -> None:
    assert {StreamState.IDLE, *TRANSITIONS.values()} == set(StreamState)
    assert {state for state, _ in TRANSITIONS} == set(StreamState)


def test_only_media_puts_a_stream_on_air() -> None:
    assert {event for (_, event), state in TRANSITIONS.items() if state is StreamState.LIVE} == {
        StreamEvent.MEDIA_PUBLISHED
    }


def test_the_diagram_shows_every_transition() -> None:
    lines = diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> idle"]
    assert "    live --> interrupted: broadcaster left" in lines
    assert len(lines) == 2 + len(TRANSITIONS)
