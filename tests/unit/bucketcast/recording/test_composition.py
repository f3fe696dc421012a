"""Storage joins any number of objects, in order, a few at a time."""

import hashlib
from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bucketcast.objects import MAX_COMPOSE_SOURCES
from bucketcast.recording.composition import Compose, compose_plan, outstanding


def intermediate(sources: Sequence[str]) -> str:
    return "joined " + hashlib.sha256("\n".join(sources).encode()).hexdigest()


def plan(count: int) -> tuple[tuple[Compose, ...], ...]:
    return compose_plan([f"part {number}" for number in range(count)], "target", intermediate=intermediate)


def carry_out(rounds: Sequence[Sequence[Compose]], objects: dict[str, str]) -> None:
    for some in rounds:
        for one in some:
            assert 1 <= len(one.sources) <= MAX_COMPOSE_SOURCES
            objects[one.target] = "".join(objects[source] for source in one.sources)


def parts(count: int) -> dict[str, str]:
    return {f"part {number}": f"<{number}>" for number in range(count)}


counts = st.integers(1, 200) | st.sampled_from([32, 33, 1024, 1025, 1056])


@given(counts)
def test_the_target_is_all_sources_in_order(count: int) -> None:
    objects = parts(count)
    carry_out(plan(count), objects)
    assert objects["target"] == "".join(parts(count).values())


@given(counts)
def test_there_are_no_more_rounds_than_needed(count: int) -> None:
    rounds = len(plan(count))
    assert rounds == 1 or MAX_COMPOSE_SOURCES ** (rounds - 1) < count <= MAX_COMPOSE_SOURCES**rounds


@given(counts, st.integers(0, 2**32), st.floats(0, 1))
def test_what_was_begun_is_gone_on_with(count: int, seed: int, share: float) -> None:
    """Whatever is there already, also where what it was made of is gone."""
    random = Random(seed)
    rounds, objects = plan(count), parts(count)
    carry_out(rounds, objects)
    made = {name: content for name, content in objects.items() if not name.startswith("part")}
    there = {name: content for name, content in made.items() if random.random() < share}
    left = outstanding(rounds, there)
    wanted = {source for some in left for one in some for source in one.sources}
    again = {**there, **{name: content for name, content in parts(count).items() if name in wanted}}
    carry_out(left, again)
    assert again["target"] == objects["target"]
    assert not {one.target for some in left for one in some} & there.keys()


def test_a_week_takes_four_rounds() -> None:
    assert [len(some) for some in plan(60_480)] == [1890, 60, 2, 1]


def test_nothing_is_left_where_the_target_is() -> None:
    assert outstanding(plan(2000), {"target"}) == ()
