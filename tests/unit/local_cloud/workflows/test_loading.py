"""What is refused when a workflow file is loaded: each with its line, its step and the reason."""

from pathlib import Path
from textwrap import dedent

import pytest

from local_cloud.workflows.errors import InvalidWorkflow
from local_cloud.workflows.limits import MAX_SOURCE_BYTES
from local_cloud.workflows.loading import load_file, load_workflow
from local_cloud.workflows.steps import Workflow


def load(source: str) -> Workflow:
    return load_workflow(dedent(source).encode(), name="tested")


def refusal(source: str) -> InvalidWorkflow:
    with pytest.raises(InvalidWorkflow) as refused:
        load(source)
    return refused.value


def step(body: str) -> str:
    """A workflow whose step `s`, on line 4, is *body*."""
    indented = "\n".join(f"    {line}" for line in dedent(body).strip().splitlines())
    return f"- before:\n    assign:\n      - x: 1\n- s:\n{indented}\n- after:\n    return: null\n"


# The inner step shares what the outer one does not.
NESTED_PARALLEL = """
parallel:
  for:
    value: v
    in: [1]
    steps:
      - t: {parallel: {shared: [x], for: {value: w, in: [1], steps: [{u: {assign: [{x: 1}]}}]}}}
"""


def step_after(first: str, name: str) -> str:
    """A step of two, of which the second uses a variable *name*."""
    return f"steps: [{{{first}}}, {{r: {{raise: '${{{name}}}'}}}}]"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("foo: 1", "needs 'next'"),
        ("{assign: [{a: 1}], foo: 1}", "'foo' is not supported in a step with 'assign'"),
        ("{assign: [{a: 1}], return: 1}", "one thing, not assign and return"),
        ("{return: 1, next: after}", "'next' is not supported in a step with 'return'"),
        # assign
        ("assign: []", "assign is a list"),
        ("assign: {a: 1}", "assign is a list"),
        ("assign: [a]", "an assignment is a map"),
        ("assign: [{a: 1, b: 2}]", "one variable"),
        ("assign: [{a+b: 1}]", "only a variable"),
        ('assign: [{"1": 1}]', "only a variable"),
        ('assign: [{"len(x)": 1}]', "only a variable"),
        ('assign: [{"x.y.": 1}]', "a name is expected"),
        ('assign: [{a: "${nowhere}"}]', "no step sets the variable 'nowhere'"),
        ('assign: [{"nowhere.part": 1}]', "no step sets the variable 'nowhere'"),
        ('assign: [{"x[nowhere]": 1}]', "no step sets the variable 'nowhere'"),
        ("assign: [" + ",".join(["{a: 1}"] * 51) + "]", "51 assignments, more than 50"),
        # expressions
        ("return: ${1 +}", "expression '1 +'"),
        ("return: ${1} and ${2}", "cannot be read from"),
        ("return: before ${x}", "text around an expression"),
        ("return: ['${x} after']", "text around an expression"),
        ('return: {"${x}": 1}', "a key cannot be computed"),
        ("return: ${hash.compute_checksum(x)}", "function 'hash.compute_checksum' is not offered"),
        ("return: ${http.get(x)}", "in a call step"),
        ("return: ${sys.sleep(1)}", "in a call step"),
        ("return: ${main()}", "in a call step"),
        ("return: ${len()}", "takes 1 to 1 arguments"),
        ("return: ${sys.get_env()}", "takes 1 to 2 arguments"),
        # call
        ("call: 1", "call is the name"),
        ("call: nowhere", "'nowhere' cannot be called here"),
        ("call: main", "'main' cannot be called here"),
        ("call: ${x}", "cannot be called here"),
        ("call: text.split", "it can be called in an expression"),
        ("call: events.await_callback", "cannot be called here"),
        (
            "call: googleapis.storage.v1.objects.get",
            "'googleapis.storage.v1.objects.get' cannot be called here",
        ),
        ("call: sys.sleep", "args of sys.sleep needs 'seconds'"),
        (
            "{call: sys.sleep, args: {seconds: 1, minutes: 1}}",
            "'minutes' is not supported in args of sys.sleep",
        ),
        ("{call: sys.sleep, args: [1]}", "args is a map"),
        ("{call: sys.log, args: {data: 1}, result: 'a b'}", "cannot be the name of a variable"),
        ("{call: http.get, args: {url: u, body: b}}", "'body' is not supported in args of http.get"),
        ("{call: http.request, args: {url: u}}", "args of http.request needs 'method'"),
        # switch
        ("switch: []", "switch is a list"),
        ("switch: [{next: after}]", "needs 'condition'"),
        ("switch: [{condition: true}]", "followed by one of"),
        ("switch: [{condition: 1, next: after}]", "a condition is an expression"),
        ("switch: [{condition: yes it is, next: after}]", "a condition is an expression"),
        ("switch: [{condition: true, return: 1, raise: a}]", "followed by one of"),
        ("switch: [{condition: true, return: 1, next: after}]", "'next' is not supported"),
        ("switch: [{condition: true, assign: [{a: 1}]}]", "'assign' is not supported in a condition"),
        ("switch: [{condition: true, next: nowhere}]", "cannot go to 'nowhere'"),
        ("{switch: [{condition: true, steps: [{t: {assign: [{a: 1}]}}]}], next: after}", "is not documented"),
        ("switch: [" + ",".join(["{condition: true, next: end}"] * 51) + "]", "51 conditions, more than 50"),
        # next
        ("next: nowhere", "cannot go to 'nowhere'"),
        ("next: break", "cannot go to 'break'"),
        ("next: continue", "cannot go to 'continue'"),
        ("next: 1", "next is the name of a step"),
        # for
        ("for: []", "for is a map"),
        ("for: {value: v, steps: [{t: {next: end}}]}", "needs 'in'"),
        ("for: {value: v, in: [1], range: [1, 2], steps: [{t: {next: end}}]}", "'in' is not supported"),
        ("for: {value: v, in: text, steps: [{t: {next: end}}]}", "in is a list"),
        ("for: {value: v, in: {a: 1}, steps: [{t: {next: end}}]}", "in is a list"),
        ("for: {value: v, range: [1], steps: [{t: {next: end}}]}", "two numbers"),
        ("for: {value: v, index: v, in: [1], steps: [{t: {next: end}}]}", "different variables"),
        ("for: {value: v, index: i, range: [1, 2], steps: [{t: {next: end}}]}", "index is for lists"),
        ("for: {value: v, in: [1], steps: [{t: {next: after}}]}", "cannot go to 'after'"),
        (
            "for: {value: v, in: [1], steps: [{t: {for: {value: v, in: [2], steps: [{u: {next: end}}]}}}]}",
            "different variables",
        ),
        # parallel
        ("parallel: {shared: [x]}", "needs 'branches'"),
        (
            "parallel: {exception_policy: abort, for: {value: v, in: [1], steps: [{t: {next: continue}}]}}",
            "continueAll",
        ),
        ("parallel: {for: {value: v, in: [1], steps: [{t: {next: break}}]}}", "cannot go to 'break'"),
        ("parallel: {for: {value: v, in: [1], steps: [{t: {next: end}}]}}", "a branch cannot end"),
        ("parallel: {for: {value: v, in: [1], steps: [{t: {return: 1}}]}}", "a branch cannot return"),
        (
            "parallel: {for: {value: v, in: [1], steps: [{t: {assign: [{x: 1}]}}]}}",
            "sets 'x', which is not shared",
        ),
        (
            "parallel: {shared: [y], branches: [{b: {steps: [{t: {assign: [{y: 1}]}}]}}]}",
            "nothing sets outside",
        ),
        ("parallel: {branches: [{b: {return: 1}}]}", "the branch 'b' needs 'steps'"),
        (
            "parallel: {branches: ["
            + ",".join(f"{{b{n}: {{steps: [{{t{n}: {{assign: [{{a: 1}}]}}}}]}}}}" for n in range(11))
            + "]}",
            "11 branches, more than 10",
        ),
        # try
        ("try: {steps: [{t: {next: end}}]}", "needs 'retry' or 'except'"),
        ("{try: {call: nowhere}, except: {as: e, steps: [{t: {next: end}}]}}", "'nowhere' cannot be called"),
        ("{try: {return: 1}, except: {steps: [{t: {next: end}}]}}", "except needs 'as'"),
        ("{try: {return: 1}, except: {as: e}}", "except needs 'steps'"),
        (
            "{try: {steps: [{t: {next: after}}]}, except: {as: e, steps: [{u: {next: end}}]}}",
            "cannot go to 'after'",
        ),
        ('{try: {return: 1}, retry: "${http.default}"}', "one of http.default_retry"),
        ("{try: {return: 1}, retry: http.default_retry}", "a name in an expression"),
        ("{try: {return: 1}, retry: {max_retries: 3}}", "retry needs 'backoff'"),
        (
            '{try: {return: 1}, retry: {predicate: "${main}", max_retries: 3, backoff: {max_delay: 1}}}',
            "a predicate is a subworkflow",
        ),
        (
            '{try: {return: 1}, retry: {predicate: "${retry.always}", max_retries: 3, backoff: "${retry.x}"}}',
            "one of retry.default_backoff",
        ),
        (
            '{try: {return: 1}, retry: {predicate: "${retry.always}", max_retries: 3, backoff: {a: 1}}}',
            "backoff needs 'initial_delay'",
        ),
        # variables end with their loop, branch or except
        (
            "steps: [{t: {for: {value: v, in: [1], steps: [{u: {assign: [{a: 1}]}}]}}}, {r: {return: '${a}'}}]",
            "sets the variable 'a'",
        ),
        (
            "steps: [{t: {for: {value: v, in: [1], steps: [{u: {assign: [{a: 1}]}}]}}}, {r: {return: '${v}'}}]",
            "sets the variable 'v'",
        ),
        (
            "steps: [{t: {for: {value: v, in: ['${v}'], steps: [{u: {assign: [{a: 1}]}}]}}}]",
            "sets the variable 'v'",
        ),
        (
            "steps: [{t: {try: {raise: x}, except: {as: e, steps: [{u: {return: 1}}]}}}, {r: {raise: '${e}'}}]",
            "sets the variable 'e'",
        ),
        (
            step_after("t: {try: {raise: x}, except: {as: e, steps: [{u: {assign: [{a: 1}]}}]}}", "a"),
            "sets the variable 'a'",
        ),
        (
            "parallel: {branches: [{b: {steps: [{u: {call: sys.log, args: {data: 1}, result: x}}]}}]}",
            "sets 'x', which is not shared",
        ),
        (
            NESTED_PARALLEL,
            "sets 'x', which is not shared",
        ),
        # raise
        ("raise: 1", "a string or a map"),
        ("raise: [a]", "a string or a map"),
        # steps
        ("steps: []", "at least one step"),
        ("steps: [{a: {next: end}, b: {next: end}}]", "a map of one name"),
        ("steps: [{t: 1}]", "is a map"),
    ],
)
def test_step_that_is_not_offered_is_refused(body: str, reason: str) -> None:
    refused = refusal(step(body))
    assert reason in refused.reason
    assert refused.line >= 4
    assert refused.step in {"s", "t", "u", "r"} | {f"t{n}" for n in range(11)}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "the file is empty"),
        ("# nothing", "the file is empty"),
        ("[]", "at least one step"),
        ("text", "a list of steps, or a map"),
        ("other: {steps: [{s: {return: 1}}]}", "no main routine"),
        ("main: []", "is a map with steps"),
        ("main: {params: [a]}", "needs 'steps'"),
        ("main: {params: [a, b], steps: [{s: {return: 1}}]}", "main has one parameter"),
        ("main: {params: [{a: 1}], steps: [{s: {return: 1}}]}", "main has one parameter"),
        ("main: {params: [], steps: [{s: {return: 1}}]}", "a list of names"),
        ("{main: {steps: [{s: {return: 1}}]}, o: {params: [a, a], steps: [{t: {return: 1}}]}}", "twice"),
        (
            "{main: {steps: [{s: {return: 1}}]}, o: {params: [{a: [1]}], steps: [{t: {return: 1}}]}}",
            "a default is",
        ),
        (
            "{main: {steps: [{s: {return: 1}}]}, o: {params: [{a: '${1}'}], steps: [{t: {return: 1}}]}}",
            "not supported here",
        ),
        (
            "{main: {steps: [{s: {return: 1}}]}, o: {params: [{a: 1, b: 2}], steps: [{t: {return: 1}}]}}",
            "one name with",
        ),
        ("{main: {steps: [{s: {return: 1}}]}, o: {params: [1], steps: [{t: {return: 1}}]}}", "must be a name"),
        ("{main: {steps: [{s: {return: 1}}]}, len: {steps: [{t: {return: 1}}]}}", "a function of the platform"),
        ("{main: {steps: [{s: {return: 1}}]}, a.b: {steps: [{t: {return: 1}}]}}", "cannot be the name"),
        (
            "{main: {steps: [{s: {call: o}}]}, o: {params: [a], steps: [{t: {return: 1}}]}}",
            "args of o needs 'a'",
        ),
        (
            "{main: {steps: [{s: {call: o, args: {b: 1}}}]}, o: {steps: [{t: {return: 1}}]}}",
            "'b' is not supported",
        ),
        ("- s: {return: 1}\n- s: {return: 2}", "has the same name"),
        ("- s: {steps: [{s: {return: 1}}]}", "has the same name"),
        ("- end: {return: 1}", "letters, digits and underscores"),
        ("- a-b: {return: 1}", "letters, digits and underscores"),
        # YAML that two parsers read in two ways, or that hides what it says.
        ("- s: {return: yes}", "write it in quotes"),
        ("- s: {return: off}", "write it in quotes"),
        ("- s: {return: 010}", "write it in quotes"),
        ("- s: {return: 0x10}", "write it in quotes"),
        ("- s: {return: 1_000}", "write it in quotes"),
        ("- s: {return: 12:30:45}", "write it in quotes"),
        ("- s: {return: 2026-11-23}", "write it in quotes"),
        ("- s: {return: .inf}", "write it in quotes"),
        ("- s: {return: 9223372036854775808}", "write it in quotes"),
        ("- 1: {return: 1}", "a key must be a string"),
        ("- s: {return: {true: 1}}", "a key must be a string"),
        ("- s: {return: 1, return: 2}", "'return' is there twice"),
        ("- s: {return: &a 1}\n- t: {return: *a}", "an anchor or an alias"),
        ("- s: {return: !!str 1}", "a tag of YAML"),
        ("- s: {<<: {return: 1}}", "write it in quotes"),
        ("- s: {return: 1", "neither YAML nor JSON"),
        ("- s:\n\t- t", "neither YAML nor JSON"),
        ("\x00", "neither YAML nor JSON"),
        ("- s: {return: 1}\n---\n- t: {return: 1}", "neither YAML nor JSON"),
        ("- s: {return: " + "[" * 60_000 + "]" * 60_000 + "}", "deeper than 250"),
    ],
)
def test_file_that_is_not_offered_is_refused(source: str, reason: str) -> None:
    assert reason in refusal(source).reason


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(InvalidWorkflow, match="UTF-8"):
        load_workflow(b"- s: {return: \xff}", name="tested")


def test_source_has_at_most_so_many_bytes() -> None:
    source = b"- s: {return: 1} #"
    load_workflow(source + b"x" * (MAX_SOURCE_BYTES - len(source)), name="tested")
    with pytest.raises(InvalidWorkflow, match="131073 bytes"):
        load_workflow(source + b"x" * (MAX_SOURCE_BYTES - len(source) + 1), name="tested")


def test_steps_nest_at_most_so_deeply() -> None:
    def nested(depth: int) -> str:
        steps = "[{s: {return: 1}}]"
        for level in range(depth):
            steps = f"[{{s{level}: {{steps: {steps}}}}}]"
        return steps

    load(nested(49))
    assert "deeper than 50" in refusal(nested(50)).reason


def test_parallel_steps_nest_at_most_so_deeply() -> None:
    def nested(depth: int) -> str:
        steps = "[{s: {assign: [{a: 1}]}}]"
        for level in range(depth):
            steps = f"[{{s{level}: {{parallel: {{for: {{value: v{level}, in: [1], steps: {steps}}}}}}}}}]"
        return steps

    load(nested(2))
    assert "deeper than 2" in refusal(nested(3)).reason


def test_refusal_names_file_line_and_step(tmp_path: Path) -> None:
    path = tmp_path / "finalize.workflows.yaml"
    path.write_text(
        "main:\n  steps:\n    - wait:\n        call: sys.sleep\n        args:\n          minutes: 1\n"
    )
    with pytest.raises(InvalidWorkflow) as refused:
        load_file(path)
    assert str(refused.value) == f"{path}:6: step 'wait': args of sys.sleep needs 'seconds'"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("clean_up.workflows.yaml", "clean_up"),
        ("clean-up.workflows.json", "clean-up"),
        ("plain.yaml", "plain"),
    ],
)
def test_workflow_is_named_as_its_file(tmp_path: Path, file: str, name: str) -> None:
    path = tmp_path / file
    path.write_text('[{"s": {"return": 1}}]')
    assert load_file(path).name == name


@pytest.mark.parametrize("name", ["1st", "a b", "a" * 65, ""])
def test_name_that_the_platform_has_not_is_refused(name: str) -> None:
    with pytest.raises(InvalidWorkflow, match="not a workflow's name"):
        load_workflow(b"- s: {return: 1}", name=name)


def test_yaml_and_json_are_the_same_workflow() -> None:
    yaml = load("""
        main:
          params: [args]
          steps:
            - look:
                switch:
                  - condition: ${args.n > 1.5}
                    next: done
            - wait: {call: sys.sleep, args: {seconds: 1}}
            - done: {return: [true, null, "text"]}
        """)
    json = load("""{"main": {"params": ["args"], "steps": [
        {"look": {"switch": [{"condition": "${args.n > 1.5}", "next": "done"}]}},
        {"wait": {"call": "sys.sleep", "args": {"seconds": 1}}},
        {"done": {"return": [true, null, "text"]}}]}}""")
    assert [step.action for step in yaml.main.steps.steps] == [step.action for step in json.main.steps.steps]


def test_a_folded_expression_may_end_with_a_line_break() -> None:
    load("""
        - s:
            return: >
              ${1 +
              2}
        """)


def test_branches_and_loops_may_use_names_that_others_use() -> None:
    load("""
        - loop: {for: {value: v, in: [1], steps: [{a: {assign: [{own: 1}]}}]}}
        - one:
            parallel:
              branches:
                - b: {steps: [{c: {assign: [{own: 1}]}}]}
                - d: {steps: [{e: {assign: [{own: 2}]}}]}
        - two: {parallel: {for: {value: v, in: [1], steps: [{f: {assign: [{own: '${v}'}]}}]}}}
        - three: {try: {raise: x}, except: {as: own, steps: [{g: {raise: '${own}'}}]}}
        """)
