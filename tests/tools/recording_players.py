"""A recording in Chromium and in VLC: every picture from the beginning to the end, and the places between."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import av
import pytest

from tools.browser import Browser
from tools.folder_server import FolderServer, serve
from tools.frame_strip import StampedFrame, read_strip
from tools.players import NOBODY, installed

# How many times as fast as it was recorded: the most that Chromium plays at (HTMLMediaElement.playbackRate).
FAST: Final = 16
# What a busy machine takes beyond that.
_SOON: Final = timedelta(seconds=30)

_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>Recording</title><link rel="icon" href="data:,">
<video muted></video>"""
_SEEK: Final = """
const [position, done] = arguments;
const video = document.querySelector("video");
video.addEventListener("seeked", () => done(video.currentTime), { once: true });
video.currentTime = position;
"""
_PLAYED: Final = """
const { played } = document.querySelector("video");
return Array.from({ length: played.length }, (_, number) => [played.start(number), played.end(number)]);
"""

# What VLC says of itself where there is no desktop and no loudspeaker.
_OF_ITSELF: Final = (" interface error: ", " libvlc error: ", " audio output error: ")
# What VLC's multiplexer holds, and drops, when the file ends.
_HELD_BY_MULTIPLEXER: Final = 20


@dataclass(frozen=True, slots=True)
class OpenedVideo:
    """A media file that is open in *browser*, as nothing but a video element."""

    browser: Browser

    @property
    def seconds(self) -> float:
        """How long the browser takes it for."""
        return float(self.browser.script("return document.querySelector('video').duration"))

    @property
    def failure(self) -> str | None:
        """What the video element says of an error."""
        said: str | None = self.browser.script("return document.querySelector('video').error?.message ?? null")
        return said

    def number_at(self, seconds: float) -> int | None:
        """The number of the frame that is shown after a seek to *seconds*."""
        self.browser.driver.set_script_timeout(_SOON.total_seconds())
        self.browser.driver.execute_async_script(_SEEK, seconds)
        # The strip is grey: any colour is its luminance.
        return read_strip(self.browser.frame().pixels[:, :, 1])

    def play(self, *, begin: float = 0.0, rate: float = 1.0) -> None:
        """Play from *begin* on, *rate* times as fast; returns at once."""
        self.browser.script(
            "const video = document.querySelector('video');"
            "[video.currentTime, video.playbackRate] = arguments; video.play();",
            begin,
            rate,
        )

    def wait_for_end(self, *, within: timedelta = _SOON) -> None:
        """Return when it has ended by itself; raise AssertionError in its words if it breaks off."""
        self._wait_for("ended", within=within)

    def wait_for_picture(self) -> None:
        """Return when its first picture is there; raise AssertionError in its words if not."""
        self._wait_for("readyState >= 2", within=_SOON)

    def _wait_for(self, condition: str, *, within: timedelta) -> None:
        video = "document.querySelector('video')"
        self.browser.wait_until(f"{video}.{condition} || {video}.error", within=within)
        assert self.failure is None

    def played(self) -> list[tuple[float, float]]:
        """The spans that were played, in seconds: a single one where nothing was left out."""
        return [(begin, end) for begin, end in self.browser.script(_PLAYED)]


@contextmanager
def opened_in(browser: Browser, media: Path) -> Iterator[OpenedVideo]:
    """Open *media* in *browser*, by itself on a page; within, its first picture is there."""
    name = f"/media/{media.name}"
    site = FolderServer({"media": media.parent}, {"/page.html": lambda: _PAGE})
    with serve(site):
        browser.open(f"{site.address}/page.html")
        browser.script("document.querySelector('video').src = arguments[0]", f"{site.address}{name}")
        video = OpenedVideo(browser)
        video.wait_for_picture()
        yield video
        # The page would go on asking a server that is gone.
        browser.driver.get("about:blank")


def check_in_chromium(browser: Browser, media: Path, *, frames: Sequence[StampedFrame], seconds: float) -> None:
    """*browser* plays all *seconds* of *media* without an error, and finds places among its *frames*."""
    with opened_in(browser, media) as video:
        assert video.seconds == pytest.approx(seconds, abs=0.01)
        video.play(rate=FAST)
        video.wait_for_end(within=timedelta(seconds=seconds / FAST) + _SOON)
        [(begin, end)] = video.played()
        assert (begin, end) == pytest.approx((0, video.seconds), abs=0.01)
        middle = len(frames) // 2
        places = [frames[middle], frames[middle // 2], frames[-1], frames[0]]
        # Times in the file are fractions, those of a browser are not: a millisecond inside of the picture.
        assert [video.number_at(float(frame.time) + 0.001) for frame in places] == [
            frame.number for frame in places
        ]
        assert video.failure is None
        assert browser.console() == ()


def check_in_vlc(media: Path, *, seconds: float) -> None:
    """VLC plays all *seconds* of *media* without an error, on a screen that nobody sees."""
    begun = time.monotonic()
    with _public(media) as copy:
        said = _run_vlc(copy, "--rate", str(FAST), "--vout", "vdummy", "--aout", "adummy")
    assert said == ()
    assert time.monotonic() - begun > 0.9 * seconds / FAST


def check_found_by_vlc(media: Path) -> None:
    """VLC copies every picture and all sound of *media* without an error."""
    with _public(media) as original:
        copy = original.with_name("copy.ts")
        assert _run_vlc(original, "--sout", f"#std{{access=file,mux=ts,dst={copy}}}") == ()
        for kind in ("video", "audio"):
            found, there = (_packets(file, kind) for file in (copy, original))
            assert there - _HELD_BY_MULTIPLEXER < found <= there, kind


@contextmanager
def _public(media: Path) -> Iterator[Path]:
    """A copy of *media* that nobody may read, in a folder where nobody may write."""
    with tempfile.TemporaryDirectory(prefix="vlc-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o777)
        copy = Path(shutil.copy(media, folder))
        copy.chmod(0o644)
        yield copy


def _run_vlc(media: Path, *options: str) -> tuple[str, ...]:
    """Let VLC take *media* with *options* and end by itself; returns its errors."""
    command = [installed("vlc"), "-I", "dummy", "--play-and-exit", "--no-metadata-network-access"]
    done = subprocess.run(
        [*command, *options, str(media)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        user=NOBODY if os.geteuid() == 0 else None,
        env={**os.environ, "HOME": str(media.parent)},
    )
    errors = [line for line in done.stderr.splitlines() if " error: " in line]
    return tuple(line for line in errors if not any(own in line for own in _OF_ITSELF))


def _packets(media: Path, kind: str) -> int:
    with av.open(str(media), mode="r") as container:
        (stream,) = (stream for stream in container.streams if stream.type == kind)
        return sum(1 for packet in container.demux(stream) if packet.size)
