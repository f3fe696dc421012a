"""Other players than the viewer page's, each asked to play an address for a while and to tell what it saw."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Final

import imageio_ffmpeg
import pytest

from tools.browser import Browser
from tools.folder_server import FolderServer, serve

# What a player may take beyond what it is to play: opening, three segments of six seconds kept back, and a
# machine that is busy. A player that is not done by then has stalled, and says so by what it played.
GRACE: Final = timedelta(seconds=30)

SHAKA_VERSION: Final = "5.2.12"
_SHAKA_CACHE: Final = Path(__file__).resolve().parents[2] / ".cache/shaka-player" / SHAKA_VERSION
_SHAKA_FILE: Final = "shaka-player.compiled.js"
_SHAKA_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>Shaka Player</title><video muted></video>
<script src="shaka-player.compiled.js"></script><script>
window.failures = [];
window.play = async (address) => {
  const player = new shaka.Player();
  const failed = (error) => failures.push(`error ${error.code}: ${error.data}`);
  player.addEventListener("error", ({ detail }) => failed(detail));
  const video = document.querySelector("video");
  await player.attach(video);
  try { await player.load(address); await video.play(); } catch (error) { failed(error); }
};
</script>"""

# VLC refuses to run as root; this is Debian's nobody.
NOBODY: Final = 65534


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerReport:
    """What *player* made of an address: how much of it was *played*, and its *errors* in its own words."""

    player: str
    played: timedelta
    errors: tuple[str, ...]


def installed(name: str) -> str:
    """Where the program *name* is; the test is skipped where it is not."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def play_with_ffmpeg(address: str, length: timedelta) -> PlayerReport:
    """Decode *length* of *address* with the ffmpeg of the test environment, as fast as it comes."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-i", address]
    command += ["-t", str(length.total_seconds()), "-progress", "pipe:1", "-f", "null", "-"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=(length + GRACE).total_seconds(), check=False
        )
        progress, errors = done.stdout, _lines(done.stderr)
    except subprocess.TimeoutExpired as late:
        progress, errors = (late.stdout or b"").decode(), ("it was not done in time",)
    times = re.findall(r"out_time_us=(\d+)", progress)
    return PlayerReport(
        player="ffmpeg", played=timedelta(microseconds=int(times[-1]) if times else 0), errors=errors
    )


def play_with_ffprobe(address: str, length: timedelta) -> PlayerReport:
    """Read the packets of *length* of *address* with ffprobe; played is what its video packets span."""
    command = [installed("ffprobe"), "-v", "error", "-read_intervals", f"%+{length.total_seconds()}"]
    command += [
        "-select_streams",
        "v:0",
        "-show_entries",
        "packet=pts_time,duration_time",
        "-of",
        "json",
        address,
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=(length + GRACE).total_seconds(), check=False
        )
    except subprocess.TimeoutExpired:
        return PlayerReport(player="ffprobe", played=timedelta(), errors=("it was not done in time",))
    packets = json.loads(done.stdout or "{}").get("packets", [])
    begins = [float(packet["pts_time"]) for packet in packets if "pts_time" in packet]
    ends = [
        float(packet["pts_time"]) + float(packet.get("duration_time", 0))
        for packet in packets
        if "pts_time" in packet
    ]
    played = timedelta(seconds=max(ends) - min(begins)) if begins else timedelta()
    return PlayerReport(player="ffprobe", played=played, errors=_lines(done.stderr))


def _watch(
    command: list[str],
    *,
    length: timedelta,
    position: Callable[[str], timedelta | None],
    say: Callable[[IO[str]], None] | None = None,
    user: int | None = None,
    environment: dict[str, str] | None = None,
) -> tuple[timedelta, tuple[str, ...]]:
    """Run *command* until a line of its output tells a *position* of *length*, or GRACE longer.

    *say* may write to its input once a second. Returns how far it came and every line that told no position.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        env=environment,
    )
    assert process.stdin
    assert process.stdout
    over = threading.Event()
    limit = threading.Timer((length + GRACE).total_seconds(), process.terminate)
    limit.start()
    asker = threading.Thread(target=_ask, args=(process.stdin, say, over), daemon=True)
    asker.start()
    try:
        return _furthest(process.stdout, length=length, position=position)
    finally:
        over.set()
        limit.cancel()
        process.terminate()
        asker.join()
        process.stdout.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ask(stdin: IO[str], say: Callable[[IO[str]], None] | None, over: threading.Event) -> None:
    # A player that has gone closes its end, which its output tells as well.
    with contextlib.suppress(OSError), stdin:
        while say and not over.wait(1):
            say(stdin)
            stdin.flush()


def _furthest(
    output: Iterable[str], *, length: timedelta, position: Callable[[str], timedelta | None]
) -> tuple[timedelta, tuple[str, ...]]:
    """The span of the positions in *output*, read until it is *length*, and the lines that tell none."""
    first: timedelta | None = None
    played, rest = timedelta(), []
    for line in output:
        reached = position(line)
        if reached is None:
            rest.append(line.strip())
            continue
        first = reached if first is None else first
        played = max(played, reached - first)
        if played >= length:
            break
    return played, tuple(filter(None, rest))


def play_with_gstreamer(address: str, length: timedelta) -> PlayerReport:
    """Play *address* in real time with GStreamer's playbin3 into sinks that show nothing."""
    report = "progressreport name=played update-freq=1 ! fakesink sync=true"
    command = [installed("gst-launch-1.0"), "playbin3", f"uri={address}"]
    command += [f"video-sink={report}", "audio-sink=fakesink sync=true"]

    def position(line: str) -> timedelta | None:
        # In brackets stands how long the report has been running, behind them where in the stream it is.
        found = re.search(r"played \([\d:]+\): (\d+)", line)
        return timedelta(seconds=int(found[1])) if found else None

    played, rest = _watch(command, length=length, position=position)
    errors = tuple(line for line in rest if re.match(r"ERROR|WARNING|.*-(CRITICAL|WARNING) \*\*", line))
    return PlayerReport(player="gst-launch-1.0", played=played, errors=errors)


def play_with_vlc(address: str, length: timedelta) -> PlayerReport:
    """Play *address* in real time with VLC into outputs that show nothing, as nobody where the test is root."""
    command = [installed("vlc"), "-I", "oldrc", "--rc-fake-tty", "--vout", "vdummy", "--aout", "adummy"]
    command += ["--no-metadata-network-access", address]

    def position(line: str) -> timedelta | None:
        # The answer to get_time: whole seconds, alone on their line.
        found = re.fullmatch(r"(?:> )?(\d+)", line.strip())
        return timedelta(seconds=int(found[1])) if found else None

    def ask(stdin: IO[str]) -> None:
        stdin.write("get_time\n")

    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory(prefix="vlc-", ignore_cleanup_errors=True) as home:
        if is_root:
            os.chown(home, NOBODY, NOBODY)
        played, rest = _watch(
            command,
            length=length,
            position=position,
            say=ask,
            user=NOBODY if is_root else None,
            environment={**os.environ, "HOME": home},
        )
    # Without a desktop VLC's own interfaces have nothing to connect to, which is no error of the stream's.
    errors = tuple(
        line for line in rest if " error: " in line and " interface " not in line and " libvlc " not in line
    )
    return PlayerReport(player="vlc", played=played, errors=errors)


def get_shaka_player() -> Path:
    """The folder with the pinned Shaka Player, got from npm once; skip the test where npm cannot give it."""
    if not (_SHAKA_CACHE / _SHAKA_FILE).exists():
        npm = installed("npm")
        with tempfile.TemporaryDirectory() as folder:
            command = [npm, "pack", f"shaka-player@{SHAKA_VERSION}", "--ignore-scripts", "--silent"]
            packed = subprocess.run(
                [*command, "--pack-destination", folder],
                cwd=folder,
                capture_output=True,
                timeout=120,
                check=False,
            )
            tarballs = list(Path(folder).glob("*.tgz"))
            if packed.returncode or not tarballs:
                pytest.skip(f"shaka-player {SHAKA_VERSION} cannot be had from npm")
            with tarfile.open(tarballs[0]) as archive:
                member = archive.extractfile(f"package/dist/{_SHAKA_FILE}")
                assert member
                _SHAKA_CACHE.mkdir(parents=True, exist_ok=True)
                (_SHAKA_CACHE / _SHAKA_FILE).write_bytes(member.read())
    return _SHAKA_CACHE


def play_with_shaka(browser: Browser, address: str, length: timedelta) -> PlayerReport:
    """Play *address* (which must allow CORS) with Shaka Player's defaults in *browser*."""
    site = FolderServer({"shaka": get_shaka_player()})
    site.answers["/shaka/page.html"] = lambda: _SHAKA_PAGE
    with serve(site):
        browser.open(f"{site.address}/shaka/page.html")
        browser.script("play(arguments[0])", address)
        seen = browser.play_for(length)
        failures = [str(failure) for failure in browser.script("return window.failures")]
        stalls = [f"{seen.stalls} stalls"] if seen.stalls else []
        browser.driver.get("about:blank")
    return PlayerReport(player="shaka", played=seen.played, errors=(*failures, *stalls))
