"""Expressions, case by case as the syntax reference has them, and their grammar as a whole."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.workflows.errors import WorkflowError
from local_cloud.workflows.evaluation import evaluate, with_item
from local_cloud.workflows.expressions import (
    MAX_NESTING,
    PRECEDENCE,
    Attribute,
    Binary,
    Expression,
    FunctionCall,
    Index,
    InvalidExpression,
    ListLiteral,
    Literal,
    Name,
    Negation,
    Not,
    Operator,
    parse_expression,
)
from local_cloud.workflows.library import Library, Surroundings
from local_cloud.workflows.limits import MAX_EXPRESSION_CHARACTERS, MAX_STRING_BYTES
from local_cloud.workflows.values import MAX_INTEGER, MIN_INTEGER, Value, equal, type_name
from tools.workflow_runs import NOON

VARIABLES: dict[str, Value] = {
    "name": "Ada",
    "n": 7,
    "half": 0.5,
    "yes": True,
    "nothing": None,
    "list": [1, 2, [3, 4]],
    "map": {"key": "value", "deep": {"list": [{"x": 1}]}, "with-dash": 5, "items": [9]},
    "raw": b"raw",
    "largest": MAX_INTEGER,
    "smallest": MIN_INTEGER,
    "long": "x" * (MAX_STRING_BYTES - 1),
    "huge": 1e308,
}


class Variables:
    def get(self, name: str) -> Value:
        return VARIABLES[name]


def value_of(text: str) -> Value:
    library = Library(Surroundings(now=lambda: NOON, new_uuid=lambda: "u", environment={}))
    return evaluate(parse_expression(text), Variables(), library.call)


def tags_of(text: str) -> list[str]:
    with pytest.raises(WorkflowError) as raised:
        value_of(text)
    assert isinstance(raised.value.value, dict)
    tags = raised.value.value["tags"]
    assert isinstance(tags, list)
    return [str(tag) for tag in tags]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # Literals.
        ("1", 1),
        ("0", 0),
        ("-1", -1),
        ("4.25", 4.25),
        ("9223372036854775807", MAX_INTEGER),
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("False", False),
        ("FALSE", False),
        ("null", None),
        ('"text"', "text"),
        ("'text'", "text"),
        ('"say \\"hi\\""', 'say "hi"'),
        ("'it\\'s'", "it's"),
        ('"a\\nb\\t\\\\"', "a\nb\t\\"),
        ('"\\u00e9"', "é"),
        ('"} ${ {"', "} ${ {"),
        ("[]", []),
        ('[1, "a", [null]]', [1, "a", [None]]),
        # Arithmetic: "/" is of doubles, "//" rounds down.
        ("1 + 2", 3),
        ("1 + 2.5", 3.5),
        ("5 - 7", -2),
        ("3 * 4", 12),
        ("10 / 4", 2.5),
        ("10 / 5", 2.0),
        ("10 // 4", 2),
        ("-10 // 4", -3),
        ("10 % 4", 2),
        ("7.5 // 2", 3.0),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("10 - 3 - 2", 5),
        ("100 / 10 / 2", 5.0),
        ("-n", -7),
        ("--n", 7),
        ("2 - -3", 5),
        ("2*-3", -6),
        # Strings.
        ('"Hello " + name', "Hello Ada"),
        ('"" + ""', ""),
        # Comparison.
        ("1 < 2", True),
        ("2 <= 2", True),
        ("3 > 4", False),
        ("4 >= 4.0", True),
        ('"a" < "b"', True),
        ("1 == 1.0", True),
        ('1 == "1"', False),
        ("1 == true", False),
        ("0 == false", False),
        ("null == null", True),
        ("null == false", False),
        ('null == ""', False),
        ("name != nothing", True),
        ("[1, [2]] == [1, [2.0]]", True),
        ("[1] == [true]", False),
        ("map == map", True),
        ("list == map", False),
        # Logic, which does not look at what does not matter.
        ("true and false", False),
        ("true or false", True),
        ("not true", False),
        ("TRUE AND NOT FALSE", True),
        ("false OR true", True),
        ("false and 1 / 0 == 1", False),
        ("true or 1 / 0 == 1", True),
        ("true or true and false", True),
        ("not false and false", False),
        ("1 < 2 and 2 < 3", True),
        # Membership.
        ('"key" in map', True),
        ('"value" in map', False),
        ("1 in map", False),
        ("[3, 4] in list", True),
        ("2.0 in list", True),
        ("true in list", False),
        ('not ("nokey" in map)', True),
        ("n in [7] and yes", True),
        # Access.
        ("map.key", "value"),
        ('map["key"]', "value"),
        ('map["with-dash"]', 5),
        ("map.items[0]", 9),
        ("map.deep.list[0].x", 1),
        ("list[2][1]", 4),
        ("list[n - 6]", 2),
        ("[1, 2][1]", 2),
        ('map["k" + "ey"]', "value"),
        ("-map.items[0]", -9),
        # Functions.
        ("len(list)", 3),
        ('if(n > 5, "big", "small")', "big"),
        ('text.split(name, "d")[1]', "a"),
        ('default(map.get(map, "none"), 3) + 1', 4),
        # Space does not matter.
        (" 1+\n  2 ", 3),
        ("list [ 0 ]", 1),
    ],
)
def test_expression_has_the_value_that_the_reference_says(text: str, value: Value) -> None:
    found = value_of(text)
    assert found == value
    assert type_name(found) == type_name(value)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ('"a" + 1', ["TypeError"]),
        ('1 + "a"', ["TypeError"]),
        ("true + 1", ["TypeError"]),
        ("list + list", ["TypeError"]),
        ("nothing + 1", ["TypeError"]),
        ('-"a"', ["TypeError"]),
        ("-yes", ["TypeError"]),
        ("not 1", ["TypeError"]),
        ("not nothing", ["TypeError"]),
        # `not` binds tighter than `in`.
        ('not "key" in map', ["TypeError"]),
        ("1 and true", ["TypeError"]),
        ("true and 1", ["TypeError"]),
        ("nothing or true", ["TypeError"]),
        ('1 < "2"', ["TypeError"]),
        ("true < false", ["TypeError"]),
        ("1 < 2 < 3", ["TypeError"]),
        ("null < 1", ["TypeError"]),
        ('"a" in "abc"', ["TypeError"]),
        ("1 in nothing", ["TypeError"]),
        ("map.nokey", ["KeyError", "LookupError"]),
        ('map["nokey"]', ["KeyError", "LookupError"]),
        ("map[0]", ["TypeError"]),
        ("name.x", ["TypeError"]),
        ("nothing.x", ["TypeError"]),
        ("list.x", ["TypeError"]),
        ('list["0"]', ["TypeError"]),
        ("list[true]", ["TypeError"]),
        ("list[0.0]", ["TypeError"]),
        ("list[3]", ["IndexError", "LookupError"]),
        ("list[-1]", ["IndexError", "LookupError"]),
        ("1 / 0", ["ZeroDivisionError"]),
        ("1 // 0", ["ZeroDivisionError"]),
        ("1 % 0.0", ["ZeroDivisionError"]),
        ("largest + 1", ["ValueError"]),
        ("-smallest", ["ValueError"]),
        ("largest * largest", ["ValueError"]),
        ("huge * huge", ["ValueError"]),
        ("huge * 10 * largest", ["ValueError"]),
        ('long + "ab"', ["ResourceLimitError"]),
    ],
)
def test_expression_raises_the_error_that_the_reference_says(text: str, tags: list[str]) -> None:
    assert tags_of(text) == tags


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 +",
        "+ 1",
        "(1",
        "1)",
        "[1,",
        "[1 2]",
        "a b",
        "a.",
        "a.1",
        "a[",
        "a[]",
        "f(1,)",
        "(f)(1) (2)",
        '"open',
        '"\\x41"',
        '"\\u12"',
        '"\\ud800"',
        "1.",
        ".5",
        "1.2.3",
        "1e5",
        "0x10",
        "9223372036854775808",
        "a && b",
        "a = 1",
        "{}",
        '{"a": 1}',
        "${a}",
        "and",
        "true and",
        "in x",
        "a not in b",
        "NoT a",
        "a ? b : c",
        "x[0](1)",
        "#",
    ],
)
def test_what_the_grammar_has_not_is_refused(text: str) -> None:
    with pytest.raises(InvalidExpression):
        parse_expression(text)


def test_expression_has_at_most_so_many_characters() -> None:
    longest = "1" + " " * (MAX_EXPRESSION_CHARACTERS - 1)
    assert parse_expression(longest) == Literal(1)
    with pytest.raises(InvalidExpression, match="401 characters"):
        parse_expression(longest + " ")


@pytest.mark.parametrize("opening", ["(", "-", "not ", "[", "len("])
def test_deep_nesting_is_refused_before_it_exhausts_the_stack(opening: str) -> None:
    closing = {"(": ")", "[": "]", "len(": ")"}.get(opening, "")
    with pytest.raises(InvalidExpression, match="deeper"):
        parse_expression(opening * MAX_NESTING + "1" + closing * MAX_NESTING)


WORDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,3}", fullmatch=True)
KEYWORDS = {"and", "AND", "or", "OR", "not", "NOT", "in", "true", "True", "TRUE", "false", "False", "FALSE"} | {
    "null",
    "Null",
    "NULL",
}
NAMES = WORDS.filter(lambda word: word not in KEYWORDS)
LITERALS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, MAX_INTEGER),
    st.integers(0, 10**6).map(lambda number: number / 64),
    st.text(st.characters(codec="utf-8"), max_size=4),
).map(Literal)


def compound(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    some = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(ListLiteral, some),
        st.builds(Attribute, inner, NAMES),
        st.builds(Index, inner, inner),
        st.builds(Negation, inner),
        st.builds(Not, inner),
        st.builds(Binary, st.sampled_from(Operator), inner, inner),
        st.builds(FunctionCall, st.lists(NAMES, min_size=1, max_size=2).map(".".join), some),
    )


EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    st.one_of(LITERALS, NAMES.map(Name)), compound, max_leaves=8
)


UNARY, ACCESS = 6, 7  # how tightly they bind, above every operator with two sides


def rendered(expression: Expression, at_least: int = 0) -> str:
    """*expression* with brackets only where what is around binds tighter than it."""
    match expression:
        case Binary(operator, left, right):
            binds = PRECEDENCE[operator]
            text = f"{rendered(left, binds)} {operator} {rendered(right, binds + 1)}"
        case Negation(of):
            binds, text = UNARY, f"- {rendered(of, UNARY)}"
        case Not(of):
            binds, text = UNARY, f"not {rendered(of, UNARY)}"
        case Literal(value=int() | float() as number) if not isinstance(number, bool):
            # A dot behind digits is theirs.
            binds, text = UNARY, str(number) if isinstance(number, int) else f"{number:f}"
        case _:
            return rendered_value(expression)
    return text if binds >= at_least else f"({text})"


def rendered_value(expression: Expression) -> str:
    match expression:
        case Literal(value):
            return json.dumps(value)
        case Name(name):
            return name
        case Attribute(of, field):
            return f"{rendered(of, ACCESS)}.{field}"
        case Index(of, key):
            return f"{rendered(of, ACCESS)}[{rendered(key)}]"
        case ListLiteral(items):
            return f"[{', '.join(map(rendered, items))}]"
        case FunctionCall(function, arguments):
            return f"{function}({', '.join(map(rendered, arguments))})"
        case _:
            raise AssertionError(expression)


@given(EXPRESSIONS)
def test_what_is_parsed_is_what_was_written(expression: Expression) -> None:
    text = rendered(expression)
    if len(text) <= MAX_EXPRESSION_CHARACTERS:
        assert parse_expression(text) == expression


@given(st.text(max_size=30))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    with suppress(InvalidExpression):
        parse_expression(text)


VALUES: st.SearchStrategy[Value] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(0, 2), st.floats(0, 2), st.text(max_size=1), st.binary(max_size=1)
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=1), inner, max_size=2),
    max_leaves=4,
)


@given(VALUES, VALUES)
def test_equality_is_symmetric_and_every_value_equals_itself(one: Value, other: Value) -> None:
    assert equal(one, one)
    assert equal(one, other) is equal(other, one)


@given(st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1), VALUES)
def test_an_assignment_to_a_part_leaves_the_old_value_as_it_was(before: dict[str, Value], value: Value) -> None:
    key = min(before)
    copy = dict(before)
    after = with_item(before, [key], value)
    assert isinstance(after, dict)
    assert equal(after[key], value)
    assert equal(before, copy)
