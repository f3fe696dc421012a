"""Running a workflow: one object for each execution.

Branches of a parallel step are tasks of one event loop: they take turns only where they wait, so that a step
that does not wait is never seen half done. Nothing of a running execution outlives the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from itertools import islice
from typing import Final, TypeAlias, assert_never

from local_cloud.workflows.calls import CONNECTORS, HTTP_METHODS, LOG, SLEEP, SLEEP_UNTIL
from local_cloud.workflows.connectors import call_connector, send
from local_cloud.workflows.errors import Place, Tag, WorkflowError, raised, type_error, value_error
from local_cloud.workflows.evaluation import evaluate, with_item
from local_cloud.workflows.expressions import Expression
from local_cloud.workflows.host import Host
from local_cloud.workflows.library import Library, Surroundings, parse_time
from local_cloud.workflows.limits import (
    MAX_BRANCH_ERRORS,
    MAX_CALL_DEPTH,
    MAX_CONCURRENT_BRANCHES,
    MAX_SLEEP,
    MAX_STEPS,
)
from local_cloud.workflows.policies import PREDICATES
from local_cloud.workflows.scope import Meter, Scope
from local_cloud.workflows.steps import (
    BREAK,
    END,
    Assign,
    Branch,
    Call,
    Computed,
    Constant,
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
    Routine,
    Step,
    StepList,
    Switch,
    Template,
    Try,
    Workflow,
)
from local_cloud.workflows.values import Value, type_name
from local_cloud.workflows.waiting import Pauses, growth, seconds

log = logging.getLogger(__name__)

STEPS_IN_A_ROW: Final = 100  # then everything else in the event loop has its turn
_LEVELS: Final = {
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
    "ALERT": logging.CRITICAL,
    "EMERGENCY": logging.CRITICAL,
}
_SEVERITIES: Final = ("DEFAULT", "DEBUG", "INFO", "NOTICE", *_LEVELS)


@dataclass(frozen=True, slots=True)
class _Jump:
    """Go on at the step *to*, or with what `end`, `break` and `continue` mean."""

    to: str


@dataclass(frozen=True, slots=True)
class _Returned:
    """The routine has come to *value*."""

    value: Value


_Outcome: TypeAlias = _Jump | _Returned | None
"""How steps ended; None is at the last of them."""


@dataclass(slots=True, kw_only=True)
class _Frame:
    """Where a branch of the execution is: its routine and step, its variables, the calls that wait for it."""

    routine: str
    scope: Scope
    place: Place
    callers: tuple[Place, ...] = ()

    @property
    def trace(self) -> tuple[Place, ...]:
        return (self.place, *self.callers)


class Interpreter:
    """One execution of *workflow*."""

    def __init__(self, workflow: Workflow, host: Host, surroundings: Surroundings) -> None:
        self.current: Place | None = None
        """The step that is being run, or was the last one."""
        self._workflow = workflow
        self._host = host
        self._library = Library(surroundings)
        self._meter = Meter()
        self._steps_run = 0

    async def run(self, argument: Value) -> Value:
        """What the main routine returns for *argument*; raises WorkflowError."""
        main = self._workflow.main
        return await self._run_routine(main, dict.fromkeys(main.parameters, argument), callers=())

    async def _run_routine(
        self, routine: Routine, arguments: Mapping[str, Value], *, callers: tuple[Place, ...]
    ) -> Value:
        scope = Scope(self._meter)
        try:
            for name, value in {**routine.defaults, **arguments}.items():
                scope.set_here(name, value)
            start = Place(step="", routine=routine.name, line=0)
            frame = _Frame(routine=routine.name, scope=scope, place=start, callers=callers)
            outcome = await self._run_steps(routine.steps, frame)
        finally:
            scope.close()
        return outcome.value if isinstance(outcome, _Returned) else None

    async def _run_steps(self, steps: StepList, frame: _Frame) -> _Outcome:
        at = 0
        while at < len(steps.steps):
            outcome = await self._run_step(steps.steps[at], frame)
            if outcome is None:
                at += 1
            elif isinstance(outcome, _Jump) and outcome.to in steps.positions:
                at = steps.positions[outcome.to]
            else:
                return outcome
        return None

    async def _run_step(self, step: Step, frame: _Frame) -> _Outcome:
        place = frame.place = self.current = Place(step=step.name, routine=frame.routine, line=step.line)
        try:
            self._steps_run += 1
            if self._steps_run > MAX_STEPS:
                raise raised(Tag.RESOURCE_LIMIT_ERROR, f"more than {MAX_STEPS} steps were run", fatal=True)
            if self._steps_run % STEPS_IN_A_ROW == 0:
                await asyncio.sleep(0)
            outcome = await self._act(step, frame)
        except WorkflowError as error:
            error.trace = error.trace or (place, *frame.callers)
            raise
        return _Jump(step.next) if outcome is None and step.next is not None else outcome

    async def _act(self, step: Step, frame: _Frame) -> _Outcome:
        match step.action:
            case Assign() | Call() | Nothing() | Parallel() as action:
                await self._do(action, frame)
                return None
            case Raise(error=error):
                raise _error(self._value(error, frame))
            case Return(value=value):
                return _Returned(self._value(value, frame))
            case _:
                return await self._enter(step.action, frame)

    async def _enter(self, action: Nested | Switch | For | Try, frame: _Frame) -> _Outcome:
        """Go into steps that may lead elsewhere."""
        match action:
            case Nested(steps=steps):
                return await self._run_steps(steps, frame)
            case Switch() as switch:
                return await self._switch(switch, frame)
            case For() as loop:
                return await self._for(loop, frame)
            case Try() as attempt:
                return await self._try(attempt, frame)
            case _:
                assert_never(action)

    async def _do(self, action: Assign | Call | Nothing | Parallel, frame: _Frame) -> None:
        """Do what never changes the order of steps."""
        match action:
            case Assign():
                self._assign(action, frame)
            case Call(result=result):
                answer = await self._call(action, frame)
                if result is not None:
                    frame.scope.set(result, answer)
            case Parallel():
                await self._parallel(action, frame)
            case Nothing():
                pass

    def _assign(self, action: Assign, frame: _Frame) -> None:
        for assignment in action.assignments:
            value = self._value(assignment.value, frame)
            if assignment.path:
                path = [self._evaluate(key, frame) for key in assignment.path]
                value = with_item(frame.scope.get(assignment.variable), path, value)
            frame.scope.set(assignment.variable, value)

    async def _call(self, action: Call, frame: _Frame) -> Value:
        arguments = {name: self._value(value, frame) for name, value in action.arguments.items()}
        routine = self._workflow.routines.get(action.target)
        if routine is not None:
            return await self._call_routine(routine, arguments, frame)
        if action.target in HTTP_METHODS:
            return await send(arguments, HTTP_METHODS[action.target], self._host)
        if action.target in CONNECTORS:
            return await call_connector(action.target, arguments, self._host)
        if action.target == LOG:
            _log(arguments, frame)
        else:
            await self._sleep(action.target, arguments)
        return None

    async def _call_routine(self, routine: Routine, arguments: Mapping[str, Value], frame: _Frame) -> Value:
        if len(frame.callers) >= MAX_CALL_DEPTH:
            raise raised(Tag.RECURSION_ERROR, f"subworkflows call each other more than {MAX_CALL_DEPTH} deep")
        # A task has a stack of its own: calls and steps within steps together would be too deep for Python's.
        return await asyncio.create_task(self._run_routine(routine, arguments, callers=frame.trace))

    async def _sleep(self, target: str, arguments: Mapping[str, Value]) -> None:
        if target == SLEEP:
            await self._host.clock.sleep(seconds(arguments["seconds"], "seconds"))
            return
        assert target == SLEEP_UNTIL
        time = arguments["time"]
        if not isinstance(time, str):
            raise type_error(f"time must be a string, not {type_name(time)}")
        duration = parse_time(time) - self._host.clock.now().astimezone(UTC)
        if duration > MAX_SLEEP:
            raise value_error("time must be within a year")
        if duration.total_seconds() > 0:
            await self._host.clock.sleep(duration)

    async def _switch(self, switch: Switch, frame: _Frame) -> _Outcome:
        for condition in switch.conditions:
            chosen = self._value(condition.condition, frame)
            if not isinstance(chosen, bool):
                raise type_error(f"a condition must be boolean; got: {type_name(chosen)}")
            if chosen:
                outcome = None if condition.then is None else await self._run_steps(condition.then, frame)
                return _Jump(condition.next) if outcome is None and condition.next is not None else outcome
        return None

    async def _for(self, loop: For, frame: _Frame) -> _Outcome:
        for variables in self._iterations(loop, frame):
            with frame.scope.inner(**variables) as scope:
                outcome = await self._run_steps(loop.steps, replace(frame, scope=scope))
            if outcome == _Jump(BREAK):
                return None
            if isinstance(outcome, _Returned) or outcome == _Jump(END):
                return outcome
        return None

    def _iterations(self, loop: For, frame: _Frame) -> Iterator[dict[str, Value]]:
        if isinstance(loop.items, Range):
            first, last = (self._value(end, frame) for end in (loop.items.first, loop.items.last))
            numbers = range(_integer(first, "range"), _integer(last, "range") + 1)
            return ({loop.value: number} for number in numbers)
        items = self._value(loop.items, frame)
        if not isinstance(items, list):
            raise type_error(f"a loop goes through a list, not {type_name(items)}")
        return (
            {loop.value: item} if loop.index is None else {loop.value: item, loop.index: at}
            for at, item in enumerate(items)
        )

    async def _parallel(self, parallel: Parallel, frame: _Frame) -> None:
        limit = MAX_CONCURRENT_BRANCHES
        if parallel.concurrency is not None:
            limit = min(limit, _integer(self._value(parallel.concurrency, frame), "concurrency_limit"))
            if limit < 1:
                raise value_error("concurrency_limit must be above 0")
        errors: list[tuple[str, WorkflowError]] = []
        branches = iter(self._branches(parallel.work, frame))

        async def work() -> None:
            for branch, variables in branches:
                try:
                    with frame.scope.inner(**variables) as scope:
                        await self._run_steps(branch.steps, replace(frame, scope=scope))
                except WorkflowError as error:
                    if error.fatal:
                        raise
                    errors.append((branch.name, error))

        tasks = [asyncio.create_task(work()) for _ in range(limit)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        if errors:
            raise _unhandled(errors)

    def _branches(
        self, work: tuple[Branch, ...] | For, frame: _Frame
    ) -> Iterable[tuple[Branch, Mapping[str, Value]]]:
        if not isinstance(work, For):
            return ((branch, {}) for branch in work)
        iterations = self._iterations(work, frame)
        return ((Branch(name=str(at), steps=work.steps), variables) for at, variables in enumerate(iterations))

    async def _try(self, attempt: Try, frame: _Frame) -> _Outcome:
        pauses: Iterator[timedelta] | None = None
        while True:
            try:
                return await self._run_steps(attempt.steps, frame)
            except WorkflowError as error:
                if error.fatal:
                    raise
                caught = error
            if attempt.retry is None:
                break
            pauses = pauses or self._pauses(attempt.retry, frame)
            pause = next(pauses, None)
            if pause is None or not await self._is_retried(attempt.retry.predicate, caught.value, frame):
                break
            await self._host.clock.sleep(pause)
        if attempt.handler is None:
            raise caught
        with frame.scope.inner(**{attempt.handler.error: caught.value}) as scope:
            return await self._run_steps(attempt.handler.steps, replace(frame, scope=scope))

    def _pauses(self, retry: Retry, frame: _Frame) -> Iterator[timedelta]:
        """The pause before each retry; as many as there may be."""
        most = _integer(self._value(retry.max_retries, frame), "max_retries")
        if most < 0:
            raise value_error("max_retries must not be negative")
        backoff = retry.backoff
        pauses = Pauses(
            first=seconds(self._value(backoff.initial_delay, frame), "initial_delay"),
            longest=seconds(self._value(backoff.max_delay, frame), "max_delay"),
            multiplier=growth(self._value(backoff.multiplier, frame)),
        )
        return islice(pauses, most)

    async def _is_retried(self, predicate: str, error: Value, frame: _Frame) -> bool:
        """Whether the predicate says yes; an error of its own takes the place of the one it was asked about."""
        if predicate in PREDICATES:
            return PREDICATES[predicate](error)
        routine = self._workflow.routines[predicate]
        answer = await self._call_routine(routine, {routine.parameters[0]: error}, frame)
        if not isinstance(answer, bool):
            raise type_error(f"a predicate returns a boolean, not {type_name(answer)}")
        return answer

    def _value(self, template: Template, frame: _Frame) -> Value:
        match template:
            case Constant(value):
                return value
            case Computed(expression):
                return self._evaluate(expression, frame)
            case ListOf(items):
                return [self._value(item, frame) for item in items]
            case MapOf(entries):
                return {key: self._value(item, frame) for key, item in entries}
            case _:
                assert_never(template)

    def _evaluate(self, expression: Expression, frame: _Frame) -> Value:
        return evaluate(expression, frame.scope, self._library.call)


def _error(value: Value) -> WorkflowError:
    if isinstance(value, str | dict):
        return WorkflowError(value)
    return type_error(f"an error must be a string or a map, not {type_name(value)}")


def _integer(value: Value, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise type_error(f"{what} must be an integer, not {type_name(value)}")
    return value


def _unhandled(errors: Sequence[tuple[str, WorkflowError]]) -> WorkflowError:
    told = errors[:MAX_BRANCH_ERRORS]
    return raised(
        Tag.UNHANDLED_BRANCH_ERROR,
        "UnhandledBranchError: One or more branches or iterations encountered an unhandled runtime error",
        details={
            "branches": [
                {"id": name, "error": {"context": error.context, "payload": error.payload}}
                for name, error in told
            ],
            "truncated": len(told) < len(errors),
        },
    )


def _log(arguments: Mapping[str, Value], frame: _Frame) -> None:
    severity = arguments.get("severity", "DEFAULT")
    if severity not in _SEVERITIES:
        raise value_error(f"severity is one of {', '.join(_SEVERITIES)}")
    level = _LEVELS.get(str(severity), logging.INFO)
    log.log(level, "a workflow logs", extra={"routine": frame.routine, "entry": dict(arguments)})
