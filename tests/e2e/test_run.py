"""`scripts/run` as a person uses it: the table, `ready`, one clear line when it cannot, nothing left over."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from local_system.system import HOST, ROOT, Ports
from tools.several_systems import ports_of_systems

SECONDS = 60  # far above what anything takes here
MARKER = "BUCKETCAST_TEST_RUN"
FAILING = {
    "FFmpeg": ("--ffmpeg", "/nonexistent/ffmpeg"),
    "the API": ("--fault", "uploads.bucket=ingest", "--fault", "uploads.unavailable=1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A running scripts/run."""

    process: subprocess.Popen[bytes]
    ports: Ports
    marker: str
    output: Path
    errors: Path

    def table(self) -> dict[str, str]:
        """The printed table, once `ready` is printed below it."""
        deadline = time.monotonic() + SECONDS
        while not (lines := self.output.read_text().splitlines()) or lines[-1] != "ready":
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < deadline, "never ready"
            time.sleep(0.05)
        rows = [line.split("  ", 1) for line in lines[:-1]]
        return {name.strip(): value.strip() for name, value in rows}

    def said(self) -> list[str]:
        """What it said on stderr; that hls.js cannot be had is no fault of the run."""
        lines = self.errors.read_text().splitlines()
        return [line for line in lines if not line.startswith("get_hls_js: ")]

    def ended(self) -> int:
        """The exit code, when it has ended."""
        return self.process.wait(SECONDS)

    def left(self) -> list[str]:
        """The command lines of all processes that it started and that still run."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"{MARKER}={self.marker}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found


@contextmanager
def running(folder: Path, ports: Ports, *options: str) -> Iterator[Run]:
    """Start scripts/run on *ports*; whatever of it is left in the end is killed."""
    marker = uuid4().hex
    output, errors = folder / f"{marker}.out", folder / f"{marker}.err"
    command = [
        str(ROOT / "scripts/run"),
        *(f"--port={ports.web}", f"--rtmp-port={ports.rtmp}"),
        *(f"--whip-port={ports.whip}", f"--metrics-port={ports.metrics}"),
        *(f"--firestore-port={ports.firestore}", f"--workflows-port={ports.workflows}"),
        *options,
    ]
    with output.open("wb") as stdout, errors.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=os.environ | {MARKER: marker},
            start_new_session=True,
        )
    run = Run(process=process, ports=ports, marker=marker, output=output, errors=errors)
    try:
        yield run
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module", autouse=True)
def proc() -> None:
    """Skip where processes cannot be looked at."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("/proc is not mounted")


@pytest.fixture(scope="module")
def ports() -> list[Ports]:
    """For each run of this module."""
    return ports_of_systems(1 + len(FAILING))


@pytest.fixture(scope="module", autouse=True)
def failing(
    proc: None, ports: list[Ports], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Run]]:
    """Runs that fail, by what fails: one tries again for a while, and nobody has to wait for it."""
    folder = tmp_path_factory.mktemp("failing")
    with ExitStack() as stack:
        yield {
            what: stack.enter_context(running(folder, own, "--no-sample", *options))
            for own, (what, options) in zip(ports[1:], FAILING.items(), strict=True)
        }


def test_the_sample_is_on_air_when_it_says_ready_and_ctrl_c_ends_all_of_it(
    ports: list[Ports], tmp_path: Path
) -> None:
    """Also Ctrl-C pressed again and again, as people do: it used to leave processes behind."""
    own = ports[0]
    data = tmp_path / "data"
    with running(tmp_path, own, "--data", str(data)) as run:
        table = run.table()
        assert set(table) == {
            "Viewer page",
            "RTMP server",
            "WHIP server",
            "Studio",
            "Stream key",
            "API",
            "Admin token",
            "Bucket",
            "Metrics",
            "Logs",
        }
        assert table["RTMP server"] == f"rtmp://{HOST}:{own.rtmp}/live"
        for address in (f"http://{HOST}:{own.web}/healthz", table["Viewer page"], table["Bucket"]):
            assert requests.get(address, timeout=SECONDS).status_code == 200
        assert "bucketcast_sessions 1.0" in requests.get(table["Metrics"], timeout=SECONDS).text
        authorized = {"Authorization": f"Bearer {table['Admin token']}"}
        (stream,) = requests.get(table["API"], headers=authorized, timeout=SECONDS).json()["streams"]
        assert (stream["state"], stream["input_faults"]) == ("live", [])
        assert len(run.left()) >= 4, "scripts/run, local cloud, ingest, sample and the encoder"

        with running(tmp_path, own, "--no-sample") as second:
            assert second.ended() == 1
            assert second.output.read_text() == ""
            assert second.said() == [f"run: port {own.web} is in use: choose another one with --port"]
        assert requests.get(f"http://{HOST}:{own.web}/healthz", timeout=SECONDS).status_code == 200

        for _ in range(3):
            run.process.send_signal(signal.SIGINT)
            time.sleep(0.2)  # the next one is to come while it ends
        assert run.ended() == 0
        assert run.left() == []
        assert run.said() == ["run: ending"]

    with running(tmp_path, own, "--data", str(data), "--no-sample") as again:
        kept = again.table()
        assert kept["Stream key"] == table["Stream key"]
        assert kept["Admin token"] == table["Admin token"]
        assert not any("testsrc2" in command for command in again.left())
        (stream,) = requests.get(kept["API"], headers=authorized, timeout=SECONDS).json()["streams"]
        assert (stream["id"], stream["session"]) == ("demo", 1)
        assert oct((data / "demo.key").stat().st_mode)[-3:] == "600"
        again.process.send_signal(signal.SIGHUP)  # the terminal was closed
        assert again.ended() == 0
        assert again.left() == []

    with running(tmp_path, own, "--data", str(data)) as third:
        folder = third.table()["Bucket"].rpartition("/")[0]
        for rung in ("720p", "480p", "360p"):
            playlist = requests.get(f"{folder}/{rung}/playlist.m3u8", timeout=SECONDS).text
            assert "segment_00000002_" in playlist, "ready came on what the first run had left"


def test_what_cannot_be_started_is_said_in_one_line(failing: Mapping[str, Run]) -> None:
    """And what was started before is ended."""
    run = failing["FFmpeg"]
    assert run.ended() == 1
    assert run.said() == ["run: ingest ended: ingest: FFmpeg at /nonexistent/ffmpeg does not run"]
    assert run.left() == []


def test_what_the_api_refuses_is_said_in_one_line(failing: Mapping[str, Run]) -> None:
    """And what was started before is ended."""
    run = failing["the API"]
    assert run.ended() == 2
    assert run.said() == ["run: POST /v1/streams: the API answered 503: Cloud Storage: RetryError"]
    assert run.left() == []
