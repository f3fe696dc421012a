"""Reading the steps of a routine, every kind of them by a function of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass, replace
from typing import Final

from local_cloud.workflows.calls import CALLS
from local_cloud.workflows.errors import InvalidWorkflow
from local_cloud.workflows.expressions import Attribute, Expression, Index, Literal, Name
from local_cloud.workflows.library import ARITIES
from local_cloud.workflows.limits import (
    MAX_ASSIGNMENTS,
    MAX_BRANCHES,
    MAX_CONDITIONS,
    MAX_PARALLEL_NESTING,
)
from local_cloud.workflows.policies import BACKOFFS, POLICIES, PREDICATES
from local_cloud.workflows.source import (
    Mapping,
    Node,
    Scalar,
    as_mapping,
    as_sequence,
    expect_keys,
    identifier,
    refused,
)
from local_cloud.workflows.steps import (
    BREAK,
    CONTINUE,
    END,
    Action,
    Assign,
    Assignment,
    Backoff,
    Branch,
    Call,
    Computed,
    Condition,
    Constant,
    Except,
    For,
    ListOf,
    MapOf,
    Nested,
    Nothing,
    Parallel,
    Raise,
    Range,
    Retry,
    Return,
    Step,
    StepList,
    Switch,
    Template,
    Try,
)
from local_cloud.workflows.templates import expression_of, template
from local_cloud.workflows.values import Value

_STEP_NAME: Final = re.compile(r"[A-Za-z0-9_]+")
_JUMPS: Final = (END, BREAK, CONTINUE)
_MAX_DEPTH: Final = 50  # steps within steps; each takes some frames of Python's stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters of a routine; those with a default may be left out."""

    names: tuple[str, ...]
    defaults: ReadOnly[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """What encloses a list of steps: *targets* are the steps that can be jumped to.

    A loop that can be left is `breakable`; one that is parallel can only be continued.
    """

    routines: ReadOnly[str, Parameters]
    targets: frozenset[str] = frozenset()
    breakable: bool = False
    continuable: bool = False
    parallel: int = 0
    loop_variables: frozenset[str] = frozenset()
    depth: int = 0

    def fenced(self) -> Enclosure:
        """The inside of what cannot be jumped out of."""
        return replace(self, targets=frozenset())


def read_steps(node: Node, around: Enclosure) -> StepList:
    """The steps at *node*; raises InvalidWorkflow."""
    if around.depth >= _MAX_DEPTH:
        raise refused(node, f"steps nest deeper than {_MAX_DEPTH}")
    named = [
        _named(item, "a step") for item in as_sequence(node, "steps is a list with at least one step").items
    ]
    names = [name for name, _ in named]
    for name, body in named:
        if not _STEP_NAME.fullmatch(name) or name in _JUMPS:
            raise InvalidWorkflow(
                "a step's name has letters, digits and underscores", line=body.line, step=name
            )
        if names.count(name) > 1 or name in around.targets:
            raise InvalidWorkflow("a step within reach has the same name", line=body.line, step=name)
    inside = replace(around, targets=around.targets | set(names), depth=around.depth + 1)
    return StepList(tuple(_step(name, body, inside) for name, body in named))


def _named(node: Node, what: str) -> tuple[str, Mapping]:
    one = as_mapping(node, f"{what} is a map of its name to what it does")
    if len(one.items) != 1:
        raise refused(node, f"{what} is a map of one name to what it does")
    ((name, body),) = one.items
    return name, as_mapping(body, f"{what}, {name!r}, is a map")


def _step(name: str, node: Mapping, around: Enclosure) -> Step:
    try:
        return _unnamed_step(name, node, around)
    except InvalidWorkflow as error:
        error.step = error.step or name
        error.line = error.line or node.line
        raise


def _unnamed_step(name: str, node: Mapping, around: Enclosure) -> Step:
    kinds = sorted(node.keys() & _ACTIONS.keys())
    if len(kinds) > 1:
        raise refused(node, f"a step does one thing, not {' and '.join(kinds)}")
    if not kinds:
        expect_keys(node, required=frozenset({"next"}), optional=frozenset(), what="a step")
        return Step(name=name, line=node.line, action=Nothing(), next=_next(node, around))
    (kind,) = kinds
    read, optional = _ACTIONS[kind]
    expect_keys(node, required=frozenset({kind}), optional=optional, what=f"a step with {kind!r}")
    action = read(_Body(name=name, node=node, kind=kind), around)
    return Step(name=name, line=node.line, action=action, next=_next(node, around))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    """A step that is being read; *kind* is the key that says what it does."""

    name: str
    node: Mapping
    kind: str

    @property
    def main(self) -> Node:
        return self.node.part(self.kind)


def _next(node: Mapping, around: Enclosure) -> str | None:
    target = node.get("next")
    if target is None:
        return None
    name = target.value if isinstance(target, Scalar) else None
    if not isinstance(name, str):
        raise refused(target, "next is the name of a step")
    if name == END and around.parallel:
        raise refused(target, "a branch cannot end the workflow")
    allowed = {END: True, BREAK: around.breakable, CONTINUE: around.continuable}
    if not allowed.get(name, name in around.targets):
        raise refused(target, f"cannot go to {name!r} from here: there is no such step, or it is outside")
    return name


def _assign(body: _Body, around: Enclosure) -> Action:
    assignments = as_sequence(body.main, "assign is a list of assignments").items
    if len(assignments) > MAX_ASSIGNMENTS:
        raise refused(body.main, f"{len(assignments)} assignments, more than {MAX_ASSIGNMENTS}")
    return Assign(assignments=tuple(_assignment(item, around) for item in assignments))


def _assignment(node: Node, around: Enclosure) -> Assignment:
    one = as_mapping(node, "an assignment is a map of a variable to its value")
    if len(one.items) != 1:
        raise refused(node, "an assignment is a map of one variable to its value")
    ((target, value),) = one.items
    variable, path = _path(expression_of(target, node, around.routines), node)
    return Assignment(variable=variable, path=path, value=template(value, around.routines))


def _path(target: Expression, node: Node) -> tuple[str, tuple[Expression, ...]]:
    match target:
        case Name(name):
            return name, ()
        case Attribute(of, key):
            variable, path = _path(of, node)
            return variable, (*path, Literal(key))
        case Index(of, index):
            variable, path = _path(of, node)
            return variable, (*path, index)
        case _:
            raise refused(node, "only a variable, or a part of one, can be assigned to")


def _call(body: _Body, around: Enclosure) -> Action:
    target = body.main.value if isinstance(body.main, Scalar) else None
    if not isinstance(target, str):
        raise refused(body.main, "call is the name of what is called")
    given = body.node.get("args") or Mapping(items=(), line=body.node.line)
    arguments = as_mapping(given, "args is a map")
    if target in around.routines and target != "main":
        parameters = around.routines[target]
        required = frozenset(parameters.names) - parameters.defaults.keys()
        optional = frozenset(parameters.defaults)
    elif target in CALLS:
        required, optional = CALLS[target].required, CALLS[target].optional
    else:
        in_expressions = "; it can be called in an expression" if target in ARITIES else ""
        raise refused(body.main, f"{target!r} cannot be called here{in_expressions}")
    expect_keys(arguments, required=required, optional=optional, what=f"args of {target}")
    result = body.node.get("result")
    return Call(
        target=target,
        arguments={name: template(value, around.routines) for name, value in arguments.items},
        result=None if result is None else identifier(result, "a variable"),
    )


def _switch(body: _Body, around: Enclosure) -> Action:
    conditions = as_sequence(body.main, "switch is a list of conditions").items
    if len(conditions) > MAX_CONDITIONS:
        raise refused(body.main, f"{len(conditions)} conditions, more than {MAX_CONDITIONS}")
    read = tuple(_condition(item, body, around) for item in conditions)
    for node, condition in zip(conditions, read, strict=True):
        falls_out = condition.next is None and not _always_leaves(condition.then)
        if body.node.has("next") and falls_out:
            raise refused(node, "whether the step's next follows these steps is not documented: say their next")
    return Switch(conditions=read)


def _always_leaves(steps: StepList | None) -> bool:
    last = steps.steps[-1] if steps else None
    return last is not None and (last.next is not None or isinstance(last.action, Raise | Return))


def _condition(node: Node, body: _Body, around: Enclosure) -> Condition:
    entry = as_mapping(node, "a condition is a map")
    kinds = sorted(entry.keys() & {"steps", "return", "raise"})
    optional = frozenset({"next", *kinds}) if kinds in ([], ["steps"]) else frozenset(kinds)
    expect_keys(entry, required=frozenset({"condition"}), optional=optional, what="a condition")
    if len(kinds) > 1 or not entry.keys() - {"condition"}:
        raise refused(entry, "a condition is followed by one of next, steps, return and raise")
    condition = template(entry.part("condition"), around.routines)
    if not isinstance(condition, Computed) and not _is_boolean(condition):
        raise refused(entry, "a condition is an expression, true or false")
    then = None
    if kinds == ["steps"]:
        then = read_steps(entry.part("steps"), around)
    elif kinds:
        inline = Mapping(items=((kinds[0], entry.part(kinds[0])),), line=entry.line)
        then = StepList((_unnamed_step(body.name, inline, around),))
    return Condition(condition=condition, then=then, next=_next(entry, around))


def _is_boolean(condition: Template) -> bool:
    return isinstance(condition, Constant) and isinstance(condition.value, bool)


def _for(body: _Body, around: Enclosure) -> Action:
    return _loop(body.main, replace(around, breakable=True))


def _loop(main: Node, around: Enclosure) -> For:
    node = as_mapping(main, "for is a map")
    items = frozenset({"range"} if node.has("range") else {"in"})
    expect_keys(
        node, required=frozenset({"value", "steps"}) | items, optional=frozenset({"index"}), what="a for loop"
    )
    index_node = node.get("index")
    value = identifier(node.part("value"), "a loop's variable")
    index = None if index_node is None else identifier(index_node, "a loop's variable")
    if value == index or {value, index} & around.loop_variables:
        raise refused(node, "nested loops need different variables, and so do value and index")
    if index is not None and node.has("range"):
        raise refused(node, "index is for lists")
    inside = replace(
        around.fenced(), continuable=True, loop_variables=around.loop_variables | {value, index or value}
    )
    return For(
        value=value, index=index, items=_items(node, around), steps=read_steps(node.part("steps"), inside)
    )


def _items(node: Mapping, around: Enclosure) -> Template | Range:
    bounds = node.get("range")
    if bounds is None:
        items = template(node.part("in"), around.routines)
        if isinstance(items, Constant | MapOf):
            raise refused(node, "in is a list, or an expression that gives one")
        return items
    ends = as_sequence(bounds, "range is a list of the first and the last number").items
    if len(ends) != 2:
        raise refused(bounds, "range is a list of two numbers")
    first, last = (template(end, around.routines) for end in ends)
    return Range(first=first, last=last)


def _parallel(body: _Body, around: Enclosure) -> Action:
    node = as_mapping(body.main, "parallel is a map")
    kind = "for" if node.has("for") else "branches"
    optional = frozenset({"shared", "concurrency_limit", "exception_policy"})
    expect_keys(node, required=frozenset({kind}), optional=optional, what="a parallel step")
    if around.parallel >= MAX_PARALLEL_NESTING:
        raise refused(node, f"parallel steps nest deeper than {MAX_PARALLEL_NESTING}")
    policy = node.get("exception_policy")
    if policy is not None and not (isinstance(policy, Scalar) and policy.value == "continueAll"):
        raise refused(policy, "continueAll is the only exception_policy")
    inside = replace(around.fenced(), parallel=around.parallel + 1, breakable=False, continuable=False)
    shared = node.get("shared")
    limit = node.get("concurrency_limit")
    return Parallel(
        shared=() if shared is None else _shared(shared),
        concurrency=None if limit is None else template(limit, around.routines),
        work=_loop(node.part("for"), inside) if kind == "for" else _branches(node.part("branches"), inside),
    )


def _shared(node: Node) -> tuple[str, ...]:
    return tuple(
        identifier(item, "a variable") for item in as_sequence(node, "shared is a list of names").items
    )


def _branches(node: Node, around: Enclosure) -> tuple[Branch, ...]:
    branches = as_sequence(node, "branches is a list").items
    if len(branches) > MAX_BRANCHES:
        raise refused(node, f"{len(branches)} branches, more than {MAX_BRANCHES}")
    return tuple(_branch(*_named(item, "a branch"), around) for item in branches)


def _branch(name: str, node: Mapping, around: Enclosure) -> Branch:
    expect_keys(node, required=frozenset({"steps"}), optional=frozenset(), what=f"the branch {name!r}")
    return Branch(name=name, steps=read_steps(node.part("steps"), around))


def _try(body: _Body, around: Enclosure) -> Action:
    retry, handler = body.node.get("retry"), body.node.get("except")
    if retry is None and handler is None:
        raise refused(body.node, "a step with 'try' needs 'retry' or 'except'")
    return Try(
        steps=_attempt(body, around.fenced()),
        retry=None if retry is None else _retry(retry, around),
        handler=None if handler is None else _except(handler, around.fenced()),
    )


def _attempt(body: _Body, around: Enclosure) -> StepList:
    node = as_mapping(body.main, "try is a map")
    if node.keys() == {"steps"}:
        return read_steps(node.part("steps"), around)
    return StepList((_unnamed_step(body.name, node, around),))


def _except(main: Node, around: Enclosure) -> Except:
    node = as_mapping(main, "except is a map")
    expect_keys(node, required=frozenset({"as", "steps"}), optional=frozenset(), what="except")
    return Except(error=identifier(node.part("as"), "a variable"), steps=read_steps(node.part("steps"), around))


def _retry(node: Node, around: Enclosure) -> Retry:
    if isinstance(node, Scalar):
        policy = POLICIES.get(_reference(node))
        if policy is None:
            raise refused(node, f"retry is a map or one of {', '.join(POLICIES)}")
        return policy
    fields = as_mapping(node, "retry is a map")
    needed = frozenset({"predicate", "max_retries", "backoff"})
    expect_keys(fields, required=needed, optional=frozenset(), what="retry")
    predicate_node = fields.part("predicate")
    predicate = _reference(predicate_node)
    if predicate not in PREDICATES:
        parameters = around.routines.get(predicate)
        if parameters is None or len(parameters.names) != 1 or predicate == "main":
            raise refused(predicate_node, "a predicate is a subworkflow with one parameter, or the platform's")
    return Retry(
        predicate=predicate,
        max_retries=template(fields.part("max_retries"), around.routines),
        backoff=_backoff(fields.part("backoff"), around),
    )


def _backoff(node: Node, around: Enclosure) -> Backoff:
    if isinstance(node, Scalar):
        backoff = BACKOFFS.get(_reference(node))
        if backoff is None:
            raise refused(node, f"backoff is a map or one of {', '.join(BACKOFFS)}")
        return backoff
    fields = as_mapping(node, "backoff is a map")
    names = ("initial_delay", "max_delay", "multiplier")
    expect_keys(fields, required=frozenset(names), optional=frozenset(), what="backoff")
    initial_delay, max_delay, multiplier = (template(fields.part(name), around.routines) for name in names)
    return Backoff(initial_delay=initial_delay, max_delay=max_delay, multiplier=multiplier)


def _reference(node: Node) -> str:
    """The dotted name that stands alone in an expression."""
    text = node.value if isinstance(node, Scalar) else None
    found = isinstance(text, str) and re.fullmatch(r"\$\{\s*([A-Za-z_][A-Za-z0-9_.]*)\s*\}", text)
    if not found:
        raise refused(node, "a name in an expression is needed, such as ${http.default_retry_predicate}")
    return found[1]


def _raise(body: _Body, around: Enclosure) -> Action:
    error = template(body.main, around.routines)
    if isinstance(error, ListOf) or (isinstance(error, Constant) and not isinstance(error.value, str)):
        raise refused(body.main, "an error is a string or a map")
    return Raise(error=error)


def _return(body: _Body, around: Enclosure) -> Action:
    if around.parallel:
        raise refused(body.node, "a branch cannot return")
    return Return(value=template(body.main, around.routines))


def _nested(body: _Body, around: Enclosure) -> Action:
    return Nested(steps=read_steps(body.main, around))


_ACTIONS: Final = {
    "assign": (_assign, frozenset({"next"})),
    "call": (_call, frozenset({"args", "result", "next"})),
    "for": (_for, frozenset[str]()),
    "parallel": (_parallel, frozenset[str]()),
    "raise": (_raise, frozenset[str]()),
    "return": (_return, frozenset[str]()),
    "steps": (_nested, frozenset({"next"})),
    "switch": (_switch, frozenset({"next"})),
    "try": (_try, frozenset({"retry", "except"})),
}
