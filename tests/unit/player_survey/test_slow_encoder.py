"""A process is slowed to a part of its pace, and runs freely afterwards."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from player_survey import slow_encoder
from player_survey.slow_encoder import child_named, run_seconds, slow_down

# Runs for half of the time, as an encoder in real time does.
PACED = """import time
while True:
    end = time.process_time() + 0.01
    while time.process_time() < end: pass
    time.sleep(0.01)"""


@pytest.fixture(autouse=True)
def _soon_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_encoder, "MEASURED_SECONDS", 0.4)


@contextmanager
def process(code: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", code]) as started:
        try:
            yield started
        finally:
            started.kill()


def test_a_process_runs_for_a_part_of_its_time_and_freely_afterwards() -> None:
    with process(PACED) as paced:
        time.sleep(0.3)
        before = run_seconds(paced.pid)
        assert not slow_down(paced.pid, speed=0.1, seconds=1.0)
        slowed = run_seconds(paced.pid) - before
        time.sleep(0.4)
        freely = run_seconds(paced.pid) - before - slowed
        # On a machine that is busy the signals that stop it come late.
        assert slowed < 0.5
        assert freely > 0


def test_slowing_ends_with_the_process() -> None:
    with process(PACED.replace("while True", "while time.process_time() < 0.6", 1)) as short:
        assert slow_down(short.pid, speed=0.5, seconds=20)
        began = time.monotonic()
        assert slow_down(short.pid, speed=0.5, seconds=20)  # nobody has asked yet how it ended
        short.wait()
        assert slow_down(short.pid, speed=0.5, seconds=20)
        assert time.monotonic() - began < 10


def test_a_child_is_found_by_the_name_of_its_program(tmp_path: Path) -> None:
    program = tmp_path / "ffmpeg-for-a-test-with-a-long-name"
    program.symlink_to(shutil.which("sleep") or "/bin/sleep")
    with subprocess.Popen([program, "10"]) as child:
        try:
            # The system names a process only after whoever started it was told that it runs.
            name, own = Path(f"/proc/{child.pid}/comm"), Path("/proc/self/comm").read_text()
            while name.read_text() == own:
                time.sleep(0.001)
            assert child_named(os.getpid(), program.name) == child.pid
            assert child_named(os.getpid(), "ffprobe") is None
        finally:
            child.kill()
