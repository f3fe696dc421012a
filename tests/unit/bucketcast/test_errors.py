import re

from bucketcast import errors
from bucketcast.errors import BucketcastError, PlaylistSyntaxError

TREE: dict[str, type[BucketcastError]] = {
    error.__name__: error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, BucketcastError) and error.__module__ == errors.__name__
}


def test_the_tree_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"\b[A-Z]\w+(?=\s*(?:·|\(|$|\n))", errors.__doc__ or "", re.MULTILINE)
    assert set(drawn) == set(TREE)


def test_what_may_be_tried_again_is_said_by_the_class() -> None:
    retryable = re.findall(r"(\w+)\s+\(retryable", errors.__doc__ or "")
    assert {name for name, error in TREE.items() if error.retryable} == set(retryable)


def test_a_syntax_error_says_where_it_is() -> None:
    error = PlaylistSyntaxError("no header", line=1)
    assert (str(error), error.reason, error.line) == ("line 1: no header", "no header", 1)
