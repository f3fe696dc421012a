"""Expressions: what stands between `${` and `}`, as a tree of frozen nodes.

The grammar is that of cloud.google.com/workflows/docs/reference/syntax/expressions and, for the order of
operations, .../syntax/datatypes: `not` binds tighter than any comparison, and comparisons, equality and `in`
bind alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from local_cloud.workflows.limits import MAX_EXPRESSION_CHARACTERS
from local_cloud.workflows.values import MAX_INTEGER

MAX_NESTING: Final = 40  # brackets and signs within each other; each takes a few frames of Python's stack


class InvalidExpression(ValueError):
    """An expression that does not follow the grammar; the text says why."""


class Operator(StrEnum):
    """The operators with two sides."""

    OR = "or"
    AND = "and"
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    EQUAL = "=="
    NOT_EQUAL = "!="
    IN = "in"
    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    FLOOR_DIVIDE = "//"
    REMAINDER = "%"


PRECEDENCE: Final = {
    Operator.OR: 1,
    Operator.AND: 2,
    **dict.fromkeys(
        (
            Operator.LESS,
            Operator.LESS_OR_EQUAL,
            Operator.GREATER,
            Operator.GREATER_OR_EQUAL,
            Operator.EQUAL,
            Operator.NOT_EQUAL,
            Operator.IN,
        ),
        3,
    ),
    Operator.ADD: 4,
    Operator.SUBTRACT: 4,
    **dict.fromkeys((Operator.MULTIPLY, Operator.DIVIDE, Operator.FLOOR_DIVIDE, Operator.REMAINDER), 5),
}


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that is written out."""

    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """A list that is written out."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """`of.field`."""

    of: Expression
    field: str


@dataclass(frozen=True, slots=True)
class Index:
    """`of[key]`."""

    of: Expression
    key: Expression


@dataclass(frozen=True, slots=True)
class Negation:
    """`-of`."""

    of: Expression


@dataclass(frozen=True, slots=True)
class Not:
    """`not of`."""

    of: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`."""

    operator: Operator
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """`function(arguments)`; *function* is dotted, such as text.split."""

    function: str
    arguments: tuple[Expression, ...]


Expression: TypeAlias = (
    Literal | ListLiteral | Name | Attribute | Index | Negation | Not | Binary | FunctionCall
)


def parse_expression(text: str) -> Expression:
    """The tree of *text*, which stood between `${` and `}`; raises InvalidExpression."""
    if len(text) > MAX_EXPRESSION_CHARACTERS:
        raise InvalidExpression(f"has {len(text)} characters, more than {MAX_EXPRESSION_CHARACTERS}")
    parser = _Parser(text)
    expression = parser.expression()
    parser.expect_end()
    return expression


def subexpressions(expression: Expression) -> Iterator[Expression]:
    """*expression* and everything that it is made of."""
    yield expression
    for part in _parts(expression):
        yield from subexpressions(part)


def _parts(expression: Expression) -> tuple[Expression, ...]:
    match expression:
        case ListLiteral(items) | FunctionCall(_, items):
            return items
        case Attribute(of) | Negation(of) | Not(of):
            return (of,)
        case Index(of, key):
            return (of, key)
        case Binary(_, left, right):
            return (left, right)
        case _:
            return ()


class _Kind(StrEnum):
    NUMBER = "number"
    STRING = "string"
    WORD = "word"
    SIGN = "sign"
    END = "end"


class _Token(NamedTuple):
    kind: _Kind
    text: str


_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<number>[0-9]+(?:\.[0-9]+)?(?![0-9A-Za-z_.]))
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>//|<=|>=|==|!=|[-+*/%<>()\[\].,])
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"""\\(?:u[0-9A-Fa-f]{4}|["'\\/bfnrt])""")
_LITERALS: Final = {
    word: value
    for value, name in ((True, "true"), (False, "false"), (None, "null"))
    for word in (name, name.capitalize(), name.upper())
}
_WORD_OPERATORS: Final = {
    "and": Operator.AND,
    "AND": Operator.AND,
    "or": Operator.OR,
    "OR": Operator.OR,
    "in": Operator.IN,
}
_NOT: Final = ("not", "NOT")


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while True:
        found = _TOKEN.match(text, position)
        if found is None:
            raise InvalidExpression(f"cannot be read from {text[position:].strip()!r} on")
        kind = _Kind(found.lastgroup or "")
        yield _Token(kind, found[kind])
        if kind is _Kind.END:
            return
        position = found.end()


class _Parser:
    """Precedence climbing over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self._tokens = tuple(_tokens(text))
        self._position = 0
        self._nesting = 0

    def expression(self, *, at_least: int = 1) -> Expression:
        """An expression whose operators bind with *at_least* that precedence."""
        left = self._signed()
        while (operator := self._operator()) and PRECEDENCE[operator] >= at_least:
            self._position += 1
            left = Binary(operator, left, self.expression(at_least=PRECEDENCE[operator] + 1))
        return left

    def expect_end(self) -> None:
        if self._token.kind is not _Kind.END:
            raise InvalidExpression(f"{self._token.text!r} is not expected")

    @property
    def _token(self) -> _Token:
        return self._tokens[self._position]

    def _operator(self) -> Operator | None:
        kind, text = self._token
        if kind is _Kind.WORD:
            return _WORD_OPERATORS.get(text)
        return Operator(text) if kind is _Kind.SIGN and text in _SIGN_OPERATORS else None

    def _take(self, text: str) -> bool:
        if self._token != _Token(_Kind.SIGN, text):
            return False
        self._position += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise InvalidExpression(f"{text!r} is expected, not {self._token.text or 'the end'!r}")

    def _signed(self) -> Expression:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise InvalidExpression(f"nests deeper than {MAX_NESTING}")
        try:
            if self._token.kind is _Kind.WORD and self._token.text in _NOT:
                self._position += 1
                return Not(self._signed())
            return Negation(self._signed()) if self._take("-") else self._with_access(self._primary())
        finally:
            self._nesting -= 1

    def _with_access(self, value: Expression) -> Expression:
        while True:
            if self._take("."):
                value = Attribute(value, self._word())
            elif self._take("["):
                value = Index(value, self.expression())
                self._expect("]")
            elif self._take("("):
                value = FunctionCall(_function_name(value), self._items(")"))
            else:
                return value

    def _word(self) -> str:
        kind, text = self._token
        if kind is not _Kind.WORD:
            raise InvalidExpression(f"a name is expected, not {text or 'the end'!r}")
        self._position += 1
        return text

    def _primary(self) -> Expression:
        kind, text = self._token
        if kind is _Kind.NUMBER:
            self._position += 1
            return Literal(_number(text))
        if kind is _Kind.STRING:
            self._position += 1
            return Literal(_string(text))
        if self._take("("):
            inner = self.expression()
            self._expect(")")
            return inner
        if self._take("["):
            return ListLiteral(self._items("]"))
        if kind is _Kind.WORD and self._operator() is not None:
            raise InvalidExpression(f"a value is expected before {text!r}")
        word = self._word()
        return Literal(_LITERALS[word]) if word in _LITERALS else Name(word)

    def _items(self, closing: str) -> tuple[Expression, ...]:
        if self._take(closing):
            return ()
        items = [self.expression()]
        while self._take(","):
            items.append(self.expression())
        self._expect(closing)
        return tuple(items)


_SIGN_OPERATORS: Final = frozenset(Operator) - frozenset(_WORD_OPERATORS.values())


def _function_name(value: Expression) -> str:
    match value:
        case Name(name):
            return name
        case Attribute(of, field):
            return f"{_function_name(of)}.{field}"
        case _:
            raise InvalidExpression("only a function that is named can be called")


def _number(text: str) -> int | float:
    if "." in text:
        return float(text)
    number = int(text)
    if number > MAX_INTEGER:
        raise InvalidExpression(f"{text} does not fit into 64 bits")
    return number


def _string(text: str) -> str:
    content = _ESCAPE.sub(_unescape, _checked(text[1:-1]))
    try:
        # Two escapes may be the halves of one character.
        return content.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise InvalidExpression("half of a surrogate pair is no character") from None


def _checked(content: str) -> str:
    for escape in re.finditer(r"\\(?:u.{0,4}|.)", content, re.DOTALL):
        if not _ESCAPE.fullmatch(escape[0]):
            raise InvalidExpression(f"{escape[0]!r} is not an escape")
    return content


def _unescape(found: re.Match[str]) -> str:
    if found[0] == r"\'":
        return "'"
    character: str = json.loads(f'"{found[0]}"')
    return character
