"""Workflows as a part of the local cloud: options, address, and how it says that it cannot start."""

from contextlib import closing
from pathlib import Path

import pytest

from local_cloud.__main__ import main, parse_arguments
from local_cloud.cloud import CloudOptions, running_local_cloud
from local_cloud.connections import PortInUse, listen
from local_cloud.workflows import WorkflowsOptions


def test_options_of_workflows_are_followed() -> None:
    arguments = "--workflows w --workflows-port 9 --workflow-variable A=b=c --fast-forward 60"
    assert parse_arguments(arguments.split()).workflows == WorkflowsOptions(
        folder=Path("w"), port=9, environment={"A": "b=c"}, fast_forward=60
    )
    assert parse_arguments(["--workflows", "w"]).workflows == WorkflowsOptions(folder=Path("w"), port=8087)
    assert parse_arguments([]).workflows is None


@pytest.mark.parametrize("option", ["--workflow-variable=A", "--fast-forward=0.5", "--fast-forward=fast"])
def test_option_that_makes_no_sense_is_refused(option: str) -> None:
    with pytest.raises(SystemExit):
        parse_arguments([option])


def test_address_is_in_the_environment_when_workflows_are_there(tmp_path: Path) -> None:
    with running_local_cloud(CloudOptions(workflows=WorkflowsOptions(folder=tmp_path))) as running:
        environment = running.cloud.environment
        assert environment["WORKFLOWS_EMULATOR_HOST"] == f"127.0.0.1:{running.cloud.workflows_port}"
    with running_local_cloud(CloudOptions()) as running:
        assert "WORKFLOWS_EMULATOR_HOST" not in running.cloud.environment


def test_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with closing(listen("127.0.0.1", 0)) as taken:
        options = CloudOptions(workflows=WorkflowsOptions(folder=tmp_path, port=taken.getsockname()[1]))
        with pytest.raises(PortInUse), running_local_cloud(options):
            pass


@pytest.mark.parametrize("folder_exists", [True, False])
def test_folder_or_file_that_cannot_be_used_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, folder_exists: bool
) -> None:
    folder = tmp_path / "workflows"
    if folder_exists:
        folder.mkdir()
        (folder / "a.workflows.yaml").write_text("- s: {cal: x}")
    options = ["--port", "0", "--firestore-port", "0", "--workflows-port", "0", "--workflows", str(folder)]
    monkeypatch.setattr("sys.argv", ["local_cloud", *options])
    assert main() == 1
    error = capsys.readouterr().err
    assert error.startswith(f"local cloud: {folder}")
    assert error.count("\n") == 1
