from hypothesis import given
from hypothesis import strategies as st

from local_cloud.storage.listing import ListingQuery, list_page

names = st.lists(st.text(alphabet="ab/é", min_size=1, max_size=6), unique=True).map(sorted)
affixes = st.text(alphabet="ab/é", max_size=3)


def listed(all_names: list[str], query: ListingQuery) -> tuple[list[str], list[str], str | None]:
    page = list_page([(name, name) for name in all_names if name >= query.first_name], query)
    return list(page.items), list(page.prefixes), page.after


@given(names, affixes, affixes, affixes, st.sampled_from(["", "/", "ab"]))
def test_a_listing_is_what_a_filter_over_all_names_gives(
    all_names: list[str], prefix: str, start: str, end: str, delimiter: str
) -> None:
    query = ListingQuery(prefix=prefix, start_offset=start, end_offset=end, delimiter=delimiter)
    wanted = [
        name for name in all_names if name.startswith(prefix) and name >= start and (not end or name < end)
    ]
    rolled = {
        prefix + name[len(prefix) :].split(delimiter)[0] + delimiter
        for name in wanted
        if delimiter and delimiter in name[len(prefix) :]
    }
    plain = [name for name in wanted if not (delimiter and delimiter in name[len(prefix) :])]
    assert listed(all_names, query) == (plain, sorted(rolled), None)


@given(names, affixes, st.sampled_from(["", "/"]), st.integers(1, 3))
def test_pages_join_to_the_whole_and_repeat_nothing(
    all_names: list[str], prefix: str, delimiter: str, size: int
) -> None:
    whole = listed(all_names, ListingQuery(prefix=prefix, delimiter=delimiter))
    items: list[str] = []
    prefixes: list[str] = []
    after: str | None = ""
    while after is not None:
        query = ListingQuery(prefix=prefix, delimiter=delimiter, max_results=size, after=after)
        more_items, more_prefixes, after = listed(all_names, query)
        assert len(more_items) + len(more_prefixes) <= size
        items += more_items
        prefixes += more_prefixes
    assert (items, prefixes, None) == whole


def test_a_page_has_at_most_a_thousand_results() -> None:
    items, _, after = listed([f"{number:05}" for number in range(1500)], ListingQuery(max_results=5000))
    assert (len(items), after) == (1000, "00999")
