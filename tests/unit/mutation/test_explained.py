from collections import Counter
from pathlib import Path

import pytest

from mutation.change import Change
from mutation.explained import EXPLAINED, explained_changes, verdict

TOML = """
[[window]]
function = "start"
line = "a < b"
mutated = ["a <= b", "a != b"]
because = "they are never equal"

[[claim]]
function = "claim"
line = "break"
mutated = ["continue", "continue"]
because = "nothing follows, in either place"
"""


def change(module: str, mutated: str, line: str = "a < b", function: str = "start") -> Change:
    return Change(module=module, function=function, line=line, mutated=mutated)


BREAK = change("claim", "continue", "break", "claim")


def test_one_reason_explains_each_change_that_it_names() -> None:
    assert explained_changes(TOML) == Counter(
        {change("window", "a <= b"): 1, change("window", "a != b"): 1, BREAK: 2}
    )


@pytest.mark.parametrize("key", ["function", "line", "because"])
def test_an_explanation_says_where_and_why(key: str) -> None:
    with pytest.raises(KeyError):
        explained_changes("\n".join(line for line in TOML.splitlines() if not line.startswith(key)))


def test_a_reason_that_says_nothing_explains_nothing() -> None:
    assert not explained_changes(TOML.replace("they are never equal", ""))[change("window", "a <= b")]


def test_what_survives_unexplained_and_what_is_explained_in_vain_is_to_be_looked_at() -> None:
    survived = [change("window", "a <= b"), change("window", "a > b")]
    found = verdict(survived, explained_changes(TOML), modules={"window"})
    assert found.unnoticed == (change("window", "a > b"),)
    assert found.void == (change("window", "a != b"),)


def test_the_same_line_twice_is_explained_twice() -> None:
    explained = explained_changes(TOML)
    assert verdict([BREAK] * 3, explained, modules={"claim"}).unnoticed == (BREAK,)
    assert verdict([BREAK], explained, modules={"claim"}).void == (BREAK,)


def test_only_lines_that_are_there_are_explained() -> None:
    """An explanation goes with its line; `scripts/mutate` would say so only after half an hour."""
    sources = Path(__file__).resolve().parents[3] / "functions/bucketcast/stream"
    for change in explained_changes(EXPLAINED.read_text()):
        source = " ".join((sources / f"{change.module}.py").read_text().split())
        assert change.line in source
