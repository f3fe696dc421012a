"""Glass to glass: from the sending of a frame to its presentation by hls.js in headless Chromium."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

import numpy as np

from benchmark.figures import Figure, Outcome, Skipped, percentile
from benchmark.setting import STREAM, Setting, on_air
from benchmark.watching import STARTED, note_stalls, noted, what_is_missing
from local_system.system import System
from tools.browser import Browser, chromium
from tools.frame_strip import read_strip

NAME: Final = "glass to glass"
# hls.js has found its distance from the live edge once it has played for a while.
SETTLING: Final = timedelta(seconds=5)
SAMPLE_INTERVAL: Final = timedelta(seconds=1)
# A viewer comes to a broadcast that has its live window; to an earlier one hls.js would start at its beginning.
LIVE_WINDOW: Final = timedelta(seconds=14)
# Where in a segment's two seconds a page is opened decides by up to as much how far behind it stays; so it is
# opened several times, and watched for stalls once.
SHORT_VIEW: Final = timedelta(seconds=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """A way to configure hls.js on the viewer page, and its goals; None for stalls that are only counted."""

    name: str
    query: str
    goal: float
    stalls_goal: int | None


PLAYERS: Final = (
    Player(name="hls.js defaults", query="", goal=6.6, stalls_goal=0),
    Player(name="liveSyncDurationCount=1", query="&liveSyncDurationCount=1", goal=4.0, stalls_goal=None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewing:
    """What a player showed: numbers on strips and when they were seen, stalls, the last picture's height."""

    seen: Sequence[tuple[int, float]]
    stalls: int
    seconds: float
    height: int


def measure(setting: Setting) -> list[Outcome]:
    """Watch a broadcast with each of PLAYERS in turn; raises NotStarted."""
    if (missing := what_is_missing()) is not None:
        return [Skipped(name=NAME, reason=missing)]
    with on_air(setting, "glass") as broadcast:
        time.sleep(LIVE_WINDOW.total_seconds())
        viewings = [watch_often(broadcast.system, player, setting) for player in PLAYERS]
        sent = broadcast.sender.stop().sent
    return [
        outcome
        for player, found in zip(PLAYERS, viewings, strict=True)
        for outcome in viewing_figures(player, found, sent)
    ]


class Sent(Protocol):
    """Knows when each frame was sent."""

    def sent_at(self, shown: int, at: float) -> float | None:
        """When the frame whose strip says *shown* was sent last before *at*; None if it was not."""


def latencies(seen: Sequence[tuple[int, float]], sent: Sent) -> list[float]:
    """Seconds from the sending of each frame *seen* (what its strip says, and when) to its being seen."""
    return [at - began for shown, at in seen if (began := sent.sent_at(shown, at)) is not None]


def viewing_figures(
    player: Player, viewings: Sequence[Viewing], sent: Sent, *, name: str = NAME
) -> list[Outcome]:
    """The figures of one player's *viewings*, the long one first."""
    name = f"{name}, {player.name}"
    openings = [percentile(found, 0.5) for viewing in viewings if (found := latencies(viewing.seen, sent))]
    if not openings:
        return [Skipped(name=name, reason="no frame's number could be read")]
    method = (
        f"strip of the presented frame (requestVideoFrameCallback, last at {viewings[0].height} lines) to the "
        f"time it was sent, from {SETTLING.total_seconds():.0f} s of playing on; median of each opening of "
        "the page, then of the openings"
    )
    return [
        Figure(
            name=name,
            value=percentile(openings, 0.5),
            unit="s",
            method=method,
            count=len(openings),
            goal=player.goal,
        ),
        Figure(name=f"  least, {player.name}", value=min(openings), unit="s", method=method),
        Figure(name=f"  most, {player.name}", value=max(openings), unit="s", method=method),
        Figure(
            name=f"  stalls, {player.name}",
            value=viewings[0].stalls,
            unit="times",
            method=f"the video's event `waiting` in {viewings[0].seconds:.0f} s of the first opening",
            goal=player.stalls_goal,
        ),
    ]


def watch_often(system: System, player: Player, setting: Setting) -> list[Viewing]:
    """Watch with *player* for long, and open the page anew some times."""
    with chromium() as browser:
        lengths = (setting.beside, *[SHORT_VIEW] * setting.short_views)
        return [_watch(browser, system, player, length) for length in lengths]


def _watch(browser: Browser, system: System, player: Player, length: timedelta) -> Viewing:
    browser.open(system.viewer_page(STREAM) + player.query)
    browser.wait_until("document.getElementById('video').currentTime > 0", within=STARTED)
    time.sleep(SETTLING.total_seconds())
    note_stalls(browser)
    began = time.monotonic()
    seen: list[tuple[int, float]] = []
    height = 0
    while (elapsed := time.monotonic() - began) < length.total_seconds():
        frame = browser.frame()
        height = frame.pixels.shape[0]
        # The strip is grey: any mean of red, green and blue is its luminance.
        number = read_strip(frame.pixels.mean(axis=2).astype(np.uint8))
        if number is not None:
            seen.append((number, frame.at.timestamp()))
        time.sleep(SAMPLE_INTERVAL.total_seconds())
    return Viewing(seen=seen, stalls=noted(browser).stalls, seconds=elapsed, height=height)
