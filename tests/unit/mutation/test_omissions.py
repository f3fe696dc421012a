import pytest

from mutation.omissions import omissions


def bodies(body: str, answer: str = "int") -> set[str]:
    """What becomes of *body*, the one line of a function, when things are left out of it."""
    head = f"def function(a: int, b: int | None = 1) -> {answer}:\n    "
    return {mutated.removeprefix(head) for mutated in omissions(head + body)}


@pytest.mark.parametrize(
    ("body", "left_out"),
    [
        ("return a", {"return None"}),
        ("return None", {"return None"}),
        ("a = b", {"pass"}),
        ("raise b", {"pass"}),
        ('"""A docstring."""', set()),
        ("if a: f()", {"if True: f()", "if False: f()", "if a: pass"}),
        ("a += 1 if b else 2", {"pass", "a += 1 if True else 2", "a += 1 if False else 2"}),
        ("f(a and b)", {"pass", "f(True and b)", "f(a and True)"}),
        ("f(a or b)", {"pass", "f(False or b)", "f(a or False)"}),
        ("f(a - b)", {"pass", "f(a)", "f(b)"}),
        ("f(a, x=b)", {"pass", "f(a, **{})"}),
        ("f(*a, b)", {"pass", "f(*(), b)"}),
        ("f(a[1:])", {"pass", "f(a[None:])"}),
        ("f([x for x in a if x])", {"pass", "f([x for x in a if True])"}),
        ("f(any(a))", {"pass", "f(all(a))"}),
        ("f(sorted(a))", {"pass", "f(list(a))"}),
        ("f(max(a, b))", {"pass", "f(min(a, b))", "f(a)", "f(b)"}),
        ("for a in b: f()", {"pass", "for a in b: pass"}),
        ("raise A(f'{a + 1}')", {"pass"}),
    ],
)
def test_each_thing_is_left_out_once(body: str, left_out: set[str]) -> None:
    assert bodies(body) == left_out


def test_a_question_is_answered_both_ways() -> None:
    assert bodies("return a > b", "bool") == {"return True", "return False"}


def test_nothing_is_left_out_between_functions() -> None:
    assert not set(omissions("A = 1 + 2\nclass B:\n    c = f(x=1)\n"))


def test_places_are_counted_in_bytes() -> None:
    assert "é = 'é'; pass" in bodies("é = 'é'; f()")
