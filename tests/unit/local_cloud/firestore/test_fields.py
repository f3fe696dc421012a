"""Field paths read, replace and remove inside maps, and leave the maps they were given alone."""

import pytest
from google.cloud.firestore_v1.field_path import FieldPath as ClientFieldPath
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.firestore.errors import InvalidArgument
from local_cloud.firestore.fields import (
    MISSING,
    FieldPath,
    parse_field_path,
    project,
    read,
    remove,
    replace,
)
from local_cloud.firestore.values import Fields

paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple)
maps: st.SearchStrategy[Fields] = st.recursive(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a_1.b", ("a_1", "b")),
        ("`a.b`.c", ("a.b", "c")),
        (r"`a\`b\\`", ("a`b\\",)),
        ("`é`", ("é",)),
    ],
)
def test_a_field_path_is_read(text: str, path: FieldPath) -> None:
    assert parse_field_path(text) == path


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a-b", "1a", "`a", "``", "`a`b", "a`b`", "é"])
def test_what_is_no_field_path_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_field_path(text)


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3))
def test_every_path_that_the_client_writes_is_read(segments: list[str]) -> None:
    assert parse_field_path(ClientFieldPath(*segments).to_api_repr()) == tuple(segments)


@given(maps, paths)
def test_what_was_put_in_place_is_read_there_and_gone_when_removed(fields: Fields, path: FieldPath) -> None:
    before = repr(fields)
    replaced = replace(fields, path, "new")
    assert read(replaced, path) == "new"
    assert read(remove(replaced, path), path) is MISSING
    assert repr(fields) == before


@given(maps, paths)
def test_removing_what_is_missing_changes_nothing(fields: Fields, path: FieldPath) -> None:
    if read(fields, path) is MISSING:
        assert remove(fields, path) == fields


@given(maps, paths)
def test_a_projection_holds_its_path_and_nothing_else(fields: Fields, path: FieldPath) -> None:
    chosen = project(fields, [path])
    assert read(chosen, path) == read(fields, path)
    assert remove(chosen, path) == project({}, []) or len(path) > 1


def test_null_is_a_value_and_not_missing() -> None:
    assert read({"a": None}, ("a",)) is None
    assert read({"a": None}, ("a", "b")) is MISSING
