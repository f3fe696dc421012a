"""Steps as they run: each kind of them, and what they do with errors."""

import asyncio
import logging
from typing import Any

import pytest

from local_cloud.workflows.errors import WorkflowError
from local_cloud.workflows.limits import MAX_CALL_DEPTH, MAX_STEPS, MAX_STRING_BYTES, MAX_VARIABLES_BYTES
from local_cloud.workflows.values import Value
from tools.workflow_runs import Responses, SleepingClock, interpreter, json_response, run


async def error_of(source: str, argument: Value = None) -> WorkflowError:
    with pytest.raises(WorkflowError) as raised:
        await run(source, argument)
    return raised.value


async def tags_of(source: str) -> Any:
    error = await error_of(source)
    assert isinstance(error.value, dict)
    return error.value["tags"]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        pytest.param("- s: {return: 1}", 1, id="return"),
        pytest.param("- s: {return: null}\n- t: {return: 1}", None, id="return null ends, too"),
        pytest.param("- s: {assign: [{a: 1}]}", None, id="the last step returns null"),
        pytest.param(
            "- s: {return: {a: [1, true, '${1 + 1}']}}", {"a": [1, True, 2]}, id="return computed parts"
        ),
        pytest.param(
            "- s: {assign: [{a: 1}, {b: '${a + 1}'}, {a: 5}]}\n- t: {return: ['${a}', '${b}']}",
            [5, 2],
            id="assignments follow each other",
        ),
        pytest.param(
            "- s: {assign: [{m: {}}, {m.a: 1}, {'m[\"b c\"]': 2}, {m.d: {}}, {m.d.e: 3}]}\n"
            "- t: {return: '${m}'}",
            {"a": 1, "b c": 2, "d": {"e": 3}},
            id="assign to keys",
        ),
        pytest.param(
            "- s: {assign: [{i: 1}, {l: [1, [2, 3]]}, {'l[i][i - 1]': 9}, {'l[0]': 8}]}\n- t: {return: '${l}'}",
            [8, [9, 3]],
            id="assign to elements",
        ),
        pytest.param(
            "- s: {assign: [{a: {x: 1}}, {b: '${a}'}, {b.x: 2}]}\n- t: {return: ['${a.x}', '${b.x}']}",
            [1, 2],
            id="a value is nobody else's",
        ),
        pytest.param("- s: {next: u}\n- t: {return: 1}\n- u: {return: 2}", 2, id="next jumps forward"),
        pytest.param(
            """
            - a: {assign: [{n: 0}]}
            - b: {assign: [{n: '${n + 1}'}]}
            - c:
                switch: [{condition: '${n < 3}', next: b}]
            - d: {return: '${n}'}
            """,
            3,
            id="next jumps back",
        ),
        pytest.param("- s: {assign: [{a: 1}], next: end}\n- t: {return: 1}", None, id="next: end returns null"),
        pytest.param(
            "- s: {steps: [{t: {assign: [{a: 1}]}}, {u: {assign: [{a: 2}], next: w}}, {v: {return: 0}}]}\n"
            "- w: {return: '${a}'}",
            2,
            id="nested steps share variables, and may jump out",
        ),
        # switch
        pytest.param(
            "- s: {switch: [{condition: false, return: 1}, {condition: '${1 == 1}', return: 2}, "
            "{condition: true, return: 3}]}",
            2,
            id="the first condition that is true decides",
        ),
        pytest.param(
            "- s: {switch: [{condition: false, return: 1}], next: u}\n- t: {return: 2}\n- u: {return: 3}",
            3,
            id="no condition: the step's next",
        ),
        pytest.param(
            "- s: {switch: [{condition: false, return: 1}]}\n- t: {return: 2}",
            2,
            id="no condition: the step below",
        ),
        pytest.param(
            "- s: {switch: [{condition: true, steps: [{a: {assign: [{x: 1}]}}], next: u}]}\n"
            "- t: {return: 0}\n- u: {return: '${x}'}",
            1,
            id="steps of a condition, then its next",
        ),
        pytest.param(
            "- s: {switch: [{condition: true, steps: [{a: {assign: [{x: 1}]}}]}]}\n- t: {return: '${x}'}",
            1,
            id="steps of a condition, then the step below",
        ),
        # for
        pytest.param(
            "- a: {assign: [{l: []}]}\n"
            "- f: {for: {value: v, range: [1, 3], steps: [{s: {assign: [{l: '${list.concat(l, v)}'}]}}]}}\n"
            "- r: {return: '${l}'}",
            [1, 2, 3],
            id="a range includes both ends",
        ),
        pytest.param(
            "- a: {assign: [{n: 0}]}\n"
            "- f: {for: {value: v, range: [3, '${2 + 0}'], steps: [{s: {assign: [{n: 1}]}}]}}\n"
            "- r: {return: '${n}'}",
            0,
            id="a range that ends before it begins is empty",
        ),
        pytest.param(
            "- a: {assign: [{l: []}]}\n"
            "- g: {for: {value: v, index: i, in: [a, b], steps: "
            "[{s: {assign: [{l: '${list.concat(l, [i, v])}'}]}}]}}\n- r: {return: '${l}'}",
            [[0, "a"], [1, "b"]],
            id="a list, with its index from 0",
        ),
        pytest.param(
            "- a: {assign: [{m: {x: 1, y: 2}}, {n: 0}]}\n"
            "- f: {for: {value: k, in: '${keys(m)}', steps: [{s: {assign: [{n: '${n + m[k]}'}]}}]}}\n"
            "- r: {return: '${n}'}",
            3,
            id="the keys of a map",
        ),
        pytest.param(
            """
            - a: {assign: [{seen: []}]}
            - f:
                for:
                  value: v
                  range: [1, 9]
                  steps:
                    - choose:
                        switch:
                          - condition: ${v % 2 == 0}
                            next: continue
                          - condition: ${v > 6}
                            next: break
                    - see: {assign: [{seen: '${list.concat(seen, v)}'}]}
            - r: {return: '${seen}'}
            """,
            [1, 3, 5],
            id="break and continue",
        ),
        pytest.param(
            """
            - a: {assign: [{seen: []}]}
            - f:
                for:
                  value: v
                  in: [1, 2]
                  steps:
                    - g:
                        for:
                          value: w
                          in: [1, 2, 3]
                          steps:
                            - choose: {switch: [{condition: '${w > v}', next: break}]}
                            - see: {assign: [{seen: '${list.concat(seen, v * 10 + w)}'}]}
            - r: {return: '${seen}'}
            """,
            [11, 21, 22],
            id="break leaves the inner loop only",
        ),
        pytest.param(
            "- f: {for: {value: v, in: [1, 2], steps: [{s: {return: '${v}'}}]}}\n- r: {return: 9}",
            1,
            id="return leaves a loop and the routine",
        ),
        pytest.param(
            "- f: {for: {value: v, in: [1, 2], steps: [{s: {next: end}}]}}\n- r: {return: 9}",
            None,
            id="end leaves a loop and the routine",
        ),
        # subworkflows
        pytest.param(
            """
            main:
              steps:
                - a: {call: add, args: {x: 1}, result: three}
                - b: {call: add, args: {x: 1, y: 10}, result: eleven}
                - c: {return: ['${three}', '${eleven}']}
            add:
              params: [x, y: 2]
              steps:
                - s: {return: '${x + y}'}
            """,
            [3, 11],
            id="parameters with and without a default",
        ),
        pytest.param(
            """
            main:
              steps:
                - a: {assign: [{x: 1}]}
                - b: {call: other, result: y}
                - c: {return: ['${x}', '${y}']}
            other:
              steps:
                - s: {assign: [{x: 2}], next: end}
            """,
            [1, None],
            id="a subworkflow has variables of its own, and end is its end",
        ),
        # try, except
        pytest.param(
            "- s: {try: {raise: a text}, except: {as: e, steps: [{t: {return: '${e}'}}]}}",
            "a text",
            id="except gets a string that was raised",
        ),
        pytest.param(
            "- s: {try: {raise: {code: 55, own: [1]}}, except: {as: e, steps: [{t: {return: '${e}'}}]}}",
            {"code": 55, "own": [1]},
            id="except gets a map that was raised, as it was",
        ),
        pytest.param(
            "- s: {try: {steps: [{a: {assign: [{b: '${1 / 0}'}]}}]}, "
            "except: {as: e, steps: [{t: {return: '${e.tags}'}}]}}",
            ["ZeroDivisionError"],
            id="except gets the platform's own errors",
        ),
        pytest.param(
            "- s: {try: {assign: [{a: 1}]}, except: {as: e, steps: [{t: {return: 0}}]}}\n- r: {return: '${a}'}",
            1,
            id="what is set in try is there afterwards",
        ),
        pytest.param(
            "- a: {assign: [{kept: null}]}\n"
            "- s: {try: {raise: x}, except: {as: e, steps: [{t: {assign: [{kept: '${e}'}]}}]}}\n"
            "- r: {return: '${kept}'}",
            "x",
            id="after except the workflow goes on",
        ),
        pytest.param(
            "- s: {try: {raise: x}, except: {as: e, steps: [{t: {next: end}}]}}\n- r: {return: 1}",
            None,
            id="end in except",
        ),
        pytest.param(
            "- s: {try: {try: {raise: inner}, except: {as: e, steps: [{t: {raise: '${e + \" again\"}'}}]}}, "
            "except: {as: f, steps: [{u: {return: '${f}'}}]}}",
            "inner again",
            id="an error in except goes outwards",
        ),
        pytest.param(
            """
            - a: {assign: [{caught: 0}]}
            - f:
                for:
                  value: v
                  in: [1, 0, 2]
                  steps:
                    - t:
                        try: {assign: [{x: '${1 / v}'}]}
                        except: {as: e, steps: [{c: {assign: [{caught: '${caught + 1}'}], next: continue}}]}
            - r: {return: '${caught}'}
            """,
            1,
            id="continue in except",
        ),
    ],
)
async def test_workflow_returns(source: str, value: Value) -> None:
    assert await run(source) == value


@pytest.mark.parametrize(
    ("source", "tag"),
    [
        pytest.param("- s: {switch: [{condition: '${1}', return: 1}]}", "TypeError", id="condition"),
        pytest.param("- s: {switch: [{condition: '${null}', return: 1}]}", "TypeError", id="null as condition"),
        pytest.param("- s: {assign: [{m: {}}, {m.a.b: 1}]}", "KeyError", id="a key of what is not there"),
        pytest.param("- s: {assign: [{l: [1]}, {'l[1]': 1}]}", "IndexError", id="an element beyond the end"),
        pytest.param("- s: {assign: [{n: 1}, {n.a: 1}]}", "TypeError", id="a key of a number"),
        pytest.param("- s: {assign: [{m: {}}, {'m[1]': 1}]}", "TypeError", id="a key that is a number"),
        pytest.param("- s: {raise: '${1}'}", "TypeError", id="an error is a string or a map"),
        pytest.param(
            "- f: {for: {value: v, in: '${1}', steps: [{s: {next: end}}]}}", "TypeError", id="in a number"
        ),
        pytest.param(
            "- f: {for: {value: v, range: [1.5, 2], steps: [{s: {next: end}}]}}", "TypeError", id="range"
        ),
        pytest.param("- s: {call: sys.sleep, args: {seconds: -1}}", "ValueError", id="sleep backwards"),
        pytest.param("- s: {call: sys.sleep, args: {seconds: a}}", "TypeError", id="sleep a string"),
        pytest.param("- s: {call: sys.sleep, args: {seconds: 31536001}}", "ValueError", id="sleep over a year"),
        pytest.param("- s: {call: sys.sleep_until, args: {time: 1}}", "TypeError", id="until a number"),
        pytest.param("- s: {call: sys.sleep_until, args: {time: noon}}", "ValueError", id="until no time"),
        pytest.param(
            "- s: {call: sys.sleep_until, args: {time: '2028-01-01T00:00:00Z'}}",
            "ValueError",
            id="until too late",
        ),
        pytest.param("- s: {call: sys.log, args: {data: 1, severity: LOUD}}", "ValueError", id="severity"),
    ],
)
async def test_workflow_fails(source: str, tag: str) -> None:
    assert (await tags_of(source))[0] == tag


async def test_main_gets_the_argument() -> None:
    source = "main: {params: [args], steps: [{s: {return: '${args.n}'}}]}"
    assert await run(source, {"n": 5}) == 5


async def test_main_without_parameters_ignores_the_argument() -> None:
    assert await run("- s: {return: 1}", {"n": 5}) == 1


async def test_sleep_waits_on_the_clock() -> None:
    clock = SleepingClock()
    source = """
        - a: {call: sys.sleep, args: {seconds: 90}}
        - b: {call: sys.sleep_until, args: {time: '2026-11-23T13:01:30+01:00'}}
        - c: {call: sys.sleep_until, args: {time: '2026-11-23T12:10:00Z'}}
        - r: {return: '${time.format(sys.now())}'}
        """
    assert await run(source, clock=clock) == "2026-11-23T12:10:00Z"
    # The second one was over already.
    assert clock.slept == [90, 510]


async def test_log_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="local_cloud.workflows"):
        await run(
            "- s: {call: sys.log, args: {json: {a: 1}, severity: WARNING}}\n"
            "- t: {call: sys.log, args: {text: b}}"
        )
    assert [(record.levelname, record.__dict__["entry"]) for record in caplog.records] == [
        ("WARNING", {"json": {"a": 1}, "severity": "WARNING"}),
        ("INFO", {"text": "b"}),
    ]


RETRIED = """
    main:
      params: [args]
      steps:
        - init: {assign: [{tries: 0}, {seen: []}]}
        - attempt:
            try:
              steps:
                - count: {assign: [{tries: '${tries + 1}'}]}
                - fail:
                    switch: [{condition: '${tries <= args.failures}', raise: {n: '${tries}'}}]
            retry:
              predicate: ${is_worth_it}
              max_retries: '${args.retries}'
              backoff: {initial_delay: 2, max_delay: 10, multiplier: 3}
            except:
              as: e
              steps:
                - give_up: {return: {tries: '${tries}', error: '${e}'}}
        - done: {return: {tries: '${tries}'}}
    is_worth_it:
      params: [e]
      steps:
        - s: {return: '${e.n != 4}'}
    """


@pytest.mark.parametrize(
    ("failures", "retries", "value", "slept"),
    [
        (0, 5, {"tries": 1}, []),
        (2, 5, {"tries": 3}, [2, 6]),
        (3, 3, {"tries": 4}, [2, 6, 10]),
        (3, 2, {"tries": 3, "error": {"n": 3}}, [2, 6]),
        (1, 0, {"tries": 1, "error": {"n": 1}}, []),
        # The predicate says no to the fourth error.
        (9, 9, {"tries": 4, "error": {"n": 4}}, [2, 6, 10]),
    ],
)
async def test_retry_runs_the_whole_block_again(
    failures: int, retries: int, value: Value, slept: list[float]
) -> None:
    clock = SleepingClock()
    assert await run(RETRIED, {"failures": failures, "retries": retries}, clock=clock) == value
    assert clock.slept == slept


@pytest.mark.parametrize(
    ("backoff", "retries", "tag"),
    [
        ("{initial_delay: -1, max_delay: 1, multiplier: 1}", "1", "ValueError"),
        ("{initial_delay: a, max_delay: 1, multiplier: 1}", "1", "TypeError"),
        ("{initial_delay: 1, max_delay: 1, multiplier: 0.5}", "1", "ValueError"),
        ("{initial_delay: 1, max_delay: 1, multiplier: a}", "1", "TypeError"),
        ("{initial_delay: 1, max_delay: 1, multiplier: 1}", "1.5", "TypeError"),
        ("{initial_delay: 1, max_delay: 1, multiplier: 1}", "-1", "ValueError"),
    ],
)
async def test_retry_policy_that_makes_no_sense_is_an_error(backoff: str, retries: str, tag: str) -> None:
    source = f"""
        - s:
            try: {{raise: x}}
            retry: {{predicate: "${{retry.always}}", max_retries: {retries}, backoff: {backoff}}}
        """
    assert (await tags_of(source))[0] == tag


async def test_error_without_except_goes_on_when_retries_are_used_up() -> None:
    error = await error_of(
        "- s: {try: {raise: x}, retry: {predicate: '${retry.always}', max_retries: 1, "
        "backoff: '${retry.default_backoff}'}}"
    )
    assert error.value == "x"


@pytest.mark.parametrize(("body", "tag"), [("return: 1", "TypeError"), ("return: '${e.none}'", "KeyError")])
async def test_error_of_a_predicate_takes_the_place_of_the_one_it_was_asked_about(body: str, tag: str) -> None:
    source = f"""
        main:
          steps:
            - s:
                try: {{raise: {{a: 1}}}}
                retry: {{predicate: "${{p}}", max_retries: 1, backoff: "${{retry.default_backoff}}"}}
                except: {{as: f, steps: [{{t: {{return: 1}}}}]}}
        p: {{params: [e], steps: [{{u: {{{body}}}}}]}}
        """
    assert (await tags_of(source))[0] == tag


@pytest.mark.parametrize(
    ("policy", "status", "requests"),
    [
        ("http.default_retry", 503, 6),
        ("http.default_retry", 502, 6),
        ("http.default_retry", 429, 6),
        ("http.default_retry", 500, 1),
        ("http.default_retry", 404, 1),
        ("http.default_retry_non_idempotent", 503, 6),
        ("http.default_retry_non_idempotent", 429, 6),
        ("http.default_retry_non_idempotent", 502, 1),
    ],
)
async def test_the_platforms_policies_retry_what_the_reference_says(
    policy: str, status: int, requests: int
) -> None:
    responses = Responses([json_response(status=status) for _ in range(9)])
    clock = SleepingClock()
    source = f"""
        - s:
            try: {{call: http.get, args: {{url: "http://x/"}}}}
            retry: ${{{policy}}}
            except: {{as: e, steps: [{{t: {{return: "${{e.code}}"}}}}]}}
        """
    assert await run(source, send=responses, clock=clock) == status
    assert len(responses.requests) == requests
    assert clock.slept == pytest.approx([1, 1.25, 1.5625, 1.953125, 2.441406][: requests - 1])


@pytest.mark.parametrize("error", ["503", "{code: 503}", "{code: 503, tags: HttpError}", "{tags: [Own]}"])
async def test_the_platforms_policies_do_not_retry_errors_of_ones_own(error: str) -> None:
    clock = SleepingClock()
    source = f"""
        - s:
            try: {{raise: {error}}}
            retry: ${{http.default_retry}}
            except: {{as: e, steps: [{{t: {{return: caught}}}}]}}
        """
    assert await run(source.replace("raise: 503", "raise: '503'"), clock=clock) == "caught"
    assert clock.slept == []


async def test_response_is_the_result_of_a_call() -> None:
    responses = Responses([json_response({"a": [1]})])
    source = """
        - s: {call: http.post, args: {url: "http://x/", body: {n: 1}}, result: r}
        - t: {return: ["${r.code}", "${r.body.a[0]}", '${r.headers["content-type"]}']}
        """
    assert await run(source, send=responses) == [200, 1, "application/json"]
    assert responses.requests[0].body == b'{"n":1}'


async def test_request_carries_a_token_when_it_asks_for_one() -> None:
    responses = Responses([json_response()] * 2)
    await run(
        """
        - a: {call: http.get, args: {url: "http://x/f", auth: {type: OIDC, audience: "http://x"}}}
        - b: {call: http.get, args: {url: "http://x/f", auth: {type: OAuth2}}}
        """,
        send=responses,
    )
    tokens = [dict(request.headers)["authorization"] for request in responses.requests]
    assert tokens == ["Bearer OIDC for http://x", "Bearer OAuth2 for http://x/f"]


# parallel


async def test_branches_run_side_by_side_and_share_what_is_shared() -> None:
    source = """
        - a: {assign: [{order: []}]}
        - p:
            parallel:
              shared: [order]
              branches:
                - slow:
                    steps:
                      - s1: {assign: [{order: '${list.concat(order, "slow begins")}'}]}
                      - s2: {call: sys.sleep, args: {seconds: 1}}
                      - s3: {assign: [{order: '${list.concat(order, "slow ends")}'}]}
                - quick:
                    steps:
                      - q1: {assign: [{order: '${list.concat(order, "quick")}'}, {own: 1}]}
        - r: {return: '${order}'}
        """
    assert await run(source) == ["slow begins", "quick", "slow ends"]


@pytest.mark.parametrize(
    ("limit", "most"), [("", 20), ("concurrency_limit: 3", 3), ("concurrency_limit: '${1 + 1}'", 2)]
)
async def test_only_so_many_iterations_run_at_a_time(limit: str, most: int) -> None:
    source = f"""
        - a: {{assign: [{{now: 0}}, {{most: 0}}, {{sum: 0}}]}}
        - p:
            parallel:
              shared: [now, most, sum]
              {limit}
              for:
                value: v
                range: [1, 30]
                steps:
                  - s:
                      assign:
                        - now: ${{now + 1}}
                        - most: ${{math.max(most, now)}}
                        - sum: ${{sum + v}}
                  - t: {{call: sys.sleep, args: {{seconds: 1}}}}
                  - u: {{assign: [{{now: '${{now - 1}}'}}]}}
        - r: {{return: ['${{most}}', '${{sum}}']}}
        """
    assert await run(source) == [most, 465]


@pytest.mark.parametrize(("limit", "tag"), [("0", "ValueError"), ("1.5", "TypeError")])
async def test_concurrency_limit_is_a_positive_integer(limit: str, tag: str) -> None:
    source = f"""
        - p:
            parallel:
              concurrency_limit: {limit}
              for: {{value: v, in: [1], steps: [{{s: {{assign: [{{a: 1}}]}}}}]}}
        """
    assert (await tags_of(source))[0] == tag


async def test_every_branch_runs_to_its_end_and_their_errors_are_told_together() -> None:
    source = """
        - a: {assign: [{done: []}]}
        - p:
            try:
              parallel:
                shared: [done]
                for:
                  value: v
                  in: [1, 2, 3]
                  steps:
                    - wait: {call: sys.sleep, args: {seconds: '${v}'}}
                    - fail: {switch: [{condition: '${v != 2}', raise: '${"no " + string(v)}'}]}
                    - note: {assign: [{done: '${list.concat(done, v)}'}]}
            except: {as: e, steps: [{t: {return: {e: '${e}', done: '${done}'}}}]}
        """
    value = await run(source)
    assert value == {
        "done": [2],
        "e": {
            "branches": [
                {
                    "id": str(at),
                    "error": {
                        "context": f'RuntimeError: "no {v}"\nin step "fail", routine "main", line: 12',
                        "payload": f'"no {v}"',
                    },
                }
                for at, v in ((0, 1), (2, 3))
            ],
            "message": "UnhandledBranchError: One or more branches or iterations encountered an unhandled "
            "runtime error",
            "tags": ["UnhandledBranchError", "RuntimeError"],
            "truncated": False,
        },
    }


async def test_no_more_than_a_hundred_errors_of_branches_are_told() -> None:
    source = "- p: {parallel: {for: {value: v, range: [1, 101], steps: [{s: {raise: x}}]}}}"
    error = await error_of(source)
    assert isinstance(error.value, dict)
    branches = error.value["branches"]
    assert isinstance(branches, list)
    assert (len(branches), error.value["truncated"]) == (100, True)


async def test_continue_ends_an_iteration_of_a_parallel_loop() -> None:
    source = """
        - a: {assign: [{n: 0}]}
        - p:
            parallel:
              shared: [n]
              for:
                value: v
                in: [1, 2]
                steps:
                  - s: {switch: [{condition: '${v == 1}', next: continue}]}
                  - t: {assign: [{n: '${n + v}'}]}
        - r: {return: '${n}'}
        """
    assert await run(source) == 2


# Errors that are not caught.


async def test_trace_leads_from_the_innermost_step_outwards() -> None:
    error = await error_of("""main:
  steps:
    - outer:
        call: sub
sub:
  steps:
    - group:
        steps:
          - inner:
              assign:
                - x: ${map.get(null, "a").b}
""")
    assert error.context == (
        'a map or a list is needed for "b", not null\n'
        'in step "inner", routine "sub", line: 10\nin step "outer", routine "main", line: 4'
    )
    assert [place.step for place in error.trace] == ["inner", "outer"]


@pytest.mark.parametrize(
    ("raised", "payload", "context"),
    [
        ("Something went wrong.", '"Something went wrong."', 'RuntimeError: "Something went wrong."'),
        ("{code: 55, message: m}", '{"code":55,"message":"m"}', 'RuntimeError: {"code":55,"message":"m"}'),
        ("{message: m, tags: [Own]}", '{"message":"m","tags":["Own"]}', "m"),
        ("{b: \"${text.encode('x')}\"}", '{"b":"eA=="}', 'RuntimeError: {"b":"eA=="}'),
    ],
)
async def test_uncaught_error_has_a_payload_and_a_context(raised: str, payload: str, context: str) -> None:
    error = await error_of(f"- s: {{raise: {raised}}}")
    assert error.payload == payload
    assert error.context == f'{context}\nin step "s", routine "main", line: 1'


# Limits.


@pytest.mark.parametrize(("depth", "fits"), [(MAX_CALL_DEPTH, True), (MAX_CALL_DEPTH + 1, False)])
async def test_subworkflows_call_each_other_so_deeply(depth: int, *, fits: bool) -> None:
    source = """
        main:
          params: [depth]
          steps:
            - s: {call: down, args: {n: '${depth}'}, result: r}
            - t: {return: '${r}'}
        down:
          params: [n]
          steps:
            - a: {switch: [{condition: '${n == 1}', return: bottom}]}
            - b:
                try: {call: down, args: {n: '${n - 1}'}, result: r}
                except: {as: e, steps: [{x: {raise: '${e}'}}]}
            - c: {return: '${r}'}
        """
    if fits:
        assert await run(source, depth) == "bottom"
    else:
        error = await error_of(source, depth)
        assert isinstance(error.value, dict)
        assert error.value["tags"] == ["RecursionError"]


async def test_endless_loop_ends_at_the_limit_of_steps_and_no_except_catches_it() -> None:
    source = """
        - s:
            try: {assign: [{n: 1}]}
            except: {as: e, steps: [{x: {next: end}}]}
        - again:
            try: {for: {value: v, range: [1, 1000000], steps: [{a: {assign: [{n: '${v}'}]}}]}}
            retry: {predicate: '${retry.always}', max_retries: 9, backoff: '${retry.default_backoff}'}
            except: {as: e, steps: [{y: {next: end}}]}
        """
    error = await error_of(source)
    assert isinstance(error.value, dict)
    assert error.value["tags"] == ["ResourceLimitError"]
    assert error.value["message"] == f"more than {MAX_STEPS} steps were run"


FULL = MAX_STRING_BYTES - 10


@pytest.mark.parametrize(
    ("strings", "fits"),
    [([FULL], True), ([FULL, FULL], True), ([FULL, FULL, 100], False), ([MAX_STRING_BYTES + 1], False)],
)
async def test_variables_have_only_so_much_room(strings: list[int], *, fits: bool) -> None:
    source = "main: {params: [args], steps: [{s: {return: '${len(args)}'}}]}"
    argument: Value = ["x" * length for length in strings]
    assert 2 * FULL < MAX_VARIABLES_BYTES < 2 * FULL + 100
    if fits:
        assert await run(source, argument) == len(strings)
    else:
        error = await error_of(source, argument)
        assert isinstance(error.value, dict)
        assert error.value["tags"] == ["ResourceLimitError"]


async def test_room_is_given_back_where_variables_end_or_are_set_to_null() -> None:
    source = """
        main:
          params: [text]
          steps:
            - loop: {for: {value: v, range: [1, 3], steps: [{a: {assign: [{copy: '${text}'}]}}]}}
            - sub: {call: keep, args: {t: '${text}'}}
            - again: {assign: [{copy: '${text}'}]}
            - free: {assign: [{copy: null}, {other: '${text}'}]}
            - full:
                try: {assign: [{third: '${text}'}]}
                except: {as: e, steps: [{r: {return: '${e.tags[0]}'}}]}
        keep: {params: [t], steps: [{s: {return: null}}]}
        """
    assert await run(source, "x" * 250_000) == "ResourceLimitError"


async def test_cancelled_run_ends_where_it_waits_with_all_its_branches() -> None:
    waiting = asyncio.Event()
    ended: list[str] = []

    class Waiting(SleepingClock):
        async def sleep(self, duration: object) -> None:
            waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("branch")

    source = """
        main:
          steps:
            - p: {parallel: {for: {value: v, in: [1, 2], steps: [{s: {call: sub}}]}}}
        sub: {steps: [{t: {call: sys.sleep, args: {seconds: 1}}}]}
        """
    running = interpreter(source, clock=Waiting())
    task = asyncio.create_task(running.run(None))
    await waiting.wait()
    assert running.current is not None
    assert (running.current.routine, running.current.step) == ("sub", "t")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert ended == ["branch", "branch"]


async def test_workflow_that_never_waits_lets_others_have_their_turn() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await run("- f: {for: {value: v, range: [1, 1000], steps: [{a: {assign: [{n: 1}]}}]}}")
    task.cancel()
    assert turns >= 10
