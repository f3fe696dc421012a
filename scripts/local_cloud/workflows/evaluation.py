"""What an expression comes to, and what an assignment to a part of a variable makes of it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, assert_never

from local_cloud.workflows.errors import Tag, key_error, raised, shown, type_error, value_error
from local_cloud.workflows.expressions import (
    Attribute,
    Binary,
    Expression,
    FunctionCall,
    Index,
    ListLiteral,
    Literal,
    Name,
    Negation,
    Not,
    Operator,
)
from local_cloud.workflows.limits import MAX_STRING_BYTES
from local_cloud.workflows.values import (
    MAX_INTEGER,
    MIN_INTEGER,
    Value,
    equal,
    is_number,
    size,
    type_name,
)


class Variables(Protocol):
    """Where the names of an expression are looked up."""

    def get(self, name: str) -> Value:
        """The value of *name*; raises a KeyError of the language."""


CallFunction: TypeAlias = Callable[[str, Sequence[Value]], Value]
"""Calls the function of that name."""


def evaluate(expression: Expression, variables: Variables, call: CallFunction) -> Value:
    """The value of *expression*; raises WorkflowError."""

    def value_of(part: Expression) -> Value:
        return evaluate(part, variables, call)

    match expression:
        case Literal(value):
            return value
        case Name(name):
            return variables.get(name)
        case Attribute(of, field):
            return item_of(value_of(of), field)
        case Index(of, key):
            return item_of(value_of(of), value_of(key))
        case ListLiteral(items) | FunctionCall(_, items):
            values = [value_of(item) for item in items]
            return call(expression.function, values) if isinstance(expression, FunctionCall) else values
        case _:
            return _operation(expression, value_of)


def _operation(operation: Negation | Not | Binary, value_of: Callable[[Expression], Value]) -> Value:
    match operation:
        case Negation(of):
            return _negative(value_of(of))
        case Not(of):
            return not _boolean(value_of(of), "not")
        case Binary(Operator.AND | Operator.OR):
            return _junction(operation, value_of)
        case Binary(sign, left, right):
            return _combined(sign, value_of(left), value_of(right))
        case _:
            assert_never(operation)


def item_of(container: Value, key: Value) -> Value:
    """`container[key]`; raises a KeyError, IndexError or TypeError of the language."""
    if isinstance(container, list):
        return container[_position(container, key)]
    if not isinstance(container, dict):
        raise type_error(f"a map or a list is needed for {shown(key)}, not {type_name(container)}")
    if not isinstance(key, str):
        raise type_error(f"the key of a map is a string, not {type_name(key)}")
    if key not in container:
        raise key_error(key)
    return container[key]


def with_item(container: Value, path: Sequence[Value], value: Value) -> Value:
    """*container* with *value* at *path*; the last key of a map may be new. Raises as `item_of` does."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(container, list):
        position = _position(container, key)
        return [*container[:position], with_item(container[position], rest, value), *container[position + 1 :]]
    if isinstance(container, dict) and isinstance(key, str) and not rest:
        return {**container, key: value}
    changed = with_item(item_of(container, key), rest, value)
    assert isinstance(container, dict)
    assert isinstance(key, str)
    return {**container, key: changed}


def _position(container: list[Value], key: Value) -> int:
    if isinstance(key, bool) or not isinstance(key, int):
        raise type_error(f"the index of a list is an integer, not {type_name(key)}")
    if not 0 <= key < len(container):
        raise raised(Tag.INDEX_ERROR, f"index {key} is out of range: the list has {len(container)} elements")
    return key


def _negative(value: Value) -> Value:
    # A bool is an int in Python, not here.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise type_error(f"the argument of '-' must be a number; got: {type_name(value)}")
    return checked_number(-value)


def _junction(expression: Binary, value_of: Callable[[Expression], Value]) -> bool:
    """Logical operators look at their right side only when the left one does not decide."""
    decides = expression.operator is Operator.OR
    if _boolean(value_of(expression.left), expression.operator) is decides:
        return decides
    return _boolean(value_of(expression.right), expression.operator)


def _boolean(value: Value, sign: str) -> bool:
    if not isinstance(value, bool):
        raise type_error(f"the arguments of '{sign}' must be boolean; got: {type_name(value)}")
    return value


def _combined(sign: Operator, left: Value, right: Value) -> Value:
    match sign:
        case Operator.EQUAL:
            return equal(left, right)
        case Operator.NOT_EQUAL:
            return not equal(left, right)
        case Operator.IN:
            return _contained(left, right)
        case Operator.ADD if isinstance(left, str) and isinstance(right, str):
            return checked_string(left + right)
        case _ if sign in _ORDERINGS:
            return _ordered(sign, left, right)
        case _:
            return _computed(sign, left, right)


def _contained(key: Value, container: Value) -> bool:
    if isinstance(container, dict):
        return isinstance(key, str) and key in container
    if not isinstance(container, list):
        raise type_error(f"The argument of 'in' must be a dict or an array; got: {type_name(container)}")
    return any(equal(key, item) for item in container)


def _ordered(sign: Operator, left: Value, right: Value) -> bool:
    if (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
        return bool(_ORDERINGS[sign](left, right))
    raise _unsuited(sign, left, right)


def _computed(sign: Operator, left: Value, right: Value) -> Value:
    if not (is_number(left) and is_number(right)):
        raise _unsuited(sign, left, right)
    if sign in _DIVISIONS and right == 0:
        raise raised(Tag.ZERO_DIVISION_ERROR, f"ZeroDivisionError: the second argument of '{sign}' is zero")
    try:
        return checked_number(_ARITHMETIC[sign](left, right))
    except OverflowError:
        raise value_error(f"the result of '{sign}' does not fit into a double") from None


def checked_number(number: float) -> int | float:
    """*number*, or a ValueError of the language for an integer beyond 64 bits and a double without a value."""
    if isinstance(number, float):
        if not math.isfinite(number):
            raise value_error("the result does not fit into a double")
    elif not MIN_INTEGER <= number <= MAX_INTEGER:
        raise value_error("the result does not fit into a 64 bit integer")
    return number


def checked_string(text: str) -> str:
    """*text*, or a ResourceLimitError when it is too long."""
    if size(text) > MAX_STRING_BYTES:
        raise raised(Tag.RESOURCE_LIMIT_ERROR, f"a string takes more than {MAX_STRING_BYTES} bytes")
    return text


def _unsuited(sign: Operator, left: Value, right: Value) -> Exception:
    return type_error(f"'{sign}' is not for {type_name(left)} and {type_name(right)}")


_ORDERINGS: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.LESS: operator.lt,
    Operator.LESS_OR_EQUAL: operator.le,
    Operator.GREATER: operator.gt,
    Operator.GREATER_OR_EQUAL: operator.ge,
}
# "/" is a division of doubles; "//" rounds down, and "%" is what it leaves.
_ARITHMETIC: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.ADD: operator.add,
    Operator.SUBTRACT: operator.sub,
    Operator.MULTIPLY: operator.mul,
    Operator.DIVIDE: operator.truediv,
    Operator.FLOOR_DIVIDE: operator.floordiv,
    Operator.REMAINDER: operator.mod,
}
_DIVISIONS: Final = (Operator.DIVIDE, Operator.FLOOR_DIVIDE, Operator.REMAINDER)
