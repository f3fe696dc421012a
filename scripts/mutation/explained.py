"""The survivors that are explained: changes that no test can notice, each with the reason."""

import tomllib
from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mutation.change import Change

EXPLAINED: Final = Path(__file__).with_name("explained.toml")


def explained_changes(text: str) -> Counter[Change]:
    """What *text*, in TOML, explains, and how often it does; KeyError where an entry lacks something."""
    return Counter(
        Change(module=module, function=entry["function"], line=entry["line"], mutated=mutated)
        for module, entries in tomllib.loads(text).items()
        for entry in entries
        if entry["because"]
        for mutated in entry["mutated"]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What there is to do: changes that are *unnoticed* and not explained, and explanations that are *void*."""

    unnoticed: tuple[Change, ...]
    void: tuple[Change, ...]


def verdict(survived: Iterable[Change], explained: Counter[Change], *, modules: AbstractSet[str]) -> Verdict:
    """Compare what *survived* in *modules* with what is *explained*: the same line may be there twice."""
    survivors = Counter(survived)
    return Verdict(
        unnoticed=tuple((survivors - explained).elements()),
        void=tuple(change for change in (explained - survivors).elements() if change.module in modules),
    )
