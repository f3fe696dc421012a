"""A workflow that runs a Cloud Run job of the same local cloud, and waits for it."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from local_cloud.cloud import CloudOptions, RunningLocalCloud, running_local_cloud
from local_cloud.run_jobs import JobOptions
from local_cloud.workflows import WorkflowsOptions
from local_cloud.workflows.executions import Execution, State

SOURCE = """
main:
  params: [args]
  steps:
    - run:
        call: googleapis.run.v2.projects.locations.jobs.run
        args:
          name: '${"projects/" + sys.get_env("GOOGLE_CLOUD_PROJECT_ID") + "/locations/here/jobs/write"}'
          body:
            overrides:
              taskCount: 2
              containerOverrides:
                - env:
                    - {name: TARGET, value: '${args.target}'}
                    - {name: CODE, value: '${string(args.code)}'}
          connector_params: {timeout: 60, polling_policy: {initial_delay: 0.1, max_delay: 0.2}}
        result: execution
    - look:
        call: googleapis.run.v2.projects.locations.jobs.executions.get
        args: {name: '${execution.name}'}
        result: again
    - done:
        return: {succeeded: '${execution.succeededCount}', same: '${again.name == execution.name}'}
"""
TASK = """
import os, pathlib, sys
pathlib.Path(os.environ["TARGET"], os.environ["CLOUD_RUN_TASK_INDEX"]).touch()
sys.exit(int(os.environ["CODE"]))
"""
END_SECONDS = 30


def ended(running: RunningLocalCloud, argument: object) -> Execution:
    executions = running.cloud.workflows.executions

    async def run() -> Execution:
        started = executions.start(
            executions.deployed["work"], json.dumps(argument), location="here", labels={}
        )
        await asyncio.wait_for(executions.ended(started), END_SECONDS)
        return started

    return running.run(run())


@pytest.mark.parametrize(("code", "state"), [(0, State.SUCCEEDED), (1, State.FAILED)])
def test_workflow_ends_as_the_job_does(tmp_path: Path, code: int, state: State) -> None:
    (tmp_path / "work.workflows.yaml").write_text(SOURCE)
    target = tmp_path / "target"
    target.mkdir()
    options = CloudOptions(
        workflows=WorkflowsOptions(folder=tmp_path),
        jobs=(JobOptions(name="write", command=(sys.executable, "-c", TASK), max_retries=0),),
    )
    with running_local_cloud(options) as running:
        execution = ended(running, {"target": str(target), "code": code})
    assert execution.state is state, execution.error and execution.error.context
    assert {path.name for path in target.iterdir()} == {"0", "1"}
    if execution.error is None:
        assert json.loads(execution.result or "") == {"succeeded": 2, "same": True}
    else:
        assert json.loads(execution.error.payload)["tags"] == ["OperationError"]
