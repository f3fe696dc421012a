"""Schedules: one order out of all, drawn; for worlds that are too large to be explored."""

from collections.abc import Sequence
from dataclasses import dataclass

from tools.model.explore import Explorer, Fate, State, Step, Violation


@dataclass(frozen=True, slots=True)
class Turn:
    """An actor, counted among those that can act, makes some calls; *fate* is what becomes of the last."""

    actor: int
    calls: int
    fate: Fate = Fate.DONE


def play(explorer: Explorer, turns: Sequence[Turn]) -> State:
    """Let the actors of *explorer* take *turns*, and die; raise Violation where a promise breaks."""
    told: list[Step] = []
    explorer.told = told
    try:
        state = explorer.first()
        for turn in turns:
            if not (able := explorer.able(state[1])):
                break
            state = _take(explorer, state, able[turn.actor % len(able)], turn)
        explorer.reached(state[0])
    except AssertionError as error:
        raise Violation(error, told) from error
    finally:
        explorer.told = None
    return state


def _take(explorer: Explorer, state: State, actor: int, turn: Turn) -> State:
    for call in range(turn.calls):
        if actor not in explorer.able(state[1]):
            break
        operation = explorer.programs.operation(state[1][actor])
        assert operation is not None
        last = call + 1 == turn.calls and operation.can_fail
        state = explorer.step(state, actor, turn.fate if last else Fate.DONE)
    return state
