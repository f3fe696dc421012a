"""Variables: where they live, and how much they take of the limit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from local_cloud.workflows.errors import Tag, key_error, raised
from local_cloud.workflows.limits import MAX_STRING_BYTES, MAX_VARIABLES_BYTES
from local_cloud.workflows.values import Value, longest_string, size


class Meter:
    """How many bytes all variables of one execution take together."""

    def __init__(self) -> None:
        self._used = 0

    def add(self, difference: int) -> None:
        """Count *difference* more bytes; raises ResourceLimitError, and counts nothing, above the limit."""
        if self._used + difference > MAX_VARIABLES_BYTES:
            raise raised(
                Tag.RESOURCE_LIMIT_ERROR, f"the variables take more than {MAX_VARIABLES_BYTES} bytes of memory"
            )
        self._used += difference

    def release(self, size_of_all: int) -> None:
        self._used -= size_of_all


class Scope:
    """The variables of a routine, of one iteration of a loop, of a branch or of an `except`.

    A name that an outer scope has is that scope's; what is new here ends with this scope.
    """

    def __init__(self, meter: Meter, outer: Scope | None = None) -> None:
        self._meter = meter
        self._outer = outer
        self._variables: dict[str, Value] = {}
        self._sizes: dict[str, int] = {}

    @contextmanager
    def inner(self, **variables: Value) -> Iterator[Scope]:
        """A scope in this one that starts with *variables*, and ends with the context."""
        scope = Scope(self._meter, self)
        try:
            for name, value in variables.items():
                scope.set_here(name, value)
            yield scope
        finally:
            scope.close()

    def close(self) -> None:
        """Forget the variables of this scope."""
        self._meter.release(sum(self._sizes.values()))
        self._variables.clear()
        self._sizes.clear()

    def get(self, name: str) -> Value:
        """The value of *name*; raises a KeyError of the language."""
        owner = self._owner(name)
        if owner is None:
            raise key_error(name)
        return owner._variables[name]  # noqa: SLF001 - of the same class

    def set(self, name: str, value: Value) -> None:
        """Set *name* where it lives, or here when it is new; raises ResourceLimitError."""
        (self._owner(name) or self).set_here(name, value)

    def set_here(self, name: str, value: Value) -> None:
        """Set *name* in this scope, even where an outer one has it; raises ResourceLimitError."""
        if longest_string(value) > MAX_STRING_BYTES:
            raise raised(Tag.RESOURCE_LIMIT_ERROR, f"a string takes more than {MAX_STRING_BYTES} bytes")
        taken = size(value)
        self._meter.add(taken - self._sizes.get(name, 0))
        self._variables[name] = value
        self._sizes[name] = taken

    def _owner(self, name: str) -> Scope | None:
        scope: Scope | None = self
        while scope is not None and name not in scope._variables:  # noqa: SLF001 - of the same class
            scope = scope._outer  # noqa: SLF001 - of the same class
        return scope
