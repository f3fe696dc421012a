"""Watching with hls.js in headless Chromium: whether that can be done here, and how often it stalled."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from benchmark.setting import STREAM
from local_system.system import ROOT, System
from tools.browser import Browser, chromium, find_programs

STARTED: Final = timedelta(seconds=60)
POLL: Final = timedelta(seconds=1)

# A stall lasts from `waiting` to `playing`; what a seek waits for is none.
_NOTE_STALLS: Final = """
const video = document.querySelector("video");
const noted = { stalls: 0, waited: 0, since: null };
window.bench = noted;
video.addEventListener("waiting", () => {
  if (video.seeking || noted.since !== null) return;
  noted.stalls += 1;
  noted.since = performance.now();
});
video.addEventListener("playing", () => {
  if (noted.since === null) return;
  noted.waited += performance.now() - noted.since;
  noted.since = null;
});
"""
_NOTED: Final = """
const { stalls, waited, since } = window.bench;
const more = since === null ? 0 : performance.now() - since;
return {
  stalls,
  stalled_seconds: (waited + more) / 1000,
  latency: window.bucketcast?.latency() ?? null,
  frames: document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames,
};
"""

# A page that was slow to open plays further behind than hls.js wants to be, and what it has in hand would hide
# every wait; 6 s are three target durations.
_CATCH_UP: Final = """
const behind = window.bucketcast?.latency() ?? 0;
if (behind > 6) document.querySelector("video").currentTime += behind - 6;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Stalls so far, how long they took in all, how far behind live the player says it is, frames so far."""

    stalls: int
    stalled_seconds: float
    latency: float | None
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a viewer saw in *seconds*: *stalls*, for how long in all, *frames*, how far behind live it was."""

    seconds: float
    stalls: int
    stalled_seconds: float
    frames: int
    latencies: Sequence[float]  # one a second, by hls.js's own words


def what_is_missing() -> str | None:
    """Why nobody can watch here, or None."""
    if find_programs() is None:
        return "Chromium is not installed"
    if not list((ROOT / ".cache/hls.js").glob("*/hls.min.js")):
        return "hls.js is not there: npm is not installed"
    return None


@contextmanager
def viewer(system: System) -> Iterator[Browser]:
    """A browser that plays the stream on the viewer page."""
    with chromium() as browser:
        browser.open(system.viewer_page(STREAM))
        browser.wait_until("document.getElementById('video').currentTime > 0", within=STARTED)
        yield browser


def note_stalls(browser: Browser) -> None:
    """Have the page note its stalls from now on."""
    browser.script(_NOTE_STALLS)


def noted(browser: Browser) -> Noted:
    """What the page has noted since."""
    return Noted(**browser.script(_NOTED))


def catch_up(browser: Browser) -> None:
    """Bring the page to where hls.js plays by default, if it is further behind."""
    browser.script(_CATCH_UP)


def watch(browser: Browser, length: timedelta) -> Watched:
    """Let the page play on for *length* and say how that went."""
    note_stalls(browser)
    began = time.monotonic()
    seen = [noted(browser)]
    while (elapsed := time.monotonic() - began) < length.total_seconds():
        time.sleep(POLL.total_seconds())
        seen.append(noted(browser))
    return Watched(
        seconds=elapsed,
        stalls=seen[-1].stalls,
        stalled_seconds=seen[-1].stalled_seconds,
        frames=seen[-1].frames - seen[0].frames,
        latencies=[one.latency for one in seen if one.latency is not None],
    )
