import pytest

pytest.importorskip("cosmic_ray", reason="cosmic-ray is not installed: scripts/setup mutation")

from mutation.change import Change
from mutation.mutants import mutants

SOURCE = '''\
LIMIT = 2


class Line(frozen=True):
    def is_in(self, a: int) -> bool:
        """Whether *a* is."""
        if a < LIMIT:
            return (
                a
                == 0
            )
        return False
'''


def changes() -> dict[tuple[str, str], set[str]]:
    """What becomes of each line, with the function that it is in."""
    found: dict[tuple[str, str], set[str]] = {}
    for mutant in mutants("line", SOURCE):
        found.setdefault((mutant.change.function, mutant.change.line), set()).add(mutant.change.mutated)
    return found


def test_a_change_is_known_by_its_function_and_its_lines_before_and_after() -> None:
    found = changes()
    assert found["", "LIMIT = 2"] == {"LIMIT = 3", "LIMIT = 1"}
    assert found["Line.is_in", "if a < LIMIT:"] == {
        *("if a <= LIMIT:", "if a >= LIMIT:", "if a != LIMIT:", "if True:", "if False:"),
    }
    assert found["Line.is_in", "return False"] == {"return True"}
    assert found["Line.is_in", "a == 0"] == {"a != 0", "a <= 0", "a >= 0", "True", "False"}
    assert found["Line.is_in", "== 0"] == {"== 1", "== -1"}


def test_how_a_class_is_declared_is_not_changed() -> None:
    assert not [line for _, line in changes() if line.startswith("class")]


def test_every_mutant_is_another_and_comes_in_the_order_of_the_lines() -> None:
    found = list(mutants("line", SOURCE))
    assert len({mutant.source for mutant in found}) == len(found)
    assert found[0].change == Change(module="line", function="", line="LIMIT = 2", mutated="LIMIT = 3")
