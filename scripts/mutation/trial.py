"""A mutant's trial: the tests, run on it in a process of its own until one of them fails."""

import importlib.util
import multiprocessing
import os
import resource
import sys
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from typing import Final

import pytest

from mutation.change import Mutant

# A loop that grows without end must not take the machine with it.
MAX_MEMORY_BYTES: Final = 4 * 2**30
# What every trial would load anew.
LIBRARIES: Final = (
    "_hypothesis_pytestplugin",
    "google.cloud.storage",
    "hypothesis.strategies",
    "msgspec.json",
    "pytest_asyncio.plugin",
)
# Nobody reads why a test fails.
OPTIONS: Final = ("--exitfirst", "--quiet", "--assert=plain", "-pno:cacheprovider", "-pno:anyio")
FORK: Final = multiprocessing.get_context("fork")


def survivors(
    candidates: Iterable[tuple[Mutant, Sequence[str]]], *, package: str, jobs: int, cpu_seconds: int
) -> Iterator[Mutant]:
    """Try each mutant of a module of *package* on its tests, *jobs* at a time; yield those that pass them.

    One that takes *cpu_seconds*, as a loop without end does, does not pass.
    """
    for library in LIBRARIES:
        importlib.import_module(library)
    running: dict[ForkProcess, Mutant] = {}
    for mutant, tests in candidates:
        name = f"{package}.{mutant.change.module}"
        process = FORK.Process(target=_try, args=(name, mutant.source, tests, cpu_seconds))
        process.start()
        running[process] = mutant
        if len(running) >= jobs:
            yield from _passed(running)
    while running:
        yield from _passed(running)


def _passed(running: dict[ForkProcess, Mutant]) -> Iterator[Mutant]:
    """Wait for one of *running*; take out what has ended, and yield what has passed."""
    ended = wait([process.sentinel for process in running])
    for process in [process for process in running if process.sentinel in ended]:
        process.join()
        mutant = running.pop(process)
        if process.exitcode == 0:
            yield mutant


def _try(module: str, source: str, tests: Sequence[str], cpu_seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())
    os.dup2(silence, sys.stderr.fileno())
    status = 1
    try:
        _import_as(module, source)
        status = pytest.main([*OPTIONS, *tests])
    finally:
        os._exit(status)


def _import_as(name: str, source: str) -> None:
    """Let module *name* be made of *source*; its file is not touched."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(compile(source, f"mutant of {name}", "exec"), module.__dict__)  # noqa: S102  a mutant has no file
