"""Which variables the steps of a routine set and use: what can be told of them before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from local_cloud.workflows.errors import InvalidWorkflow
from local_cloud.workflows.expressions import Expression, Name, subexpressions
from local_cloud.workflows.steps import (
    Action,
    Assign,
    Backoff,
    Call,
    Computed,
    Constant,
    Except,
    For,
    ListOf,
    MapOf,
    Nested,
    Parallel,
    Raise,
    Range,
    Return,
    Step,
    StepList,
    Switch,
    Template,
    Try,
)


def check_variables(steps: StepList, parameters: tuple[str, ...]) -> None:
    """Raise InvalidWorkflow for a variable that nothing sets, and for one that a branch must not set."""
    _check(steps, _Scope(known=frozenset(parameters), closed=frozenset()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """The variables that are *known* in a scope, of which those that are *closed* cannot be set."""

    known: frozenset[str]
    closed: frozenset[str]

    def with_own(self, *names: str) -> _Scope:
        """An inner scope that starts with variables of its own."""
        return _Scope(known=self.known.union(names), closed=self.closed.difference(names))

    def branch(self, shared: tuple[str, ...]) -> _Scope:
        """The scope of what runs in parallel: it sets nothing outside but what is shared."""
        open_still = frozenset(shared) - self.closed
        return _Scope(known=self.known, closed=(self.known | self.closed) - open_still)


def _check(steps: StepList, outer: _Scope) -> None:
    here = tuple(_in_one_scope(steps))
    scope = _Scope(known=outer.known.union(*(_set_whole(step.action) for step in here)), closed=outer.closed)
    for step in here:
        _check_step(step, scope)
        for inner, inner_scope in _inner_scopes(step.action, scope):
            _check(inner, inner_scope)


def _check_step(step: Step, scope: _Scope) -> None:
    for name in _set(step.action):
        if name in scope.closed:
            raise InvalidWorkflow(f"sets {name!r}, which is not shared", line=step.line, step=step.name)
    for name in _read(step.action):
        if name not in scope.known:
            raise InvalidWorkflow(f"no step sets the variable {name!r}", line=step.line, step=step.name)
    if isinstance(step.action, Parallel):
        for name in step.action.shared:
            if name not in scope.known:
                raise InvalidWorkflow(
                    f"shares {name!r}, which nothing sets outside", line=step.line, step=step.name
                )


def _in_one_scope(steps: StepList) -> Iterator[Step]:
    """The steps that set variables in the scope of *steps*: all but those of loops, branches and `except`."""
    for step in steps.steps:
        yield step
        match step.action:
            case Nested(steps=inner) | Try(steps=inner):
                yield from _in_one_scope(inner)
            case Switch(conditions=conditions):
                for condition in conditions:
                    if condition.then is not None:
                        yield from _in_one_scope(condition.then)
            case _:
                pass


def _inner_scopes(action: Action, scope: _Scope) -> Iterator[tuple[StepList, _Scope]]:
    match action:
        case For(steps=steps):
            yield steps, scope.with_own(*_loop_names(action))
        case Try(handler=Except(error=error, steps=steps)):
            yield steps, scope.with_own(error)
        case Parallel(shared=shared, work=For() as loop):
            yield loop.steps, scope.branch(shared).with_own(*_loop_names(loop))
        case Parallel(shared=shared, work=tuple(branches)):
            yield from ((branch.steps, scope.branch(shared)) for branch in branches)
        case _:
            pass


def _set(action: Action) -> Iterator[str]:
    """The variables that *action* itself sets, whole or in part."""
    match action:
        case Assign(assignments=assignments):
            yield from (assignment.variable for assignment in assignments)
        case Call(result=str(result)):
            yield result
        case _:
            pass


def _set_whole(action: Action) -> Iterator[str]:
    if isinstance(action, Assign):
        return (assignment.variable for assignment in action.assignments if not assignment.path)
    return _set(action)


def _loop_names(loop: For) -> tuple[str, ...]:
    return (loop.value,) if loop.index is None else (loop.value, loop.index)


def _read(action: Action) -> Iterator[str]:
    if isinstance(action, Assign):
        for assignment in action.assignments:
            if assignment.path:
                yield assignment.variable
            for key in assignment.path:
                yield from _names(key)
    for template in _templates(action):
        yield from _names_in(template)


def _templates(action: Action) -> Iterator[Template]:
    match action:
        case Assign(assignments=assignments):
            yield from (assignment.value for assignment in assignments)
        case Call(arguments=arguments):
            yield from arguments.values()
        case Switch(conditions=conditions):
            yield from (condition.condition for condition in conditions)
        case For(items=items):
            yield from _loop_templates(items)
        case Parallel(concurrency=concurrency, work=work):
            yield from () if concurrency is None else (concurrency,)
            yield from _loop_templates(work.items) if isinstance(work, For) else ()
        case Try(retry=retry) if retry is not None:
            yield from (retry.max_retries, *_backoff_templates(retry.backoff))
        case Raise(error=template) | Return(value=template):
            yield template
        case _:
            pass


def _loop_templates(items: Template | Range) -> tuple[Template, ...]:
    return (items.first, items.last) if isinstance(items, Range) else (items,)


def _backoff_templates(backoff: Backoff) -> tuple[Template, ...]:
    return (backoff.initial_delay, backoff.max_delay, backoff.multiplier)


def _names_in(template: Template) -> Iterator[str]:
    match template:
        case Computed(expression):
            yield from _names(expression)
        case ListOf(items):
            for item in items:
                yield from _names_in(item)
        case MapOf(entries):
            for _, item in entries:
                yield from _names_in(item)
        case Constant():
            pass


def _names(expression: Expression) -> Iterator[str]:
    return (part.name for part in subexpressions(expression) if isinstance(part, Name))
