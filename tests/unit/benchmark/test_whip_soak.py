"""A soak is judged by what is left at any of its minutes, and by its memory's growth if it was long."""

import pytest

from benchmark.figures import Figure
from benchmark.whip_soak import Sample, soak_figures


def sample(minute: float, *, resident: float = 100.0, tasks: int = 3, descriptors: int = 9) -> Sample:
    return Sample(
        minute=minute, publishers=int(100 * minute), resident=resident, tasks=tasks, descriptors=descriptors
    )


def summary(samples: list[Sample]) -> dict[str, Figure]:
    return {
        one.name: one
        for one in soak_figures(samples)
        if isinstance(one, Figure) and one.name.startswith("soak")
    }


def test_a_task_or_a_descriptor_that_stayed_for_a_minute_is_told() -> None:
    found = summary([sample(0), sample(1, tasks=4), sample(2, descriptors=11)])
    assert (found["soak: tasks left"].value, found["soak: tasks left"].is_met) == (1, False)
    assert (found["soak: descriptors left"].value, found["soak: descriptors left"].is_met) == (2, False)


def test_a_short_soak_does_not_judge_growth() -> None:
    growth = summary([sample(0, resident=90), sample(1, resident=105), sample(2, resident=106)])["soak: growth"]
    assert growth.is_met is None


def test_growth_is_that_of_the_second_half() -> None:
    filling = [sample(minute, resident=90 + minute) for minute in range(10)]
    flat = [sample(minute, resident=100) for minute in range(10, 20)]
    growth = summary([*filling, *flat])["soak: growth"]
    assert growth.value == pytest.approx(0)
    assert growth.is_met
    assert (
        summary([*filling, *[sample(m, resident=90 + m) for m in range(10, 20)]])["soak: growth"].is_met
        is False
    )
