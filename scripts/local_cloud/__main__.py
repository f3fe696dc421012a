"""`python -m local_cloud`: Google Cloud on loopback, as one process, until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from local_cloud.cloud import BUCKETS, BucketOptions, CloudOptions, LocalCloud
from local_cloud.connections import PortInUse
from local_cloud.events import EVENTARC_BACKOFF, Backoff
from local_cloud.faults import InvalidFaults, parse_options
from local_cloud.functions import FunctionsNotLoaded, FunctionTarget, SignatureType
from local_cloud.run_jobs import InvalidJob, JobOptions, parse_job
from local_cloud.workflows import InvalidWorkflow, WorkflowsOptions

_RECORD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class FieldsFormatter(logging.Formatter):
    """One line for a person: the message, then the fields that were logged with it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {key: value for key, value in vars(record).items() if key not in _RECORD_FIELDS}
        return " ".join([super().format(record), *(f"{key}={value}" for key, value in fields.items())])


def parse_arguments(arguments: Sequence[str]) -> CloudOptions:
    """The options that the command line asks for; ends the process with a usage message when it is wrong."""
    parser = argparse.ArgumentParser(prog="local_cloud", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8080, help="web port: storage, functions (default: %(default)s)")
    add("--firestore-port", type=int, default=8086, help="Firestore's gRPC port (default: %(default)s)")
    add("--data", type=Path, metavar="DIR", help="folder that keeps all state (default: memory)")
    add("--project", default="demo", help="project id (default: %(default)s)")
    add("--media-bucket", default="media", help="public bucket for viewers (default: %(default)s)")
    add("--ingest-bucket", default="ingest", help="private bucket with the trigger (default: %(default)s)")
    add("--recording-bucket", default="recording", help="private bucket (default: %(default)s)")
    add("--trigger", default="publish", help="function that the trigger calls (default: %(default)s)")
    add(
        "--functions", type=Path, metavar="FILE", help="source file of the functions, such as functions/main.py"
    )
    add(
        "--function",
        type=_function_target,
        action="append",
        default=[],
        metavar="NAME:SIGNATURE",
        help="function to mount; the signature is http or cloudevent",
    )
    add(
        "--timer",
        type=_timer,
        action="append",
        default=[],
        metavar="NAME=SECONDS",
        help="function to call every so often",
    )
    add(
        "--job",
        type=_job,
        action="append",
        default=[],
        metavar="NAME=JSON",
        help='Cloud Run job, such as vod={"command": ["python", "-m", "vod"], "taskCount": 2}',
    )
    add("--workflows", type=Path, metavar="DIR", help="folder of workflow files, such as workflows")
    add("--workflows-port", type=int, default=8087, help="Workflows' gRPC port (default: %(default)s)")
    add(
        "--workflow-variable",
        type=_variable,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="environment variable of every workflow",
    )
    add(
        "--fast-forward",
        type=_factor,
        default=1.0,
        metavar="FACTOR",
        help="make what workflows sleep that many times shorter (default: %(default)s)",
    )
    add("--health-check", action="append", default=[], metavar="URL", help="has to answer 200 for /healthz")
    add(
        "--event-backoff",
        type=_seconds,
        default=EVENTARC_BACKOFF.first,
        metavar="SECONDS",
        help="first pause before an event is delivered again",
    )
    add("--fault", action="append", default=[], metavar="KEY=VALUE", help="such as uploads.unavailable=0.1")
    add("--fault-seed", type=int, default=0, help="same seed, same faults (default: %(default)s)")
    add("--no-write-limit", action="store_true", help="allow more than one write a second to one name")
    chosen = parser.parse_args(arguments)
    try:
        faults = parse_options(chosen.fault)
    except InvalidFaults as error:
        parser.error(f"--fault: {error}")
    names = (chosen.media_bucket, chosen.ingest_bucket, chosen.recording_bucket)
    return CloudOptions(
        host=chosen.host,
        port=chosen.port,
        firestore_port=chosen.firestore_port,
        data=chosen.data,
        project=chosen.project,
        buckets=_buckets(names, trigger=chosen.trigger),
        functions_source=chosen.functions,
        functions=tuple(chosen.function),
        timers=tuple(chosen.timer),
        jobs=tuple(chosen.job),
        workflows=_workflows(chosen),
        health_checks=tuple(chosen.health_check),
        event_backoff=Backoff(first=chosen.event_backoff),
        faults=faults,
        seed=chosen.fault_seed,
        limit_writes=not chosen.no_write_limit,
    )


async def run(options: CloudOptions) -> None:
    """Run the local cloud until SIGINT or SIGTERM; raises PortInUse, FunctionsNotLoaded, InvalidWorkflow."""
    told_to_end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    waiting = asyncio.create_task(told_to_end.wait())
    async with contextlib.AsyncExitStack() as stack:
        starting = asyncio.create_task(_start(options, stack))
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return
        cloud = starting.result()
        print(f"local cloud: {cloud.url}", flush=True)
        if cloud.workflows_port is not None:
            print(f"workflows: {options.host}:{cloud.workflows_port}", flush=True)
        await waiting


def main() -> int:
    """Run what the command line asks for and return the exit code."""
    options = parse_arguments(sys.argv[1:])
    _configure_logging()
    try:
        asyncio.run(run(options))
    except (PortInUse, FunctionsNotLoaded, InvalidWorkflow) as error:
        print(f"local cloud: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _configure_logging() -> None:
    """Send this package's warnings to stderr; the root logger belongs to the functions in this process."""
    handler = logging.StreamHandler()
    handler.setFormatter(FieldsFormatter("local cloud: %(message)s"))
    own = logging.getLogger("local_cloud")
    own.setLevel(logging.WARNING)
    own.addHandler(handler)
    own.propagate = False


async def _start(options: CloudOptions, stack: contextlib.AsyncExitStack) -> LocalCloud:
    return await stack.enter_async_context(LocalCloud(options))


def _buckets(names: Sequence[str], *, trigger: str) -> tuple[BucketOptions, ...]:
    return tuple(
        BucketOptions(name=name, public=bucket.public, trigger=bucket.trigger and trigger)
        for name, bucket in zip(names, BUCKETS, strict=True)
    )


def _function_target(text: str) -> FunctionTarget:
    name, _, signature = text.partition(":")
    return FunctionTarget(name=name, signature=SignatureType(signature))


def _timer(text: str) -> tuple[str, timedelta]:
    name, _, seconds = text.partition("=")
    return name, _seconds(seconds)


def _job(text: str) -> JobOptions:
    try:
        return parse_job(text)
    except InvalidJob as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _workflows(chosen: argparse.Namespace) -> WorkflowsOptions | None:
    if chosen.workflows is None:
        return None
    return WorkflowsOptions(
        folder=chosen.workflows,
        port=chosen.workflows_port,
        environment=dict(chosen.workflow_variable),
        fast_forward=chosen.fast_forward,
    )


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(text)
    return name, value


def _factor(text: str) -> float:
    factor = float(text)
    if not 1 <= factor <= 1_000_000:
        raise ValueError(text)
    return factor


def _seconds(text: str) -> timedelta:
    seconds = float(text)
    if not 0 < seconds < 86_400:
        raise ValueError(text)
    return timedelta(seconds=seconds)


if __name__ == "__main__":
    exit_code = main()
    sys.stdout.flush()
    # Everything is closed. A function that still waits for a storage that is gone, in a thread that cannot
    # be ended, must not keep the process.
    os._exit(exit_code)
