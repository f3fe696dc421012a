"""Values in a workflow file: what is written out, and expressions whose functions are known."""

from __future__ import annotations

from collections.abc import Collection

from local_cloud.workflows.calls import CALLS
from local_cloud.workflows.expressions import (
    Expression,
    FunctionCall,
    InvalidExpression,
    parse_expression,
    subexpressions,
)
from local_cloud.workflows.library import ARITIES
from local_cloud.workflows.source import Mapping, Node, Scalar, Sequence, refused
from local_cloud.workflows.steps import Computed, Constant, ListOf, MapOf, Template


def template(node: Node, routines: Collection[str] | None = None) -> Template:
    """The value at *node*; without *routines*, those of the workflow, it cannot be computed."""
    match node:
        case Sequence(items=items):
            return ListOf(tuple(template(item, routines) for item in items))
        case Mapping(items=entries):
            return MapOf(tuple((_map_key(key, node), template(value, routines)) for key, value in entries))
        case Scalar(value=str() as text) if "${" in text:
            inside = text.strip()
            if not (inside.startswith("${") and inside.endswith("}")):
                raise refused(node, "text around an expression is not supported: join strings with + inside it")
            if routines is None:
                raise refused(node, "an expression is not supported here")
            return Computed(expression_of(inside[2:-1], node, routines))
        case Scalar(value=value):
            return Constant(value)


def _map_key(key: str, node: Node) -> str:
    if "${" in key:
        raise refused(node, "a key cannot be computed")
    return key


def expression_of(text: str, node: Node, routines: Collection[str]) -> Expression:
    """The expression *text*, which stands at *node*; raises InvalidWorkflow, also for what it must not call."""
    try:
        expression = parse_expression(text)
    except InvalidExpression as error:
        raise refused(node, f"expression {text!r}: {error}") from None
    for part in subexpressions(expression):
        if isinstance(part, FunctionCall):
            _check_function(part, node, routines)
    return expression


def _check_function(call: FunctionCall, node: Node, routines: Collection[str]) -> None:
    arity = ARITIES.get(call.function)
    if arity is None:
        elsewhere = call.function in CALLS or call.function in routines
        reason = "cannot be called in an expression, but in a call step" if elsewhere else "is not offered"
        raise refused(node, f"function {call.function!r} {reason}")
    if not arity.least <= len(call.arguments) <= arity.most:
        raise refused(node, f"{call.function} takes {arity.least} to {arity.most} arguments")
