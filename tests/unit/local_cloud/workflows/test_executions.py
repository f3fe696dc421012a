"""Executions as they are kept: how many, how they end, and what is told of them."""

import asyncio
import json
from itertools import count

import pytest

from local_cloud.workflows import executions as module
from local_cloud.workflows.executions import (
    Deployed,
    Execution,
    Executions,
    NotActive,
    State,
    TooManyExecutions,
)
from tools.workflow_runs import NOON, SleepingClock, host, workflow


class Endless(SleepingClock):
    async def sleep(self, duration: object) -> None:
        await asyncio.Event().wait()


def executions_of(source: str, clock: SleepingClock | None = None) -> tuple[Executions, Deployed]:
    deployed = Deployed(workflow=workflow(source), time=NOON)
    ids = count(1)
    started = Executions(
        {"tested": deployed}, host=host(clock), new_uuid=lambda: f"id-{next(ids)}", environment={"MINE": "1"}
    )
    return started, deployed


def start(executions: Executions, deployed: Deployed, argument: str = "null") -> Execution:
    return executions.start(deployed, argument, location="here", labels={})


async def test_execution_that_ends_has_its_result_and_times() -> None:
    executions, deployed = executions_of(
        "- s: {call: sys.sleep, args: {seconds: 5}}\n- t: {return: {b: 1, a: 2}}"
    )
    execution = start(executions, deployed)
    assert (execution.state, execution.ended, execution.result) == (State.ACTIVE, None, None)
    await executions.ended(execution)
    assert (execution.state, execution.result) == (State.SUCCEEDED, '{"a":2,"b":1}')
    assert execution.ended is not None
    assert (execution.ended - execution.started).total_seconds() == 5


@pytest.mark.parametrize(
    ("source", "tag"),
    [
        ("- s: {return: \"${text.encode('bytes')}\"}", "TypeError"),
        ("- s: {return: ['${text.replace_all(\"a\", \"a\", string(1))}', '${1 / 0}']}", "ZeroDivisionError"),
    ],
)
async def test_execution_without_a_result_has_failed(source: str, tag: str) -> None:
    executions, deployed = executions_of(source)
    execution = start(executions, deployed)
    await executions.ended(execution)
    assert execution.state is State.FAILED
    assert execution.error is not None
    assert json.loads(execution.error.payload)["tags"] == [tag]


async def test_result_that_is_too_large_fails_the_execution() -> None:
    source = "main: {params: [a], steps: [{s: {return: ['${a}', '${a}', '${a}']}}]}"
    executions, deployed = executions_of(source)
    execution = start(executions, deployed, json.dumps("x" * 200_000))
    await executions.ended(execution)
    assert execution.error is not None
    assert json.loads(execution.error.payload)["tags"] == ["ResourceLimitError"]


async def test_fault_of_the_interpreter_is_a_system_error_and_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    executions, deployed = executions_of("- s: {return: 1}")

    class Broken:
        current = None

        def __init__(self, *arguments: object) -> None:
            pass

        async def run(self, argument: object) -> None:
            raise AssertionError("ours")

    monkeypatch.setattr(module, "Interpreter", Broken)
    execution = start(executions, deployed)
    await executions.ended(execution)
    assert execution.state is State.FAILED
    assert execution.error is not None
    assert json.loads(execution.error.payload)["tags"] == ["SystemError"]
    assert "the interpreter failed" in caplog.messages


async def test_cancelled_execution_never_becomes_another() -> None:
    executions, deployed = executions_of("- s: {call: sys.sleep, args: {seconds: 5}}", Endless())
    execution = start(executions, deployed)
    await asyncio.sleep(0)
    executions.cancel(execution)
    await executions.ended(execution)
    assert execution.state is State.CANCELLED
    with pytest.raises(NotActive):
        executions.cancel(execution)


async def test_close_ends_what_is_active() -> None:
    executions, deployed = executions_of("- s: {call: sys.sleep, args: {seconds: 5}}", Endless())
    execution = start(executions, deployed)
    await asyncio.sleep(0)
    await executions.close()
    assert execution.state is State.CANCELLED


async def test_only_so_many_executions_are_active(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ACTIVE", 2)
    executions, deployed = executions_of("- s: {call: sys.sleep, args: {seconds: 5}}", Endless())
    first = start(executions, deployed)
    start(executions, deployed)
    with pytest.raises(TooManyExecutions):
        start(executions, deployed)
    executions.cancel(first)
    start(executions, deployed)
    await executions.close()


async def test_oldest_ended_executions_are_forgotten_and_active_ones_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_ENDED", 2)
    source = """
        main:
          params: [stay]
          steps:
            - s: {switch: [{condition: '${not stay}', return: 1}]}
            - t: {call: sys.sleep, args: {seconds: 5}}
        """
    executions, deployed = executions_of(source, Endless())
    active = start(executions, deployed, "true")
    for _ in range(4):
        await executions.ended(start(executions, deployed, "false"))
    assert [execution.id for execution in executions.newest_first()] == ["id-5", "id-4", "id-3", active.id]
    await executions.close()


async def test_argument_that_is_not_json_starts_nothing() -> None:
    executions, deployed = executions_of("- s: {return: 1}")
    with pytest.raises(ValueError, match="Expecting"):
        start(executions, deployed, "{")
    assert list(executions.newest_first()) == []


async def test_environment_says_which_execution_this_is() -> None:
    names = ("MINE", "GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_WORKFLOW_ID", "GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID")
    listed = ", ".join(f"'${{sys.get_env(\"{name}\")}}'" for name in names)
    executions, deployed = executions_of(f"- s: {{return: [{listed}]}}")
    execution = start(executions, deployed)
    await executions.ended(execution)
    assert execution.result == '["1","here","tested","id-1"]'


def test_revision_tells_sources_apart() -> None:
    def revision(source: str) -> str:
        return executions_of(source)[1].revision

    assert revision("- s: {return: 1}") == revision("- s: {return: 1}") != revision("- s: {return: 2}")
