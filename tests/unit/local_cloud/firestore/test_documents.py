"""Names of databases, documents and parents are parsed once, at the edge."""

import pytest

from local_cloud.firestore.documents import (
    MAX_ID_BYTES,
    document_size,
    parse_database,
    parse_document,
    parse_parent,
    parse_reference,
)
from local_cloud.firestore.errors import InvalidArgument
from local_cloud.firestore.values import Fields

ROOT = "projects/p/databases/(default)/documents"


@pytest.mark.parametrize(
    "text", ["", "projects/p", "projects/p/databases/", f"{ROOT}", "/projects/p/databases/d"]
)
def test_these_are_no_databases(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_database(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a/b",
        ROOT,
        f"{ROOT}/a",
        f"{ROOT}/a/b/c",
        f"{ROOT}/a/",
        f"{ROOT}//b",
        f"{ROOT}/a/.",
        f"{ROOT}/a/..",
        f"{ROOT}/__a__/b",
        f"{ROOT}/a/{'x' * (MAX_ID_BYTES + 1)}",
    ],
)
def test_these_are_no_documents(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_document(text)


def test_a_document_has_pairs_of_collection_and_id_and_a_parent_too_or_none() -> None:
    assert parse_document(f"{ROOT}/a/b\n/c/d") == f"{ROOT}/a/b\n/c/d"
    assert parse_parent(ROOT) == ROOT
    assert parse_parent(f"{ROOT}/a/b") == f"{ROOT}/a/b"
    with pytest.raises(InvalidArgument):
        parse_parent(f"{ROOT}/a")


def test_a_reference_may_have_the_reserved_ids_that_bound_a_range() -> None:
    assert parse_reference(f"{ROOT}/a/__id-9223372036854775808__").name.endswith("808__")
    for text in ("a", ROOT, f"{ROOT}/a", f"{ROOT}/a/"):
        with pytest.raises(InvalidArgument):
            parse_reference(text)


def test_the_size_of_a_document_is_that_of_the_documentation() -> None:
    """The example of .../docs/firestore/storage-size: name 44, fields 71, and 32 more."""
    name = parse_document(f"{ROOT}/users/jeff/tasks/my_task_id")
    fields: Fields = {"type": "Personal", "done": False, "priority": 1, "description": "Learn Cloud Firestore"}
    assert document_size(name, fields) == 44 + 71 + 32
