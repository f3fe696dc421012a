"""Exploration of small worlds, whose states can be counted by hand."""

from collections.abc import Callable, Iterator
from itertools import product

import pytest

from bucketcast.handlers.creation import create_once
from bucketcast.objects import NewObject
from fakes import EPOCH
from tools.model.exhaust import Explored, exhaust
from tools.model.explore import Explorer, Violation
from tools.model.ports import CLOCK, INGEST, Ports, set_clock
from tools.model.program import Act, Program, Programs
from tools.model.world import Answer, Cells, World


class FirstCome:
    """Objects are created once; of those that are *apart* there is never more than one."""

    def __init__(self, cells: Cells, apart: frozenset[str] = frozenset()) -> None:
        self._cells = cells
        self._apart = apart

    def after_write(self, before: World, after: World, cell: str) -> World:
        assert sum(self._cells.get(after, INGEST + name) is not None for name in self._apart) < 2, cell
        return after

    def after_act(self, world: World, outcome: Answer) -> None:
        """Any end will do."""

    def is_final(self, cell: str) -> bool:
        return cell.startswith(INGEST)


def creating(name: str, content: str = "") -> Act:
    new = NewObject(name=name, content=content.encode(), content_type="", cache_control="")
    return Act(name=f"create {name}", run=lambda ports: create_once(ports.ingest, new), writes=(INGEST + name,))


def copying(source: str, target: str) -> Act:
    """Create *target* with what *source* holds, or say that it was missing."""

    def run(ports: Ports) -> None:
        content = ports.ingest.read(source)
        new = NewObject(name=target, content=content or b"missing", content_type="", cache_control="")
        create_once(ports.ingest, new)

    return Act(name=f"copy {source}", run=run, writes=(INGEST + target,))


class Setting:
    """Actors that begin in an empty world, and the contents of all worlds that they reach."""

    def __init__(self, *programs: Program, apart: frozenset[str] = frozenset()) -> None:
        self.reached: set[tuple[tuple[str, str], ...]] = set()
        self._cells = Cells()
        self._laws = FirstCome(self._cells, apart)
        self._actors = [(f"actor {n}", program) for n, program in enumerate(programs)]

    def explorer(self, *, reduced: bool = True) -> Explorer:
        programs, world = Programs(self._cells), self._cells.put((), CLOCK, set_clock(EPOCH))
        return Explorer(programs, self._laws, self._actors, world, reached=self._see, reduced=reduced)

    def _see(self, world: World) -> None:
        self.reached.add(tuple(self._contents(world)))

    def _contents(self, world: World) -> Iterator[tuple[str, str]]:
        for cell in self._cells.under(world, INGEST):
            yield cell.removeprefix(INGEST), self._cells.get(world, cell).new.content.decode()


def test_actors_may_die_anywhere_so_every_subset_of_what_they_do_is_a_world() -> None:
    names = ["a", "b", "c"]
    setting = Setting(*[(creating(name),) for name in names])
    explored = exhaust(setting.explorer())
    subsets = {
        tuple((name, "") for name, there in zip(names, bits, strict=True) if there)
        for bits in product([False, True], repeat=3)
    }
    assert setting.reached == subsets
    assert explored.is_all
    assert (explored.states, explored.transitions, explored.worlds, explored.deepest) == (8, 12, 8, 3)


def test_whoever_is_first_decides_and_both_may_be() -> None:
    setting = Setting((creating("a", "one"),), (creating("a", "other"),))
    exhaust(setting.explorer())
    assert setting.reached == {(), (("a", "one"),), (("a", "other"),)}


def test_a_reader_sees_the_world_before_and_behind_a_write() -> None:
    setting = Setting((creating("a", "there"),), (copying("a", "b"),))
    exhaust(setting.explorer())
    missing, there = ("b", "missing"), ("a", "there")
    assert setting.reached == {(), (there,), (missing,), (there, missing), (there, ("b", "there"))}


@pytest.mark.parametrize(
    "programs",
    [
        lambda one: ((one,), (one,), (one,)),
        lambda one: ((creating("a", "x"), one), (one,)),
        lambda one: ((one,), (copying("b", "c"),), (creating("a", "x"), copying("c", "d"))),
    ],
)
def test_what_is_left_out_reaches_no_other_world(programs: Callable[[Act], tuple[Program, ...]]) -> None:
    """Fewer states, and the same worlds."""
    setting = Setting(*programs(copying("a", "b")))
    reduced = exhaust(setting.explorer())
    worlds, setting.reached = setting.reached, set()
    whole = exhaust(setting.explorer(reduced=False))
    assert setting.reached == worlds
    assert reduced.states < whole.states


def test_a_violation_comes_with_the_fewest_calls_that_lead_to_it() -> None:
    detour = (creating("x"), creating("y"), creating("b"))
    setting = Setting(detour, (creating("z"), creating("a")), (creating("b"),), apart=frozenset("ab"))
    with pytest.raises(Violation) as found:
        exhaust(setting.explorer())
    assert sorted(step.call.split()[1] for step in found.value.trace) == ["ingest/a", "ingest/b", "ingest/z"]


def test_a_bounded_exploration_says_that_it_is_not_all() -> None:
    setting = Setting(*[(creating(name),) for name in "abcdef"])
    explored = exhaust(setting.explorer(), limit=10)
    assert not explored.is_all
    assert 10 <= explored.states < 2**6


def test_progress_is_told_to_the_end() -> None:
    told: list[Explored] = []
    explored = exhaust(Setting((creating("a"), creating("b"))).explorer(), progress=told.append)
    assert [progress.states for progress in told] == [2, 3, 3]
    assert told[-1] == explored


def test_a_history_that_does_not_fit_into_a_state_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be taken for another's."""
    monkeypatch.setattr("tools.model.exhaust.NUMBER_MASK", 1)
    with pytest.raises(RuntimeError, match="more than 1 worlds or local histories"):
        exhaust(Setting((creating("a"), creating("b"))).explorer())


def test_steps_that_were_forgotten_are_worked_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting((copying("a", "b"),), (copying("b", "a"),), (creating("c"),))
    kept = exhaust(setting.explorer())
    monkeypatch.setattr("tools.model.exhaust.MAX_STEPS", 1)
    assert exhaust(setting.explorer()) == kept
