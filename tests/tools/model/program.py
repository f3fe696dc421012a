"""Programs: handlers run call by call, each local history once.

The state of a running program is the list of answers it got. To find the call that follows, it is run from its
beginning on those answers and suspended at the first call that has none. Histories form a tree whose nodes are
kept; two programs of the same acts share it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tools.model.ports import Operations, Ports
from tools.model.world import Answer, Cells, Operation, Raised, Returned, World, matches

# No handler here needs a tenth of it: one that makes more calls in a row, alone, does not end.
MAX_CALLS: Final = 600

Node = int
"""A local history, by number."""

DONE: Final[Node] = 0
"""The history of a program whose acts are all over."""


def _nothing(_: Any) -> "Program":
    return ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Act:
    """One call of a handler, or a short script.

    *writes* are the cells that it and what it is followed by may write, as patterns. *then* says what follows,
    given what it returned; all else that it knew is forgotten.
    """

    name: str
    run: Callable[[Ports], Any]
    writes: tuple[str, ...]
    then: "Callable[[Any], Program]" = _nothing


Program = tuple[Act, ...]
"""Acts one after the other."""


class Suspended(BaseException):
    """A program stands before a call that has no answer yet; nothing of its own may catch it."""


@dataclass(slots=True)
class _History:
    """What is known of a local history."""

    program: Program  # this act and those behind it
    before: tuple[Node, int] | None
    operation: Operation | None = None
    outcome: Answer | None = None
    children: dict[int, Node] = field(default_factory=dict)
    following: Node | None = None


class Programs:
    """The trees of local histories of all programs over the same cells."""

    def __init__(self, cells: Cells) -> None:
        self.cells: Final = cells
        self._operations = Operations(cells)
        self._histories: list[_History] = [_History((), None)]
        self._roots: dict[Program, Node] = {(): DONE}
        self._writes: dict[Program, frozenset[str]] = {}

    def __len__(self) -> int:
        """How many local histories are known."""
        return len(self._histories)

    def root(self, program: Program, world: World) -> Node:
        """The history of *program* before its first call; it begins in *world*."""
        node = self._roots.get(program)
        if node is None:
            node = self._roots[program] = self._add(_History(program, None))
            self._run(node, world)
        return node

    def operation(self, node: Node) -> Operation | None:
        """The call that follows *node*; None when the act is over."""
        return self._histories[node].operation

    def outcome(self, node: Node) -> Answer | None:
        """What the act ended with, if it is over at *node*."""
        return self._histories[node].outcome

    def act(self, node: Node) -> Act:
        """The act at *node*."""
        return self._histories[node].program[0]

    def writes(self, node: Node) -> frozenset[str]:
        """What may still be written, as patterns."""
        program = self._histories[node].program
        if (known := self._writes.get(program)) is None:
            known = frozenset(pattern for act in program for pattern in act.writes)
            self._writes[program] = known
        return known

    def child(self, node: Node, answer: int, world: World) -> Node:
        """The history *node* with one *answer* more; *world* is as the call left it."""
        child = self._histories[node].children.get(answer)
        if child is None:
            child = self._extend(node, answer)
            self._run(child, world)
        return child

    def following(self, node: Node, world: World) -> Node:
        """Where the program goes on behind an act that is over at *node*."""
        history = self._histories[node]
        if history.following is None:
            act, *rest = history.program
            then = act.then(history.outcome.value) if isinstance(history.outcome, Returned) else ()
            if not all(matches(cell, act.writes) for next_act in then for cell in next_act.writes):
                raise RuntimeError(f"what follows {act.name} writes more than it declares")
            history.following = self.root((*then, *rest), world)
        return history.following

    def _add(self, history: _History) -> Node:
        self._histories.append(history)
        return len(self._histories) - 1

    def _extend(self, node: Node, answer: int) -> Node:
        child = self._add(_History(self._histories[node].program, (node, answer)))
        self._histories[node].children[answer] = child
        return child

    def _answers(self, node: Node) -> list[int]:
        answers = []
        while (before := self._histories[node].before) is not None:
            node, answer = before
            answers.append(answer)
        return answers[::-1]

    def _run(self, node: Node, world: World) -> None:
        """Run to the call that follows *node*, and on as if the program were alone: that is asked for soon."""
        given = iter(self._answers(node))
        calls = 0

        def ask(operation: Operation) -> Any:
            nonlocal node, world, calls
            if (answer := next(given, None)) is None:
                history = self._histories[node]
                if history.operation not in (None, operation):
                    raise Suspended  # cannot be: a handler is deterministic; what is known of it stays
                history.operation = operation
                calls += 1
                if calls > MAX_CALLS:
                    raise Suspended
                world, answer = operation.apply(world)
                node = history.children.get(answer) or self._extend(node, answer)
            return self.cells.answers[answer].unwrap()

        try:
            outcome: Answer = Returned(self.act(node).run(Ports(self._operations, ask)))
        except Suspended:
            return
        except Exception as error:  # noqa: BLE001 - an outcome is whatever the handler ended with
            outcome = Raised(error)
        self._histories[node].outcome = outcome

    def run_alone(
        self, act: Act, world: World, after_write: Callable[[World, World, str], World]
    ) -> tuple[World, Answer]:
        """Run *act* from its beginning to its end, with nobody else about; nothing of it is kept."""
        broken: list[AssertionError] = []

        def ask(operation: Operation) -> Any:
            nonlocal world
            after, answer = operation.apply(world)
            if after is not world and operation.writes is not None:
                try:
                    after = after_write(world, after, operation.writes)
                except AssertionError as error:
                    broken.append(error)
                    raise Suspended from error
            world = after
            return self.cells.answers[answer].unwrap()

        try:
            outcome: Answer = Returned(act.run(Ports(self._operations, ask)))
        except Suspended:
            raise broken[0] from None
        except Exception as error:  # noqa: BLE001 - as above
            outcome = Raised(error)
        return world, outcome
