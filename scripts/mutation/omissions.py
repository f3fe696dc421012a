"""Omissions: a module without one statement, condition, operand or argument.

They are what mutation by other operators, which is what cosmic-ray does, leaves out.
"""

import ast
from collections.abc import Iterator
from typing import Final

OPPOSITES: Final = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}


def omissions(source: str) -> Iterator[str]:
    """*source* with one thing in a function left out, for each such thing; some may be the same."""
    encoded = source.encode()
    starts = [0]
    for line in encoded.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in _parts(function.body):
            for left_out, instead in (*_of_statement(node, function), *_of_expression(node)):
                begin = starts[left_out.lineno - 1] + left_out.col_offset
                end = starts[(left_out.end_lineno or 0) - 1] + (left_out.end_col_offset or 0)
                yield (encoded[:begin] + instead.encode() + encoded[end:]).decode()


Edit = tuple["ast.stmt | ast.expr | ast.keyword", str]
"""A part of the source, and what stands in its place."""


def _parts(nodes: list[ast.stmt]) -> Iterator[ast.AST]:
    """All below *nodes*; a formatted string is a whole, since its parts know no place before Python 3.12."""
    waiting: list[ast.AST] = [*nodes]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.JoinedStr):
            waiting.extend(ast.iter_child_nodes(node))


def _of_statement(node: ast.AST, function: ast.FunctionDef) -> Iterator[Edit]:
    match node:
        case ast.Expr(value=ast.Constant()):
            pass  # a docstring
        case ast.Assign() | ast.AugAssign() | ast.Expr() | ast.For() | ast.Raise():
            yield node, "pass"
        case ast.Return(value=ast.expr() as value):
            answers = ("True", "False") if _answers_yes_or_no(function) else ("None",)
            yield from ((value, answer) for answer in answers)
        case ast.If(test=test):
            yield from ((test, "True"), (test, "False"))
        case _:
            pass


def _answers_yes_or_no(function: ast.FunctionDef) -> bool:
    return isinstance(function.returns, ast.Name) and function.returns.id == "bool"


def _of_expression(node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.IfExp(test=test):
            yield from ((test, "True"), (test, "False"))
        case ast.BoolOp(op=operator, values=values):
            yield from ((value, str(isinstance(operator, ast.And))) for value in values)
        case ast.comprehension(ifs=conditions):
            yield from ((condition, "True") for condition in conditions)
        case ast.BinOp(left=left, right=right):
            yield from ((node, ast.unparse(side)) for side in (left, right))
        case ast.Slice(lower=lower, upper=upper):
            yield from ((bound, "None") for bound in (lower, upper) if bound)
        case ast.Starred():
            yield node, "*()"
        case ast.Call():
            yield from _of_call(node)
        case _:
            pass


def _of_call(call: ast.Call) -> Iterator[Edit]:
    yield from ((keyword, "**{}") for keyword in call.keywords)
    if isinstance(call.func, ast.Name) and call.func.id in OPPOSITES:
        yield call.func, OPPOSITES[call.func.id]
        if len(call.args) > 1:
            yield from ((call, ast.unparse(argument)) for argument in call.args)
