"""What `scripts/run` is given and cannot use: one line, exit code 2 or 1, no traceback, nothing started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 60  # far above what anything takes here


def run(*options: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if token is not None:
        environment["BUCKETCAST_ADMIN_TOKEN"] = token
    return subprocess.run(
        [sys.executable, "-m", "local_system", *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("short", "BUCKETCAST_ADMIN_TOKEN is shorter than 16 characters"),
        ("0123456789abcdef\n", "BUCKETCAST_ADMIN_TOKEN is not printable ASCII without spaces around it"),
    ],
)
def test_a_token_that_will_not_do_is_one_line_and_leaves_no_trace(
    tmp_path: Path, token: str, words: str
) -> None:
    data = tmp_path / "data"
    done = run("--data", str(data), token=token)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"run: {words}\n")
    assert not data.exists()


def test_a_data_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    done = run("--data", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"run: [Errno 17] File exists: '{file}'\n"


def test_options_that_make_no_sense_are_refused() -> None:
    assert run("--port", "0").returncode == 2
