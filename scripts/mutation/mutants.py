"""Mutants: a module with one thing changed that its tests should notice."""

import ast
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

from mutation.change import Change, Mutant
from mutation.omissions import omissions

# Of each comparison its boundary, its opposite, and what it is on one side: where these are noticed, so is the
# rest of what cosmic-ray puts in its place.
REPLACEMENTS: Final = (
    *(
        f"core/ReplaceComparisonOperator_{pair}"
        for pair in (
            *("Eq_NotEq", "Eq_LtE", "Eq_GtE", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
            *("Lt_LtE", "Lt_GtE", "Lt_NotEq", "LtE_Lt", "LtE_Gt", "LtE_Eq"),
            *("Gt_GtE", "Gt_LtE", "Gt_NotEq", "GtE_Gt", "GtE_Lt", "GtE_Eq"),
        )
    ),
    *(f"core/ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add")),
    "core/ReplaceUnaryOperator_Delete_USub",
    "core/ReplaceUnaryOperator_Delete_Not",
    "core/ReplaceAndWithOr",
    "core/ReplaceOrWithAnd",
    "core/ReplaceTrueWithFalse",
    "core/ReplaceFalseWithTrue",
    "core/ReplaceBreakWithContinue",
    "core/NumberReplacer",
)


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Every mutant of *module*, each once, in the order of their lines."""
    seen = {ast.dump(ast.parse(source))}
    found = []
    for mutated in (*_replacements(source), *omissions(source)):
        meaning = ast.dump(ast.parse(mutated))
        if meaning not in seen:
            seen.add(meaning)
            number, line, becomes = _difference(source.splitlines(), mutated.splitlines())
            function = _function_at(source, number)
            change = Change(module=module, function=function, line=line, mutated=becomes)
            found.append((number, Mutant(change=change, source=mutated)))
    return (mutant for _, mutant in sorted(found, key=lambda each: each[0]))


def _replacements(source: str) -> Iterator[str]:
    lines = source.splitlines()
    for name in REPLACEMENTS:
        operator = get_operator(name)()
        positions = [
            start for node in ast_nodes(get_ast(source)) for start, _ in operator.mutation_positions(node)
        ]
        for occurrence, (line, _) in enumerate(positions):
            # What kind of struct a class is, is for the type checker.
            if not lines[line - 1].startswith("class "):
                yield mutate_code(source, operator, occurrence)


def _difference(before: Sequence[str], after: Sequence[str]) -> tuple[int, str, str]:
    """The number of the first line that differs, and the lines there before and after, each on one."""
    head = _common(before, after)
    tail = min(_common(before[::-1], after[::-1]), len(before) - head, len(after) - head)
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    return head + 1, _on_one_line(old), _on_one_line(new)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _on_one_line(lines: Sequence[str]) -> str:
    return " ".join(" ".join(lines).split())


def _function_at(source: str, line: int) -> str:
    """The function or class around *line*, with the class that it is in."""
    around = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return ".".join(node.name for node in sorted(around, key=lambda node: node.lineno))
