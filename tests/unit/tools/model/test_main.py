"""The command: what it prints, and that it fails where a promise is broken."""

import logging
from collections.abc import Iterator

import pytest

from model_world import Scenario, on_air
from tools.model import __main__ as command
from tools.model.program import Act


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """The command turns them off, for its own process."""
    yield
    logging.disable(logging.NOTSET)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["scripts/model_check", *arguments])
    return command.main()


def test_figures_are_printed_one_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--scenario", "succession") == 0
    figures = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert figures["explored"] == "all of it"
    assert int(figures["states"]) < int(figures["transitions"])
    assert int(figures["recoveries"]) >= int(figures["worlds"])


def test_it_is_told_that_a_bound_was_reached(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--limit", "100") == 0
    assert "not all of it" in capsys.readouterr().out


def test_a_broken_promise_is_told_with_its_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_and_fail(ports: object) -> None:
        raise ZeroDivisionError

    def planted() -> Scenario:
        failing = Act(name="fails", run=lambda ports: run_and_fail(ports.media.facts("x")), writes=())
        return Scenario(covers="a bug", before=on_air(), actors=(("culprit", (failing,)),))

    monkeypatch.setattr(command, "whole", planted)
    assert run(monkeypatch) == 1
    told = capsys.readouterr().out
    assert "P9" in told
    assert "culprit  facts media/x -> None" in told
