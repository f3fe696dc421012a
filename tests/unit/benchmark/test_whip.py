"""What WHIP takes is told by the second, and as a share of what it is compared with."""

import pytest

from benchmark.figures import Figure, Outcome
from benchmark.whip import Received, whip_figures


def named(outcomes: list[Outcome], name: str) -> Figure:
    [figure] = [one for one in outcomes if isinstance(one, Figure) and one.name == name]
    return figure


def received(python: float, *, seconds: float = 10.0, pictures: float | None = None) -> Received:
    return Received(seconds=seconds, python=python, machine=0.5, pictures=pictures)


FIGURES = whip_figures(
    ingest=Received(seconds=120.0, python=4.8, machine=0.5, ffmpeg=60.0, pictures=3_600),
    alone=received(0.3),
    decoded=received(1.6),
    recorded=received(8.0, pictures=300),
)


def test_runs_of_different_lengths_are_compared_by_the_second() -> None:
    assert named(FIGURES, "WHIP: ingest's Python, with all that it does").value == pytest.approx(0.04)
    again = named(FIGURES, "WHIP: ingest's Python in % of aiortc's decoding and encoding again")
    assert again.value == pytest.approx(5)
    assert again.is_met
    alone = named(FIGURES, "WHIP: ingest's Python in % of aiortc's decoding alone")
    assert alone.value == pytest.approx(25)
    assert alone.is_met is None


def test_what_came_out_tells_whether_a_figure_is_sound() -> None:
    assert named(FIGURES, "  pictures, aiortc, decoded and encoded again").value == pytest.approx(30)
    assert named(FIGURES, "  FFmpeg, ingest's Python, with all that it does").value == pytest.approx(0.5)


def test_what_nobody_counts_is_not_told() -> None:
    assert not [one for one in FIGURES if one.name == "  pictures, aiortc, decoded"]
