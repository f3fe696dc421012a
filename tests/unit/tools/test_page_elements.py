import pytest

from tools.page_elements import elements, inline_code


def test_every_element_comes_with_its_attributes() -> None:
    page = '<!doctype html><main id="a"><input disabled></main>'
    assert elements(page) == [("main", {"id": "a"}), ("input", {"disabled": None})]


@pytest.mark.parametrize(
    ("page", "tags"),
    [
        ('<script src="page.js"></script><link rel="stylesheet" href="page.css"><p class="on">', []),
        ("<script>alert(1)</script>", ["script"]),
        ("<style>p { color: red }</style>", ["style"]),
        ('<p style="color: red">', ["p"]),
        ('<button onclick="alert(1)">', ["button"]),
    ],
)
def test_code_within_a_page_is_found(page: str, tags: list[str]) -> None:
    assert inline_code(page) == tags
