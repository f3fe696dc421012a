"""Players that are programs: started on an address, and asked how many pictures they have shown."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

# VLC refuses to run as root; this is Debian's nobody.
_NOBODY: Final = 65534
_END_SECONDS: Final = 5.0

Count = Callable[[str, int], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to run a player and to understand it.

    *count* takes a line of its output and the pictures so far, and returns the pictures by then, None where the
    line tells none. *complains* says which other lines are errors. *question* is written to its input before
    each look.
    """

    name: str
    command: tuple[str, ...]  # the address follows, or is put in place of {address}
    version: tuple[str, ...]
    count: Count
    complains: Callable[[str], bool]
    question: str = ""
    as_nobody: bool = False


def _number(pattern: str) -> Count:
    expression = re.compile(pattern)

    def count(line: str, _so_far: int) -> int | None:
        return int(found[1]) if (found := expression.search(line)) else None

    return count


def _one_a_line(line: str, so_far: int) -> int | None:
    return so_far + 1 if re.match(r"-?\d", line) else None


def _vlc_error(line: str) -> bool:
    # Without a desktop VLC's own interfaces have nothing to connect to, which is no error of the stream's.
    return " error: " in line and " interface " not in line and " libvlc " not in line


RECIPES: Final = (
    Recipe(
        name="VLC",
        command=(
            *("vlc", "-I", "oldrc", "--rc-fake-tty", "--vout", "vdummy", "--aout", "adummy"),
            *("--no-metadata-network-access", "{address}"),
        ),
        version=("vlc", "--version"),
        count=_number(r"frames displayed\s*:\s*(\d+)"),
        complains=_vlc_error,
        question="stats\n",
        as_nobody=True,
    ),
    Recipe(
        name="GStreamer",
        # playbin3 on real time, into a sink that counts what it would have shown.
        command=(
            *("gst-launch-1.0", "-v", "playbin3", "uri={address}", "audio-sink=fakesink sync=true"),
            "video-sink=fpsdisplaysink text-overlay=false video-sink=fakesink sync=true",
        ),
        version=("gst-launch-1.0", "--version"),
        count=_number(r"rendered: (\d+)"),
        complains=lambda line: re.match(r"ERROR|WARNING|.*-(CRITICAL|WARNING) \*\*", line) is not None,
    ),
    Recipe(
        name="ffmpeg -re",
        command=(
            *("ffmpeg", "-nostdin", "-v", "error", "-re", "-i", "{address}"),
            *("-progress", "pipe:1", "-f", "null", "-"),
        ),
        version=("ffmpeg", "-version"),
        count=_number(r"^frame=\s*(\d+)"),
        complains=lambda line: "=" not in line,
    ),
    Recipe(
        name="ffprobe",
        # What it prints goes through C's buffers, 4 KiB at a time unless told otherwise.
        command=(
            *("stdbuf", "-oL", "ffprobe", "-v", "error", "-select_streams", "v:0"),
            *("-show_entries", "packet=pts_time", "-of", "csv=print_section=0", "{address}"),
        ),
        version=("ffprobe", "-version"),
        count=_one_a_line,
        complains=lambda line: line.strip() not in {"", "N/A"},
    ),
)


def _user(recipe: Recipe) -> int | None:
    return _NOBODY if recipe.as_nobody and os.geteuid() == 0 else None


def version(recipe: Recipe) -> str | None:
    """The first line that the program says of its version, None where it is not installed."""
    if any(shutil.which(name) is None for name in {recipe.command[0], recipe.version[0]}):
        return None
    said = subprocess.run(
        recipe.version, capture_output=True, text=True, check=False, cwd="/", user=_user(recipe)
    ).stdout
    return said.partition("\n")[0].partition(" Copyright")[0]


class Program:
    """A player of *recipe*, opened on *address* as often as needed."""

    def __init__(self, recipe: Recipe, address: str) -> None:
        self.name = recipe.name
        self._recipe = recipe
        self._address = address
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._home = tempfile.TemporaryDirectory(prefix="player-", ignore_cleanup_errors=True)
        self._pictures = 0
        self._complaints: list[str] = []

    def open(self) -> None:
        """Start the program anew."""
        self.close()
        user = _user(self._recipe)
        if user is not None:
            os.chown(self._home.name, user, user)
        self._pictures, self._complaints = 0, []
        self._process = subprocess.Popen(
            [part.replace("{address}", self._address) for part in self._recipe.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd=Path("/"),
            env={**os.environ, "HOME": self._home.name},
        )
        assert self._process.stdout
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                if (pictures := self._recipe.count(line, self._pictures)) is not None:
                    self._pictures = pictures
                elif self._recipe.complains(line):
                    self._complaints.append(line.strip())

    def pictures(self) -> int | None:
        """How many pictures it has shown since it was opened; None once it has ended."""
        process = self._process
        if process is None or process.poll() is not None:
            return None
        if self._recipe.question and process.stdin:
            # A player that has just gone is seen at the next look.
            with contextlib.suppress(OSError):
                process.stdin.write(self._recipe.question)
                process.stdin.flush()
        return self._pictures

    def complaints(self) -> list[str]:
        """The errors that it has told since it was last asked."""
        told, self._complaints = self._complaints, []
        return told

    def close(self) -> None:
        """End the program."""
        if (process := self._process) is None:
            return
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join()
        if process.stdin:
            with contextlib.suppress(OSError):
                process.stdin.close()
        self._process = None
