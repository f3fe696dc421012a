"""The process: its options, its end, and what it says when it cannot start."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from local_cloud.__main__ import parse_arguments
from local_cloud.cloud import BucketOptions, CloudOptions
from local_cloud.connections import listen
from local_cloud.events import Backoff
from local_cloud.faults import FaultPlan, UploadFaults
from local_cloud.functions import FunctionTarget, SignatureType
from local_cloud.run_jobs import JobOptions

END_SECONDS = 5


def process(*options: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "local_cloud", "--port", "0", "--firestore-port", "0", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_defaults_are_those_of_the_address_table() -> None:
    assert parse_arguments([]) == CloudOptions(port=8080, firestore_port=8086)


def test_every_option_is_followed() -> None:
    arguments = """--host 127.0.0.2 --port 1 --firestore-port 2 --data d --project p --media-bucket mmm
        --ingest-bucket iii --recording-bucket rrr --trigger woken --functions f.py --function woken:cloudevent
        --function api:http --timer reap=2.5 --job again={"command":["true"]} --health-check http://x/
        --event-backoff 0.5 --fault uploads.unavailable=0.1 --fault-seed 7 --no-write-limit"""
    assert parse_arguments(arguments.split()) == CloudOptions(
        host="127.0.0.2",
        port=1,
        firestore_port=2,
        data=Path("d"),
        project="p",
        buckets=(
            BucketOptions(name="mmm", public=True),
            BucketOptions(name="iii", trigger="woken"),
            BucketOptions(name="rrr"),
        ),
        functions_source=Path("f.py"),
        functions=(
            FunctionTarget(name="woken", signature=SignatureType.CLOUD_EVENT),
            FunctionTarget(name="api", signature=SignatureType.HTTP),
        ),
        timers=(("reap", timedelta(seconds=2.5)),),
        jobs=(JobOptions(name="again", command=("true",)),),
        health_checks=("http://x/",),
        event_backoff=Backoff(first=timedelta(seconds=0.5)),
        faults=FaultPlan(uploads=(UploadFaults(unavailable=0.1),)),
        seed=7,
        limit_writes=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fault", "uploads.unavailable=7"],
        ["--function", "api"],
        ["--timer", "reap"],
        ["--timer", "reap=0"],
        ["--job", "again"],
        ["--port", "x"],
    ],
)
def test_options_that_make_no_sense_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_a_port_in_use_is_one_line_and_exit_code_1() -> None:
    with closing(listen("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process("--port", str(port)) as running:
            out, err = running.communicate(timeout=END_SECONDS)
    assert (running.returncode, out) == (1, "")
    assert err == f"local cloud: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_functions_that_are_missing_are_one_line_and_exit_code_1(tmp_path: Path) -> None:
    missing = tmp_path / "missing.py"
    with process("--functions", str(missing), "--function", "publish:cloudevent") as running:
        _, err = running.communicate(timeout=END_SECONDS)
    assert running.returncode == 1
    assert err.startswith(f"local cloud: {missing}: function publish: ")
    assert err.count("\n") == 1


FUNCTIONS = """
import logging
import functions_framework

@functions_framework.http
def tick(request):
    logging.basicConfig(format="function: %(message)s", level=logging.INFO, force=True)
    logging.getLogger("mine").info("called")
    return "no", 503
"""


def test_its_own_log_and_the_functions_do_not_mix(tmp_path: Path) -> None:
    """Functions configure the root logger of the process that they are in; here that is the cloud's too."""
    source = tmp_path / "main.py"
    source.write_text(FUNCTIONS)
    functions = ("--functions", str(source), "--function", "tick:http", "--trigger", "tick")
    with process(*functions, "--timer", "tick=0.2") as running:
        assert running.stderr is not None
        lines = [running.stderr.readline().rstrip() for _ in range(4)]
        running.terminate()
        running.communicate(timeout=END_SECONDS)
    own, theirs = "local cloud: timer not accepted url=http://", "function: called"
    assert [line.startswith((own, theirs)) for line in lines] == [True] * 4, lines
    assert lines.count(theirs) == 2
    assert all(line.endswith("/functions/tick status=503") for line in lines if line != theirs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quickly_and_cleanly(number: signal.Signals) -> None:
    with process() as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("local cloud: http://127.0.0.1:")
        before = time.monotonic()
        running.send_signal(number)
        _, err = running.communicate(timeout=END_SECONDS)
    assert time.monotonic() - before < 2
    assert (running.returncode, err) == (0, "")
