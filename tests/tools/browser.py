"""Headless Chromium that plays a page and tells what it saw: statistics, console, pixels."""

import base64
import io
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.support.wait import WebDriverWait

_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_DRIVER: Final = "chromedriver"

# What a root user in a container without a network needs; nothing here changes how media are played.
_FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    # A test never leaves this machine: a page that asks for another host is told at once that there is none.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)

# How long a sample of playing may take beyond what is to be played: the start-up of a player that keeps
# three segments of six seconds back, and then some for a machine that is busy.
GRACE: Final = timedelta(seconds=30)

# Collects samples while *seconds* of media play, or until *deadline* milliseconds are over.
_PLAY_FOR: Final = """
const [seconds, deadline, every, done] = arguments;
const video = document.querySelector("video");
const page = window.bucketcast;
const quality = video.getVideoPlaybackQuality();
const before = { levelSwitches: 0, fatalErrors: 0, ...page?.events };
const begun = performance.now();
const samples = [];
let stalls = 0;
let played = 0;
let position = null;
const stall = () => { if (position !== null && !video.seeking) stalls += 1; };
const progress = () => {
  if (video.paused || video.seeking) return;
  if (position !== null && video.currentTime > position) played += Math.min(video.currentTime - position, 1);
  position = video.currentTime;
  if (played >= seconds) finish();
};
const sample = () => {
  const { buffered, currentTime } = video;
  let ahead = 0;
  for (let i = 0; i < buffered.length; i += 1)
    if (buffered.start(i) <= currentTime + 0.1) ahead = Math.max(0, buffered.end(i) - currentTime);
  const latency = page?.latency() ?? null;
  samples.push({ at: Date.now(), currentTime, ahead, latency, height: video.videoHeight });
};
function finish() {
  clearInterval(sampling);
  clearTimeout(giving_up);
  for (const name of ["timeupdate", "ended"]) video.removeEventListener(name, progress);
  video.removeEventListener("waiting", stall);
  sample();
  const now = video.getVideoPlaybackQuality();
  const events = page?.events ?? before;
  done({
    samples, stalls, played,
    wall: (performance.now() - begun) / 1000,
    levelSwitches: events.levelSwitches - before.levelSwitches,
    fatalErrors: events.fatalErrors - before.fatalErrors,
    frames: now.totalVideoFrames - quality.totalVideoFrames,
    dropped: now.droppedVideoFrames - quality.droppedVideoFrames,
  });
}
for (const name of ["timeupdate", "ended"]) video.addEventListener(name, progress);
video.addEventListener("waiting", stall);
const sampling = setInterval(sample, every);
const giving_up = setTimeout(finish, deadline);
"""

# Draws the next frame that is presented: its pixels belong to exactly the media time that is told with them.
_FRAME: Final = """
const done = arguments[arguments.length - 1];
const video = document.querySelector("video");
const canvas = document.createElement("canvas");
const draw = (_, frame) => {
  const at = Date.now();
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const png = canvas.toDataURL("image/png").split(",")[1];
  done({ at, mediaTime: frame?.mediaTime ?? video.currentTime, png });
};
if (video.paused || video.ended) draw(); else video.requestVideoFrameCallback(draw);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Where the browser and its driver are."""

    browser: str
    driver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The player at one moment; *latency* is None where the page does not tell it."""

    at: datetime
    current_time: timedelta
    buffered_ahead: timedelta
    latency: timedelta | None
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback:
    """What was seen while a page played: *played* of media in *wall* of time, and what went wrong."""

    played: timedelta
    wall: timedelta
    samples: tuple[Sample, ...]
    stalls: int
    level_switches: int
    fatal_errors: int
    frames: int
    dropped_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One presented frame: its *pixels* (height x width x RGB), its time in the player, when it was seen."""

    pixels: npt.NDArray[np.uint8]
    media_time: timedelta
    at: datetime


def find_programs() -> Programs | None:
    """Where Chromium and its driver are on PATH, or None if either is missing."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which(_DRIVER)
    return Programs(browser=browser, driver=driver) if browser and driver else None


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def _moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


class Browser:
    """One window of Chromium; a page's video is its first video element."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        """Load *address*; what the console said before is forgotten."""
        self.driver.get("about:blank")
        self.console()
        self.driver.get(address)

    def script(self, body: str, *arguments: object) -> Any:
        """Run the function *body* in the page and return what it returns."""
        return self.driver.execute_script(body, *arguments)

    def wait_until(self, expression: str, *, within: timedelta) -> None:
        """Return when the JavaScript *expression* is true; raise TimeoutException naming it if it never is."""
        wait = WebDriverWait(self.driver, within.total_seconds(), poll_frequency=0.05)
        wait.until(
            lambda driver: driver.execute_script(f"return Boolean({expression})"), f"never true: {expression}"
        )

    def console(self) -> tuple[str, ...]:
        """The errors (a browser's, and a page's own) that the console got since it was last asked."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium leaves it so
        return tuple(entry["message"] for entry in entries if entry["level"] == "SEVERE")

    def play_for(self, length: timedelta, *, sample_every: timedelta = timedelta(milliseconds=250)) -> Playback:
        """Watch until *length* of media was played, or GRACE longer has passed; nothing is asserted here."""
        deadline = length + GRACE
        self.driver.set_script_timeout((deadline + GRACE).total_seconds())
        seen = self.driver.execute_async_script(
            _PLAY_FOR,
            length.total_seconds(),
            deadline / timedelta(milliseconds=1),
            sample_every / timedelta(milliseconds=1),
        )
        samples = tuple(
            Sample(
                at=_moment(sample["at"]),
                current_time=_seconds(sample["currentTime"]),
                buffered_ahead=_seconds(sample["ahead"]),
                latency=None if sample["latency"] is None else _seconds(sample["latency"]),
                height=sample["height"],
            )
            for sample in seen["samples"]
        )
        return Playback(
            played=_seconds(seen["played"]),
            wall=_seconds(seen["wall"]),
            samples=samples,
            stalls=seen["stalls"],
            level_switches=seen["levelSwitches"],
            fatal_errors=seen["fatalErrors"],
            frames=seen["frames"],
            dropped_frames=seen["dropped"],
        )

    def frame(self) -> Frame:
        """The next frame that the video presents (media of another origin need CORS, or the canvas refuses)."""
        self.driver.set_script_timeout(GRACE.total_seconds())
        seen = self.driver.execute_async_script(_FRAME)
        image = Image.open(io.BytesIO(base64.b64decode(seen["png"]))).convert("RGB")
        return Frame(pixels=np.asarray(image), media_time=_seconds(seen["mediaTime"]), at=_moment(seen["at"]))

    def screenshot(self, file: Path) -> None:
        """Write what the window shows to *file* as PNG."""
        file.write_bytes(self.driver.get_screenshot_as_png())

    def appear(self, *, width: int, height: int, dark: bool = False, phone: bool = False) -> None:
        """Show pages in a window of *width* x *height*, in the dark, or as a phone does."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone},
        )
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": phone})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


@contextmanager
def chromium(*, width: int = 1280, height: int = 800, flags: Sequence[str] = ()) -> Iterator[Browser]:
    """Start a fresh Chromium with *flags* of its own and end it; skip the test where it is not installed."""
    programs = find_programs()
    if programs is None:
        pytest.skip("Chromium is not installed")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = programs.browser
        for flag in (*_FLAGS, *flags, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = Chrome(options=options, service=ChromeService(executable_path=programs.driver))
        try:
            yield Browser(driver)
        finally:
            driver.quit()
