"""Disturb a stream in every way it can be, and tell what each player made of it.

Takes ten minutes on two cores. Prints a Markdown table.

    scripts/measure_players [--only WORDS] [--json FILE]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import requests

from ingest.encode.ffmpeg import find_ffmpeg
from local_system.system import System, free_ports
from player_survey.finding import ORDINARY_PAUSE, Finding, Sample, find
from player_survey.pages import browser_players, versions
from player_survey.programs import RECIPES, Program, version
from player_survey.report import table, words
from player_survey.stage import DISTURBANCES, FRAME_RATE, SEGMENT, Disturbance, Stage

SAMPLE_SECONDS: Final = 0.4
# Players open a stream that has its live window, and are given this long to settle.
LIVE_WINDOW: Final = 14.0
SETTLING: Final = 20.0
# A person who opened a player again waits no longer than this.
OPENING_SECONDS: Final = 20.0
# That many pictures more, and it plays.
A_SECOND: Final = FRAME_RATE
ADMIN_TOKEN: Final = "survey-of-players"  # noqa: S105 - of a system on loopback that ends with this program


class Player(Protocol):
    """What is watched."""

    name: str

    def open(self) -> None:
        """Begin to play, anew if it already does."""

    def pictures(self) -> int | None:
        """How many pictures it has shown since it was opened; None once it has gone."""

    def complaints(self) -> list[str]:
        """The errors that it has told since it was last asked."""

    def close(self) -> None:
        """End it."""


class Published:
    """The stream itself as a player that needs no time: a segment's pictures are there once it is listed."""

    name = "the playlist"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._seen: set[str] = set()

    def open(self) -> None:
        """Forget what was listed."""
        self._seen = set()

    def pictures(self) -> int | None:
        """The pictures in all segments that have been listed."""
        # A look that fails is made good by the next one.
        with suppress(requests.RequestException):
            self._seen.update(self._stage.listed())
        return len(self._seen) * int(SEGMENT.total_seconds() * FRAME_RATE)

    def complaints(self) -> list[str]:
        """None."""
        return []

    def close(self) -> None:
        """Nothing."""


def watch(players: Sequence[Player], seconds: float) -> dict[str, list[Sample]]:
    """Look at every one of *players* for *seconds*."""
    seen: dict[str, list[Sample]] = {player.name: [] for player in players}
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        for player in players:
            pictures = player.pictures()
            seen[player.name].append(Sample(at=time.monotonic() - began, pictures=pictures))
        time.sleep(max(0.0, SAMPLE_SECONDS - (time.monotonic() - began - elapsed)))
    return seen


def disturb(stage: Stage, players: Sequence[Player], disturbance: Disturbance) -> list[Finding]:
    """Let *disturbance* happen, watch, and open again what does not play by then."""
    for player in players:
        player.complaints()
    with ThreadPoolExecutor(1) as pool:
        happening = pool.submit(disturbance.happen, stage)
        seen = watch(players, disturbance.seconds)
        happening.result()
    disturbance.check(stage)
    findings = [
        find(player.name, disturbance.name, seen[player.name], player.complaints()) for player in players
    ]
    lost = [player for player, finding in zip(players, findings, strict=True) if not finding.plays]
    opened = open_again(lost)
    return [replace(finding, opened_again=opened.get(finding.player)) for finding in findings]


def open_again(players: Sequence[Player]) -> dict[str, float]:
    """Open *players* and say after how many seconds each played; those that did not are left out."""
    for player in players:
        player.open()
    seen = watch(players, OPENING_SECONDS) if players else {}
    return {
        name: next(sample.at for sample in samples if (sample.pictures or 0) >= A_SECOND)
        for name, samples in seen.items()
        if any((sample.pictures or 0) >= A_SECOND for sample in samples)
    }


def main() -> None:
    """Print the table, what the players told, and their versions; with --json also write the findings."""
    parser = argparse.ArgumentParser(description="See what players make of a live stream's disturbances.")
    parser.add_argument("--json", type=Path, help="also write the findings to this file")
    parser.add_argument("--only", action="append", help="only disturbances whose name has these words")
    options = parser.parse_args()
    ffmpeg = find_ffmpeg()
    findings: list[Finding] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="player-survey-")))
        system = System(ports=free_ports(), admin_token=ADMIN_TOKEN, logs=folder / "logs", ffmpeg=ffmpeg)
        stage = Stage(stack.enter_context(system), ffmpeg, folder)
        stack.callback(stage.cut)
        stage.send()
        stage.wait_until_on_air()
        time.sleep(LIVE_WINDOW)
        pages = stack.enter_context(browser_players(stage))
        known = {recipe.name: version(recipe) for recipe in RECIPES}
        programs = [Program(recipe, stage.address) for recipe in RECIPES if known[recipe.name]]
        players: list[Player] = [Published(stage), *pages, *programs]
        for player in players:
            stack.callback(player.close)
            player.open()
        watch(players, SETTLING)
        for disturbance in DISTURBANCES:
            if any(part in disturbance.name for part in options.only or [""]):
                found = disturb(stage, players, disturbance)
                findings += found
                print(
                    disturbance.name, *(f"{one.player}: {one.cell}" for one in found), sep="\n    ", flush=True
                )
                print(words(found), flush=True)
    print(table(findings), words(findings), sep="\n\n")
    print(
        f"\nMeasured on {datetime.now(UTC):%Y-%m-%d} with",
        *filter(None, known.values()),
        *versions(),
        sep="\n- ",
    )
    print(f"A pause of up to {ORDINARY_PAUSE:.0f} s is a segment's.")
    if options.json:
        options.json.write_text(
            json.dumps([asdict(one) | {"plays": one.plays} for one in findings], indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
