"""Listing objects by name: prefixes, delimiters, offsets and pages, over names in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

MAX_RESULTS: Final = 1000  # Cloud Storage answers with at most this many at once

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingQuery:
    """What a listing asks for; *after* is where the page before ended."""

    prefix: str = ""
    delimiter: str = ""
    start_offset: str = ""
    end_offset: str = ""
    after: str = ""
    max_results: int = MAX_RESULTS

    @property
    def first_name(self) -> str:
        """No name before this one is part of the answer."""
        return max(self.prefix, self.start_offset, self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingPage(Generic[_Row]):
    """One page; *after* is what the next page's query needs, None when this was the last."""

    items: tuple[_Row, ...]
    prefixes: tuple[str, ...]
    after: str | None


def list_page(rows: Iterable[tuple[str, _Row]], query: ListingQuery) -> ListingPage[_Row]:
    """The page of *rows* that *query* asks for; *rows* are (name, row) in order from `query.first_name` on.

    Names that hold the delimiter after the prefix are rolled up into their common prefix, which counts as
    one result.
    """
    items: list[_Row] = []
    prefixes: list[str] = []
    last = query.after
    for name, row in rows:
        if not name.startswith(query.prefix) or (query.end_offset and name >= query.end_offset):
            break
        entry, is_prefix = _roll_up(name, query)
        if last and entry <= last:
            continue
        if len(items) + len(prefixes) == min(query.max_results, MAX_RESULTS):
            return ListingPage(items=tuple(items), prefixes=tuple(prefixes), after=last)
        last = entry
        if is_prefix:
            prefixes.append(entry)
        else:
            items.append(row)
    return ListingPage(items=tuple(items), prefixes=tuple(prefixes), after=None)


def _roll_up(name: str, query: ListingQuery) -> tuple[str, bool]:
    if query.delimiter:
        end = name.find(query.delimiter, len(query.prefix))
        if end >= 0:
            return name[: end + len(query.delimiter)], True
    return name, False
