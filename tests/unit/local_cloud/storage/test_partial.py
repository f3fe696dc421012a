import pytest

from local_cloud.storage.errors import InvalidRequest
from local_cloud.storage.partial import select_fields

RESOURCE = {
    "kind": "k",
    "items": [{"name": "a", "size": "1", "metadata": {"x": "1", "y": "2"}}, {"name": "b", "size": "2"}],
    "nextPageToken": "t",
}


@pytest.mark.parametrize(
    ("fields", "selected"),
    [
        ("kind", {"kind": "k"}),
        ("kind,nextPageToken", {"kind": "k", "nextPageToken": "t"}),
        ("items(name)", {"items": [{"name": "a"}, {"name": "b"}]}),
        ("items/name", {"items": [{"name": "a"}, {"name": "b"}]}),
        ("items/name,kind", {"items": [{"name": "a"}, {"name": "b"}], "kind": "k"}),
        (
            "items(size,metadata/x),kind",
            {"items": [{"size": "1", "metadata": {"x": "1"}}, {"size": "2"}], "kind": "k"},
        ),
        (
            "items(name, size), nextPageToken",
            {"items": [{"name": "a", "size": "1"}, {"name": "b", "size": "2"}], "nextPageToken": "t"},
        ),
        ("*", RESOURCE),
        ("items(*)", {"items": RESOURCE["items"]}),
        ("missing", {}),
    ],
)
def test_the_fields_asked_for_are_what_is_left(fields: str, selected: dict[str, object]) -> None:
    assert select_fields(RESOURCE, fields) == selected


@pytest.mark.parametrize(
    "fields", ["", ",", "a(" * 200, "a/" * 201, "items(", "items(name", "items)", "a,,b", "()"]
)
def test_a_selection_that_cannot_be_read_is_refused(fields: str) -> None:
    with pytest.raises(InvalidRequest):
        select_fields(RESOURCE, fields)
